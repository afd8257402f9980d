"""Gradient boosted trees by CatBoost (Prokhorenkova et al. 2018), stored in the booster's own binary format.

The library writes the time and a random identity into every model; both are taken out, so that equal models are equal
bytes. What does not belong here: what all boosters share (`_tabular.py`).
"""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from betti.errors import BadModelInput, BrokenArtifact
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

__all__ = ["CatBoost"]

needs("catboost", extra="boosting")

BOUNDS: Bounds = {
    "rounds": (1, 1e6),
    "learning_rate": (1e-6, 1),
    "depth": (1, 16),
    "l2_leaf_reg": (0, 1e9),
    "random_strength": (0, 1e9),
    "bagging_temperature": (0, 1e9),
    "early_stopping_rounds": (1, 1e6),
    "num_threads": (1, 1024),
    **_weights.BOUNDS,
}
# What a model's metadata keeps: what answers are computed by. The rest holds times, identities and histories.
KEPT = {"class_params", "params"}


@ModelRegistry.register("catboost", family="boosting", description="gradient boosted symmetric trees, ordered boosting")
class CatBoost(Boosted):
    """`catboost.CatBoost` on unscaled rows of (n, features), stopped early on the validation log loss."""

    RANGES = BOUNDS
    FILE = "booster.cbm"
    SMALL: ClassVar[Mapping[str, Any]] = {"rounds": 40, "early_stopping_rounds": 10, "learning_rate": 0.2, "depth": 4}
    SEARCH: ClassVar[Mapping[str, Choice]] = {
        "learning_rate": Real(0.01, 0.2, log=True),
        "depth": Whole(4, 8),
        "l2_leaf_reg": Real(0.5, 30.0, log=True),
        "random_strength": Real(0.1, 10.0, log=True),
    }

    def get_default_config(self) -> dict[str, Any]:
        """CatBoost's own names, but for those that every booster has; `classes` = 0 counts them in the labels."""
        return {
            "rounds": 500,
            "learning_rate": 0.05,
            "depth": 6,
            "l2_leaf_reg": 3.0,
            "random_strength": 1.0,  # noise on the scores of splits
            "bagging_temperature": 1.0,  # of the Bayesian bootstrap
            "early_stopping_rounds": 50,
            "num_threads": 1,
            "class_weight": None,  # balanced gives every class the same total weight
            "seed": 7,
            "classes": 0,
        }

    def _learn(self, lesson: Lesson) -> tuple[Trees, Course]:
        """Train; without validation rows for exactly `rounds` rounds.

        Raises:
            BadModelInput: all columns are constant.
        """
        import catboost

        stops = lesson.X_val is not None
        booster = catboost.CatBoost(self._parameters(lesson.classes, stops))
        valid_set = catboost.Pool(lesson.X_val, lesson.y_val, weight=lesson.weights_val) if stops else None
        try:
            booster.fit(
                catboost.Pool(lesson.X, lesson.y, weight=lesson.weights),
                eval_set=valid_set,
                callbacks=[_Teller(self.config["rounds"])],
                # It warns of classes that do not occur, which are legal here.
                log_cout=StringIO(),
                log_cerr=StringIO(),
            )
        except catboost.CatBoostError as cause:
            raise BadModelInput(type(self).__name__, f"CatBoost: {cause}", "Mend the inputs it names") from cause
        metadata = booster.get_metadata()
        for name in set(metadata.keys()) - KEPT:
            del metadata[name]
        record = booster.get_evals_result()
        train_loss, val_loss = (next(iter(record.get(name, {"": []}).values())) for name in ("learn", "validation"))
        best = int(booster.get_best_iteration()) + 1 if stops else None
        # The bytes that `save_model` would write, without a file.
        return self._trees(booster._serialize_model()), self._course(train_loss, val_loss, best)

    def _parameters(self, classes: int, stops: bool) -> dict[str, Any]:
        config = self.config
        own = {name: config[name] for name in ("learning_rate", "depth", "l2_leaf_reg", "random_strength")}
        task: dict[str, Any] = {"loss_function": "Logloss"}
        if classes > 2:
            task = {"loss_function": "MultiClass", "classes_count": classes}
        stopping = {"od_type": "Iter", "od_wait": config["early_stopping_rounds"], "use_best_model": True}
        return {
            **own,
            **task,
            **(stopping if stops else {}),
            "iterations": config["rounds"],
            "bootstrap_type": "Bayesian",
            "bagging_temperature": config["bagging_temperature"],
            "thread_count": config["num_threads"],
            "random_seed": config["seed"],
            "allow_writing_files": False,
            "logging_level": "Silent",
        }

    def _answer(self, state: Trees, X: NDArray[np.float32], classes: int) -> NDArray[np.float64]:  # noqa: ARG002
        found = state.booster.predict(X, prediction_type="Probability", thread_count=self.config["num_threads"])
        return np.asarray(found, dtype="float64")

    def _open(self, content: bytes, source: Path | str) -> Any:
        import catboost

        booster = catboost.CatBoost()
        try:
            booster.load_model(blob=content)
        except catboost.CatBoostError as cause:
            raise BrokenArtifact(source, f"is not a CatBoost booster: {cause}") from cause
        return booster

    def _importance(self, state: Trees, features: int) -> NDArray[np.float64]:  # noqa: ARG002  # the booster knows
        """How much the answer changes on average when a feature's value does, in per cent of all.

        CatBoost has no gain; this is its own kind, PredictionValuesChange.
        """
        return np.asarray(state.booster.get_feature_importance(type="PredictionValuesChange"), dtype="float64")


class _Teller:
    """A CatBoost callback that tells each round."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    def after_iteration(self, info: Any) -> bool:
        """True goes on."""
        tell(int(info.iteration), self.rounds, "rounds")
        return True
