"""Bars that MetaTrader 4 or 5 exported ("Export bars" in its history window), as its server's clock has them.

The export does not say where that clock stands, so the options must. Many brokers' servers run on the time of eastern
Europe (Europe/Athens), or seven hours ahead of New York, so that the day ends with New York's session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from betti.errors import BadBars
from betti.sources._columns import Given, plain
from betti.sources._layout import Look
from betti.sources._table import Asked, file_for, one_file_each
from betti.sources._text import TextFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

__all__ = ["fetch"]

# MetaTrader 5 exports both, and VOL is zero for markets without an exchange.
_VOLUMES = {"ticks": ("tickvol", "tick volume"), "real": ("vol", "real volume")}


def fetch(
    symbols: tuple[str, ...],
    interval: str,
    until: pd.Timestamp,
    *,
    path: str,
    timezone: str,
    hours_ahead: Annotated[int, Field(ge=-23, le=23)] = 0,
    volume: Literal["ticks", "real"] = "ticks",
) -> Iterator[pd.DataFrame]:
    """Bars from an export of MetaTrader; see `betti.sources`.

    With the header of version 5 (`<DATE> <TIME> <OPEN> ...`, tabs) or without one as version 4 writes it (date, time,
    open, high, low, close, volume). Daily and longer bars have no time of day: they begin at midnight of that clock.

    Args:
        symbols: markets; each fills `{symbol}` in the path.
        interval: fills `{interval}` in the path.
        until: open time of the last bar wanted.
        path: e.g. "~/exports/{symbol}_{interval}.csv".
        timezone: IANA zone of the server's clock: Europe/Athens, America/New_York, UTC.
        hours_ahead: hours that the clock runs ahead of that zone: 7 for the servers seven hours ahead of New York.
        volume: which column is the volume: "ticks" counts changes of price, "real" is what an exchange traded.

    Raises:
        BadParam: several symbols and no {symbol} in the path, or a zone that does not exist.
        MissingFile, UnreadableFile: the file is absent, or is not text with columns.
        BadBars: a column is missing, or the volume asked for; a number or a time cannot be read:
            the line is named.
    """
    one_file_each(path, symbols)
    given = Given(timezone=timezone, hours_ahead=hours_ahead, prefer=_VOLUMES[volume])
    for symbol in symbols:
        asked = (Asked(symbol, symbol, interval),)
        file = TextFile(file_for(path, symbol, interval), asked, Look(names="metatrader"), given)
        _check_volume(file, volume)
        yield from file.bars()


def _check_volume(file: TextFile, volume: str) -> None:
    """Refuse a file that has the other volume alone, or none: the program writes one for every market."""
    if "volume" not in file.columns.values:
        raise BadBars(file.where, "no column of volume", "Check what the file is; source `csv` takes others")
    name = file.layout.names[file.columns.values["volume"]]
    for kind, names in _VOLUMES.items():
        if kind != volume and plain(name) in names:
            raise BadBars(file.where, f"its only volume is '{name}'", f"Set ingest.options.volume to {kind}")
