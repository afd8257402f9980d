"""When a market should have bars, by its trading calendar.

What does not belong here: when a market is open (`betti.sessions`), the week that bars themselves tell of
(`_week.py`), and what is missing (`gaps.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.errors import BadInput, PartUnavailable
from betti.sessions import ExchangeSessions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from betti.sessions import Schedule

    Micros = NDArray[np.int64]

__all__ = ["ALWAYS", "DAY", "MINUTE", "CalendarsMissing", "Expected", "expected"]

ALWAYS = "24/7"
MINUTE, DAY = 60_000_000, 86_400_000_000  # microseconds


class CalendarsMissing(BadInput):
    """A trading calendar was asked for and the library that knows it is not installed."""

    def __init__(self, calendar: str) -> None:
        self.calendar = calendar
        super().__init__(
            f"calendar '{calendar}' needs the library exchange_calendars, which is not installed. "
            "Run `pip install 'betti[calendars]'`, or name no calendar: the bars' own usual week then tells the gaps"
        )


@dataclass(frozen=True)
class Expected:
    """Bars that should be there.

    Attributes:
        times: (n,) their opens in microseconds since 1970, ascending.
        first: (n,) whether a bar is the first of its session.
        last: (n,) whether it is the last.
    """

    times: Micros
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]


def expected(calendar: str, start: int, end: int, step: int, phase: int) -> Expected:
    """The bars of a calendar from `start` to `end`.

    Args:
        calendar: "24/7", or a name of exchange_calendars such as "XNYS".
        start: open of the first bar, microseconds since 1970, UTC.
        end: open of the last bar.
        step: length of a bar in microseconds; from a day on bars are stamped with their session's date.
        phase: where bars begin within a step. A bar that a session opens or closes in the middle of is expected.

    Raises:
        CalendarsMissing: the calendar needs the library and it is absent.
        UnknownName: the library has no such calendar.
    """
    if calendar == ALWAYS:
        times = np.arange(start, end + 1, step, dtype="int64")
        never = np.zeros(len(times), dtype=bool)
        return Expected(times, never, never)
    schedule = _schedule(calendar, start, end)
    times, dates = _whole(schedule) if step >= DAY else _cut(schedule, step, phase)
    changes = dates[1:] != dates[:-1]
    first, last = np.concatenate([[True], changes]), np.concatenate([changes, [True]])
    inside = (times >= start) & (times <= end)
    return Expected(times[inside], first[: len(times)][inside], last[: len(times)][inside])


def _schedule(calendar: str, start: int, end: int) -> Schedule:
    begin, stop = (pd.Timestamp(instant, unit="us", tz="UTC") for instant in (start, end))
    try:
        return ExchangeSessions(calendar).schedule(begin, stop)
    except PartUnavailable as cause:
        raise CalendarsMissing(calendar) from cause


def _whole(schedule: Schedule) -> tuple[Micros, Micros]:
    """One bar per session, stamped with its date."""
    dates = np.unique(schedule.dates)
    return dates, dates


def _cut(schedule: Schedule, step: int, phase: int) -> tuple[Micros, Micros]:
    """Every bar of the grid that shares time with a stretch of trading, and its session's date."""
    first = (schedule.opens - phase) // step
    count = -((phase - schedule.closes) // step) - first
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    # Before and after a lunch break there may be the same bar.
    times, kept = np.unique((np.repeat(first, count) + within) * step + phase, return_index=True)
    return times, np.repeat(schedule.dates, count)[kept]
