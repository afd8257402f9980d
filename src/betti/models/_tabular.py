"""What the models of single rows share: checked data in, probabilities and scores out, and how they are stored.

A model says how it learns (`_learn`), answers (`_answer`) and is written; `Boosted` adds what boosters have in common.
What does not belong here: how any one model learns (its own file), models of windows (`_torch.py`), and models made of
models (`_ensemble.py`).
"""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np

from betti.errors import BrokenArtifact, MissingFile
from betti.models import _checks, _config, _files, _weights
from betti.models._protocol import BaseModel, PredictionOutput, TrainingMetrics
from betti.training.scores import Course, Scores, scores, training_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from betti.models._checks import Bounds, Training
    from betti.models._protocol import Inputs, Labels, Spans

    Floats = NDArray[np.float64]

__all__ = ["Boosted", "Lesson", "Tabular", "Trees", "named_arrays", "needs", "scored"]

State = TypeVar("State")

# Training scores of a long history are taken on so many of its rows: trees take as long to answer for all of them as a
# tenth of the fit. A share of so many has a standard error of .7 % at most.
SCORED_ROWS = 5_000


def needs(library: str, extra: str) -> None:
    """Refuse to import a model's file where its library is not installed, without importing the library.

    Discovery makes a `PartUnavailable` of it and lists the model with this sentence.

    Raises:
        ModuleNotFoundError: it is not installed; says how to install it.
    """
    if find_spec(library) is None:
        raise ModuleNotFoundError(f"it needs the library '{library}'. Install it: pip install 'betti[{extra}]'")


@dataclass(frozen=True)
class Lesson:
    """What a model of single rows learns from, checked.

    Attributes:
        X: (n, features) float32.
        y: (n,) int64 classes.
        weights: (n,) sample weights times class weights, with mean 1.
        X_val: (m, features) validation rows, or None.
        y_val: (m,) their classes, or None.
        weights_val: (m,) class weights of the validation rows; empty where there are none.
        classes: how many there are, some of which may be missing here.
        spans: (start, end) of the n rows in nanoseconds since 1970, or None.
    """

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    weights: Floats
    X_val: NDArray[np.float32] | None
    y_val: NDArray[np.int64] | None
    weights_val: Floats
    classes: int
    spans: Spans | None


@dataclass(frozen=True)
class _Known(Generic[State]):
    """What a fit found out."""

    state: State
    features: int
    classes: int


class Tabular(BaseModel, Generic[State]):
    """A classifier of (n, features) rows.

    Attributes:
        FAMILY: boosting or classical.
        SCALED: whether its inputs must be scaled on the training rows first.
        RANGES: what its knobs take.
        OWN: facts of its own in `model.json`.
    """

    FAMILY: ClassVar[str]
    SCALED: ClassVar[bool]
    RANGES: ClassVar[Bounds]
    OWN: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        _checks.ranges(type(self).__name__, self.config, self.RANGES)
        self._known: _Known[State] | None = None

    @property
    def model_family(self) -> str:
        """Boosting or classical."""
        return self.FAMILY

    @property
    def requires_scaling(self) -> bool:
        """Whether its inputs must be of one scale."""
        return self.SCALED

    @property
    def requires_sequences(self) -> bool:
        """One row at a time."""
        return False

    # What a model's own file says -------------------------------------------------------------------------------

    @abstractmethod
    def _learn(self, lesson: Lesson) -> tuple[State, Course]:
        """What was learnt, and how it went; `self.config` holds the knobs of this fit."""

    @abstractmethod
    def _answer(self, state: State, X: NDArray[np.float32], classes: int) -> Floats:
        """(n, classes) probabilities."""

    @abstractmethod
    def _write(self, state: State, path: Path) -> dict[str, Any]:
        """Write the model's own files into the folder `path`; returns the facts named in `OWN`."""

    @abstractmethod
    def _read(self, path: Path, facts: Mapping[str, Any]) -> State:
        """What `_write` wrote; `facts` holds `features`, `classes` and those named in `OWN`.

        Raises:
            MissingFile, BrokenArtifact: files that are not there, or not what they should be.
            BadModelInput: a fact of its own that is none.
        """

    def _importance(self, state: State, features: int) -> Floats | None:  # noqa: ARG002  # models use it
        """(features,) importance, or None."""
        return None

    # The protocol -----------------------------------------------------------------------------------------------

    def fit(
        self,
        X_train: Inputs,
        y_train: Labels,
        X_val: Inputs | None,
        y_val: Labels | None,
        sample_weights: Floats | None = None,
        config: Mapping[str, Any] | None = None,
        spans: Spans | None = None,
    ) -> TrainingMetrics:
        """Train; the protocol says how. Training scores are those of at most 5,000 rows, evenly spaced."""
        began = time.perf_counter()
        self.config = _checks.configured(self, config, self.RANGES)
        data = _checks.training(self, X_train, y_train, X_val, y_val, sample_weights, self.config["classes"], spans)
        lesson = self._lesson(data)
        state, course = self._learn(lesson)
        self._known = _Known(state, lesson.X.shape[1], lesson.classes)
        every = scored(len(lesson.y))
        train = self._scores(lesson.X[every], lesson.y[every], data.weights[every])
        valid = None
        if lesson.X_val is not None and lesson.y_val is not None:
            valid = self._scores(lesson.X_val, lesson.y_val, None)
        return training_metrics(train, valid, course, time.perf_counter() - began)

    def _lesson(self, data: Training) -> Lesson:
        weights = _weights.row_weights(data, self.config.get("class_weight"))
        return Lesson(
            X=np.asarray(data.X),
            y=data.y,
            weights=weights.train,
            X_val=None if data.X_val is None else np.asarray(data.X_val),
            y_val=data.y_val,
            weights_val=weights.valid,
            classes=data.classes,
            spans=data.spans,
        )

    def _scores(self, X: NDArray[np.float32], y: NDArray[np.int64], weights: Floats | None) -> Scores:
        assert self._known is not None
        return scores(y, self._answer(self._known.state, X, self._known.classes), weights)

    def predict(self, X: Inputs) -> PredictionOutput:
        """Probabilities of (n, features) rows; a class that never occurred in training gets about 0."""
        _checks.fitted(self, self._known)
        assert self._known is not None
        checked = np.asarray(_checks.answerable(self, X, (self._known.features,)))
        return PredictionOutput.from_probabilities(self._answer(self._known.state, checked, self._known.classes))

    def save(self, path: Path) -> None:
        """`model.json` and the model's own files."""
        _checks.fitted(self, self._known)
        assert self._known is not None
        path.mkdir(parents=True, exist_ok=True)
        facts = {"config": self.config, "classes": self._known.classes, "features": self._known.features}
        _files.write_facts(path, self._name(), facts | self._write(self._known.state, path))

    def load(self, path: Path) -> None:
        """Read what `save` wrote.

        Raises:
            MissingFile, BrokenArtifact: files that are not there, or not what they should be.
        """
        facts = _files.read_facts(path, self._name(), ("config", "classes", "features", *self.OWN))
        with _config.stored(path):
            self.config = _config.restored(self, facts, self.RANGES)
            features = _config.whole(type(self).__name__, "features", facts["features"], 1)
            self._known = _Known(self._read(path, facts), features, facts["classes"])

    def get_feature_importance(self) -> dict[str, float] | None:
        """Importance by feature position; the model's file says which kind."""
        if self._known is None:
            return None
        values = self._importance(self._known.state, self._known.features)
        return None if values is None else {str(at): float(value) for at, value in enumerate(values)}

    @classmethod
    def _name(cls) -> str:
        """The registered name, which is the file's."""
        return cls.__module__.rpartition(".")[2]


