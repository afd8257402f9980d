"""Bars from CSV files, one per symbol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.errors import BadBars, BadParam, UnreadableFile
from betti.sources._table import file_for, one_file_each, to_bars

if TYPE_CHECKING:
    from collections.abc import Iterator
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
) -> Iterator[pd.DataFrame]:
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
        BadParam: several symbols and no {symbol} in the path, or names that are not as many as the columns.
        MissingFile, UnreadableFile: the file is absent, or is not text with columns.
        BadBars: a column is missing, a number or a time cannot be read; the line is named.
    """
    one_file_each(path, symbols)
    for symbol in symbols:
        file = file_for(path, symbol, interval)
        raw = _headed(_read(file, delimiter, skip_rows), names, file)
        yield to_bars(raw, symbol, file, columns=columns or {}, unit=unit, timezone=timezone, first_line=skip_rows + 1)


def _read(file: Path, delimiter: str | None, skip_rows: int) -> pd.DataFrame:
    """The file's lines as text cells, header included, with empty lines left out; the index counts lines from 0."""
    import csv

    import pandas as pd

    if file.stat().st_size == 0:
        raise BadBars(file, "the file is empty", "Check that the export is complete")
    try:
        cells = pd.read_csv(
            file,
            sep=delimiter,
            engine="python" if delimiter is None else "c",
            header=None,
            skiprows=skip_rows,
            skip_blank_lines=False,
            dtype=str,
            encoding="utf-8-sig",
            skipinitialspace=True,
        )
        return cells.dropna(how="all")
    except (UnicodeDecodeError, csv.Error, pd.errors.ParserError, pd.errors.EmptyDataError) as cause:
        raise UnreadableFile(
            file, f"is not a table of text columns ({cause})", "Check its type and delimiter"
        ) from cause


def _headed(cells: pd.DataFrame, names: list[str] | None, file: Path) -> pd.DataFrame:
    """The rows under their column names: those given, else the first line's (pandas would rename one that repeats)."""
    if cells.empty:
        raise BadBars(file, "no line holds anything", "Check that the export is complete")
    if names is None:
        return cells.iloc[1:].set_axis(list(cells.iloc[0].map(str)), axis=1)
    if len(names) != cells.shape[1]:
        raise BadParam("ingest.options.names", names, f"{len(names)} names for the {cells.shape[1]} columns of {file}")
    return cells.set_axis(names, axis=1)
