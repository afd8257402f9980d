"""Market data sources: one file = one source, registered by being in this folder.

A source module offers `fetch(symbols, interval, until, *, ...options) -> Iterator[pd.DataFrame]`: bars in pieces that
fit into memory, each of one symbol, with the columns of `betti.schemas.BARS`, stamped with their OPEN time in UTC, as
the source has them (nothing repaired) and in its order. A piece holds a million rows or fewer. Bars later than `until`
need not be left out: that is done here. A symbol that it does not have is an `UnknownName`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betti import knobs as _knobs
from betti.discovery import Folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

__all__ = ["FOLDER", "fetch", "stream"]

FOLDER = Folder("betti.sources", kind="source")


def stream(
    source: str, /, symbols: tuple[str, ...], interval: str, until: pd.Timestamp, options: dict[str, Any]
) -> Iterator[pd.DataFrame]:
    """Bars from one source, piece by piece, each of one symbol, in the source's order, none later than `until`.

    Args:
        source: a file in `betti/sources`.
        symbols: the markets to fetch.
        interval: bar length as pandas writes it in short: 1m, 15m, 1h, 1d.
        until: open time of the last bar wanted, UTC.
        options: the source's own keyword arguments, checked against its signature.

    Raises:
        UnknownName, BadParam: the source, a symbol or an option does not exist, or a value is out of range.
        MissingFile, UnreadableFile, BadBars: what the source found instead of bars, when it comes to it.
    """
    module = FOLDER.load(source)
    pieces = module.fetch(symbols, interval, until, **_knobs.checked(module.fetch, options, "ingest.options"))
    return (piece[piece["timestamp"] <= until] for piece in pieces)


def fetch(
    source: str, /, symbols: tuple[str, ...], interval: str, until: pd.Timestamp, options: dict[str, Any]
) -> pd.DataFrame:
    """All of `stream` as one table, sorted by symbol and time.

    Raises:
        UnknownName, BadParam, MissingFile, UnreadableFile, BadBars: as `stream`.
    """
    import pandas as pd

    whole = pd.concat(stream(source, symbols, interval, until, options), ignore_index=True)
    return whole.sort_values(["symbol", "timestamp"], kind="stable").reset_index(drop=True)
