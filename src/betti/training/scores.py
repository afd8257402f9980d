"""The few scores that training itself reports: log loss, accuracy, macro F1. Plain numpy.

What does not belong here: judging a model on rows it has not seen (`betti.metrics`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.models._protocol import TrainingMetrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Course", "Scores", "scores", "softmax", "training_metrics"]

SMALLEST = 1e-15


@dataclass(frozen=True)
class Scores:
    """Mean log loss in nats, accuracy, macro F1 over the classes that occur."""

    loss: float
    accuracy: float
    f1: float


@dataclass(frozen=True)
class Course:
    """How training went: epochs or rounds done, the best one (from 1), and what each one said."""

    epochs: int
    best_epoch: int | None
    early_stopped: bool
    history: dict[str, list[float]]


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, classes) logits to probabilities, row by row.

    >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def scores(
    y: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> Scores:
    """Scores of (n, classes) probabilities; only the log loss is weighted.

    >>> found = scores(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]]))
    >>> round(found.loss, 3), found.accuracy, round(found.f1, 3)
    (0.693, 0.5, 0.333)
    """
    chosen = probabilities.argmax(axis=1)
    loss = -np.log(np.maximum(probabilities[np.arange(len(y)), y], SMALLEST))
    each = []
    for label in np.union1d(y, chosen):
        hits = ((y == label) & (chosen == label)).sum()
        each.append(2 * hits / ((y == label).sum() + (chosen == label).sum()))
    return Scores(float(np.average(loss, weights=weights)), float((chosen == y).mean()), float(np.mean(each)))


def training_metrics(train: Scores, valid: Scores | None, course: Course, seconds: float) -> TrainingMetrics:
    """Everything a fit reports; the validation scores are NaN where there were no validation rows."""
    nothing = Scores(float("nan"), float("nan"), float("nan"))
    other = valid or nothing
    return TrainingMetrics(
        train_loss=train.loss,
        val_loss=other.loss,
        train_accuracy=train.accuracy,
        val_accuracy=other.accuracy,
        train_f1=train.f1,
        val_f1=other.f1,
        epochs_trained=course.epochs,
        training_time_seconds=seconds,
        early_stopped=course.early_stopped,
        best_epoch=course.best_epoch,
        history=course.history,
    )
