"""Gradient boosted trees by XGBoost (Chen and Guestrin 2016), stored in the booster's own binary JSON.

Binary JSON (UBJSON) holds what the text does and is read eight times as fast. What does not belong here: what all
boosters share (`_tabular.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from betti.errors import BrokenArtifact
from betti.models import ModelRegistry, _weights
from betti.models._search import Real, Whole
from betti.models._tabular import Boosted, Lesson, Trees, needs
from betti.progress import tell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from betti.models._checks import Bounds
    from betti.models._search import Choice
    from betti.training.scores import Course

__all__ = ["XGBoost"]

needs("xgboost", extra="boosting")

BOUNDS: Bounds = {
    "rounds": (1, 1e6),
    "learning_rate": (1e-6, 1),
    "max_depth": (1, 50),
    "min_child_weight": (0, 1e9),
    "subsample": (1e-3, 1),
    "colsample_bytree": (1e-3, 1),
    "gamma": (0, 1e9),
    "alpha": (0, 1e9),
    "lambda": (0, 1e9),
    "early_stopping_rounds": (1, 1e6),
    "num_threads": (1, 1024),
    **_weights.BOUNDS,
}
TRAIN, VALID = "train", "valid"
# Knobs that are not parameters of the library, or have another name there.
OURS = {"rounds", "early_stopping_rounds", "num_threads", "classes", "class_weight"}


@ModelRegistry.register("xgboost", family="boosting", description="gradient boosted trees, depth-wise growth")
class XGBoost(Boosted):
    """`xgboost.train` on unscaled rows of (n, features), stopped early on the validation log loss."""

    RANGES = BOUNDS
    FILE = "booster.ubj"
    SMALL: ClassVar[Mapping[str, Any]] = {
        "rounds": 40, "early_stopping_rounds": 10, "learning_rate": 0.1, "max_depth": 3,
    }  # fmt: skip
    SEARCH: ClassVar[Mapping[str, Choice]] = {
        "learning_rate": Real(0.01, 0.2, log=True),
        "max_depth": Whole(3, 9),
        "min_child_weight": Real(1.0, 100.0, log=True),
        "colsample_bytree": Real(0.3, 1.0),
        "lambda": Real(0.1, 30.0, log=True),
    }

    def get_default_config(self) -> dict[str, Any]:
        """XGBoost's own names, but for `rounds` and `num_threads`; `classes` = 0 counts them in the labels."""
        return {
            "rounds": 500,
            "learning_rate": 0.05,
            "max_depth": 6,
            "min_child_weight": 10.0,
            "subsample": 0.8,
            "colsample_bytree": 0.8,
            "gamma": 0.1,  # least gain of a split
            "alpha": 0.1,  # L1 penalty on leaves
            "lambda": 1.0,  # L2 penalty on leaves
            "early_stopping_rounds": 50,
            "num_threads": 1,
            "class_weight": None,  # balanced gives every class the same total weight
            "seed": 7,
            "classes": 0,
        }

    def _learn(self, lesson: Lesson) -> tuple[Trees, Course]:
        """Train; without validation rows for exactly `rounds` rounds."""
        import xgboost

        threads = self.config["num_threads"]
        train_set = xgboost.DMatrix(lesson.X, lesson.y, weight=lesson.weights, nthread=threads)
        watched, stop = [(train_set, TRAIN)], None
        if lesson.X_val is not None:
            # The last one watched is the one that training stops on.
            valid_set = xgboost.DMatrix(lesson.X_val, lesson.y_val, weight=lesson.weights_val, nthread=threads)
            watched.append((valid_set, VALID))
            stop = self.config["early_stopping_rounds"]
        record: dict[str, dict[str, list[float]]] = {}
        booster = xgboost.train(
            self._parameters(lesson.classes),
            train_set,
            num_boost_round=self.config["rounds"],
            evals=watched,
            evals_result=record,
            early_stopping_rounds=stop,
            verbose_eval=False,
            callbacks=[_teller(self.config["rounds"])],
        )
        best = None
        if stop is not None:
            best = int(booster.best_iteration) + 1
            booster = booster[:best]
        train_loss, val_loss = (next(iter(record.get(name, {"": []}).values())) for name in (TRAIN, VALID))
        return self._trees(bytes(booster.save_raw("ubj"))), self._course(train_loss, val_loss, best)

    def _parameters(self, classes: int) -> dict[str, Any]:
        own = {name: value for name, value in self.config.items() if name not in OURS}
        task: dict[str, Any] = {"objective": "binary:logistic", "eval_metric": "logloss"}
        if classes > 2:
            task = {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": classes}
        return {**own, **task, "nthread": self.config["num_threads"], "tree_method": "hist", "verbosity": 0}

    def _answer(self, state: Trees, X: NDArray[np.float32], classes: int) -> NDArray[np.float64]:
        found = np.asarray(state.booster.inplace_predict(X), dtype="float64")
        if classes == 2:
            return np.column_stack([1 - found, found])
        # They come in single precision and sum to 1 only in that.
        shares: NDArray[np.float64] = found / found.sum(axis=1, keepdims=True)
        return shares

    def _open(self, content: bytes, source: Path | str) -> Any:
        import xgboost

        booster = xgboost.Booster({"nthread": self.config["num_threads"]})
        try:
            booster.load_model(bytearray(content))
        except xgboost.core.XGBoostError as cause:
            raise BrokenArtifact(source, f"is not an XGBoost booster: {cause}") from cause
        return booster

    def _importance(self, state: Trees, features: int) -> NDArray[np.float64]:
        """Total gain of the splits on each feature."""
        gains = state.booster.get_score(importance_type="total_gain")
        return np.array([gains.get(f"f{at}", 0.0) for at in range(features)])


def _teller(rounds: int) -> Any:
    """An XGBoost callback that tells each round."""
    import xgboost

    class Teller(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # untyped
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002  # the library's
            tell(epoch + 1, rounds, "rounds")
            return False

    return Teller()
