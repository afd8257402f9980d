"""Where the barriers of a label table lay, read back from what they were touched by.

A label table says which barrier was touched and when, and not at what price. But a barrier that was touched at last had
not been before: it lies above every high in between, and not above the high that touched it. Barriers lie at a fixed
multiple of a volatility known at the decision bar, so each label is a bound on that multiple, and thousands of labels
leave it no room. Bounds that contradict each other say that the volatility is another one: nothing is read back then.

What does not belong here: making labels (`betti.labelling`), drawing (`barriers.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["read_back"]

SHORT, LONG = 0, 2
# Those of `betti.labelling._barriers`, not imported: every edit of a label would make the report stale twice.
ATR_WINDOW, SIGMA_SPAN = 14, 20
MOST_READ = 3000  # labels: bounds of more than these differ by less than a picture shows
PRECISE = 0.02  # by what part of the distance the bounds may differ for a barrier to be drawn
ROUNDING = 1e-4  # by what part bounds may cross: sums are taken in another order than the labels took them


def read_back(bars: pd.DataFrame, rows: Integers, ends: Integers, answers: Floats) -> tuple[Floats, Floats]:
    """Prices of the upper and the lower barrier of each label, within 1 % of their distance from the close.

    Args:
        bars: bars of one symbol in time order, at least one.
        rows: (k,) places of the decision bars, ascending.
        ends: (k,) places of the bar of the first touch, else of the time barrier.
        answers: (k,) 0 short, 1 neutral, 2 long.

    Returns:
        Upper and lower (k,); NaN where the labels do not tell.
    """
    close = bars["close"].to_numpy(dtype=np.float64)
    rises, falls = _excursions(bars, rows[-MOST_READ:], ends[-MOST_READ:])
    latest = answers[-MOST_READ:]
    for unit in (_mean_true_range(bars), _deviation(bars) * close):
        own = unit[rows[-MOST_READ:]]
        with np.errstate(divide="ignore", invalid="ignore"):
            upper = _multiple(rises / own[:, None], latest == LONG)
            lower = _multiple(falls / own[:, None], latest == SHORT)
        if upper is not None and lower is not None and not np.isnan([upper, lower]).all():
            return close[rows] + upper * unit[rows], close[rows] - lower * unit[rows]
    return np.full(len(rows), np.nan), np.full(len(rows), np.nan)


def _multiple(moves: Floats, touched: NDArray[np.bool_]) -> float | None:
    """The multiple between its bounds; NaN where they leave it room, None where they contradict each other."""
    known = np.isfinite(moves).all(axis=1)
    least = float(moves[known, 0].max(initial=0.0))
    most = float(moves[known & touched, 1].min(initial=np.inf))
    if least > most * (1 + ROUNDING):
        return None
    return (least + most) / 2 if most - least <= PRECISE * most < np.inf else np.nan


def _excursions(bars: pd.DataFrame, rows: Integers, ends: Integers) -> tuple[Floats, Floats]:
    """(k, 2) how far price rose, and fell, from each close: at most before the label's last bar, and in that bar."""
    high, low, close = (bars[name].to_numpy(dtype=np.float64) for name in ("high", "low", "close"))
    rises, falls = np.zeros((len(rows), 2)), np.zeros((len(rows), 2))
    for k, (row, end) in enumerate(zip(rows, ends, strict=True)):
        rises[k] = high[row + 1 : end].max(initial=close[row]) - close[row], high[end] - close[row]
        falls[k] = close[row] - low[row + 1 : end].min(initial=close[row]), close[row] - low[end]
    return rises, falls


def _mean_true_range(bars: pd.DataFrame) -> Floats:
    """(n,) the mean true range of the last 14 bars, in price (Wilder 1978); NaN while it warms up."""
    previous = bars["close"].shift()
    ranges = np.maximum(bars["high"], previous) - np.minimum(bars["low"], previous)
    mean: Floats = ranges.rolling(ATR_WINDOW).mean().to_numpy(dtype=np.float64)
    return mean


def _deviation(bars: pd.DataFrame) -> Floats:
    """(n,) the exponentially weighted deviation of one-bar log returns; NaN at the first two bars."""
    returns = np.log(bars["close"]).diff()
    deviation: Floats = returns.ewm(span=SIGMA_SPAN).std().to_numpy(dtype=np.float64)
    return deviation
