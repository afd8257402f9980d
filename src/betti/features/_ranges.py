"""The true range of a bar and its average: the unit in which families measure distances of price.

What does not belong here: columns. Arrays are one-dimensional float64 in time order, as in `_rolling.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.features import _rolling as rolling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["average_true_range", "true_extremes"]


def true_extremes(high: Floats, low: Floats, close: Floats) -> tuple[Floats, Floats]:
    """High and low of each bar with the previous close included (Wilder 1978); NaN in the first row."""
    before = rolling.lagged(close, 1)
    return np.maximum(high, before), np.minimum(low, before)


def average_true_range(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """Wilder's average of the true range, in the unit of price (Wilder 1978).

    A row depends on `rolling.memory(rolling.wilder_decay(window))` earlier bars and is NaN before that many.
    """
    highest, lowest = true_extremes(high, low, close)
    return rolling.exponential(highest - lowest, rolling.wilder_decay(window))
