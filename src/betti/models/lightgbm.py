"""Gradient boosted trees by LightGBM (Ke et al. 2017), stored in the booster's own text format.

Runs on one thread: sums over several threads change with their number, and on small windows threads cost more than
they bring. What does not belong here: what all boosters share (`_tabular.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from betti.errors import BrokenArtifact
from betti.models import ModelRegistry, _weights
from betti.models._search import Real, Whole
from betti.models._tabular import Boosted, Lesson, Trees
from betti.progress import tell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from betti.models._checks import Bounds
    from betti.models._search import Choice
    from betti.training.scores import Course

__all__ = ["LightGBM"]

BOUNDS: Bounds = {
    "rounds": (1, 1e6),
    "learning_rate": (1e-6, 1),
    "num_leaves": (2, 1e5),
    "max_depth": (0, 1e3),
    "min_data_in_leaf": (1, 1e9),
    "feature_fraction": (1e-3, 1),
    "bagging_fraction": (1e-3, 1),
    "bagging_freq": (0, 1e6),
    "lambda_l1": (0, 1e9),
    "lambda_l2": (0, 1e9),
    "early_stopping_rounds": (1, 1e6),
    "num_threads": (1, 1024),
    **_weights.BOUNDS,
}
TRAIN, VALID = "train", "valid"
# Knobs that are not parameters of the library. As one, `early_stopping_rounds` would ask for validation rows.
OURS = {"rounds", "early_stopping_rounds", "classes", "class_weight"}


@ModelRegistry.register("lightgbm", family="boosting", description="gradient boosted trees, leaf-wise growth")
class LightGBM(Boosted):
    """`lightgbm.train` on unscaled rows of (n, features), stopped early on the validation log loss."""

    RANGES = BOUNDS
    FILE = "booster.txt"
    SMALL: ClassVar[Mapping[str, Any]] = {"rounds": 40, "early_stopping_rounds": 10, "learning_rate": 0.1}
    SEARCH: ClassVar[Mapping[str, Choice]] = {
        "learning_rate": Real(0.01, 0.2, log=True),
        "num_leaves": Whole(7, 127, log=True),
        "min_data_in_leaf": Whole(10, 200, log=True),
        "feature_fraction": Real(0.3, 1.0),
        "lambda_l2": Real(0.1, 30.0, log=True),
    }

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

    def _learn(self, lesson: Lesson) -> tuple[Trees, Course]:
        """Train; without validation rows for exactly `rounds` rounds."""
        import lightgbm

        parameters = self._parameters(lesson.classes)
        train_set = lightgbm.Dataset(lesson.X, lesson.y, weight=lesson.weights, params=parameters)
        watched, stopping = {TRAIN: train_set}, []
        if lesson.X_val is not None:
            watched[VALID] = train_set.create_valid(
                lesson.X_val, lesson.y_val, weight=lesson.weights_val, params=parameters
            )
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
        best = booster.best_iteration if lesson.X_val is not None else None
        text: str = booster.model_to_string(num_iteration=best or -1)
        train_loss, val_loss = (next(iter(record.get(name, {"": []}).values())) for name in (TRAIN, VALID))
        return self._trees(text.encode()), self._course(train_loss, val_loss, best)

    def _parameters(self, classes: int) -> dict[str, Any]:
        own = {name: value for name, value in self.config.items() if name not in OURS}
        task = {"objective": "binary", "metric": "binary_logloss"}
        if classes > 2:
            task = {"objective": "multiclass", "metric": "multi_logloss", "num_class": str(classes)}
        return {**own, **task, "deterministic": True, "force_row_wise": True, "verbosity": -1}

    def _answer(self, state: Trees, X: NDArray[np.float32], classes: int) -> NDArray[np.float64]:
        found = np.asarray(state.booster.predict(X, num_threads=self.config["num_threads"]), dtype="float64")
        return np.column_stack([1 - found, found]) if classes == 2 else found

    def _open(self, content: bytes, source: Path | str) -> Any:
        import lightgbm

        try:
            return lightgbm.Booster(model_str=content.decode())
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as cause:
            raise BrokenArtifact(source, f"is not a LightGBM booster: {cause}") from cause

    def _importance(self, state: Trees, features: int) -> NDArray[np.float64]:  # noqa: ARG002  # the booster knows
        """Total gain of the splits on each feature."""
        return np.asarray(state.booster.feature_importance("gain"), dtype="float64")


def _tell_round(env: Any) -> None:
    """A LightGBM callback."""
    tell(env.iteration + 1, env.end_iteration, "rounds")