def scored(rows: int) -> slice:
    """Evenly spaced rows, at most `SCORED_ROWS` of them.

    >>> scored(5_000), scored(5_001)
    (slice(None, None, 1), slice(None, None, 2))
    """
    return slice(None, None, max(-(-rows // SCORED_ROWS), 1))


def named_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file that must hold these and no others.

    Raises:
        MissingFile: it is not there.
        BrokenArtifact: it is no such file, or holds other names.
    """
    arrays = _files.read_arrays(path)
    if set(arrays) != set(names):
        raise BrokenArtifact(path, f"holds {', '.join(sorted(arrays))}, not {', '.join(names)}")
    return arrays


# Boosters ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trees:
    """A booster as it is stored, and as the library holds it after reading just that.

    So answers are the same before and after loading.
    """

    content: bytes
    booster: Any


class Boosted(Tabular[Trees]):
    """Boosted trees on unscaled rows, stopped early on the validation log loss, stored in the library's own format.

    Attributes:
        FILE: name of the booster's file.
    """

    FAMILY = "boosting"
    SCALED = False  # trees split by order, which scaling leaves as it is
    OWN = ("digest",)
    FILE: ClassVar[str]

    @abstractmethod
    def _open(self, content: bytes, source: Path | str) -> Any:
        """The library's booster.

        Raises:
            BrokenArtifact: it is none; names `source`.
        """

    def _trees(self, content: bytes) -> Trees:
        return Trees(content, self._open(content, self.FILE))

    def _write(self, state: Trees, path: Path) -> dict[str, Any]:
        (path / self.FILE).write_bytes(state.content)
        return {"digest": _digest(state.content)}

    def _read(self, path: Path, facts: Mapping[str, Any]) -> Trees:
        """The booster, held to the digest in `model.json` first: the libraries' own readers may trust what they read.

        Raises:
            MissingFile: it is not there.
            BrokenArtifact: it is not what was saved.
        """
        source = path / self.FILE
        if not source.exists():
            raise MissingFile(source, _files.REMEDY)
        content = source.read_bytes()
        if _digest(content) != facts["digest"]:
            raise BrokenArtifact(source, "is not the booster that model.json was written with")
        return Trees(content, self._open(content, source))

    def final_config(self, folds: Sequence[TrainingMetrics]) -> dict[str, Any]:
        """As many rounds as the folds found best, in the median."""
        found = [metrics.best_epoch for metrics in folds if metrics.best_epoch]
        return {"rounds": round(median(found))} if found else {}

    def _course(self, train_loss: Sequence[float], val_loss: Sequence[float], best: int | None) -> Course:
        """How boosting went: the losses of every round, and the best round, counted from 1."""
        history = {"train_loss": list(train_loss), "val_loss": list(val_loss)}
        return Course(len(train_loss), best, early_stopped=len(train_loss) < self.config["rounds"], history=history)


def _digest(content: bytes) -> str:
    # A model is loaded for a single answer too, and processors have SHA-256 built in.
    return sha256(content).hexdigest()
