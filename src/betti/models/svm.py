"""A support vector machine with an RBF kernel (Cortes and Vapnik 1995), learnt by scikit-learn's libsvm.

Its margins become probabilities by a multinomial logistic regression on them (Platt 1999, for more than two classes),
fitted on answers for rows that the machine had not seen: inner folds that walk forward, purged by the rows' spans.
Stored as plain arrays. What does not belong here: the regression (`_linear.py`) and the folds
(`betti.training.inner_folds`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from betti.errors import BadModelInput, BrokenArtifact
from betti.models import ModelRegistry, _config, _files, _weights
from betti.models._linear import ARRAYS as LINEAR
from betti.models._linear import Linear, fit_linear
from betti.models._search import Real
from betti.models._tabular import Lesson, Tabular, named_arrays
from betti.training.importance import permutation_importance
from betti.training.inner_folds import EMBARGO, embargo_ns, in_order, walk_forward
from betti.training.scores import Course

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from betti.models._checks import Bounds
    from betti.models._search import Choice

    Floats = NDArray[np.float64]

__all__ = ["SupportVectors"]

log = logging.getLogger(__name__)

BOUNDS: Bounds = {
    "C": (1e-6, 1e6),
    "gamma": (1e-9, 1e6),
    "max_rows": (10, 1e7),
    "calibration_folds": (1, 100),
    "importance_rows": (0, 1e6),
    **_weights.BOUNDS,
}
MACHINE = "machine.safetensors"
VECTORS = ("vectors", "coefficients", "intercepts")
BLOCK = 1024  # rows whose kernel is held at once: that many times the support vectors
CACHE_MB = 500


@dataclass(frozen=True)
class Machine:
    """Margins between every pair of classes.

    Attributes:
        vectors: (support vectors, features).
        coefficients: (support vectors, pairs); 0 where a vector belongs to neither class of the pair.
        intercepts: (pairs,).
        gamma: of the kernel exp(-gamma |x - z|^2).
    """

    vectors: Floats
    coefficients: Floats
    intercepts: Floats
    gamma: float

    def margins(self, X: NDArray[np.float32]) -> Floats:
        """(n, pairs) of (n, features): positive for the first class of a pair; of two classes, for the second."""
        found = np.empty((len(X), len(self.intercepts)))
        lengths = (self.vectors**2).sum(axis=1)
        for first in range(0, len(X), BLOCK):
            rows = X[first : first + BLOCK].astype("float64")
            squares = (rows**2).sum(axis=1)[:, None] + lengths - 2 * rows @ self.vectors.T
            found[first : first + BLOCK] = np.exp(-self.gamma * np.maximum(squares, 0)) @ self.coefficients
        return found + self.intercepts


@dataclass(frozen=True)
class Calibrated:
    """A machine, what makes probabilities of its margins, and what it was learnt on.

    Attributes:
        machine: margins.
        calibration: probabilities.
        importance: (features,) by permutation, empty where it was not asked for.
        rows: how many rows the machine learnt from.
    """

    machine: Machine
    calibration: Linear
    importance: Floats
    rows: int

    def probabilities(self, X: NDArray[np.float32], classes: int) -> Floats:
        """(n, classes) of (n, features)."""
        return self.calibration.probabilities(self.machine.margins(X), classes)


@ModelRegistry.register("svm", family="classical", description="support vector machine, RBF kernel, calibrated")
class SupportVectors(Tabular[Calibrated]):
    """scikit-learn's `SVC` on scaled rows of (n, features), with calibrated probabilities."""

    FAMILY = "classical"
    SCALED = True  # the kernel measures distances
    RANGES = BOUNDS
    OWN = ("gamma", "rows")
    SMALL: ClassVar[Mapping[str, Any]] = {"importance_rows": 50}
    SEARCH: ClassVar[Mapping[str, Choice]] = {"C": Real(0.1, 100.0, log=True), "gamma": Real(1e-4, 0.1, log=True)}

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self._refuse_embargo()

    def get_default_config(self) -> dict[str, Any]:
        """`classes` = 0 counts the classes in the labels."""
        return {
            "C": 1.0,  # price of a row on the wrong side
            "gamma": None,  # of the kernel; None is 1 / (features x variance of the inputs)
            "max_rows": 10_000,  # learns from a draw of so many: time and memory grow with their square
            "calibration_folds": 3,  # inner folds whose answers calibrate
            "embargo": "1D",  # between what an inner fold learns from and what it answers for; 30min, 4h, 1D
            "importance_rows": 500,  # rows that importance is measured on; 0 leaves it out
            "class_weight": None,  # balanced gives every class the same total weight
            "seed": 7,
            "classes": 0,
        }

    def _refuse_embargo(self) -> None:
        if not EMBARGO.fullmatch(self.config["embargo"]):
            found = f"embargo = {self.config['embargo']!r}"
            raise BadModelInput(type(self).__name__, found, "It takes a time such as 30min, 4h or 1D")

    def _learn(self, lesson: Lesson) -> tuple[Calibrated, Course]:
        """Validation rows are only scored.

        Raises:
            BadModelInput: no inner fold holds every class on both of its sides.
        """
        self._refuse_embargo()
        given, lesson = len(lesson.y), _drawn(lesson, self.config["max_rows"], self.config["seed"])
        if len(lesson.y) < given:
            log.warning("svm: learns from %d of %d rows, drawn at random (max_rows)", len(lesson.y), given)
        gamma = self.config.get("gamma") or _usual_gamma(lesson.X)
        calibration = self._calibration(lesson, gamma)
        machine = self._machine(lesson, gamma)
        found = Calibrated(machine, calibration, np.empty(0), len(lesson.y))
        if self.config["importance_rows"]:
            found = replace(found, importance=self._permuted(found, lesson))
        return found, Course(epochs=1, best_epoch=None, early_stopped=False, history={})

    def _machine(self, lesson: Lesson, gamma: float) -> Machine:
        from sklearn.svm import SVC

        machine = SVC(C=self.config["C"], gamma=gamma, cache_size=CACHE_MB, decision_function_shape="ovo")
        machine.fit(lesson.X.astype("float64"), lesson.y, sample_weight=lesson.weights)
        coefficients = _by_pair(machine.dual_coef_, machine.n_support_)
        return Machine(machine.support_vectors_, coefficients, np.array(machine.intercept_), gamma)

    def _calibration(self, lesson: Lesson, gamma: float) -> Linear:
        """A regression of the classes on margins for rows that the machine had not seen."""
        # Without spans nothing says how long a label lasts; each row is then an instant, and an embargo of none.
        spans, embargo = lesson.spans, embargo_ns(self.config["embargo"])
        if spans is None:
            spans, embargo = in_order(len(lesson.y)), 0
        seen, margins, rows = np.unique(lesson.y), [], []
        for fold in walk_forward(spans, self.config["calibration_folds"], embargo):
            # Pairs are those of all classes only where all of them occur.
            if np.array_equal(np.unique(lesson.y[fold.train]), seen):
                machine = self._machine(_taken(lesson, fold.train), gamma)
                margins.append(machine.margins(lesson.X[fold.test]))
                rows.append(fold.test)
        answered = np.concatenate(rows) if rows else np.empty(0, dtype="int64")
        if not np.array_equal(np.unique(lesson.y[answered]), seen):
            found = f"{len(answered)} rows of the inner folds cannot calibrate {len(seen)} classes"
            raise BadModelInput(type(self).__name__, found, "Use more rows, fewer calibration_folds or less embargo")
        return fit_linear(np.concatenate(margins), lesson.y[answered], lesson.weights[answered], C=1.0)[0]

    def _permuted(self, found: Calibrated, lesson: Lesson) -> Floats:
        """Importance on validation rows where there are any, on training rows otherwise."""
        X, y = lesson.X, lesson.y
        if lesson.X_val is not None and lesson.y_val is not None:
            X, y = lesson.X_val, lesson.y_val
        rows = _draw(len(y), self.config["importance_rows"], self.config["seed"])
        return permutation_importance(
            lambda inputs: found.probabilities(inputs, lesson.classes),
            X[rows], y[rows], repeats=1, seed=self.config["seed"],
        )  # fmt: skip

    def _answer(self, state: Calibrated, X: NDArray[np.float32], classes: int) -> Floats:
        return state.probabilities(X, classes)

    def _write(self, state: Calibrated, path: Path) -> dict[str, Any]:
        arrays = {name: getattr(state.machine, name) for name in VECTORS}
        regression = {f"calibration_{name}": array for name, array in state.calibration.arrays().items()}
        _files.write_arrays(path / MACHINE, arrays | regression | {"importance": state.importance})
        return {"gamma": state.machine.gamma, "rows": state.rows}

    def _read(self, path: Path, facts: Mapping[str, Any]) -> Calibrated:
        """The machine.

        Raises:
            BrokenArtifact: arrays whose shapes do not fit.
            BadModelInput: a gamma or a number of rows that is none.
        """
        name, gamma = type(self).__name__, facts["gamma"]
        if not isinstance(gamma, int | float) or isinstance(gamma, bool) or not 0 < gamma < float("inf"):
            raise BadModelInput(name, f"gamma = {gamma!r}", "It takes a number above 0")
        learnt_from = _config.whole(name, "rows", facts["rows"], 1)
        regression = {name: f"calibration_{name}" for name in LINEAR}
        arrays = named_arrays(path / MACHINE, (*VECTORS, *regression.values(), "importance"))
        machine = Machine(**{name: arrays[name] for name in VECTORS}, gamma=float(gamma))
        calibration = Linear(**{name: arrays[stored] for name, stored in regression.items()})
        shapes = (len(machine.vectors), facts["features"]), (len(machine.vectors), len(machine.intercepts))
        fault = calibration.fault(len(machine.intercepts), facts["classes"])
        if fault or (machine.vectors.shape, machine.coefficients.shape) != shapes:
            raise BrokenArtifact(path / MACHINE, fault or "has arrays of lengths that do not fit")
        return Calibrated(machine, calibration, arrays["importance"], learnt_from)

    def _importance(self, state: Calibrated, features: int) -> Floats | None:
        """Permutation importance in nats, measured when it was fitted."""
        return state.importance if len(state.importance) == features else None


