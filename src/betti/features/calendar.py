"""The clock and the calendar at a bar's open: known in advance, from times alone.

| column | what | unit and range |
|---|---|---|
| hour | time of day, minutes and seconds as a fraction | hours, 0 to below 24 |
| dayofweek | Monday is 0 | days, 0..6 |
| dayofmonth | day of the month, the first is 1 | days, 1..31 |
| month | month of the year, January is 1 | months, 1..12 |
| hour_sin, hour_cos | place in the day as a point on a circle | -1..1 |
| dayofweek_sin, dayofweek_cos | place in the week, by whole days | -1..1 |
| dayofmonth_sin, dayofmonth_cos | place in the month, by its own number of days | -1..1 |
| month_sin, month_cos | place in the year, by whole months | -1..1 |
| session | 1 while the market is open, else 0 | 0 or 1 |
| session_since_open | time since the last open / length of that session | session lengths, above 1 when closed |
| session_to_close | time to the next close / length of that session | session lengths, above 1 when closed |

A point on a circle starts at (0, 1), at midnight, on Monday, on the first and in January: the end of a cycle is as
near to its start as any two neighbours. All columns are read on the clock of one zone, UTC unless the knob names
another, so that 09:30 in New York is the same hour in winter and in summer. Daily bars are stamped with a date at
00:00 UTC: leave their zone at UTC, or the date becomes the day before.

The three session columns are there when `opens` and `closes` are given: a market that never closes has no session.
Holidays and early closes are not known (see `betti.sessions.LocalSessions`): an exchange calendar is edited after the
fact, and a closure that nobody expected would then be known before it happened. What does not belong here: prices.
"""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field

from betti.errors import BadParam
from betti.sessions import LocalSessions, instants

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["COLUMNS", "compute", "lookback"]

_CYCLES = ("hour", "dayofweek", "dayofmonth", "month")

COLUMNS = (*_CYCLES, *(f"{cycle}_{wave}" for cycle in _CYCLES for wave in ("sin", "cos")))


def lookback(**_: object) -> int:
    """No earlier bar: a time says it all."""
    return 0


def _known(zone: str) -> str:
    """A zone as params.yaml names it: refused with its place there, before any bar is read."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as cause:
        raise BadParam("features.calendar.zone", zone, "it takes an IANA name such as America/New_York") from cause
    return zone


def compute(
    bars: pd.DataFrame,
    *,
    zone: Annotated[str, AfterValidator(_known)] = "UTC",
    opens: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None,
    closes: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None,
    weekdays: Annotated[tuple[Annotated[int, Field(ge=0, le=6)], ...], Field(min_length=1)] = (0, 1, 2, 3, 4),
) -> pd.DataFrame:
    """The calendar columns of one symbol.

    Args:
        bars: columns as in `betti.schemas.BARS`, in time order; only `timestamp` is read.
        zone: IANA name of the clock that all columns are read on.
        opens: when a session opens, local time as "HH:MM", in quotes: YAML reads 18:00 as the number 1080. None where
            the market never closes.
        closes: when it closes. A session that opens at or after its closing hour began the evening before.
        weekdays: of the date a session ends on; Monday is 0.

    Returns:
        One row per bar in float64: `COLUMNS`, and the session columns where hours are given.

    Raises:
        BadParam: no such zone, or one of the two hours without the other.
    """
    times = pd.DatetimeIndex(bars["timestamp"])
    found = _cycles(times.tz_convert(zone))
    sessions = _sessions(zone, opens, closes, weekdays)
    if sessions is not None:
        found |= _distances(times, sessions)
    return pd.DataFrame(found, index=bars.index)


def _cycles(local: pd.DatetimeIndex) -> dict[str, Floats]:
    """Every cycle as a number, then as a point on a circle."""
    hour, minute, second, weekday, day, month, days = (
        np.asarray(part, dtype=np.float64)
        for part in (
            *(local.hour, local.minute, local.second),
            *(local.weekday, local.day, local.month, local.days_in_month),
        )
    )
    clock = hour + minute / 60 + second / 3600
    numbers = dict(zip(_CYCLES, (clock, weekday, day, month), strict=True))
    shares = (clock / 24, weekday / 7, (day - 1) / days, (month - 1) / 12)
    points = {
        f"{cycle}_{name}": wave(2 * np.pi * share)
        for cycle, share in zip(_CYCLES, shares, strict=True)
        for name, wave in (("sin", np.sin), ("cos", np.cos))
    }
    return numbers | points


def _sessions(zone: str, opens: str | None, closes: str | None, weekdays: tuple[int, ...]) -> LocalSessions | None:
    """The market's hours; None where it never closes."""
    if opens is None and closes is None:
        return None
    if opens is None or closes is None:
        known, missing = ("closes", "opens") if opens is None else ("opens", "closes")
        problem = f"{known} is given and {missing} is not: a session needs both hours, a market that never closes none"
        raise BadParam(f"features.calendar.{missing}", None, problem)
    return LocalSessions(zone, time.fromisoformat(opens), time.fromisoformat(closes), weekdays)


def _distances(times: pd.DatetimeIndex, sessions: LocalSessions) -> dict[str, Floats]:
    """Whether the market is open, and how far the last open and the next close lie, in lengths of their sessions."""
    if not len(times):
        return {name: np.empty(0) for name in ("session", "session_since_open", "session_to_close")}
    schedule, now = sessions.schedule(times[0], times[-1]), instants(times)
    length = (schedule.closes - schedule.opens).astype(np.float64)
    opened = np.searchsorted(schedule.opens, now, side="right") - 1
    closing = np.searchsorted(schedule.closes, now, side="right")
    return {
        "session": (opened == closing).astype(np.float64),  # the session that opened last is the one to close next
        "session_since_open": (now - schedule.opens[opened]) / length[opened],
        "session_to_close": (schedule.closes[closing] - now) / length[closing],
    }
