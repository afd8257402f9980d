"""Policy events: decisions and announcements, when their outcome was known, and since when their date was.

An event that lies ahead is known as a date alone, and only where it was announced. A file of past decisions does not
tell which of them were: among the Federal Reserve's are emergency meetings (2001-01-03, 2001-04-18, 2001-09-17,
2007-08-17, 2008-01-22, 2008-10-08, 2020-03-03, 2020-03-15), and a meeting that was moved or dropped is no longer in it.
So no date counts as known ahead unless the file says since when, or the options say how many days and which of them
came unannounced. (The Federal Reserve publishes its dates in the summer before the year they lie in.)

What does not belong here: guessing a stance from prices.
"""

from __future__ import annotations

from datetime import date, time
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from betti import counts
from betti.context import _files as files
from betti.context._moments import Written, days, moments
from betti.context._tables import POLICY, BadContext, ordered
from betti.errors import BadParam

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read"]

_OPTION = "ingest.context_files.policy"
_NUMBERS = ("stance", "urgency", "impact")
_SHAPE = files.Shape(
    aliases={
        "at": ("date", "time", "datetime", "timestamp", "effective", "effective date", "decision date", "event date"),
        "released": ("release time", "release date", "published", "published at", "announced", "announced at"),
        "scheduled_since": ("scheduled", "schedule date", "announced schedule", "known since"),
        "symbol": ("ticker", "tic", "stock", "instrument", "asset"),
        "kind": ("event", "type", "event type", "announcement type"),
        "stance": ("direction", "policy stance"),
        "urgency": ("importance",),
        "impact": ("sector impact",),
    },
    needed=("at",),
    option=_OPTION,
)


def read(
    path: str | Path,
    *,
    columns: dict[str, str] | None = None,
    kind: str = "policy",
    notice_days: Annotated[int, Field(ge=1, le=1000)] | None = None,
    unscheduled: tuple[str, ...] = (),
    time_of_day: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None,
    timezone: str | None = None,
    unit: str | None = None,
    time_format: str | None = None,
    day_first: bool | None = None,
) -> pd.DataFrame:
    """Policy events from a Parquet or text file, columns as in `betti.context.POLICY`.

    An outcome is known when the file says so, else when the event takes place. Of stance, urgency and impact, what the
    file does not have is unknown. Equal rows are kept once; the table carries how many were not (`betti.counts`:
    `rows`, `repeated`).

    Args:
        path: the file; text may be packed with gz, cells end at a comma, semicolon, tab or bar.
        columns: their name -> ours, where a column is not found by its name.
        kind: what all events are, where the file has no such column.
        notice_days: how many days ahead the dates were known, where the file does not say since when.
        unscheduled: days (2020-03-15) of events that came unannounced, all the same.
        time_of_day: when events take place (14:00) of which the file has the day alone; its end where not given.
        timezone: IANA zone of times that carry none, and of days; New York for days where it is not given.
        unit: s, ms, us or ns where times are epoch numbers and the unit is not the one they seem to have.
        time_format: in the signs of `strptime`, where times are text of an uncommon form.
        day_first: whether 01/02/2020 is in February, where no row of the file tells.

    Raises:
        MissingFile, UnreadableFile: the file is absent, or neither Parquet nor a table of text.
        UnknownName, BadContext: a column is missing or may be one of several, there are no rows, a cell is no time or
            no number, or a number lies out of its range.
        BadParam: an option that does not fit.
    """
    file, raw = files.table(path, _SHAPE, columns or {})
    written = Written(_OPTION, timezone, unit, time_format, day_first)
    of_day = time.fromisoformat(time_of_day) if time_of_day else None
    at = moments(raw["at"], file, "at", written, of_day)
    released = moments(raw["released"], file, "released", written) if "released" in raw else at
    table = pd.DataFrame(
        {
            "at": at,
            "released": released,
            "scheduled_since": _scheduled(raw, at, file, written, notice_days, unscheduled),
            "symbol": files.texts(raw["symbol"]) if "symbol" in raw else "",
            "kind": files.texts(raw["kind"]) if "kind" in raw else kind,
        },
        index=raw.index,
    )
    for name in _NUMBERS:
        table[name] = files.numbers(raw[name], file, name) if name in raw else np.nan
    found = ordered(table, POLICY, file)
    return counts.attach(found, {"rows": len(raw), "repeated": len(raw) - len(found)})


def _scheduled(
    raw: pd.DataFrame,
    at: pd.Series,
    file: Path,
    written: Written,
    notice_days: int | None,
    unscheduled: tuple[str, ...],
) -> pd.Series:
    """Since when each date was known; NaT where it was not, or nobody says."""
    never = pd.Series(pd.NaT, index=raw.index, dtype="datetime64[us, UTC]")
    since = moments(raw["scheduled_since"], file, "scheduled_since", written) if "scheduled_since" in raw else never
    late = since > at
    if late.any():
        row = int(late.to_numpy().argmax())
        found = f"row {raw.index[row]} is scheduled since {since.iloc[row]}, after it takes place"
        raise BadContext(file, found, "Leave scheduled_since empty where an event came unannounced")
    if notice_days is not None:
        since = since.fillna(at - pd.Timedelta(days=notice_days))
    on_day = days(raw["at"], file, "at", written).dt.date
    surprises = {_day(text) for text in unscheduled}
    if strangers := surprises - set(on_day):
        named = min(strangers).isoformat()
        raise BadParam(f"{_OPTION}.unscheduled", named, f"no event of {file} takes place on that day")
    result: pd.Series = since.mask(on_day.isin(list(surprises)))
    return result


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as cause:
        raise BadParam(f"{_OPTION}.unscheduled", text, "it takes days such as 2020-03-15") from cause
