"""Copy me: a whole model in one file. Here it is naive Bayes with one normal distribution per class and column.

To add a model: copy this file to `betti/models/NAME.py`, uncomment the decorator, change what it computes, and name it
in a run in params.yaml. The contract tests run over it from then on. Say here what the model is and where it comes
from; what several models share goes to `betti.nn` or `betti.training`. A network is shorter to add: it needs a subclass
of `_torch.TorchClassifier` (docs/add-a-model.md).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.models import _checks, _files, _weights
from betti.models._protocol import BaseModel, PredictionOutput, TrainingMetrics
from betti.training.scores import Course, scores, softmax, training_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from betti.models._checks import Bounds
    from betti.models._protocol import Inputs, Labels, Spans

__all__ = ["Template"]

# The range, or the names, of every knob whose type alone does not say it all.
BOUNDS: Bounds = {"smoothing": (0, 1), **_weights.BOUNDS}
ARRAYS = "moments.safetensors"


# Everything that `fit` finds out stands in one value; None means not fitted.
@dataclass(frozen=True)
class _Fitted:
    log_prior: NDArray[np.float64]  # (classes,), -inf for a class that never occurred
    mean: NDArray[np.float64]  # (classes, features)
    variance: NDArray[np.float64]  # (classes, features)


# In a copy, import ModelRegistry from betti.models and register the class under the file's name:
# @ModelRegistry.register("NAME", family="classical", description="one line for `betti models`")
class Template(BaseModel):
    """Gaussian naive Bayes on scaled rows of (n, features)."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        _checks.ranges(type(self).__name__, self.config, BOUNDS)
        self._fitted: _Fitted | None = None

    @property
    def model_family(self) -> str:
        """The family decides the scaler: robust for "neural", standard for the others."""
        return "classical"

    @property
    def requires_scaling(self) -> bool:
        """True: inputs come scaled on the training rows."""
        return True

    @property
    def requires_sequences(self) -> bool:
        """True gives windows of (n, length, features), cut by the knob `length`; False gives single rows."""
        return False

    def get_default_config(self) -> dict[str, Any]:
        """Every knob; a value given for it must have its default's type. `seed` and `classes` belong to every model.

        A knob of default None is optional and has no place in `self.config` until it has a value.
        """
        return {
            "smoothing": 0.01,  # added to each variance, as a share of the largest one
            "class_weight": None,  # balanced gives every class the same total weight
            "seed": 7,
            "classes": 0,  # 0 counts them in the labels; a run says how many its target has
        }

    def fit(
        self,
        X_train: Inputs,
        y_train: Labels,
        X_val: Inputs | None,
        y_val: Labels | None,
        sample_weights: NDArray[np.float64] | None = None,
        config: Mapping[str, Any] | None = None,
        spans: Spans | None = None,  # noqa: ARG002  # only models that split again need it
    ) -> TrainingMetrics:
        """Train. Check first: a model that refuses nothing learns from anything."""
        began = time.perf_counter()
        self.config = _checks.configured(self, config, BOUNDS)
        data = _checks.training(self, X_train, y_train, X_val, y_val, sample_weights, self.config["classes"])

        # Learn with these; report with `data.weights`, so that losses compare with those of other models.
        weights = _weights.row_weights(data, self.config.get("class_weight")).train
        X = np.asarray(data.X, dtype="float64")
        share = np.stack([weights * (data.y == label) for label in range(data.classes)])
        total = share.sum(axis=1)
        with np.errstate(divide="ignore"):
            log_prior = np.log(total / total.sum())
        per_class = share / np.where(total > 0, total, 1)[:, None]
        mean = per_class @ X
        variance = per_class @ X**2 - mean**2
        variance = np.maximum(variance, 0) + self.config["smoothing"] * variance.max() + 1e-9
        self._fitted = _Fitted(log_prior, mean, variance)

        # Report how it went. A model with epochs fills `history` with "train_loss" and "val_loss" per epoch, and
        # tells `betti.progress` after each.
        train = scores(data.y, self._probabilities(data.X), data.weights)
        valid = None
        if data.X_val is not None and data.y_val is not None:
            valid = scores(data.y_val, self._probabilities(data.X_val))
        course = Course(epochs=1, best_epoch=None, early_stopped=False, history={})
        return training_metrics(train, valid, course, time.perf_counter() - began)

    def predict(self, X: Inputs) -> PredictionOutput:
        """Answer for rows of the width seen in `fit`: every row of the probabilities sums to 1."""
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        checked = _checks.answerable(self, X, (self._fitted.mean.shape[1],))
        return PredictionOutput.from_probabilities(self._probabilities(checked))

    def _probabilities(self, X: Inputs) -> NDArray[np.float64]:
        assert self._fitted is not None
        values = np.asarray(X, dtype="float64")
        logits = np.stack(
            [
                prior - 0.5 * ((values - mean) ** 2 / variance + np.log(variance)).sum(axis=1)
                for prior, mean, variance in zip(
                    self._fitted.log_prior, self._fitted.mean, self._fitted.variance, strict=True
                )
            ],
            axis=1,
        )
        return softmax(logits)

    def save(self, path: Path) -> None:
        """Write arrays and JSON, never pickle; no time and no path inside, so that equal models give equal bytes."""
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        _files.write_facts(path, "template", {"config": self.config})
        _files.write_arrays(path / ARRAYS, vars(self._fitted))

    def load(self, path: Path) -> None:
        """Read what `save` wrote; answers are exactly those of before."""
        facts = _files.read_facts(path, "template", ("config",))
        self.config = facts["config"]
        self._fitted = _Fitted(**_files.read_arrays(path / ARRAYS))
