"""Times as integers, and where they lie among a symbol's bars. Only for the modules of this folder and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["bars_by_symbol", "instants", "span_bars"]


def instants(stamps: pd.Series) -> NDArray[np.int64]:
    """Microseconds since 1970 of zone-aware times, whatever unit they are stored in.

    >>> import pandas as pd
    >>> instants(pd.Series(pd.to_datetime(["1970-01-01", "1970-01-02"], utc=True))).tolist()
    [0, 86400000000]
    """
    whole: NDArray[np.int64] = stamps.dt.as_unit("us").astype("int64").to_numpy()
    return whole


def bars_by_symbol(bars: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Symbol -> its bars in time order, symbols in alphabetical order."""
    ordered = bars.sort_values(["symbol", "timestamp"], kind="stable")
    return {str(symbol): rows for symbol, rows in ordered.groupby("symbol", sort=True)}


def span_bars(labels: pd.DataFrame, bars: pd.DataFrame) -> NDArray[np.int64]:
    """(n,) length of each label's span in bars of its own symbol: bars after the decision bar up to `span_end`."""
    lengths = np.zeros(len(labels), dtype="int64")
    symbols = labels["symbol"].to_numpy()
    begin, end = instants(labels["timestamp"]), instants(labels["span_end"])
    for symbol, rows in bars_by_symbol(bars).items():
        mine = symbols == symbol
        grid = instants(rows["timestamp"])
        lengths[mine] = np.searchsorted(grid, end[mine], "right") - np.searchsorted(grid, begin[mine], "right")
    return lengths
