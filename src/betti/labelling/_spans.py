"""What targets share: looking ahead over a fixed horizon, and weights by average uniqueness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ahead", "average_true_range", "average_uniqueness", "ewm_deviation", "ewm_memory"]

Floats = NDArray[np.float64]


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
    """(n,) exponentially weighted deviation of one-bar log returns up to each bar; NaN before `ewm_memory(span)`."""
    import pandas as pd

    returns = pd.Series(np.diff(np.log(close), prepend=np.nan))
    deviation = returns.ewm(span=span, min_periods=ewm_memory(span)).std()
    return deviation.to_numpy(dtype="float64", copy=True)


def average_uniqueness(ends: NDArray[np.int64], starts: NDArray[np.int64], bars: int) -> Floats:
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
    edges = np.zeros(bars + 2)
    np.add.at(edges, starts + 1, 1.0)
    np.add.at(edges, ends + 1, -1.0)
    concurrency = np.cumsum(edges)[: bars + 1]
    share = np.divide(1.0, concurrency, out=np.zeros_like(concurrency), where=concurrency > 0)
    # Differences of a running sum would depend on where the frame starts; sum each span by itself.
    spans = ends - starts
    total = np.zeros(len(ends))
    for step in range(1, int(spans.max(initial=0)) + 1):
        inside = spans >= step
        total[inside] += share[starts[inside] + step]
    return total / spans
