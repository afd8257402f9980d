"""Bars from the files of Binance's public archive (data.binance.vision), as downloaded: zip or CSV, many per symbol.

Twelve columns, without a header in most files and with one in newer ones; times in milliseconds, and in microseconds in
files of the spot market from 2025 on. What does not belong here: the network (source `binance`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from betti.errors import BadBars, MissingFile
from betti.schemas import BARS
from betti.sources._columns import Given
from betti.sources._layout import Look
from betti.sources._table import Asked, files_for, one_file_each
from betti.sources._text import TextFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd

__all__ = ["fetch"]

_NAME = re.compile(r".*-(?P<month>\d{4}-\d{2})(?P<day>-\d{2})?\.(?:csv|csv\.gz|zip)")


def fetch(
    symbols: tuple[str, ...],
    interval: str,
    until: pd.Timestamp,
    *,
    path: str,
) -> Iterator[pd.DataFrame]:
    """Bars from archived klines, file by file in the order of their dates; see `betti.sources`.

    `buy_volume` is what takers bought, in units of the base currency; `sell_volume` is `volume - buy_volume`. The file
    of a day is left out where that of its month is there too, and a zip where it is there unpacked.

    Args:
        symbols: markets; each fills `{symbol}` in the path.
        interval: fills `{interval}` in the path.
        until: open time of the last bar wanted.
        path: e.g. "~/klines/{symbol}/{interval}/{symbol}-{interval}-*.zip"; `*` stands for any part of a name.

    Raises:
        BadParam: several symbols and no {symbol} in the path.
        MissingFile, UnreadableFile: no such file, or one that is not text with columns, or cannot be unpacked.
        BadBars: not twelve columns, or a number or a time that cannot be read; file and line are named.
    """
    one_file_each(path, symbols)
    for symbol in symbols:
        asked = (Asked(symbol, symbol, interval),)
        for file in _once(files_for(path, symbol, interval)):
            klines = TextFile(file, asked, Look(",", "binance"), Given(stamped="open"))
            if "buy_volume" not in klines.columns.values:
                raise BadBars(
                    klines.where, "no column taker_buy_volume", "Check what the file is; source `csv` takes others"
                )
            for piece in klines.bars():
                yield _with_sells(piece)


def _once(files: Sequence[Path]) -> list[Path]:
    """Files in the order of their dates, no stretch of time twice; what is no klines file by its name is left out."""
    if len(files) == 1:
        return list(files)
    named = [(found, file) for file in files if (found := _NAME.fullmatch(file.name))]
    months = {found["month"] for found, _ in named if not found["day"]}
    stems: dict[str, Path] = {}
    for found, file in sorted(named, key=lambda pair: pair[1].name):  # a CSV comes before its zip
        if not (found["day"] and found["month"] in months):
            stems.setdefault(found["month"] + (found["day"] or ""), file)
    if not stems:
        raise MissingFile(files[0].parent, "No file there is called SYMBOL-INTERVAL-YYYY-MM.zip, or .csv")
    return [stems[stem] for stem in sorted(stems)]


def _with_sells(bars: pd.DataFrame) -> pd.DataFrame:
    """With `sell_volume`, in the order of the columns of bars."""
    bars["sell_volume"] = bars["volume"] - bars["buy_volume"]
    return bars[[name for name in BARS.names if name in bars]]
