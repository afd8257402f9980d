"""The built-in sample: real daily bars of the S&P 500 and the NASDAQ Composite, 1999-2018, without a network.

They ship inside the `arch` package (originally from Yahoo Finance). Known and left in: the S&P's open equals the
previous close on most days until 2006, so that fills at its open are fiction there; NASDAQ has two days without
volume.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from betti.errors import BadParam, MissingFile, UnknownName
from betti.sources._files import Place
from betti.sources._table import to_bars

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

__all__ = ["fetch"]

FILES = {"SP500": "sp500/sp500.csv.gz", "NASDAQ": "nasdaq/nasdaq.csv.gz"}


def fetch(symbols: tuple[str, ...], interval: str, until: pd.Timestamp) -> Iterator[pd.DataFrame]:
    """Daily bars; see `betti.sources`.

    Raises:
        UnknownName: a symbol other than SP500 and NASDAQ.
        BadParam: an interval other than 1d.
    """
    import pandas as pd

    if interval != "1d":
        raise BadParam("ingest.interval", interval, "the sample has daily bars alone: 1d")
    for symbol in symbols:
        if symbol not in FILES:
            raise UnknownName("symbol of source 'sample'", symbol, FILES)
        file = _data_folder() / FILES[symbol]
        raw = pd.read_csv(file, usecols=["Date", "Open", "High", "Low", "Close", "Volume"])
        raw["timestamp"] = pd.to_datetime(raw.pop("Date"), format="%m/%d/%Y", utc=True)
        yield to_bars(raw, symbol, Place(file, symbol), columns={}, unit=None, timezone=None)


def _data_folder() -> Path:
    """Where `arch` keeps its data; finding the package costs 40 ms, importing it 5 s."""
    spec = find_spec("arch")
    if spec is None or spec.origin is None:
        raise MissingFile("arch/data", "Install the package `arch`: pip install 'arch>=8,<9'")
    return Path(spec.origin).parent / "data"
