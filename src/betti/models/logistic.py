"""Multinomial logistic regression: the linear baseline that anything larger has to beat.

Stored as its coefficients, so that loading needs no scikit-learn. What does not belong here: the regression itself
(`_linear.py`), and what all models of single rows share (`_tabular.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from betti.errors import BrokenArtifact
from betti.models import ModelRegistry, _files, _weights
from betti.models._linear import ARRAYS, Linear, fit_linear
from betti.models._search import Real
from betti.models._tabular import Lesson, Tabular, named_arrays
from betti.training.scores import Course

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from betti.models._checks import Bounds
    from betti.models._search import Choice

__all__ = ["Logistic"]

BOUNDS: Bounds = {"C": (1e-8, 1e8), "max_iter": (1, 1e6), "tolerance": (1e-12, 1), **_weights.BOUNDS}
COEFFICIENTS = "coefficients.safetensors"


@ModelRegistry.register("logistic", family="classical", description="multinomial logistic regression, L2 penalty")
class Logistic(Tabular[Linear]):
    """scikit-learn's `LogisticRegression` by L-BFGS, on scaled rows of (n, features)."""

    FAMILY = "classical"
    SCALED = True  # the penalty treats all columns alike, so they must be of one scale
    RANGES = BOUNDS
    SEARCH: ClassVar[Mapping[str, Choice]] = {"C": Real(1e-3, 10.0, log=True)}

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

    def _learn(self, lesson: Lesson) -> tuple[Linear, Course]:
        """Validation rows are only scored."""
        knobs = {name: self.config[name] for name in ("C", "max_iter", "tolerance")}
        found, rounds = fit_linear(lesson.X.astype("float64"), lesson.y, lesson.weights, **knobs)
        return found, Course(rounds, best_epoch=None, early_stopped=False, history={})

    def _answer(self, state: Linear, X: NDArray[np.float32], classes: int) -> NDArray[np.float64]:
        return state.probabilities(X.astype("float64"), classes)

    def _write(self, state: Linear, path: Path) -> dict[str, Any]:
        _files.write_arrays(path / COEFFICIENTS, state.arrays())
        return {}

    def _read(self, path: Path, facts: Mapping[str, Any]) -> Linear:
        """The coefficients.

        Raises:
            BrokenArtifact: they are of other columns or classes than `model.json` says.
        """
        found = Linear(**named_arrays(path / COEFFICIENTS, ARRAYS))
        fault = found.fault(facts["features"], facts["classes"])
        if fault:
            raise BrokenArtifact(path / COEFFICIENTS, fault)
        return found

    def _importance(self, state: Linear, features: int) -> NDArray[np.float64]:  # noqa: ARG002  # one per column
        """Mean absolute coefficient over the classes; columns come scaled, so that it is one per deviation."""
        found: NDArray[np.float64] = np.abs(state.coefficients).mean(axis=0)
        return found
