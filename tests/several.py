"""A model of three inputs and one further head, quick to fit: what the pipeline does for such models is tested with it.

Naive Bayes over the last row of its windows beside its single rows, and a ridge regression for the head.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.models import InputSpec, ModelRegistry, _checks, _files
from betti.models._protocol import BaseModel, PredictionOutput, TrainingMetrics
from betti.models._template import Template
from betti.training.scores import Course, scores, training_metrics
from betti.windows import NamedInputs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME = "several_under_test"
LENGTH = 4
ARRAYS = "ridge.safetensors"


@ModelRegistry.register(NAME, family="neural", description="three inputs, and a head beside the class")
class Several(BaseModel):
    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        _checks.ranges(type(self).__name__, self.config, {"smoothing": (0, 1)})
        self._fitted: tuple[Template, np.ndarray, dict[str, tuple[int, ...]]] | None = None

    @property
    def model_family(self) -> str:
        return "neural"

    @property
    def requires_scaling(self) -> bool:
        return True

    @property
    def requires_sequences(self) -> bool:
        return True

    @property
    def inputs(self) -> Mapping[str, InputSpec]:
        return {
            "bars": InputSpec("linear_raw", LENGTH),
            "complexity": InputSpec("film_complexity", scaling="standard"),
            "plain": InputSpec("nbeats_raw", scaling="none"),
        }

    @property
    def heads(self) -> tuple[str, ...]:
        return ("max_pct",)

    def get_default_config(self) -> dict[str, Any]:
        return {"smoothing": 0.01, "seed": 7, "classes": 0}

    def fit(self, X_train, y_train, X_val, y_val, sample_weights=None, config=None, spans=None) -> TrainingMetrics:
        began = time.perf_counter()
        self.config = _checks.configured(self, config, {"smoothing": (0, 1)})
        data = _checks.named_training(self, X_train, y_train, X_val, y_val, sample_weights, self.config["classes"])
        inner = Template({**self.config, "classes": data.classes})
        flat = _flat(data.X)
        inner.fit(flat, data.y, None, None, sample_weights=data.weights)
        known = np.isfinite(data.heads["max_pct"])
        weighed = _with_one(flat[known]) * data.weights[known, None]
        slopes = np.linalg.solve(
            weighed.T @ _with_one(flat[known]) + np.eye(flat.shape[1] + 1), weighed.T @ data.heads["max_pct"][known]
        )
        self._fitted = inner, slopes, {name: tuple(part.shape[1:]) for name, part in data.X.items()}
        valid = None
        if data.X_val is not None and data.y_val is not None:
            valid = scores(data.y_val, inner.predict(_flat(data.X_val)).class_probabilities)
        train = scores(data.y, inner.predict(flat).class_probabilities, data.weights)
        course = Course(epochs=1, best_epoch=None, early_stopped=False, history={})
        return training_metrics(train, valid, course, time.perf_counter() - began)

    def predict(self, X) -> PredictionOutput:
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        inner, slopes, shapes = self._fitted
        flat = _flat(_checks.named_answerable(self, X, shapes))
        said = inner.predict(flat)
        outputs = {"max_pct": _with_one(flat) @ slopes, "everything": flat.astype("float64")}
        return PredictionOutput(said.class_predictions, said.class_probabilities, said.confidence, {}, outputs)

    def save(self, path: Path) -> None:
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        inner, slopes, shapes = self._fitted
        _files.write_facts(path, "several", {"config": self.config, "shapes": shapes})
        _files.write_arrays(path / ARRAYS, {"slopes": slopes})
        (path / "inner").mkdir()
        inner.save(path / "inner")

    def load(self, path: Path) -> None:
        facts = _files.read_facts(path, "several", ("config", "shapes"))
        self.config = facts["config"]
        inner = Template()
        inner.load(path / "inner")
        shapes = {name: tuple(shape) for name, shape in facts["shapes"].items()}
        self._fitted = inner, _files.read_arrays(path / ARRAYS)["slopes"], shapes


def _flat(X: NamedInputs) -> np.ndarray:
    every = np.arange(X.rows)
    parts = {name: np.asarray(part[every]) for name, part in X.items()}
    return np.concatenate([part[:, -1] if part.ndim == 3 else part for part in parts.values()], axis=1)


def _with_one(flat: np.ndarray) -> np.ndarray:
    return np.column_stack([flat.astype("float64"), np.ones(len(flat))])
