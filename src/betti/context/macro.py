"""Macro series: what was published, about which day or period, and when.

A file has one row per value (`series`, a date, a value), or a column per series beside a date, as FRED exports them.
Where it says when a value was released, that moment counts, and several releases of one period are its revisions.
Where it does not, the value counts as released after a lag that is longer than its publisher needs
(`betti.context._lags`).

A file without release times holds each period's value as last revised. Its dates are then safe and its values are
not: what was known at the time was an earlier figure. Market prices (yields, spreads, volatility, oil) are never
revised and price indices hardly; output, employment, income and money are, and NFCI is estimated anew every week. Take
vintages (ALFRED) where that matters.

What does not belong here: what a series means (`betti.features.context`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from betti import counts
from betti.context import _files as files
from betti.context._lags import released_days
from betti.context._moments import Written, days, ends_of_days, moments
from betti.context._tables import MACRO, BadContext, ordered

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read"]

_OPTION = "ingest.context_files.macro"
_SHAPE = files.Shape(
    aliases={
        "released": ("release time", "release date", "released at", "published", "realtime start", "vintage date"),
        "observed": ("date", "observation date", "period", "reference", "reference date", "reference period"),
        "series": ("series id", "event", "indicator", "name", "variable"),
        "value": ("actual",),
        "forecast": ("consensus", "expected", "estimate"),
        "previous": ("prior",),
    },
    needed=(),
    option=_OPTION,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def read(
    path: str | Path,
    *,
    columns: dict[str, str] | None = None,
    series: str | None = None,
    names: dict[str, str] | None = None,
    lags: dict[str, Annotated[int, Field(ge=0, le=1000)]] | None = None,
    timezone: str | None = None,
    unit: str | None = None,
    time_format: str | None = None,
    day_first: bool | None = None,
) -> pd.DataFrame:
    """Macro values from a Parquet or text file, columns as in `betti.context.MACRO`, in order of release.

    Rows without a value are left out and equal ones kept once: the table carries how many, and how many releases are
    assumed from a lag (`betti.counts`: `rows`, `empty`, `repeated`, `lagged`).

    Args:
        path: the file; text may be packed with gz, cells end at a comma, semicolon, tab or bar.
        columns: their name -> ours (released, observed, series, value, forecast, previous), where a column is not
            found by its name.
        series: the name of the series, where the file holds a single one and does not say which.
        names: their name of a series -> ours, e.g. {"US CPI y/y": "US_CPI_YOY"}.
        lags: series (by our name) -> days from its observation's date to the end of the day by which it is out.
        timezone: IANA zone of times that carry none, and of days; New York for days where it is not given.
        unit: s, ms, us or ns where times are epoch numbers and the unit is not the one they seem to have.
        time_format: in the signs of `strptime`, where times are text of an uncommon form.
        day_first: whether 01/02/2020 is in February, where no row of the file tells.

    Raises:
        MissingFile, UnreadableFile: the file is absent, or neither Parquet nor a table of text.
        UnknownName, BadContext: a column is missing or may be one of several, there are no rows, a cell is no time or
            no number, a value is released before the period it is about begins, or two values contradict each other.
        BadParam: an option that does not fit.
    """
    file, raw = _long(path, columns or {}, series)
    written = Written(_OPTION, timezone, unit, time_format, day_first)
    values = files.numbers(raw["value"], file, "value")
    rows, values = raw[values.notna()], values[values.notna()]
    named = files.texts(rows["series"])
    table = pd.DataFrame({"series": named.replace(names or {}), "value": values}, index=rows.index)
    dated = "released" in rows
    if dated:
        table["released"] = moments(rows["released"], file, "released", written)
        table["observed"] = _observed(rows, table["released"], file, written)
    else:
        table["observed"] = days(rows["observed"], file, "observed", written)
        out = released_days(table["series"], table["observed"], lags or {})
        table["released"] = ends_of_days(out, written.zone)
    for name in ("forecast", "previous"):
        table[name] = files.numbers(rows[name], file, name) if name in rows else np.nan
    _in_order(table, file)
    found = ordered(table, MACRO, file)
    made = {"rows": len(raw), "empty": len(raw) - len(rows), "repeated": len(rows) - len(found)}
    return counts.attach(found, made if dated else {**made, "lagged": len(found)})


def _long(path: str | Path, given: dict[str, str], series: str | None) -> tuple[Path, pd.DataFrame]:
    """The file, and its rows with a series and a value each."""
    file, found = files.names(path)
    roles = files.find(found, file, _SHAPE, given)
    if "observed" not in roles and "released" not in roles:
        raise BadContext(
            file,
            f"no column observed or released (found: {', '.join(found)})",
            f"Name one in {_OPTION}.columns: {{theirs: ours}}",
        )
    if "value" in roles:
        file, raw = files.table(path, _SHAPE, given)
        if "series" not in raw:
            if series is None:
                raise BadContext(file, "no column series", f"Name the series in {_OPTION}.series")
            raw["series"] = series
        return file, raw
    wide = [name for name in found if name not in roles.columns.values()]
    if not wide:
        raise BadContext(file, "no column value", f"Name it in {_OPTION}.columns: {{theirs: value}}")
    shape = files.Shape({**_SHAPE.aliases, **dict.fromkeys(wide, ())}, (), _OPTION)
    file, raw = files.table(path, shape, {**given, **{name: name for name in wide}})
    keys = [name for name in ("released", "observed") if name in raw]
    blocks = [raw[keys].assign(series=name, value=raw[name]) for name in wide]
    return file, pd.concat(blocks)


def _observed(rows: pd.DataFrame, released: pd.Series, file: Path, written: Written) -> pd.Series:
    """What each value is about: a date, the last such month before its release, or the day of the release."""
    if "observed" not in rows:
        found: pd.Series = released.dt.normalize()
        return found
    month = files.texts(rows["observed"]).str[:3].str.lower().map({name: n for n, name in enumerate(_MONTHS, start=1)})
    if month.isna().any():
        return days(rows["observed"], file, "observed", written)
    out = released.dt.tz_convert(written.zone)
    years = out.dt.year - (month >= out.dt.month).astype("int64")
    parts = pd.DataFrame({"year": years, "month": month.astype("int64"), "day": 1})
    begins: pd.Series = pd.to_datetime(parts, utc=True).dt.as_unit("us")
    return begins


def _in_order(table: pd.DataFrame, file: Path) -> None:
    """Refuse a value that was known before its period began: the two columns are then not what they seem."""
    early = table["released"] < table["observed"]
    if early.any():
        row = int(early.to_numpy().argmax())
        at = table.iloc[row]
        found = f"row {table.index[row]} is released {at['released']}, before the period from {at['observed']} on"
        raise BadContext(file, found, f"Say in {_OPTION}.columns which column is released and which observed")
