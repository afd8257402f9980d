"""Rolling statistics in which a value depends on its own window, exactly.

Running sums (pandas' rolling) and recursions (exponential means) carry a trace of every earlier bar, so that the bits
at t depend on where the frame starts. Here every window is accumulated bar by bar, oldest and newest alike: the cost
is rows x window simple operations, and the same bars give the same bits from any start. Exponential means are cut
where the weight of what is left out falls to 1e-6. What does not belong here: any indicator.

Arrays are one-dimensional float64 in time order; a row without a full window is NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "FORGOTTEN",
    "absolute_deviation",
    "bars_since",
    "covariance",
    "deviation",
    "exponential",
    "extreme",
    "lagged",
    "mean",
    "memory",
    "ratio",
    "span_decay",
    "total",
    "wilder_decay",
]

FORGOTTEN = 1e-6  # the share of an exponential mean's weight that its cut leaves out


def ratio(numerator: Floats, denominator: Floats, *, floor: Floats | float, neutral: float) -> Floats:
    """`numerator / denominator`, and `neutral` where the denominator is at or below `floor`; NaN stays NaN."""
    quotient = np.full(len(numerator), neutral)
    return np.divide(numerator, denominator, out=quotient, where=~(denominator <= floor))


def lagged(values: Floats, bars: int) -> Floats:
    """The value `bars` bars earlier."""
    earlier = np.full(len(values), np.nan)
    if bars < len(values):
        earlier[bars:] = values[: len(values) - bars]
    return earlier


def _aged(values: Floats, age: int, window: int) -> Floats:
    """For every row with a full window: the value `age` bars before it (a view)."""
    return values[window - 1 - age : len(values) - age]


def _placed(complete: Floats, rows: int) -> Floats:
    """Values of the rows with a full window, after NaN for the rows without."""
    return np.concatenate([np.full(rows - len(complete), np.nan), complete])


def _weighted(values: Floats, weights: Floats) -> Floats:
    """Sum of weight x value over each window; `weights[0]` belongs to the newest bar."""
    rows, window = len(values), len(weights)
    if rows < window:
        return np.full(rows, np.nan)
    acc = np.zeros(rows - window + 1)
    for age, weight in enumerate(weights):
        acc += weight * _aged(values, age, window)
    return _placed(acc, rows)


def total(values: Floats, window: int) -> Floats:
    """Sum of the last `window` values."""
    return _weighted(values, np.ones(window))


def mean(values: Floats, window: int) -> Floats:
    """Mean of the last `window` values."""
    return total(values, window) / window


def _mean_of(values: Floats, window: int, function: Callable[[Floats], Floats]) -> Floats:
    """Mean over each window of a function of the distance to the window's own mean."""
    rows = len(values)
    if rows < window:
        return np.full(rows, np.nan)
    centre = mean(values, window)[window - 1 :]
    acc = np.zeros(rows - window + 1)
    for age in range(window):
        acc += function(_aged(values, age, window) - centre)
    return _placed(acc / window, rows)


def deviation(values: Floats, window: int) -> Floats:
    """Population standard deviation (divisor `window`) of the last `window` values."""
    return np.sqrt(_mean_of(values, window, np.square))


def absolute_deviation(values: Floats, window: int) -> Floats:
    """Mean absolute distance to the mean of the last `window` values."""
    return _mean_of(values, window, np.abs)


def covariance(first: Floats, second: Floats, window: int) -> Floats:
    """Population covariance over each window, its means taken out first: E[xy] - E[x]E[y] would cancel."""
    rows = len(first)
    if rows < window:
        return np.full(rows, np.nan)
    centres = [mean(values, window)[window - 1 :] for values in (first, second)]
    acc = np.zeros(rows - window + 1)
    for age in range(window):
        acc += (_aged(first, age, window) - centres[0]) * (_aged(second, age, window) - centres[1])
    return _placed(acc / window, rows)


def extreme(values: Floats, window: int, choose: Callable[[Floats, Floats], Floats]) -> Floats:
    """Largest (`choose=np.maximum`) or smallest (`np.minimum`) of the last `window` values."""
    rows = len(values)
    if rows < window:
        return np.full(rows, np.nan)
    best = _aged(values, 0, window).copy()
    for age in range(1, window):
        best = choose(best, _aged(values, age, window))
    return _placed(best, rows)


def bars_since(values: Floats, window: int, choose: Callable[[Floats, Floats], Floats]) -> Floats:
    """Bars since the extreme of the last `window` values; the most recent one where values tie."""
    rows = len(values)
    if rows < window:
        return np.full(rows, np.nan)
    best = extreme(values, window, choose)[window - 1 :]
    since = np.zeros(len(best))
    for age in range(window - 1, -1, -1):
        since[_aged(values, age, window) == best] = age
    return _placed(since, rows)


def span_decay(span: int) -> float:
    """Weight kept per bar by an exponential mean of this span: 1 - 2 / (span + 1)."""
    return 1 - 2 / (span + 1)


def wilder_decay(window: int) -> float:
    """Weight kept per bar by Wilder's smoothing: 1 - 1 / window (Wilder 1978)."""
    return 1 - 1 / window


def memory(decay: float) -> int:
    """Bars that an exponential mean reads: what lies before them weighs `FORGOTTEN` at most."""
    return math.ceil(math.log(FORGOTTEN) / math.log(decay))


def exponential(values: Floats, decay: float) -> Floats:
    """Exponential mean over the last `memory(decay)` values, weights decay ** age scaled to sum to one."""
    weights = decay ** np.arange(memory(decay), dtype=np.float64)
    return _weighted(values, weights / weights.sum())
