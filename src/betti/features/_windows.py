"""Rolling statistics as machine code, for families with dozens of long windows.

Where `_rolling.py` has the same statistic the bits are the same, and it is there several times sooner. As there, every
window is accumulated bar by bar, the newest first, so that a value depends on its own window exactly and the same bars
give the same bits from any start. Sums are made for a stretch of rows at a time, which stays in the processor's
nearest cache.

numba keeps machine code per source file and does not see that a function it calls, in another file, has changed. So a
compiled function calls compiled functions of its own file alone. What does not belong here: any indicator.

Arrays are one-dimensional float64 in time order; a row without a full window is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.features._compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "STRETCH",
    "absolute_deviation",
    "bars_since_highest",
    "deviation",
    "faded",
    "mean",
    "total",
    "weighted",
]

STRETCH = 1024  # rows whose sums are made together: 8 kB each


def total(values: Floats, window: int) -> Floats:
    """Sum of the last `window` values."""
    return weighted(values, np.ones(window))


def mean(values: Floats, window: int) -> Floats:
    """Mean of the last `window` values."""
    return total(values, window) / window


def deviation(values: Floats, window: int) -> Floats:
    """Population standard deviation (divisor `window`) of the last `window` values."""
    spread: Floats = np.sqrt(_squares(values, mean(values, window), window) / window)
    return spread


def absolute_deviation(values: Floats, window: int) -> Floats:
    """Mean absolute distance to the mean of the last `window` values."""
    return _distances(values, mean(values, window), window) / window


def faded(values: Floats, decay: float, bars: int) -> Floats:
    """Mean of the last `bars` values with weights decay ** age: for amounts that were zero before, as it were."""
    weights = decay ** np.arange(bars, dtype=np.float64)
    return weighted(values, weights / weights.sum())


# Compiled -----------------------------------------------------------------------------------------------------------


@compiled
def weighted(values: Floats, weights: Floats) -> Floats:
    """Sum of weight x value over each window; `weights[0]` belongs to the newest bar."""
    rows, window = len(values), len(weights)
    found = np.full(rows, np.nan)
    for first in range(window - 1, rows, STRETCH):
        held = found[first : min(first + STRETCH, rows)]
        held[:] = 0.0
        for age in range(0, window - 3, 4):
            # Four bars at a time, added in their order: the sums are read and written less often.
            w0, w1, w2, w3 = weights[age], weights[age + 1], weights[age + 2], weights[age + 3]
            aged = values[first - age - 3 : first - age + len(held)]
            for k in range(len(held)):
                held[k] = (((held[k] + w0 * aged[k + 3]) + w1 * aged[k + 2]) + w2 * aged[k + 1]) + w3 * aged[k]
        for age in range(window - window % 4, window):
            weight, aged = weights[age], values[first - age : first - age + len(held)]
            for k in range(len(held)):
                held[k] += weight * aged[k]
    return found


@compiled
def _squares(values: Floats, centre: Floats, window: int) -> Floats:
    """Sum of squared distances to each window's centre."""
    rows = len(values)
    found = np.full(rows, np.nan)
    for first in range(window - 1, rows, STRETCH):
        held = found[first : min(first + STRETCH, rows)]
        middle = centre[first : first + len(held)]
        held[:] = 0.0
        for age in range(window):
            aged = values[first - age : first - age + len(held)]
            for k in range(len(held)):
                distance = aged[k] - middle[k]
                held[k] += distance * distance
    return found


@compiled
def _distances(values: Floats, centre: Floats, window: int) -> Floats:
    """Sum of absolute distances to each window's centre."""
    rows = len(values)
    found = np.full(rows, np.nan)
    for first in range(window - 1, rows, STRETCH):
        held = found[first : min(first + STRETCH, rows)]
        middle = centre[first : first + len(held)]
        held[:] = 0.0
        for age in range(window):
            aged = values[first - age : first - age + len(held)]
            for k in range(len(held)):
                held[k] += abs(aged[k] - middle[k])
    return found


@compiled
def bars_since_highest(values: Floats, window: int) -> Floats:
    """Bars since the highest of the last `window` values, the most recent where values tie; lows go in negated."""
    rows = len(values)
    found = np.full(rows, np.nan)
    best = np.empty(STRETCH)
    for first in range(window - 1, rows, STRETCH):
        held = found[first : min(first + STRETCH, rows)]
        held[:] = 0.0
        best[: len(held)] = values[first : first + len(held)]
        for age in range(1, window):
            aged = values[first - age : first - age + len(held)]
            for k in range(len(held)):
                older = aged[k] > best[k]
                held[k] = age if older else held[k]
                best[k] = aged[k] if older else best[k]
    return found
