"""Gaps: bars that should be there and are not. They are told and never filled.

What should be there says a trading calendar where one is named. Without one the market's own usual week does: the
times of the week at which it usually has a bar. What does not belong here: bars that are there (`flags.py`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.expectations._calendars import DAY, expected
from betti.expectations._week import usual_week

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Micros = NDArray[np.int64]

__all__ = ["COLUMNS", "Gaps", "gaps", "gaps_between"]

COLUMNS = ("symbol", "after", "until", "missing", "sure", "kind")
# Exchanges have closed for four sessions in a row (New York, September 2001); more is an outage until a calendar says
# otherwise.
LONGEST_CLOSURE = 4
CHUNK = 1_000_000  # values counted at a time


@dataclass(frozen=True)
class Gaps:
    """What is missing from one symbol's bars.

    Attributes:
        rows: `COLUMNS`, in time order. `after` and `until` are the bars on either side, `missing` the bars between them
            that should be there. `sure` is 1 by a calendar; by the usual week it is the share of other weeks that have
            bars at these times. `kind` is "sessions" where nothing but whole sessions is missing, "bars" otherwise.
        basis: what said so: a calendar's name or "usual week", empty where the bars are too few to tell.
        zone: the clock that the usual week keeps, empty for a calendar.
        weeks: how many weeks the usual week rests on, 0 for a calendar.
    """

    rows: pd.DataFrame
    basis: str
    zone: str = ""
    weeks: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Gaps by kind: `gaps` within sessions, `closed_sessions` whole ones; what did not occur is left out.

        Without a calendar a whole session that is missing is a holiday or an outage, and the bars cannot tell which.
        """
        inside = int((self.rows["kind"] == "bars").sum())
        counts = {"gaps": inside, "closed_sessions": len(self.rows) - inside}
        return {name: n for name, n in counts.items() if n}


def gaps(bars: pd.DataFrame, *, calendar: str | None = None, interval: pd.Timedelta | None = None) -> Gaps:
    """The gaps of one symbol between its first and its last bar.

    Args:
        bars: `timestamp` and `symbol` of one symbol, in any order; a time that occurs twice counts once, and one off
            the grid counts for the bar it lies in.
        calendar: a name of exchange_calendars such as "XNYS", "24/7" for a market that never closes, or None: the usual
            week. Nights, weekends and lunch are no gaps then, whatever the clock does in spring and autumn. Holidays
            and early closes are gaps: a week cannot know them. Where bars come thinly, the question is whether any came
            in a quarter of an hour, an hour, four hours or a day.
        interval: length of a bar; None takes the step that occurs most often.

    Raises:
        CalendarsMissing: the calendar needs the library exchange_calendars, which is not installed.
        UnknownName: there is no such calendar.
    """
    symbol = str(bars["symbol"].iloc[0]) if len(bars) else ""
    times = bars["timestamp"].dt.as_unit("us").astype("int64").to_numpy()
    return gaps_between(symbol, times, calendar=calendar, interval=interval)


def gaps_between(
    symbol: str, times: Micros, *, calendar: str | None = None, interval: pd.Timedelta | None = None
) -> Gaps:
    """As `gaps`, for opens of bars in microseconds since 1970: a hundred megabytes less for ten million bars."""
    times = _ascending(times)
    if len(times) < 2:
        return Gaps(_empty(), calendar or "")
    step = _step(times) if interval is None else interval // pd.Timedelta(microseconds=1)
    phase = _most_frequent(times % step)
    times = times - phase  # a copy, then in place: each of these is as large as all the times
    times //= step
    times *= step
    times += phase
    times = _ascending(times)
    if calendar is not None:
        return Gaps(_by_calendar(symbol, times, calendar, step, phase), calendar)
    return _by_week(symbol, times, step)


def _ascending(times: Micros) -> Micros:
    """The times in order, each once; bars mostly come so, and millions need not be sorted."""
    return times if (times[1:] > times[:-1]).all() else np.unique(times)


def _step(times: Micros) -> int:
    """The step between bars that occurs most often, the shortest of several."""
    return _most_frequent(np.diff(times))


