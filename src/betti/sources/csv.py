"""Bars from CSV files, one per symbol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.errors import BadBars, UnreadableFile
from betti.sources._table import concatenated, file_for, to_bars

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = ["fetch"]


def fetch(
    symbols: tuple[str, ...],
    interval: str,
    until: pd.Timestamp,
    *,
    path: str,
    columns: dict[str, str] | None = None,
    names: list[str] | None = None,
    delimiter: str | None = None,
    skip_rows: int = 0,
    unit: str | None = None,
    timezone: str | None = None,
) -> pd.DataFrame:
    """Bars from one CSV per symbol; see `betti.sources`.

    Args:
        symbols: markets; each fills `{symbol}` in the path.
        interval: fills `{interval}` in the path.
        until: open time of the last bar wanted.
        path: e.g. "~/bars/{symbol}_{interval}.csv".
        columns: their name -> ours (timestamp open high low close volume buy_volume sell_volume trades), where they
            differ by more than case.
        names: column names of a file without a header, in order.
        delimiter: found by looking when not given.
        skip_rows: lines before the header (or the first row).
        unit: s, ms, us or ns where times are epoch numbers.
        timezone: IANA zone of times that carry none.

    Raises:
        MissingFile, UnreadableFile: the file is absent, or is not text with columns.
        BadBars: a column is missing, a number or a time cannot be read; the line is named.
    """
    tables = []
    for symbol in symbols:
        file = file_for(path, symbol, interval)
        raw = _read(file, names, delimiter, skip_rows)
        first_line = skip_rows + (1 if names else 2)
        tables.append(
            to_bars(raw, symbol, file, columns=columns or {}, unit=unit, timezone=timezone, first_line=first_line)
        )
    return concatenated(tables, until)


def _read(file: Path, names: list[str] | None, delimiter: str | None, skip_rows: int) -> pd.DataFrame:
    """The file as text columns; what numbers and times they hold is judged with the line at hand."""
    import pandas as pd

    if file.stat().st_size == 0:
        raise BadBars(file, "the file is empty", "Check that the export is complete")
    try:
        return pd.read_csv(
            file,
            sep=delimiter,
            engine="python" if delimiter is None else "c",
            names=names,
            header=None if names else 0,
            skiprows=skip_rows,
            dtype=str,
            skipinitialspace=True,
        )
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as cause:
        raise UnreadableFile(
            file, f"is not a table of text columns ({cause})", "Check its type and delimiter"
        ) from cause
