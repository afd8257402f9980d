"""Gradient boosted trees by LightGBM, stored in the booster's own text format.

Runs on one thread: sums over several threads change with their number, and on small windows threads cost more than
they bring.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.errors import BrokenArtifact, MissingFile
from betti.models import ModelRegistry, _checks, _files, _weights
from betti.models._protocol import BaseModel, PredictionOutput, TrainingMetrics
from betti.progress import tell
from betti.training.scores import Course, scores, training_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from betti.models._checks import Bounds
    from betti.models._protocol import Inputs, Spans

__all__ = ["LightGBM"]

BOUNDS: Bounds = {
    "rounds": (1, 1e6),
    "learning_rate": (1e-6, 1),
    "num_leaves": (2, 1e5),
    "min_data_in_leaf": (1, 1e9),
    "feature_fraction": (1e-3, 1),
    "bagging_fraction": (1e-3, 1),
    "early_stopping_rounds": (1, 1e6),
    "num_threads": (1, 1024),
    **_weights.BOUNDS,
}
BOOSTER = "booster.txt"
TRAIN, VALID = "train", "valid"


@dataclass(frozen=True)
class _Fitted:
    booster: Any  # lightgbm.Booster, holding the best round's trees and no more
    features: int
    classes: int


@ModelRegistry.register("lightgbm", family="boosting", description="gradient boosted trees, leaf-wise growth")
class LightGBM(BaseModel):
    """`lightgbm.train` on unscaled rows of (n, features), stopped early on the validation log loss."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        _checks.ranges(type(self).__name__, self.config, BOUNDS)
        self._fitted: _Fitted | None = None

    @property
    def model_family(self) -> str:
        """Boosting."""
        return "boosting"

    @property
    def requires_scaling(self) -> bool:
        """Trees split by order, which scaling leaves as it is."""
        return False

    @property
    def requires_sequences(self) -> bool:
        """One row at a time."""
        return False

    def get_default_config(self) -> dict[str, Any]:
        """LightGBM's own parameter names, but for `rounds`; `classes` = 0 counts the classes in the labels."""
        return {
            "rounds": 500,
            "learning_rate": 0.05,
            "num_leaves": 31,
            "max_depth": 0,  # 0 is unlimited
            "min_data_in_leaf": 20,
            "feature_fraction": 0.8,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l1": 0.1,
            "lambda_l2": 1.0,
            "early_stopping_rounds": 50,
            "num_threads": 1,
            "class_weight": None,  # balanced gives every class the same total weight
            "seed": 7,
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
        """Train; without validation rows for exactly `rounds` rounds."""
        import lightgbm

        began = time.perf_counter()
        self.config = _checks.configured(self, config, BOUNDS)
        data = _checks.training(self, X_train, y_train, X_val, y_val, sample_weights, self.config["classes"])
        parameters = self._parameters(data.classes)
        weights = _weights.row_weights(data, self.config.get("class_weight"))
        train_set = lightgbm.Dataset(data.X, data.y, weight=weights.train, params=parameters)
        watched, stopping = {TRAIN: train_set}, []
        if data.X_val is not None:
            watched[VALID] = train_set.create_valid(data.X_val, data.y_val, weight=weights.valid, params=parameters)
            stopping = [lightgbm.early_stopping(self.config["early_stopping_rounds"], verbose=False)]
        record: dict[str, dict[str, list[float]]] = {}
        booster = lightgbm.train(
            parameters,
            train_set,
            num_boost_round=self.config["rounds"],
            valid_sets=list(watched.values()),
            valid_names=list(watched),
            callbacks=[lightgbm.record_evaluation(record), _tell_round, *stopping],
        )
        best = booster.best_iteration if data.X_val is not None else None
        text = booster.model_to_string(num_iteration=best or -1)
        # Answers come from the text that is stored, so that they are the same after loading.
        self._fitted = _Fitted(lightgbm.Booster(model_str=text), data.X.shape[1], data.classes)
        return self._metrics(data, _course(record, best, self.config["rounds"]), began)

    def _parameters(self, classes: int) -> dict[str, Any]:
        own = {name: value for name, value in self.config.items() if name not in {"rounds", "classes", "class_weight"}}
        task = {"objective": "binary", "metric": "binary_logloss"}
        if classes > 2:
            task = {"objective": "multiclass", "metric": "multi_logloss", "num_class": str(classes)}
        del own["early_stopping_rounds"]  # the callback has it; as a parameter it would ask for validation rows
        return {**own, **task, "deterministic": True, "force_row_wise": True, "verbosity": -1}

    def _metrics(self, data: _checks.Training, course: Course, began: float) -> TrainingMetrics:
        train = scores(data.y, self._probabilities(data.X), data.weights)
        valid = None
        if data.X_val is not None and data.y_val is not None:
            valid = scores(data.y_val, self._probabilities(data.X_val))
        return training_metrics(train, valid, course, time.perf_counter() - began)

    def predict(self, X: Inputs) -> PredictionOutput:
        """Probabilities of (n, features) rows; a class that never occurred in training gets about 1e-15."""
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        checked = _checks.answerable(self, X, (self._fitted.features,))
        return PredictionOutput.from_probabilities(self._probabilities(checked))

    def _probabilities(self, X: Inputs) -> NDArray[np.float64]:
        assert self._fitted is not None
        found = np.asarray(self._fitted.booster.predict(X, num_threads=self.config["num_threads"]), dtype="float64")
        return np.column_stack([1 - found, found]) if self._fitted.classes == 2 else found

    def save(self, path: Path) -> None:
        """`booster.txt` and `model.json`."""
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        facts = {"config": self.config, "classes": self._fitted.classes, "features": self._fitted.features}
        _files.write_facts(path, "lightgbm", facts)
        (path / BOOSTER).write_text(self._fitted.booster.model_to_string(), encoding="utf-8")

    def load(self, path: Path) -> None:
        """Read what `save` wrote."""
        import lightgbm

        facts = _files.read_facts(path, "lightgbm", ("config", "classes", "features"))
        if not (path / BOOSTER).exists():
            raise MissingFile(path / BOOSTER, _files.REMEDY)
        try:
            booster = lightgbm.Booster(model_str=(path / BOOSTER).read_text(encoding="utf-8"))
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as cause:
            raise BrokenArtifact(path / BOOSTER, f"is not a LightGBM booster: {cause}") from cause
        self.config = facts["config"]
        self._fitted = _Fitted(booster, facts["features"], facts["classes"])

    def get_feature_importance(self) -> dict[str, float] | None:
        """Total gain of the splits on each feature, by feature position."""
        if self._fitted is None:
            return None
        gains = self._fitted.booster.feature_importance("gain")
        return {str(position): float(gain) for position, gain in enumerate(gains)}

    def final_config(self, folds: Sequence[TrainingMetrics]) -> dict[str, Any]:
        """As many rounds as the folds found best, in the median."""
        found = [metrics.best_epoch for metrics in folds if metrics.best_epoch]
        return {"rounds": round(median(found))} if found else {}


def _tell_round(env: Any) -> None:
    """A LightGBM callback."""
    tell(env.iteration + 1, env.end_iteration, "rounds")


def _course(record: Mapping[str, Mapping[str, list[float]]], best: int | None, rounds: int) -> Course:
    """The loss of every round, the only metric on record."""
    losses = {name: next(iter(metrics.values())) for name, metrics in record.items()}
    history = {"train_loss": list(losses[TRAIN]), "val_loss": list(losses.get(VALID, []))}
    done = len(history["train_loss"])
    return Course(done, best, early_stopped=done < rounds, history=history)
