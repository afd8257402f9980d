"""From any raw table to bars: what file sources share. Nothing is repaired; what cannot be read is an error."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from betti.errors import BadBars, BadParam, MissingFile
from betti.schemas import BARS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["EPOCH_UNITS", "file_for", "one_file_each", "to_bars"]

EPOCH_UNITS = ("s", "ms", "us", "ns")
# Epoch numbers of years 1975 to 2262 in each unit do not overlap, so that a wrong unit can be told.
_SECONDS = (1.6e8, 9.3e9)
_EPOCH = r"\d{9,}(?:\.\d+)?"
_ZONE = r"(?:Z|UTC|\d:\d{2}(?::\d{2}(?:\.\d+)?)?\s*[+-]\d{2}(?::?\d{2})?)$"


def file_for(path: str, symbol: str, interval: str) -> Path:
    """The file of one symbol: `{symbol}` and `{interval}` in the pattern are filled in.

    Raises:
        BadParam: the pattern has another placeholder.
        MissingFile: the file is not there.
    """
    try:
        file = Path(path.format(symbol=symbol, interval=interval)).expanduser()
    except (KeyError, IndexError, ValueError, AttributeError) as cause:
        raise BadParam("ingest.options.path", path, "only {symbol} and {interval} can be filled in") from cause
    if not file.is_file():
        raise MissingFile(file, "Check ingest.options.path and ingest.symbols in params.yaml")
    return file


def one_file_each(path: str, symbols: tuple[str, ...]) -> None:
    """Refuse to read one market's file as several markets."""
    if len(symbols) > 1 and "{symbol}" not in path:
        raise BadParam(
            "ingest.options.path", path, f"it names one file for {len(symbols)} symbols: put {{symbol}} in it"
        )


def to_bars(
    raw: pd.DataFrame,
    symbol: str,
    where: object,
    *,
    columns: Mapping[str, str],
    unit: str | None,
    timezone: str | None,
    first_line: int = 2,
) -> pd.DataFrame:
    """Bars of one symbol from a raw table.

    Args:
        raw: the table as read; text is allowed in any column.
        symbol: the market's name in `symbol`.
        where: what to call the table in an error.
        columns: raw column name -> bar column name, for names that differ.
        unit: s, ms, us or ns where times are epoch numbers; None where they are text or already times.
        timezone: the zone of times that carry none.
        first_line: line of the first row, to name a line in an error.

    Raises:
        BadBars: a column is missing or there twice, there are no rows, a price is not a number, a time is not a time.
    """
    import pandas as pd

    for name in columns:
        if name not in raw.columns:
            raise BadBars(where, f"no column '{name}'", f"Columns found: {', '.join(map(str, raw.columns))}")
    table = raw.rename(columns=dict(columns)).rename(columns=lambda name: str(name).strip().lower())
    _check_columns(table, where)
    if table.empty:
        raise BadBars(where, "a header and no rows", "Check that the export is complete")
    bars = pd.DataFrame({"timestamp": _times(table["timestamp"], where, unit, timezone, first_line)})
    bars.insert(1, "symbol", symbol)
    for name in BARS.names[2:]:
        if name in table.columns:
            bars[name] = _numbers(table[name], where, name, first_line)
    return bars


def _check_columns(table: pd.DataFrame, where: object) -> None:
    missing = [name for name in BARS.required if name != "symbol" and name not in table.columns]
    if missing:
        found = ", ".join(map(str, table.columns))
        raise BadBars(
            where,
            f"no column {', '.join(missing)} (found: {found})",
            "Name them in ingest.options.columns: {theirs: ours}",
        )
    twice = sorted(set(table.columns[table.columns.duplicated()]) & set(BARS.names))
    if twice:
        raise BadBars(where, f"column {', '.join(twice)} occurs twice", "Keep one of them")


def _numbers(values: pd.Series, where: object, name: str, first_line: int) -> pd.Series:
    """Floats; empty cells are NaN (validation quarantines them), text is an error."""
    import pandas as pd

    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    text = numbers.isna() & values.notna() & ~_texts(values).str.strip().str.lower().isin(["", "nan", "null"])
    if text.any():
        raise BadBars(where, f"{name} is {_first(values, text, first_line)}", "It takes a number there")
    # to_numeric reads text to the last digit but one; Python's own reading is exact.
    exact: pd.Series = values.where(numbers.notna()).astype("float64")
    return exact