def _most_frequent(values: Micros) -> int:
    counts: Counter[int] = Counter()
    for start in range(0, len(values), CHUNK):  # a table of all values would be many times their size
        found, times = np.unique(values[start : start + CHUNK], return_counts=True)
        counts.update(dict(zip(found.tolist(), times.tolist(), strict=True)))
    most = max(counts.values())
    return min(value for value, count in counts.items() if count == most)


def _by_calendar(symbol: str, times: Micros, calendar: str, step: int, phase: int) -> pd.DataFrame:
    due = expected(calendar, int(times[0]), int(times[-1]), step, phase)
    begin = np.searchsorted(due.times, times[:-1], side="right")
    end = np.searchsorted(due.times, times[1:], side="left")
    at = np.flatnonzero(end > begin)
    whole = due.first[begin[at]] & due.last[end[at] - 1]
    return _table(symbol, times, at, end[at] - begin[at], np.ones(len(at)), whole)


def _by_week(symbol: str, times: Micros, step: int) -> Gaps:
    week = usual_week(times, step)
    if week is None:
        return Gaps(_empty(), "")
    due = np.concatenate([[0], np.cumsum(week.usual, dtype="int32")])
    apart = np.diff(times)
    at = np.flatnonzero(apart > step)  # of millions of bars few have another distance than one step
    left, right = week.cells[at], week.cells[at + 1]
    cells = due[np.maximum(right, left + 1)] - due[left + 1]
    # The hour that a clock change skips is no gap: by UTC no time has passed.
    cells = np.minimum(cells, -(-apart[at] // week.cell) - 1)
    long = cells >= week.least
    at, left, right, cells = at[long], left[long], right[long], cells[long]
    mean = _between(np.where(week.usual, week.sure, np.float32(0)), left + 1, right) / (due[right] - due[left + 1])
    missing = np.maximum(1, np.rint(cells * week.bars_per_cell)).astype("int64")
    rows = _table(symbol, times, at, missing, mean, _whole_sessions(week.usual, left, right, week.cell))
    return Gaps(rows, "usual week", week.zone, week.weeks)


def _between(values: NDArray[np.float32], begin: Micros, end: Micros) -> NDArray[np.float64]:
    """Sums over [begin, end), for disjoint ranges in order, none empty and none up to the last value."""
    if not len(begin):
        return np.empty(0)
    sums: NDArray[np.float64] = np.add.reduceat(values, np.column_stack([begin, end]).ravel(), dtype="float64")[::2]
    return sums


def _whole_sessions(usual: NDArray[np.bool_], left: Micros, right: Micros, cell: int) -> NDArray[np.bool_]:
    """Whether a gap between these cells begins and ends with a session, and is no longer than exchanges close."""
    if cell >= DAY:  # a session is a day, in a market that does not have all of them
        count = np.concatenate([[0], np.cumsum(usual)])
        few: NDArray[np.bool_] = count[right] - count[left + 1] <= LONGEST_CLOSURE
        return few & bool(usual.mean() < 6 / 7)
    begins = np.concatenate([[0], np.cumsum(usual & ~np.concatenate([[False], usual[:-1]]))])
    whole = ~usual[left + 1] & ~usual[right - 1]
    found: NDArray[np.bool_] = whole & (begins[right] - begins[left + 1] <= LONGEST_CLOSURE)
    return found


def _table(
    symbol: str,
    times: Micros,
    at: NDArray[np.intp],
    missing: NDArray[np.int64],
    sure: NDArray[np.float64],
    whole: NDArray[np.bool_],
) -> pd.DataFrame:
    """One row per gap; `at` is the position of the bar before it."""
    after, until = (pd.Series(times[places].view("datetime64[us]")).dt.tz_localize("UTC") for places in (at, at + 1))
    return pd.DataFrame(
        {
            "symbol": pd.Series([symbol] * len(at), dtype="str"),
            "after": after,
            "until": until,
            "missing": missing.astype("int64"),
            "sure": sure,
            "kind": pd.Series(np.where(whole, "sessions", "bars"), dtype="str"),
        }
    )


def _empty() -> pd.DataFrame:
    """A table without gaps."""
    none = np.empty(0, dtype="int64")
    return _table("", none, none, none, none.astype("float64"), none.astype(bool))
