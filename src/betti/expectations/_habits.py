"""What is usual beside a bar: medians in a window, when bars begin, how long a run the habit of a series explains.

What does not belong here: what is wrong with a bar (`flags.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Positions = NDArray[np.intp]

__all__ = ["LongRuns", "deviation", "long_runs", "median_after", "median_before", "runs", "strays", "usual_move"]

SIGMA = 1.4826  # median absolute deviation -> standard deviation, for a Gaussian (Rousseeuw and Croux 1993)
LEAST = 20  # values that a median needs
WINDOW = 100  # bars
HABIT = 0.05  # share of bars that makes a beginning usual: clock changes and sessions move it, a stray bar does not
BY_CHANCE = 0.01  # runs so long that fewer than this are expected in the whole series are worth a look


def median_before(values: Floats, window: int) -> Floats:
    """(n,) median of the `window` values before each, its own left out; NaN where fewer than 20 are known."""
    medians = np.full(len(values), np.nan)
    medians[1:] = _medians(values, window)[:-1]
    return medians


def median_after(values: Floats, window: int) -> Floats:
    """(n,) median of the `window` values from each on, its own included; NaN where fewer than 20 are known."""
    return _medians(values[::-1], window)[::-1]


def _medians(values: Floats, window: int) -> Floats:
    """(n,) median of the last `window` values, fewer at the start: the numbers of pandas, six times as fast."""
    import bottleneck

    # It takes no window longer than the series; values that are not known make up for what is missing.
    padded = np.concatenate([np.full(max(window - len(values), 0), np.nan), values])
    found: Floats = bottleneck.move_median(np.ascontiguousarray(padded), window, min_count=min(LEAST, window))
    return found[len(padded) - len(values) :]


def deviation(values: Floats, window: int) -> Floats:
    """(n,) usual size of the values before each: 1.4826 times their median absolute value."""
    return SIGMA * median_before(np.abs(values), window)


def usual_move(moves: Floats, window: int = WINDOW) -> Floats:
    """(n,) usual size of a one-bar move beside each bar: the larger of that before it and that from it on.

    The larger, because volatility comes in bursts and a burst's first bar would have only calm ones before it. Bars
    without a move are left out, or a quiet market would make any move a large one. A series too short for either has
    the overall median.
    """
    sizes = np.abs(moves)
    sizes[~(sizes > 0)] = np.nan
    usual: Floats = SIGMA * np.fmax(median_before(sizes, window), median_after(sizes, window))
    if np.isnan(usual).any() and np.isfinite(sizes).any():
        usual[np.isnan(usual)] = SIGMA * np.nanmedian(sizes)
    return usual


def strays(times: NDArray[np.int64]) -> tuple[Positions, Floats, int]:
    """Positions of times that do not begin where others do within the most frequent step.

    Args:
        times: (n,) ascending.

    Returns:
        Their positions, their distance to the nearest usual beginning, and the step, both in the times' unit. None of
        them where fewer than 20 times are given, or where no beginnings are usual: months, or times without a grid.
    """
    if len(times) < LEAST:
        return np.empty(0, dtype=np.intp), np.empty(0), 0
    steps, counts = np.unique(np.diff(times), return_counts=True)
    step = max(int(steps[np.argmax(counts)]), 1)
    begins, which, counts = np.unique(times % step, return_inverse=True, return_counts=True)
    usual = counts >= HABIT * len(times)
    if 2 * counts[usual].sum() < len(times):
        return np.empty(0, dtype=np.intp), np.empty(0), step
    at = np.flatnonzero(~usual[which])
    apart = np.abs(begins[which[at], None] - begins[usual])
    return at, np.minimum(apart, step - apart).min(axis=1).astype("float64"), step


def runs(mask: NDArray[np.bool_]) -> tuple[Positions, Positions]:
    """Start and length of every run of True.

    >>> [part.tolist() for part in runs(np.array([True, False, True, True]))]
    [[0, 2], [1, 2]]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype("int8")))
    return edges[::2], edges[1::2] - edges[::2]


@dataclass(frozen=True)
class LongRuns:
    """Runs that the habit of their series does not explain: (k,) start, length, and the longest usual length."""

    start: Positions
    length: Positions
    usual: Floats


def long_runs(mask: NDArray[np.bool_], least: int) -> LongRuns:
    """Runs of True of `least` or more that chance would make less than once in a hundred such series.

    If each value were True with probability q, or went on after a True with it, about n q^l runs of length l or more
    would start in n values. q is the larger of two shares, each without the run that is judged: of True among all
    values, and of runs that go on after their first value.
    """
    start, length = runs(mask)
    long = length >= max(least, 1)
    start_long, length_long = start[long], length[long]
    others = len(mask) - length_long
    share = (length.sum() - length_long) / np.maximum(others, 1)
    goes_on = ((length >= 2).sum() - (length_long >= 2)) / np.maximum(len(length) - 1, 1)
    habit = np.clip(np.maximum(share, goes_on), 1e-12, 1 - 1e-12)
    rare = np.log(max(len(mask), 1)) + length_long * np.log(habit) < np.log(BY_CHANCE)
    usual = np.log(max(len(mask), 1)) / -np.log(habit)
    return LongRuns(start_long[rare], length_long[rare], np.floor(usual[rare]))