def _usual_gamma(X: NDArray[np.float32]) -> float:
    """scikit-learn's "scale"."""
    variance = float(X.astype("float64").var())
    return 1 / (X.shape[1] * variance) if variance > 0 else 1.0


def _draw(rows: int, most: int, seed: int) -> NDArray[np.int64]:
    """All rows, or so many of them at random, in order."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _drawn(lesson: Lesson, most: int, seed: int) -> Lesson:
    return lesson if len(lesson.y) <= most else _taken(lesson, _draw(len(lesson.y), most, seed))


def _taken(lesson: Lesson, rows: NDArray[np.int64]) -> Lesson:
    """The same lesson with fewer rows to learn from, whose weights have mean 1 again."""
    weights = lesson.weights[rows]
    spans = None if lesson.spans is None else (lesson.spans[0][rows], lesson.spans[1][rows])
    return replace(lesson, X=lesson.X[rows], y=lesson.y[rows], weights=weights / weights.mean(), spans=spans)


def _by_pair(dual: Floats, counts: NDArray[np.int32]) -> Floats:
    """(support vectors, pairs) from libsvm's (classes - 1, support vectors), vectors sorted by class.

    Of a pair (i, j) with i < j, the vectors of class i have their coefficients in row j - 1, those of j in row i.
    """
    classes = len(counts)
    if classes == 2:
        return np.ascontiguousarray(dual.T)
    ends = np.cumsum(counts)
    own = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
    columns = []
    for i in range(classes):
        for j in range(i + 1, classes):
            column = np.zeros(dual.shape[1])
            column[own[i]] = dual[j - 1, own[i]]
            column[own[j]] = dual[i, own[j]]
            columns.append(column)
    return np.column_stack(columns)
