"""What targets share: looking ahead over a fixed horizon, volatility known at a bar, weights by average uniqueness.

Every number at a bar is accumulated over the bars it depends on, in one order, so that a slice of the bars gives the
bits that all bars give. What does not belong here: other weights (`_weights`), and any target.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from betti.labelling._compiled import compiled

__all__ = [
    "ahead",
    "average_true_range",
    "average_uniqueness",
    "ewm_deviation",
    "ewm_memory",
    "long_average_uniqueness",
    "shares",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_ONE = 2.0**47  # a whole share in the fixed point of `long_average_uniqueness`: 65,536 of them fit


def ahead(values: Floats, horizon: int) -> Floats:
    """(n - horizon, horizon): row t holds values[t + 1 .. t + horizon], as a view."""
    if len(values) <= horizon:
        return np.empty((0, horizon))
    return np.lib.stride_tricks.sliding_window_view(values[1:], horizon)


def average_true_range(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """(n,) mean true range of the last `window` bars, in price; NaN until there are that many (Wilder 1978)."""
    n = len(close)
    result = np.full(n, np.nan)
    if n <= window:
        return result
    previous = close[:-1]
    true_range = np.maximum(high[1:], previous) - np.minimum(low[1:], previous)
    sums = np.lib.stride_tricks.sliding_window_view(true_range, window).sum(axis=1)
    result[window:] = sums / window
    return result


def ewm_memory(span: int) -> int:
    """Bars after which an exponential average of this span has forgotten its start to 1e-6."""
    return int(np.ceil(np.log(1e-6) / np.log(1 - 2 / (span + 1))))


def ewm_deviation(close: Floats, span: int) -> Floats:
    """(n,) exponentially weighted deviation of one-bar log returns up to each bar; NaN before `ewm_memory(span)`.

    Weights fall by 1 - 2 / (span + 1) a bar and end after `ewm_memory(span)` returns, where 1e-6 of them is left; the
    variance is divided by what makes it unbiased, as pandas' `ewm(span=span).std()` does.
    """
    memory = ewm_memory(span)
    weights = (1 - 2 / (span + 1)) ** np.arange(memory, dtype=np.float64)
    deviation = np.full(len(close), np.nan)
    if len(close) > memory:
        deviation[1:] = _weighted_deviation(np.diff(np.log(close)), weights)
    return deviation


def shares(ends: Integers, starts: Integers, bars: int) -> Floats:
    """(bars + 1,) one over the number of labels that read each bar; 0 where none does.

    Args:
        ends: (k,) position of each label's last bar.
        starts: (k,) position of each label's decision bar, below its end; the label reads start + 1 .. end.
        bars: how many bars there are.
    """
    readers = np.bincount(starts + 1, minlength=bars + 2) - np.bincount(ends + 1, minlength=bars + 2)
    concurrency = np.cumsum(readers)[: bars + 1].astype(np.float64)
    share: Floats = np.divide(1.0, concurrency, out=np.zeros_like(concurrency), where=concurrency > 0)
    return share


def average_uniqueness(ends: Integers, starts: Integers, bars: int) -> Floats:
    """How much of its span a label has to itself: the mean of 1 / concurrency over the bars it read.

    Lopez de Prado 2018, section 4.4. A label reads bars start + 1 .. end; concurrency counts the labels that read a
    bar.

    Args:
        ends: (k,) position of each label's last bar.
        starts: (k,) position of each label's decision bar, below its end.
        bars: how many bars there are.

    >>> average_uniqueness(ends=np.array([2, 3]), starts=np.array([0, 1]), bars=4).tolist()
    [0.75, 0.75]
    """
    # Differences of a running sum would depend on where the frame starts; sum each span by itself.
    return _mean_share(shares(ends, starts, bars), starts, ends)


def long_average_uniqueness(ends: Integers, starts: Integers, bars: int) -> Floats:
    """`average_uniqueness` for spans of thousands of bars, to nine digits: time does not grow with their length.

    Shares are rounded to multiples of 2 ** -47 and summed as integers. Such sums are exact, so that their differences
    depend on the span alone, and they may run over: only a span of more than 65,536 unshared bars would be wrong.

    >>> long_average_uniqueness(ends=np.array([2, 3]), starts=np.array([0, 1]), bars=4).tolist()
    [0.75, 0.75]
    """
    parts = np.rint(shares(ends, starts, bars) * _ONE).astype(np.uint64)
    running = np.cumsum(parts)
    means: Floats = (running[ends] - running[starts]).astype(np.float64) / (_ONE * (ends - starts))
    return means


# Compiled -----------------------------------------------------------------------------------------------------------


@compiled
def _mean_share(share: Floats, starts: Integers, ends: Integers) -> Floats:
    means = np.empty(len(starts))
    for label in range(len(starts)):
        total = 0.0
        for bar in range(starts[label] + 1, ends[label] + 1):
            total += share[bar]
        means[label] = total / (ends[label] - starts[label])
    return means


@compiled
def _weighted_deviation(returns: Floats, weights: Floats) -> Floats:
    """Deviation of each full window of returns; `weights[0]` belongs to the newest. Rows are taken a stretch at a time,
    whose sums stay in the processor's nearest cache."""
    rows, memory, stretch = len(returns), len(weights), 1024
    found, centre = np.full(rows, np.nan), np.empty(1024)
    whole, squares = 0.0, 0.0
    for weight in weights:
        whole += weight
        squares += weight * weight
    unbiased = whole - squares / whole
    for first in range(memory - 1, rows, stretch):
        held = found[first : min(first + stretch, rows)]
        middle = centre[: len(held)]
        middle[:], held[:] = 0.0, 0.0
        for age in range(memory):
            weight, aged = weights[age], returns[first - age : first - age + len(held)]
            for k in range(len(held)):
                middle[k] += weight * aged[k]
        for k in range(len(held)):
            middle[k] /= whole
        for age in range(memory):
            weight, aged = weights[age], returns[first - age : first - age + len(held)]
            for k in range(len(held)):
                held[k] += weight * (aged[k] - middle[k]) ** 2
        for k in range(len(held)):
            held[k] = np.sqrt(held[k] / unbiased)
    return found