def _first(values: pd.Series, bad: pd.Series, first_line: int) -> str:
    """The first bad value and its line; a table's index counts its rows from 0 as they stand in the file."""
    row = int(bad.to_numpy().argmax())
    return f"{values.iloc[row]!r} in line {int(values.index[row]) + first_line}"


def _texts(values: pd.Series) -> pd.Series[str]:
    """Every value as text."""
    return values.map(str).astype("str")


def _times(values: pd.Series, where: object, unit: str | None, timezone: str | None, first_line: int) -> pd.Series:
    """UTC times in microseconds."""

    if unit is not None:
        stamps = _from_epoch(values, where, unit, first_line)
    else:
        stamps = _from_text(values, where, timezone, first_line)
    if stamps.isna().any():
        raise BadBars(where, f"the time is {_first(values, stamps.isna(), first_line)}", "Mend or remove that line")
    result: pd.Series = stamps.dt.tz_convert("UTC").dt.as_unit("us")
    return result


def _from_epoch(values: pd.Series, where: object, unit: str, first_line: int) -> pd.Series:
    import pandas as pd

    if unit not in EPOCH_UNITS:
        raise BadParam("ingest.options.unit", unit, f"it takes one of {', '.join(EPOCH_UNITS)}, or null for text")
    scale = 1000 ** EPOCH_UNITS.index(unit)
    numbers = _numbers(values, where, "timestamp", first_line)
    if numbers.isna().any():
        raise BadBars(where, f"the time is {_first(values, numbers.isna(), first_line)}", "Mend or remove that line")
    seconds = numbers / scale
    outside = (seconds < _SECONDS[0]) | (seconds > _SECONDS[1])
    if outside.any():
        raise BadBars(
            where,
            f"timestamp {_first(values, outside, first_line)} is no time in '{unit}'",
            "Check ingest.options.unit: s, ms, us or ns",
        )
    stamps: pd.Series = pd.to_datetime((seconds * 1e6).round().astype("int64"), unit="us", utc=True)
    return stamps


def _from_text(values: pd.Series, where: object, timezone: str | None, first_line: int) -> pd.Series:
    import pandas as pd

    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return values
    texts = _texts(values).str.strip()
    if pd.api.types.is_numeric_dtype(values) or texts.str.fullmatch(_EPOCH).all():
        raise BadBars(where, f"timestamp is a number ({texts.iloc[0]})", "Set ingest.options.unit to s, ms, us or ns")
    zoned = texts.str.contains(_ZONE, regex=True)
    if zoned.all():
        texts = texts.str.replace(r"\s*UTC$", "Z", regex=True)
        return pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601")
    if zoned.any():
        found = _first(texts, ~zoned, first_line)
        raise BadBars(where, f"the time is {found}, without a zone where others have one", "Mend that line")
    if timezone is None:
        raise BadBars(
            where, f"times carry no zone ({texts.iloc[0]})", "Set ingest.options.timezone, e.g. UTC or America/New_York"
        )
    return _localised(_naive(texts), where, timezone, first_line)


def _naive(texts: pd.Series) -> pd.Series:
    """Local times: ISO 8601, else the one format of the first row; a row that does not follow it has no time."""
    import pandas as pd
    from pandas.tseries.api import guess_datetime_format

    times: pd.Series = pd.to_datetime(texts, errors="coerce", format="ISO8601")
    if times.isna().any():
        with warnings.catch_warnings(action="ignore"):  # pandas says so where the day stands first: it must
            written = guess_datetime_format(texts.iloc[0])
        if written is not None:
            times = pd.to_datetime(texts, errors="coerce", format=written)
    return times


def _localised(naive: pd.Series, where: object, timezone: str, first_line: int) -> pd.Series:
    """Naive local times in their zone; an hour that a clock change skips or repeats is an error, not a guess."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as cause:
        raise BadParam("ingest.options.timezone", timezone, "it takes an IANA name such as America/New_York") from cause
    local: pd.Series = naive.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    lost = local.isna() & naive.notna()
    if lost.any():
        raise BadBars(
            where,
            f"the time is {_first(naive, lost, first_line)}: a clock change in {timezone} skips or repeats it",
            "Export the file in UTC",
        )
    return local
