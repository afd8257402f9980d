"""How much of a score is luck: stationary bootstrap intervals.

Blocks of random length are drawn with replacement from the time line (Politis & Romano 1994), so that the dependence
of neighbouring rows, whose labels overlap, survives in every resample. All rows of one instant (several symbols, or
several folds) move together. What does not belong here: the scores themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.metrics.classification import brier_scores, log_losses
from betti.metrics.trading import annualised_sharpe
from betti.records import Interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = [
    "FEWEST_INSTANTS",
    "Bootstrap",
    "block_length",
    "difference_interval",
    "resample_counts",
    "score_intervals",
    "trading_intervals",
]

# Below this many instants a resample is little more than a rotation of the sample: its spread says nothing.
FEWEST_INSTANTS = 30
CHUNK = 128


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn.

    Attributes:
        repetitions: resamples.
        confidence: two-sided, e.g. 0.95.
        seed: equal seeds give equal intervals.
        horizon: bars that a label looks ahead: the least mean block length.
    """

    repetitions: int
    confidence: float
    seed: int
    horizon: int


def block_length(series: list[Floats], horizon: int) -> int:
    """Mean block length in instants for these series: the largest that any of them asks for.

    That of Politis & White 2004, corrected by Patton, Politis & White 2009, or the label horizon where that is
    longer; never more than a third of the sample, since longer blocks would repeat the sample itself.
    """
    from arch.bootstrap import optimal_block_length

    n = len(series[0])
    wanted = float(max(horizon, 1))
    for values in series:
        if n >= FEWEST_INSTANTS and np.ptp(values) > 0:
            # A series that is nearly constant has no autocorrelation to estimate; NaN then leaves the horizon.
            with np.errstate(invalid="ignore", divide="ignore"):
                wanted = np.fmax(wanted, float(optimal_block_length(values)["stationary"].iloc[0]))
    return int(min(np.ceil(wanted), max(n // 3, 1)))


def resample_counts(instants: int, block: int, bootstrap: Bootstrap) -> Iterator[Floats]:
    """How often each instant is drawn in each resample: chunks of (resamples, instants), rows summing to `instants`."""
    from arch.bootstrap import StationaryBootstrap

    drawn = StationaryBootstrap(block, np.arange(instants), seed=np.random.default_rng(bootstrap.seed))
    chunk: list[NDArray[np.int64]] = []
    for data, _ in drawn.bootstrap(bootstrap.repetitions):
        chunk.append(np.bincount(data[0], minlength=instants))
        if len(chunk) == CHUNK:
            yield np.array(chunk, dtype="float64")
            chunk = []
    if chunk:
        yield np.array(chunk, dtype="float64")


def _resampled(parts: Floats, block: int, bootstrap: Bootstrap) -> Floats:
    """(repetitions, m) sums of the (instants, m) parts in every resample."""
    return np.concatenate([counts @ parts for counts in resample_counts(len(parts), block, bootstrap)])


def _percentiles(estimate: float, draws: Floats, confidence: float) -> Interval:
    """The percentile interval (Efron & Tibshirani 1993, chapter 13)."""
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    return Interval(estimate=estimate, low=float(low), high=float(high))


def _by_instant(instants: Integers, parts: Floats) -> Floats:
    """(distinct instants, m) sums of the (n, m) parts over the rows of one instant, in time order."""
    distinct, slot = np.unique(instants, return_inverse=True)
    return np.column_stack([np.bincount(slot, column, len(distinct)) for column in parts.T])


def score_intervals(
    instants: Integers, y: Integers, probabilities: Floats, bootstrap: Bootstrap
) -> dict[str, Interval]:
    """Intervals of the pooled `accuracy`, `macro_f1`, `log_loss` and `brier`, all from the same resamples.

    Args:
        instants: (n,) time of each row; rows of one time are drawn together.
        y: (n,) classes.
        probabilities: (n, classes).
        bootstrap: how to draw.
    """
    classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    cell = np.eye(classes * classes)[y * classes + predicted]
    losses, squares = log_losses(y, probabilities), brier_scores(y, probabilities)
    parts = _by_instant(instants, np.column_stack([np.ones(len(y)), losses, squares, cell]))
    right = parts[:, 3 :: classes + 1].sum(axis=1)
    block = block_length([parts[:, 1] / parts[:, 0], right / parts[:, 0]], bootstrap.horizon)
    estimates = _scores(parts.sum(axis=0, keepdims=True), classes)
    draws = _scores(_resampled(parts, block, bootstrap), classes)
    return {name: _percentiles(float(estimates[name][0]), draws[name], bootstrap.confidence) for name in estimates}


def _scores(sums: Floats, classes: int) -> dict[str, Floats]:
    """Scores of each resample from its sums: rows, log loss, Brier, then the confusion matrix row by row."""
    rows = sums[:, 0]
    confusion = sums[:, 3:].reshape(-1, classes, classes)
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    touched = confusion.sum(axis=1) + confusion.sum(axis=2)
    # 2 TP / (2 TP + FP + FN), averaged over the classes that occur in the resample, as scikit-learn does.
    f1 = np.divide(2 * hits, touched, out=np.zeros_like(hits), where=touched > 0)
    return {
        "accuracy": hits.sum(axis=1) / rows,
        "macro_f1": f1.sum(axis=1) / (touched > 0).sum(axis=1),
        "log_loss": sums[:, 1] / rows,
        "brier": sums[:, 2] / rows,
    }


def difference_interval(instants: Integers, differences: Floats, bootstrap: Bootstrap) -> Interval:
    """Interval of the mean of paired differences (run - baseline, row by row; positive means the run is better).

    Over fewer than 30 instants the interval is widened to hold zero: so short a sample tells nothing apart.

    Args:
        instants: (n,) time of each row; rows of one time are drawn together.
        differences: (n,) in the unit of the score.
        bootstrap: how to draw.
    """
    parts = _by_instant(instants, np.column_stack([np.ones(len(differences)), differences]))
    block = block_length([parts[:, 1] / parts[:, 0]], bootstrap.horizon)
    sums = _resampled(parts, block, bootstrap)
    interval = _percentiles(float(differences.mean()), sums[:, 1] / sums[:, 0], bootstrap.confidence)
    if len(parts) >= FEWEST_INSTANTS:
        return interval
    return Interval(estimate=interval.estimate, low=min(interval.low, 0.0), high=max(interval.high, 0.0))


def trading_intervals(returns: Floats, bars_per_year: float, bootstrap: Bootstrap) -> dict[str, Interval]:
    """Intervals of the annualised `sharpe` and of `mean_return`, the mean net return per bar.

    Args:
        returns: (n,) simple net returns per bar, in time order.
        bars_per_year: of those bars.
        bootstrap: how to draw.
    """
    n = len(returns)
    block = block_length([returns], bootstrap.horizon)
    sums = _resampled(np.column_stack([returns, returns**2]), block, bootstrap)
    mean = sums[:, 0] / n
    variance = np.maximum(sums[:, 1] - n * mean**2, 0.0) / max(n - 1, 1)
    # Relative to the sample's own size: a resample of one repeated value has no Sharpe ratio.
    risky = variance > 1e-18 * float((returns**2).mean())
    sharpe = np.divide(mean, np.sqrt(variance), out=np.zeros(len(mean)), where=risky) * np.sqrt(bars_per_year)
    return {
        "sharpe": _percentiles(annualised_sharpe(returns, bars_per_year), sharpe, bootstrap.confidence),
        "mean_return": _percentiles(float(returns.mean()), mean, bootstrap.confidence),
    }
