"""Bars from CSV files, one per symbol or one for several, of any size.

Plain, gz, or a zip with one file in it. What the options do not say is found by looking, and told in the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from betti.sources._columns import Given
from betti.sources._layout import Look
from betti.sources._table import by_file, one_file_each
from betti.sources._text import TextFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

__all__ = ["fetch"]


def fetch(
    symbols: tuple[str, ...],
    interval: str,
    until: pd.Timestamp,
    *,
    path: str,
    columns: dict[str, str] | None = None,
    names: list[str] | str | None = None,
    delimiter: str | None = None,
    skip_rows: Annotated[int, Field(ge=0)] = 0,
    markets: dict[str, str] | None = None,
    unit: str | None = None,
    timezone: str | None = None,
    time_format: str | None = None,
    day_first: bool | None = None,
    stamped: Literal["open", "close"] | None = None,
    decimal: Literal[".", ","] | None = None,
    thousands: Literal[",", ".", " ", "'"] | None = None,
    encoding: str | None = None,
) -> Iterator[pd.DataFrame]:
    """Bars from CSV, in blocks of a few megabytes; see `betti.sources`.

    Columns are found by their own names and by those that are common elsewhere (date, open_time, "Close/Last", vol);
    a date and a time of day in two columns are joined. A file without a column of volume gives bars without volume.
    Prices may carry a dollar sign. A decimal comma is found where the file can mean nothing else: cells that no comma
    parts, no number with a point, and numbers such as 1,5 or 0,125. One such as 1,234 takes `decimal` or `thousands`.

    Args:
        symbols: markets; each fills `{symbol}` in the path, and selects its rows where the file has a `symbol` column.
        interval: fills `{interval}` in the path.
        until: open time of the last bar wanted.
        path: e.g. "~/bars/{symbol}_{interval}.csv".
        columns: their name -> ours (timestamp open high low close volume buy_volume sell_volume trades open_interest,
            or symbol, close_time, or date and time), where a column is not found by its name.
        names: of a file without a header: its columns in order, or who writes it: binance, bitfinex, histdata, kraken,
            metatrader.
        delimiter: found by looking when not given.
        skip_rows: lines before the header (or the first row).
        markets: our symbol -> the name in the file's `symbol` column, where they differ.
        unit: s, ms, us or ns where times are epoch numbers and the unit is not the one they seem to have.
        timezone: IANA zone of times that carry none.
        time_format: how times are written, in the signs of `strptime`, where it is an uncommon form.
        day_first: whether 01/02/2020 is in February, where no row of the file tells.
        stamped: "close" where bars carry the time of their close; found by itself for a column called `close_time`.
        decimal: the sign before a number's fraction, where it is not found by looking.
        thousands: the sign between a number's groups of three digits; a space stands for those that do not break a line
            too. Without it such numbers are refused.
        encoding: of a file that is neither UTF-8 nor has a byte order mark, by Python's name: cp1252, utf-16-le.

    Raises:
        BadParam: one file for several symbols that names none, or an option that does not fit the file.
        MissingFile, UnreadableFile: the file is absent, or is not text with columns.
        UnknownName: the file names its markets, and the symbol is not among them.
        BadBars: a column other than volume is missing, one may be one of several, a number or a time cannot be read:
            the line is named.
    """
    look = Look(delimiter, tuple(names) if isinstance(names, list) else names, skip_rows, encoding)
    given = Given(
        columns=columns or {}, unit=unit, timezone=timezone, time_format=time_format, day_first=day_first,
        stamped=stamped, decimal=decimal, thousands=thousands,
    )  # fmt: skip
    for found, asked in by_file(path, symbols, interval, markets).items():
        file = TextFile(found, asked, look, given)
        if not file.names_markets:
            one_file_each(path, symbols)
        # Markets that stand side by side in columns are read one by one.
        for one in ((single,) for single in asked) if file.layout.markets else (asked,):
            yield from TextFile(found, one, look, given).bars()
