"""Multinomial logistic regression as its coefficients: what `logistic` is, and what calibrates a machine's margins.

What does not belong here: knobs, and anything else about a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.training.scores import softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["ARRAYS", "Linear", "fit_linear"]

ARRAYS = ("coefficients", "intercepts", "seen")


@dataclass(frozen=True)
class Linear:
    """One row of coefficients per class that occurred in training.

    Attributes:
        coefficients: (seen classes, features).
        intercepts: (seen classes,).
        seen: (seen classes,) int64, which they are.
    """

    coefficients: Floats
    intercepts: Floats
    seen: NDArray[np.int64]

    def probabilities(self, X: Floats, classes: int) -> Floats:
        """(n, classes) of (n, features); a class that never occurred gets 0."""
        found = np.zeros((len(X), classes))
        found[:, self.seen] = softmax(X @ self.coefficients.T + self.intercepts)
        return found

    def fault(self, features: int, classes: int) -> str:
        """What is wrong with arrays from a file, or nothing."""
        rows = len(self.seen)
        if self.coefficients.shape != (rows, features) or self.intercepts.shape != (rows,):
            return "has arrays of lengths that do not fit"
        if self.seen.dtype != np.int64 or not rows or self.seen.min() < 0 or self.seen.max() >= classes:
            return "names a class that is not there"
        return ""

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What is stored of it, by name."""
        return {name: getattr(self, name) for name in ARRAYS}


def fit_linear(
    X: Floats, y: NDArray[np.int64], weights: Floats, *, C: float, max_iter: int = 1000, tolerance: float = 1e-4
) -> tuple[Linear, int]:
    """scikit-learn's `LogisticRegression` by L-BFGS, and how many iterations it took.

    Args:
        X: (n, features) of one scale.
        y: (n,) classes, at least two of them.
        weights: (n,) with mean 1.
        C: inverse strength of the L2 penalty.
        max_iter: iterations at most.
        tolerance: of the gradient, at which it stops.
    """
    from sklearn.linear_model import LogisticRegression

    found = LogisticRegression(C=C, max_iter=max_iter, tol=tolerance).fit(X, y, sample_weight=weights)
    rounds = int(found.n_iter_.max())
    if len(found.coef_) > 1:
        return Linear(found.coef_, found.intercept_, found.classes_), rounds
    # For two classes scikit-learn keeps the second one's row alone.
    both = np.vstack([np.zeros_like(found.coef_), found.coef_])
    return Linear(both, np.append(0.0, found.intercept_), found.classes_), rounds
