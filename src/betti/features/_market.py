"""One symbol's bars as arrays, with what several technical indicators are made of.

What does not belong here: indicators, and windows (`_windows.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.features import _rolling as rolling
from betti.features import _windows as windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Columns = Iterator[tuple[str, Floats]]  # a column's name without prefix, and its values, (n,)

__all__ = ["HISTORY", "ROUNDING", "Market", "distance_to_mean", "settled"]

# Bars before its own that a recursive indicator is started at. An exponential mean of 38 bars and Wilder's smoothing
# over 19 have forgotten their start to 1e-6 by then.
HISTORY = 263

ROUNDING = 1e-12  # a distance below this share of the price is rounding, not movement


@dataclass(frozen=True)
class Market:
    """One symbol's bars; each array (n,) in time order, prices in the source's unit.

    Attributes:
        bars: the frame they came from.
        open, high, low, close: prices.
        volume: units traded, 0 where it is missing.
        before: the previous close; NaN in the first row.
        change: close - before.
        typical: (high + low + close) / 3.
        true_range: range of the bar with the previous close included (Wilder 1978); NaN in the first row.
        still: distances of price up to this one are rounding.
    """

    bars: pd.DataFrame
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    before: Floats
    change: Floats
    typical: Floats
    true_range: Floats
    still: Floats

    @classmethod
    def of(cls, bars: pd.DataFrame) -> Market:
        """From columns as in `betti.schemas.BARS`, in time order."""
        # Copies, so that compiled functions see one kind of array: whole, in a row, to be written to.
        open_, high, low, close, volume = (
            np.array(bars[name], dtype=np.float64) for name in ("open", "high", "low", "close", "volume")
        )
        before = rolling.lagged(close, 1)
        return cls(
            bars,
            *(open_, high, low, close, np.nan_to_num(volume, nan=0.0)),
            before=before,
            change=close - before,
            typical=(high + low + close) / 3,
            true_range=np.maximum(high, before) - np.minimum(low, before),
            still=ROUNDING * close,
        )


def distance_to_mean(market: Market, span: int) -> Floats:
    """The close less its exponential mean, whose recursion is started at the close `HISTORY` bars before.

    A change of `age` bars ago stands in the close in full and in the mean but for decay ** (age + 1). Sums of changes
    are exactly 0 where price stood still; a difference of two levels would leave rounding.
    """
    return windows.weighted(market.change, rolling.span_decay(span) ** np.arange(1, HISTORY + 1, dtype=np.float64))


def settled(series: pd.Series[float], neutral: float) -> Floats:
    """An indicator of `ta`, with `neutral` where a flat window made it 0 / 0."""
    values = series.to_numpy(dtype="float64")
    return np.where(np.isfinite(values), values, neutral)
