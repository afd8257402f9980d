"""What needs no model: the answers a run has to beat before anyone should care.

Every baseline uses what was known at the close of the decision bar, and of the fold's training rows what a model
would have seen. What does not belong here: buying and holding, which is a simulation (`trading`), and comparing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.metrics._instants import bars_by_symbol, instants

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Classes = NDArray[np.int64]
    Floats = NDArray[np.float64]

__all__ = ["class_frequencies", "last_known_label", "last_move", "nearly_certain"]

# A hard answer takes this much of its certainty back, so that its log loss stays finite: it loses about 7 nats, not
# infinity, where it is wrong.
SMOOTHING = 1e-3


def class_frequencies(y_train: Classes, classes: int) -> Floats:
    """(classes,) share of each class among the training rows: what "majority class" predicts for every row.

    Where a class is absent from the training rows, the shares are mixed with 0.001 of the uniform distribution: a
    baseline that loses infinity is no baseline.
    """
    shares = np.bincount(y_train, minlength=classes) / max(len(y_train), 1)
    return _smoothed(shares) if (shares == 0).any() else shares


def nearly_certain(chosen: Classes, classes: int) -> Floats:
    """(n, classes) probabilities of hard answers: one-hot, mixed with 0.001 of the uniform distribution.

    >>> nearly_certain(np.array([1]), 2).round(4).tolist()
    [[0.0005, 0.9995]]
    """
    return _smoothed(np.eye(classes)[chosen])


def _smoothed(probabilities: Floats) -> Floats:
    return (1.0 - SMOOTHING) * probabilities + SMOOTHING / probabilities.shape[-1]


def last_move(rows: pd.DataFrame, bars: pd.DataFrame, *, horizon: int, fallback: int) -> Classes:
    """(n,) direction that price has just taken: 2 if close[t] > close[t - horizon], 0 if lower, 1 if equal.

    Args:
        rows: `timestamp`, `symbol` of the rows to answer for.
        bars: `timestamp`, `symbol`, `close`.
        horizon: bars to look back: the longest span of the fold's training labels, which is known at t. The row's
            own span is not.
        fallback: the answer where a symbol has fewer bars than that.
    """
    answers = np.full(len(rows), fallback, dtype="int64")
    symbols, asked = rows["symbol"].to_numpy(), instants(rows["timestamp"])
    for symbol, mine in bars_by_symbol(bars).items():
        chosen = np.flatnonzero(symbols == symbol)
        close = mine["close"].to_numpy(dtype="float64")
        now = np.searchsorted(instants(mine["timestamp"]), asked[chosen], "right") - 1
        chosen, now = chosen[now >= horizon], now[now >= horizon]
        answers[chosen] = 1 + np.sign(close[now] - close[now - horizon]).astype("int64")
    return answers


def last_known_label(rows: pd.DataFrame, labels: pd.DataFrame, column: str, *, fallback: int) -> Classes:
    """(n,) the symbol's latest label whose span had ended at or before t: the last answer that was public then.

    Args:
        rows: `timestamp`, `symbol` of the rows to answer for.
        labels: `timestamp`, `symbol`, `span_end` and the label column; rows without a label are passed over.
        column: name of the label column.
        fallback: the answer before the first span has ended.
    """
    answers = np.full(len(rows), fallback, dtype="int64")
    symbols, asked = rows["symbol"].to_numpy(), instants(rows["timestamp"])
    known = labels[labels[column].notna()]
    for symbol, mine in bars_by_symbol(known).items():
        chosen = np.flatnonzero(symbols == symbol)
        ends = instants(mine["span_end"])
        order = np.argsort(ends, kind="stable")
        # Spans may end out of order: of those that have ended, the latest decision bar is the last label.
        latest = np.maximum.accumulate(order)
        ended = np.searchsorted(ends[order], asked[chosen], "right") - 1
        chosen, ended = chosen[ended >= 0], ended[ended >= 0]
        answers[chosen] = mine[column].to_numpy(dtype="int64")[latest[ended]]
    return answers
