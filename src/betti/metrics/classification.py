"""Scores of class probabilities against what happened.

Every function takes y: (n,) integer classes and probabilities: (n, classes), rows summing to 1. A class may be
missing in y. What does not belong here: intervals (`significance`), money (`trading`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.metrics.decisions import NOTHING, decided
from betti.records import Classification

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Classes = NDArray[np.int64]

__all__ = ["brier_scores", "classification", "log_losses", "macro_auc", "reliability"]

# A probability of exactly zero for what then happened would cost infinity; scikit-learn clips at the same number.
TINY = float(np.finfo("float64").eps)


def classification(y: Classes, probabilities: Floats, threshold: float) -> Classification:
    """All scores of `betti.records.Classification` over n >= 1 rows.

    F1 averages over the classes that occur in y or among the predictions: a class that is in neither has no F1.

    Args:
        y: (n,) classes 0 .. classes - 1.
        probabilities: (n, classes).
        threshold: probability at which a class is acted on; enters `precision` alone.

    Raises:
        ValueError: no rows, shapes that do not fit, or what is no probability.
    """
    from sklearn.metrics import accuracy_score, f1_score

    _check(y, probabilities)
    predicted = probabilities.argmax(axis=1)
    chosen = decided(probabilities, threshold)
    acted = chosen != NOTHING
    return Classification(
        rows=len(y),
        accuracy=float(accuracy_score(y, predicted)),
        macro_f1=float(f1_score(y, predicted, average="macro", zero_division=0)),
        weighted_f1=float(f1_score(y, predicted, average="weighted", zero_division=0)),
        auc=macro_auc(y, probabilities),
        precision=float((chosen == y)[acted].mean()) if acted.any() else None,
        precision_rows=int(acted.sum()),
        log_loss=float(log_losses(y, probabilities).mean()),
        brier=float(brier_scores(y, probabilities).mean()),
    )


def _check(y: Classes, probabilities: Floats) -> None:
    if probabilities.ndim != 2 or len(y) == 0 or len(y) != len(probabilities):
        raise ValueError(f"{len(y)} classes against probabilities of shape {probabilities.shape}")
    if y.min() < 0 or y.max() >= probabilities.shape[1]:
        raise ValueError(f"classes {y.min()} to {y.max()} against {probabilities.shape[1]} columns of probabilities")
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all()):
        raise ValueError("probabilities are negative or not finite")
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-4):
        raise ValueError("probabilities of a row do not sum to 1")


def log_losses(y: Classes, probabilities: Floats) -> Floats:
    """(n,) -log of the probability given to what happened, in nats; at most 36 (Good 1952)."""
    given = probabilities[np.arange(len(y)), y]
    losses: Floats = -np.log(np.clip(given, TINY, 1 - TINY))
    return losses


def brier_scores(y: Classes, probabilities: Floats) -> Floats:
    """(n,) squared distance from the one-hot truth, summed over classes, in [0, 2] (Brier 1950).

    For two classes it is twice the one-sided score that scikit-learn calls `brier_score_loss`.
    """
    truth = np.eye(probabilities.shape[1])[y]
    scores: Floats = ((probabilities - truth) ** 2).sum(axis=1)
    return scores


def macro_auc(y: Classes, probabilities: Floats) -> float | None:
    """One-vs-rest area under the ROC curve, averaged over the classes that some rows have and others have not.

    None where there is no such class, that is, where y holds one class only (Hand & Till 2001 name the variants).
    """
    from sklearn.metrics import roc_auc_score

    areas = [
        float(roc_auc_score(y == label, probabilities[:, label]))
        for label in range(probabilities.shape[1])
        if 0 < (y == label).sum() < len(y)
    ]
    return float(np.mean(areas)) if areas else None


def reliability(y: Classes, probabilities: Floats, bins: int = 10) -> pd.DataFrame:
    """How often the most probable class was right, by how sure the model was (Guo et al. 2017, section 2).

    Returns:
        One row per bin of equal width that holds rows: `confidence` (mean largest probability), `accuracy` (share
        of rows in which that class happened), `rows`. A calibrated model has confidence = accuracy in every bin.
    """
    import pandas as pd

    _check(y, probabilities)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == y
    bin_of = np.minimum((confidence * bins).astype("int64"), bins - 1)
    rows = np.bincount(bin_of, minlength=bins)
    held = rows > 0
    return pd.DataFrame(
        {
            "confidence": np.bincount(bin_of, confidence, bins)[held] / rows[held],
            "accuracy": np.bincount(bin_of, right, bins)[held] / rows[held],
            "rows": rows[held],
        }
    )
