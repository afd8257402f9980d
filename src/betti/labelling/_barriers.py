"""The triple barrier: two prices and a time, and which is reached first (Lopez de Prado 2018, section 3.4).

What does not belong here: what the answer is called, and its weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.labelling._compiled import compiled
from betti.labelling._spans import average_true_range, ewm_deviation, ewm_memory

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["ABOVE", "ATR_WINDOW", "BELOW", "BOTH", "NEITHER", "SIGMA_SPAN", "Touches", "Width", "first_touches"]

NEITHER, ABOVE, BELOW, BOTH = 0, 1, 2, 3
# Bars of the mean true range, and the span of the weighted deviation: what every target means by "atr" and "sigma".
ATR_WINDOW, SIGMA_SPAN = 14, 20


@dataclass(frozen=True)
class Width:
    """How far the barriers lie from the close, in a volatility known at the decision bar.

    Attributes:
        upper, lower: distances in that volatility.
        measure: "sigma", the exponentially weighted deviation (span 20) of one-bar log returns, times the close and
            the root of the horizon; or "atr", the mean true range of 14 bars in price.
    """

    upper: float
    lower: float
    measure: str

    @property
    def back(self) -> int:
        """Bars before a decision bar that its volatility reads."""
        return (ATR_WINDOW if self.measure == "atr" else ewm_memory(SIGMA_SPAN)) + 1

    def unit(self, bars: pd.DataFrame, horizon: int) -> Floats:
        """(n,) the volatility at every bar, in price; NaN while it warms up, and where the market has not moved."""
        high, low, close = (bars[name].to_numpy(dtype="float64") for name in ("high", "low", "close"))
        if self.measure == "atr":
            unit = average_true_range(high, low, close, ATR_WINDOW)
        else:
            unit = close * ewm_deviation(close, SIGMA_SPAN) * np.sqrt(horizon)
        # A market that has not moved has barriers at its own price: no question is asked of it.
        return np.where(unit > 0, unit, np.nan)


@dataclass(frozen=True)
class Touches:
    """What happened first to each bar that can be judged.

    Attributes:
        rows: (k,) positions of the decision bars.
        ends: (k,) position of the bar of the first touch, else of the time barrier.
        kind: (k,) NEITHER, ABOVE, BELOW, or BOTH, where one bar reaches both barriers.
        opened: (k,) ABOVE or BELOW where the bar of the touch opens at or beyond that barrier, else NEITHER.
        upper, lower: (k,) distances to the barriers as parts of the close.
    """

    rows: Integers
    ends: Integers
    kind: Integers
    opened: Integers
    upper: Floats
    lower: Floats


def first_touches(bars: pd.DataFrame, horizon: int, width: Width) -> Touches:
    """The first touch within `horizon` bars after every bar that has a volatility and that many bars after it.

    Args:
        bars: bars of one symbol in time order.
        horizon: bars until the time barrier.
        width: how far the others are.
    """
    names = ("open", "high", "low", "close")
    opens, high, low, close = (np.ascontiguousarray(bars[name].to_numpy(dtype="float64")) for name in names)
    unit = width.unit(bars, horizon)
    rows = np.flatnonzero(np.isfinite(unit[: max(len(bars) - horizon, 0)]))
    return Touches(rows, *_first(opens, high, low, close, unit, rows, width.upper, width.lower, horizon))


# Compiled -----------------------------------------------------------------------------------------------------------


@compiled
def _first(
    opens: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    unit: Floats,
    rows: Integers,
    upper: float,
    lower: float,
    horizon: int,
) -> tuple[Integers, Integers, Integers, Floats, Floats]:
    """The fields of `Touches` for each of the rows."""
    count = len(rows)
    ends, kind, opened = np.empty(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    above, below = np.empty(count), np.empty(count)
    for k in range(count):
        row = rows[k]
        now = close[row]
        top, bottom = now + upper * unit[row], now - lower * unit[row]
        ends[k] = row + horizon
        above[k], below[k] = (top - now) / now, (now - bottom) / now
        for bar in range(row + 1, row + horizon + 1):
            touched = int(high[bar] >= top) + 2 * int(low[bar] <= bottom)
            if touched:
                ends[k], kind[k] = bar, touched
                opened[k] = int(opens[bar] >= top) + 2 * int(opens[bar] <= bottom)
                break
    return ends, kind, opened, above, below
