"""Scaling exponents and fractal dimensions of rolling windows.

Hurst exponent, detrended fluctuation, Higuchi and Petrosian dimension. Every function takes a series (rows,) in time
order, contiguous float64: log prices for Higuchi, else changes, of which the first is not read (a change needs a bar
before it). It gives (rows,): at row t the measure of the last `window` changes, NaN in the first `window` rows. A value
depends on its own window, bit for bit, wherever the frame starts. What does not belong here: entropies (`_entropy`).

The first three are slopes of log size against log scale. A scale at which nothing moved, to 1e-12, is left out; where
fewer than two are left there is no slope, and the value is that of a series without memory, or of a line.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from betti.features._compiled import compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "box_sizes",
    "detrended_fluctuation",
    "expected_rescaled_range",
    "higuchi_dimension",
    "hurst_exponent",
    "petrosian_dimension",
]

NO_MEMORY = 0.5
LINE = 1.0

# Rows worked together, one lane of the processor each: their sums and a window of bars stay in the nearest cache.
_BLOCK = 256

_FLAT = 1e-12  # a log change at or below this is rounding, not movement
_SHORTEST_RANGE = 8  # bars of the shortest rescaled range
_SHORTEST_BOX, _BOX_GROWTH = 4, 1.2
_STEPS = 10  # longest step of the Higuchi dimension, in bars


# Hurst exponent -----------------------------------------------------------------------------------------------------


def hurst_exponent(changes: Floats, window: int) -> Floats:
    """Hurst exponent by rescaled range (Hurst 1951), corrected for short windows: 0.5 means no memory.

    Ranges are taken over n, n // 2, n // 4, ... changes, 8 at least, without overlap from the oldest change on, and
    averaged. The exponent is 0.5 plus the slope of log(range / its expectation), as in Weron 2002; the expectation is
    that of independent normal changes (Anis and Lloyd 1976). An estimate: from short windows it may leave 0..1, and
    strong memory reads weaker (100 changes of exponent 0.9 read 0.74 on average).
    """
    sizes = [window >> halved for halved in range(window.bit_length()) if window >> halved >= _SHORTEST_RANGE]
    levels = np.full((len(sizes), len(changes)), np.nan)
    for level, size in zip(levels, sizes, strict=True):
        _over_boxes(_rescaled_ranges(changes, size), window, size, level)
        level /= expected_rescaled_range(size)
    return NO_MEMORY + _slopes(np.log(sizes), levels, window, 0.0, 0.0)


def expected_rescaled_range(size: int) -> float:
    """Mean rescaled range of `size` independent normal values (Anis and Lloyd 1976).

    >>> round(expected_rescaled_range(2), 12), round(expected_rescaled_range(100), 3)
    (1.0, 11.453)
    """
    gammas = math.exp(math.lgamma((size - 1) / 2) - math.lgamma(size / 2)) / math.sqrt(math.pi)
    return gammas * math.fsum(math.sqrt((size - i) / i) for i in range(1, size))


@compiled
def _rescaled_ranges(changes: Floats, size: int) -> Floats:
    """At each row: range of the last `size` changes' summed distances to their mean / their deviation; NaN if flat."""
    rows = len(changes)
    found = np.full(rows, np.nan)
    for start in range(size, rows, _BLOCK):
        count = min(_BLOCK, rows - start)
        part = changes[start - size + 1 : start + count]
        mean, path, square = np.zeros(count), np.zeros(count), np.zeros(count)
        low, high = np.zeros(count), np.zeros(count)
        for place in range(size):
            for row in range(count):
                mean[row] += part[place + row]
        mean /= size
        for place in range(size):
            for row in range(count):
                distance = part[place + row] - mean[row]
                square[row] += distance * distance
                path[row] += distance
                low[row] = min(low[row], path[row])
                high[row] = max(high[row], path[row])
        for row in range(count):
            deviation = math.sqrt(square[row] / size)
            if deviation > _FLAT:
                found[start + row] = (high[row] - low[row]) / deviation
    return found


# Detrended fluctuation ----------------------------------------------------------------------------------------------


def box_sizes(window: int) -> tuple[int, ...]:
    """Box lengths in bars, from 4 to a quarter of the window, each 1.2 times the one before.

    A tenth is the usual limit for long series. At 100 changes it would leave lengths of 4 to 9, and white noise would
    read 0.64 give or take 0.13; with a quarter it reads 0.56 give or take 0.09.

    >>> box_sizes(100)
    (4, 5, 6, 8, 9, 11, 14, 17, 20, 24)
    """
    count = int(math.log(window / 4 / _SHORTEST_BOX) / math.log(_BOX_GROWTH) + 1e-9) + 1
    return tuple(sorted({int(_SHORTEST_BOX * _BOX_GROWTH**power) for power in range(count)}))


