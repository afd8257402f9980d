"""What each row counts in training: its sample weight times its class weight.

What does not belong here: checking sample weights and leaving out rows of weight 0 (`_checks.py`), where sample weights
come from (`betti.labelling`), and losses (`betti.nn.losses`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from betti.models._checks import Learnt

__all__ = ["BOUNDS", "RowWeights", "balanced", "row_weights"]


@dataclass(frozen=True)
class RowWeights:
    """Weights to learn with.

    Attributes:
        train: (n,) of the training rows, with mean 1.
        valid: (m,) of the validation rows, with mean 1; empty where there are none.
    """

    train: NDArray[np.float64]
    valid: NDArray[np.float64]


def balanced(y: NDArray[np.int64], weights: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """(classes,) factors that give every class the same total weight: n / (k * count of the class).

    The weighting of King and Zeng 2001 for a population with equal shares. n and counts are sums of sample weights, k
    is how many classes occur. A class that never occurs has the factor 1.

    Args:
        y: (n,) training classes from 0 to classes - 1.
        weights: (n,) positive sample weights.
        classes: how many factors to give.

    >>> balanced(np.array([0, 0, 0, 1]), np.ones(4), classes=3).round(3).tolist()
    [0.667, 2.0, 1.0]
    """
    counts = np.bincount(y, weights=weights, minlength=classes)
    seen = counts > 0
    factors = np.ones(classes)
    factors[seen] = counts.sum() / (seen.sum() * counts[seen])
    return factors


SCHEMES: dict[str, Callable[[NDArray[np.int64], NDArray[np.float64], int], NDArray[np.float64]]] = {
    "balanced": balanced,
}
# What the knob `class_weight` takes, for a model's own BOUNDS.
BOUNDS = {"class_weight": tuple(SCHEMES)}


def row_weights(data: Learnt, class_weight: str | None) -> RowWeights:
    """Sample weights times class weights, found on the training rows alone; None leaves classes as they are.

    Validation rows have the same class weights, so that early stopping judges by what is learnt. Without them it would
    go on to the epoch that has the natural shares again, and give back much of the rare classes' recall.
    """
    labels = np.empty(0, dtype="int64") if data.y_val is None else data.y_val
    if class_weight is None:
        return RowWeights(data.weights, np.ones(len(labels)))
    factors = SCHEMES[class_weight](data.y, data.weights, data.classes)
    return RowWeights(_mean_one(data.weights * factors[data.y]), _mean_one(factors[labels]))


def _mean_one(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return weights / weights.mean() if len(weights) else weights
