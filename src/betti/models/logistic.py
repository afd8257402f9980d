"""Multinomial logistic regression: the linear baseline that anything larger has to beat.

Stored as its coefficients, so that loading needs no scikit-learn.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.models import ModelRegistry, _checks, _files, _weights
from betti.models._protocol import BaseModel, PredictionOutput, TrainingMetrics
from betti.training.scores import Course, scores, softmax, training_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from betti.models._checks import Bounds
    from betti.models._protocol import Inputs, Spans

__all__ = ["Logistic"]

BOUNDS: Bounds = {"C": (1e-8, 1e8), "max_iter": (1, 1e6), "tolerance": (1e-12, 1), **_weights.BOUNDS}
COEFFICIENTS = "coefficients.safetensors"


@dataclass(frozen=True)
class _Fitted:
    """One row of coefficients per class that occurred in training."""

    coefficients: NDArray[np.float64]  # (seen classes, features)
    intercepts: NDArray[np.float64]  # (seen classes,)
    seen: NDArray[np.int64]  # (seen classes,)
    classes: int


@ModelRegistry.register("logistic", family="classical", description="multinomial logistic regression, L2 penalty")
class Logistic(BaseModel):
    """scikit-learn's `LogisticRegression` by L-BFGS, on scaled rows of (n, features)."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        _checks.ranges(type(self).__name__, self.config, BOUNDS)
        self._fitted: _Fitted | None = None

    @property
    def model_family(self) -> str:
        """Classical."""
        return "classical"

    @property
    def requires_scaling(self) -> bool:
        """The penalty treats all columns alike, so they must be of one scale."""
        return True

    @property
    def requires_sequences(self) -> bool:
        """One row at a time."""
        return False

    def get_default_config(self) -> dict[str, Any]:
        """`classes` = 0 counts the classes in the labels."""
        return {
            "C": 1.0,  # inverse strength of the penalty
            "max_iter": 1000,
            "tolerance": 1e-4,
            "class_weight": None,  # balanced gives every class the same total weight
            "seed": 7,  # L-BFGS draws nothing; every model has one
            "classes": 0,
        }

    def fit(
        self,
        X_train: Inputs,
        y_train: NDArray[np.int64],
        X_val: Inputs | None,
        y_val: NDArray[np.int64] | None,
        sample_weights: NDArray[np.float64] | None = None,
        config: Mapping[str, Any] | None = None,
        spans: Spans | None = None,  # noqa: ARG002  # it does not split again
    ) -> TrainingMetrics:
        """Train; validation rows are only scored."""
        from sklearn.linear_model import LogisticRegression

        began = time.perf_counter()
        self.config = _checks.configured(self, config, BOUNDS)
        data = _checks.training(self, X_train, y_train, X_val, y_val, sample_weights, self.config["classes"])
        weights = _weights.row_weights(data, self.config.get("class_weight"))
        regression = LogisticRegression(
            C=self.config["C"], max_iter=self.config["max_iter"], tol=self.config["tolerance"]
        )
        regression.fit(np.asarray(data.X, dtype="float64"), data.y, sample_weight=weights.train)
        self._fitted = _Fitted(*_per_class(regression.coef_, regression.intercept_), regression.classes_, data.classes)

        train = scores(data.y, self._probabilities(data.X), data.weights)
        valid = None
        if data.X_val is not None and data.y_val is not None:
            valid = scores(data.y_val, self._probabilities(data.X_val))
        course = Course(int(regression.n_iter_.max()), best_epoch=None, early_stopped=False, history={})
        return training_metrics(train, valid, course, time.perf_counter() - began)

    def predict(self, X: Inputs) -> PredictionOutput:
        """Probabilities of (n, features) rows; a class that never occurred in training gets 0."""
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        checked = _checks.answerable(self, X, (self._fitted.coefficients.shape[1],))
        return PredictionOutput.from_probabilities(self._probabilities(checked))

    def _probabilities(self, X: Inputs) -> NDArray[np.float64]:
        assert self._fitted is not None
        fitted = self._fitted
        logits = np.asarray(X, dtype="float64") @ fitted.coefficients.T + fitted.intercepts
        probabilities = np.zeros((len(logits), fitted.classes))
        probabilities[:, fitted.seen] = softmax(logits)
        return probabilities

    def save(self, path: Path) -> None:
        """`coefficients.safetensors` and `model.json`."""
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        arrays = {
            "coefficients": self._fitted.coefficients,
            "intercepts": self._fitted.intercepts,
            "seen": self._fitted.seen,
        }
        _files.write_facts(path, "logistic", {"config": self.config, "classes": self._fitted.classes})
        _files.write_arrays(path / COEFFICIENTS, arrays)

    def load(self, path: Path) -> None:
        """Read what `save` wrote."""
        facts = _files.read_facts(path, "logistic", ("config", "classes"))
        arrays = _files.read_arrays(path / COEFFICIENTS)
        self.config = facts["config"]
        self._fitted = _Fitted(arrays["coefficients"], arrays["intercepts"], arrays["seen"], facts["classes"])

    def get_feature_importance(self) -> dict[str, float] | None:
        """Mean absolute coefficient over the classes, by feature position."""
        if self._fitted is None:
            return None
        return {str(i): float(v) for i, v in enumerate(np.abs(self._fitted.coefficients).mean(axis=0))}


def _per_class(
    coefficients: NDArray[np.float64], intercepts: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One row per class also for two classes, where scikit-learn keeps the second one's row alone."""
    if len(coefficients) > 1:
        return coefficients, intercepts
    return np.vstack([np.zeros_like(coefficients), coefficients]), np.append(0.0, intercepts)