def detrended_fluctuation(changes: Floats, window: int, sizes: Sequence[int]) -> Floats:
    """Exponent of the fluctuation about straight lines in boxes (Peng et al. 1994): 0.5 means no memory.

    The summed changes are cut into boxes without overlap, from the oldest change on; the fluctuation is the root mean
    square of what a line leaves in each box, and the exponent the slope of its log against the log of `sizes`.
    """
    levels = np.full((len(sizes), len(changes)), np.nan)
    for level, size in zip(levels, sizes, strict=True):
        _over_boxes(_fluctuations(changes, size), window, size, level)
    return _slopes(np.log(sizes), levels, window, _FLAT**2, 2 * NO_MEMORY) / 2


@compiled
def _fluctuations(changes: Floats, size: int) -> Floats:
    """At each row: mean square of what a line leaves of the sum of the last `size` changes."""
    rows, middle = len(changes), (size - 1) / 2
    found, spread = np.zeros(rows), size * (size * size - 1) / 12
    for start in range(size, rows, _BLOCK):
        count = min(_BLOCK, rows - start)
        part = changes[start - size + 1 : start + count]
        path, mean, slope, square = np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(count)
        for place in range(size):
            for row in range(count):
                path[row] += part[place + row]
                mean[row] += path[row]
                slope[row] += (place - middle) * path[row]
        mean /= size
        slope /= spread
        path[:] = 0.0
        for place in range(size):
            for row in range(count):
                path[row] += part[place + row]
                rest = path[row] - mean[row] - slope[row] * (place - middle)
                square[row] += rest * rest
        found[start : start + count] = square / size
    return found


# Fractal dimensions -------------------------------------------------------------------------------------------------


def higuchi_dimension(prices: Floats, window: int) -> Floats:
    """Fractal dimension of the path of `window` + 1 log prices (Higuchi 1988): 1 a line, 1.5 a random walk.

    The slope of log length against log(1 / step), for steps of 1 to 10 bars. A path that stands still gives 1.
    """
    steps = np.arange(1, _STEPS + 1)
    levels = np.full((_STEPS, len(prices)), np.nan)
    for level, step in zip(levels, steps, strict=True):
        _lengths(prices, window, int(step), level)
    return _slopes(-np.log(steps), levels, window, _FLAT, LINE)


@compiled
def _lengths(prices: Floats, window: int, step: int, found: Floats) -> None:
    """In every row with a window: mean length of the `step` paths over every `step`-th price, scaled to full length.

    A path from the oldest price on has window // step moves, one that starts later may have one less.
    """
    rows, left = len(prices), window % step
    weight = np.empty(window + 1)
    for place in range(step, window + 1):
        moves = window // step - int(place % step > left)
        weight[place] = window / (step * step * step * moves)
    for start in range(window, rows, _BLOCK):
        count = min(_BLOCK, rows - start)
        part = prices[start - window : start + count]
        move, total = np.abs(part[step:] - part[:-step]), np.zeros(count)
        for place in range(step, window + 1):
            for row in range(count):
                total[row] += weight[place] * move[place - step + row]
        found[start : start + count] = total


@compiled
def petrosian_dimension(changes: Floats, window: int) -> Floats:
    """Fractal dimension of a path of N = `window` + 1 points from its d turns (Petrosian 1995): 1 when it never turns.

    log N / (log N + log(N / (N + 0.4 d))); a change of 0 counts as a rise.
    """
    rows, points = len(changes), window + 1
    values, turns = np.full(rows, np.nan), 0
    for t in range(2, rows):
        turns += int((changes[t] < 0) != (changes[t - 1] < 0))
        if t > window:
            gone = t - window
            turns -= int((changes[gone + 1] < 0) != (changes[gone] < 0))
        if t >= window:
            values[t] = math.log(points) / (math.log(points) + math.log(points / (points + 0.4 * turns)))
    return values


# Boxes and slopes ---------------------------------------------------------------------------------------------------


@compiled
def _over_boxes(by_end: Floats, window: int, size: int, found: Floats) -> None:
    """In every row with a window: mean of what stands at the last row of its boxes, from the oldest on; less NaN."""
    rows, boxes = len(by_end), window // size
    for start in range(window, rows, _BLOCK):
        count = min(_BLOCK, rows - start)
        total, used = np.zeros(count), np.zeros(count)
        for box in range(boxes):
            part = by_end[start - window + (box + 1) * size :]
            for row in range(count):
                there = part[row] == part[row]
                total[row] += part[row] if there else 0.0
                used[row] += 1.0 if there else 0.0
        for row in range(count):
            found[start + row] = total[row] / max(used[row], 1.0)


@compiled
def _slopes(scales: Floats, levels: Floats, window: int, floor: float, neutral: float) -> Floats:
    """Slope of log level (scales, rows) on `scales` (logs), in every row with a window, by least squares."""
    rows = levels.shape[1]
    found, logs = np.full(rows, np.nan), np.empty(len(scales))
    for t in range(window, rows):
        used, middle = 0, 0.0
        for k in range(len(scales)):
            if levels[k, t] > floor:
                used, middle, logs[k] = used + 1, middle + scales[k], math.log(levels[k, t])
        found[t] = neutral
        if used > 1:
            middle /= used
            above, below = 0.0, 0.0
            for k in range(len(scales)):
                if levels[k, t] > floor:
                    above += (scales[k] - middle) * logs[k]
                    below += (scales[k] - middle) ** 2
            found[t] = above / below
    return found
