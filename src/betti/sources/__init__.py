"""Market data sources: one file = one source, registered by being in this folder.

A source module offers `fetch(symbols, interval, until, *, ...options) -> pd.DataFrame`: bars with the columns of
`betti.schemas.BARS`, stamped with their OPEN time in UTC, as the source has them (nothing repaired), none later than
`until`. A symbol that it does not have is an `UnknownName`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betti import knobs as _knobs
from betti.discovery import Folder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FOLDER", "fetch"]

FOLDER = Folder("betti.sources", kind="source")


def fetch(
    source: str, /, symbols: tuple[str, ...], interval: str, until: pd.Timestamp, options: dict[str, Any]
) -> pd.DataFrame:
    """Bars from one source.

    Args:
        source: a file in `betti/sources`.
        symbols: the markets to fetch.
        interval: bar length as pandas writes it in short: 1m, 15m, 1h, 1d.
        until: open time of the last bar wanted, UTC.
        options: the source's own keyword arguments, checked against its signature.

    Raises:
        UnknownName, BadParam: the source, a symbol or an option does not exist, or a value is out of range.
        MissingFile, UnreadableFile, BadBars: what the source found instead of bars.
    """
    module = FOLDER.load(source)
    bars: pd.DataFrame = module.fetch(
        symbols, interval, until, **_knobs.checked(module.fetch, options, "ingest.options")
    )
    return bars
