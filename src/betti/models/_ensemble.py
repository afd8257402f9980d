"""What the ensembles share: members fitted on the same rows, a folder for each, and their rounds fixed from the folds.

`Ensemble` fits and asks the members; `Stacked` adds a model that learns from what members say of rows they have not
seen. What does not belong here: members one by one (`_members.py`), and which rows are held out (the ensembles' files).
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from betti.errors import BadModelInput, BrokenArtifact
from betti.models import _checks, _config, _files
from betti.models._members import Fitted, Part, Spec, learn, longest, read, specs, taken
from betti.models._protocol import BaseModel, PredictionOutput, TrainingMetrics
from betti.models._tabular import scored
from betti.progress import tell
from betti.training.inner_folds import EMBARGO, embargo_ns, in_order
from betti.training.scores import Course, scores, training_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from betti.models._checks import Bounds
    from betti.models._protocol import Inputs, Labels, Single, Spans
    from betti.training.inner_folds import InnerFold

    Floats = NDArray[np.float64]

__all__ = ["DEFAULT_MEMBERS", "Ensemble", "Stacked", "log_odds"]

log = logging.getLogger(__name__)

# One of each kind that needs no extra: boosted trees, bagged trees, a line.
DEFAULT_MEMBERS: dict[str, Any] = {"lightgbm": {}, "random_forest": {}, "logistic": {}}
SMALL_MEMBERS: dict[str, Any] = {
    "lightgbm": {"config": {"rounds": 30, "early_stopping_rounds": 10, "learning_rate": 0.1}},
    "line": {"model": "logistic"},
}
META = "meta"


@dataclass(frozen=True)
class _Known:
    """What a fit found out.

    Attributes:
        members: in the order of their names.
        meta: what combines their answers, or None.
        classes: how many there are.
        shape: of one row's input.
    """

    members: tuple[Fitted, ...]
    meta: Fitted | None
    classes: int
    shape: tuple[int, ...]


class Ensemble(BaseModel):
    """Members on the same rows, whose answers become one.

    Takes single rows where all members do, and otherwise windows as long as the longest that a member takes, which is
    then the knob `length`.

    Attributes:
        RANGES: what its knobs take.
    """

    RANGES: ClassVar[Bounds] = {}

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        self._length: int | None = None
        wanted = {**self.get_default_config(), **(config or {})}
        # The defaults depend on the members. What is no mapping is refused below, in the words for every knob.
        if isinstance(wanted["members"], dict):
            self._length = longest(specs(type(self).__name__, "members", wanted["members"], 0))
        super().__init__(config)
        self._check()
        self._known: _Known | None = None

    @property
    def model_family(self) -> str:
        """Ensemble, which leaves scaling to its members."""
        return "ensemble"

    @property
    def requires_scaling(self) -> bool:
        """Members that need it scale by themselves."""
        return False

    @property
    def requires_sequences(self) -> bool:
        """Whether a member takes windows."""
        return self._length is not None

    # What an ensemble's own file says ---------------------------------------------------------------------------

    @abstractmethod
    def _knobs(self) -> dict[str, Any]:
        """Its knobs with their defaults, but for `seed`, `classes` and `length`."""

    @abstractmethod
    def _combined(self, answers: Floats, meta: Fitted | None) -> Floats:
        """(n, classes) probabilities from the members' (members, n, classes)."""

    def _meta(self, part: Part, members: Sequence[Fitted], fixed: Mapping[str, Any]) -> Taught | None:  # noqa: ARG002
        """What combines the members' answers, if it has to be learnt."""
        return None

    def _check(self) -> None:
        """Refuse what ranges do not tell."""
        _checks.ranges(type(self).__name__, self.config, self.RANGES)
        needed = longest(self._members())
        if needed is not None and self.config["length"] < needed:
            found = f"length = {self.config['length']}"
            raise BadModelInput(type(self).__name__, found, f"A member takes windows of {needed} rows")

    # The protocol -----------------------------------------------------------------------------------------------

    def get_default_config(self) -> dict[str, Any]:
        """The ensemble's own knobs; `length` only where a member takes windows. `classes` = 0 counts them."""
        windows = {} if self._length is None else {"length": self._length}
        return {**self._knobs(), **windows, "seed": 7, "classes": 0}

    def _members(self) -> tuple[Spec, ...]:
        return specs(type(self).__name__, "members", self.config["members"], self.config["seed"])

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
        """Fit every member, then what combines them; the validation rows stop members early that can stop."""
        began = time.perf_counter()
        if "members" in (config or {}):
            raise BadModelInput(type(self).__name__, "members given to `fit`", "Name them when the model is made")
        self.config = _checks.configured(self, config, self.RANGES)
        self._check()
        data = _checks.training(self, X_train, y_train, X_val, y_val, sample_weights, self.config["classes"], spans)
        part = Part(data.X, data.y, data.weights, data.spans, data.classes, data.X_val, data.y_val)
        if self._length is not None and data.X.shape[1] < self._length:
            found = f"sequences of length {data.X.shape[1]}"
            raise BadModelInput(type(self).__name__, found, f"A member takes {self._length}")
        history = self._fit(part)

        every = scored(len(part.y))
        train = scores(part.y[every], self._answer(taken(part.X, every)), part.weights[every])
        valid = None if part.X_val is None or part.y_val is None else scores(part.y_val, self._answer(part.X_val))
        course = Course(epochs=1, best_epoch=None, early_stopped=False, history=history)
        return training_metrics(train, valid, course, time.perf_counter() - began)

    def _fit(self, part: Part) -> dict[str, list[float]]:
        """Learn; returns the best epoch of every member that has one, by its place."""
        members, fixed = [], {}
        history: dict[str, list[float]] = {}
        wanted = self._members()
        for one in wanted:
            fitted, metrics = learn(one, part)
            members.append(fitted)
            fixed[one.name] = fitted.model.final_config([metrics])
            history |= _history(f"members.{one.name}", metrics)
            tell(len(members), len(wanted), "members")
        meta = self._meta(part, members, fixed)
        if meta is not None:
            history |= _history(META, meta.metrics)
        fitted_meta = None if meta is None else meta.fitted
        self._known = _Known(tuple(members), fitted_meta, part.classes, tuple(part.X.shape[1:]))
        return history

    def predict(self, X: Inputs) -> PredictionOutput:
        """Probabilities of inputs shaped as in `fit`."""
        _checks.fitted(self, self._known)
        assert self._known is not None
        return PredictionOutput.from_probabilities(self._answer(_checks.answerable(self, X, self._known.shape)))

    def _answer(self, X: Single) -> Floats:
        assert self._known is not None
        return self._combined(_answers(self._known.members, X), self._known.meta)

    def save(self, path: Path) -> None:
        """`model.json`, and a folder for every member."""
        _checks.fitted(self, self._known)
        assert self._known is not None
        facts = {"config": self.config, "classes": self._known.classes, "shape": list(self._known.shape)}
        _files.write_facts(path, self._name(), facts)
        for member in self._known.members:
            member.save(path / "members" / member.name)
        if self._known.meta is not None:
            self._known.meta.save(path / META)

    def load(self, path: Path) -> None:
        """Read what `save` wrote.

        Raises:
            MissingFile, BrokenArtifact: files that are not there, or not what they should be.
        """
        facts = _files.read_facts(path, self._name(), ("config", "classes", "shape"))
        name, given, classes = type(self).__name__, facts["config"], facts["classes"]
        with _config.stored(path):
            if isinstance(given, dict):  # else refused below; the knobs depend on the members
                self._length = longest(specs(name, "members", given.get("members"), 0))
            self.config = _config.restored(self, facts, self.RANGES)
            self._check()
            shape = _config.sizes(name, "shape", facts["shape"], 2 if self.requires_sequences else 1)
        self._length = self.config.get("length")
        members = tuple(read(one, path / "members" / one.name) for one in self._members())
        meta = self._read_meta(path / META)
        for one in members if meta is None else (*members, meta):
            if one.model.config["classes"] != classes:
                found = f"says {classes} classes, and '{one.name}' has {one.model.config['classes']}"
                raise BrokenArtifact(path / _files.FACTS, found)
        self._known = _Known(members, meta, classes, shape)

    def _read_meta(self, folder: Path) -> Fitted | None:  # noqa: ARG002  # `Stacked` has one
        return None

    def get_feature_importance(self) -> dict[str, float] | None:
        """The mean over those members that have one, each as shares that sum to 1; what lies below 0 counts as 0."""
        if self._known is None:
            return None
        found = [member.model.get_feature_importance() for member in self._known.members]
        each = [np.maximum(list(one.values()), 0) for one in found if one]
        shares = [values / values.sum() for values in each if values.sum() > 0]
        return {str(at): float(value) for at, value in enumerate(np.mean(shares, axis=0))} if shares else None

    def final_config(self, folds: Sequence[TrainingMetrics]) -> dict[str, Any]:
        """The members with what each of them fixes from its own fits in the folds."""
        members = {one.name: _fixed(one, f"members.{one.name}", folds) for one in self._members()}
        return {"members": members}

    @classmethod
    def _name(cls) -> str:
        """The registered name, which is the file's."""
        return cls.__module__.rpartition(".")[2]


def _answers(members: Sequence[Fitted], X: Single) -> Floats:
    """(members, n, classes) probabilities."""
    return np.stack([member.probabilities(X) for member in members])


def _history(place: str, metrics: TrainingMetrics) -> dict[str, list[float]]:
    """A member's best epoch, and those of its own members."""
    own = {} if metrics.best_epoch is None else {f"{place}.best_epoch": [float(metrics.best_epoch)]}
    inner = {f"{place}.{name}": values for name, values in metrics.history.items() if name.endswith(".best_epoch")}
    return own | inner


def _fixed(one: Spec, place: str, folds: Sequence[TrainingMetrics]) -> dict[str, Any]:
    """A member's entry in the configuration, with the knobs that it fixes from the folds."""
    own = []
    for metrics in folds:
        history = {
            name.removeprefix(f"{place}."): values
            for name, values in metrics.history.items()
            if name.startswith(f"{place}.")
        }
        best = history.pop("best_epoch", None)
        own.append(replace(metrics, best_epoch=None if best is None else int(best[0]), history=history))
    return {"model": one.model, "config": {**one.config, **one.create().final_config(own)}}


# Stacking ----------------------------------------------------------------------------------------------------------

# Probabilities are not taken to be surer than this: one member's certainty must not outweigh all others' doubt.
SUREST = 1e-4


@dataclass(frozen=True)
class Taught:
    """A model fitted on answers out of fold, and how that went."""

    fitted: Fitted
    metrics: TrainingMetrics


def log_odds(answers: Floats) -> NDArray[np.float32]:
    """(n, members x (classes - 1)) log odds against class 0 from (members, n, classes) probabilities.

    What a logistic regression weighs them by is then a weighted logarithmic pool (Genest and Zidek 1986).

    >>> log_odds(np.array([[[0.5, 0.5], [0.2, 0.8]]])).round(2).tolist()
    [[0.0], [1.3899999856948853]]
    """
    sure = np.log(np.clip(answers, SUREST, 1.0))
    odds = (sure[:, :, 1:] - sure[:, :, :1]).transpose(1, 0, 2)
    flat: NDArray[np.float32] = odds.reshape(len(odds), -1).astype("float32")
    return flat


class Stacked(Ensemble):
    """An ensemble whose combination is learnt, from answers to rows that the members had not seen (Wolpert 1992).

    The rows are held out by inner folds, purged by their spans. Members are then fitted on all rows, and answer with
    what was learnt of them. In inner folds a member trains for as long as it found right on all rows.
    """

    @abstractmethod
    def _inner(self, spans: Spans, embargo: int) -> tuple[InnerFold, ...]:
        """What is held out, one fold after another."""

    def _check(self) -> None:
        super()._check()
        name = type(self).__name__
        if not EMBARGO.fullmatch(self.config["embargo"]):
            raise BadModelInput(
                name, f"embargo = {self.config['embargo']!r}", "It takes a time such as 30min, 4h or 1D"
            )
        if self._meta_spec().create().requires_sequences:
            raise BadModelInput(name, f"meta = {self.config['meta']!r} takes windows", "Name a model of single rows")

    def _meta_spec(self) -> Spec:
        return specs(type(self).__name__, "meta", {META: self.config["meta"]}, self.config["seed"])[0]

    def _meta(self, part: Part, members: Sequence[Fitted], fixed: Mapping[str, Any]) -> Taught:
        """Fitted on the members' answers out of fold; the validation rows' answers stop it early where it can stop.

        Raises:
            BadModelInput: no two classes are left to learn from.
        """
        rows, odds = self._out_of_fold(part, fixed)
        classes = len(np.unique(part.y[rows]))
        if classes < 2:
            found = f"{len(rows)} rows answered out of fold hold {classes} classes"
            raise BadModelInput(type(self).__name__, found, "Use more rows, fewer folds or less embargo")
        lesson = replace(part.take(rows), X=odds)
        if part.X_val is not None:
            lesson = replace(lesson, X_val=log_odds(_answers(members, part.X_val)), y_val=part.y_val)
        return Taught(*learn(self._meta_spec(), lesson))

    def _out_of_fold(self, part: Part, fixed: Mapping[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(m,) row numbers and the members' log odds for them."""
        # Without spans nothing says how long a label lasts; each row is then an instant, and an embargo of none.
        spans, embargo = part.spans, embargo_ns(self.config["embargo"])
        if spans is None:
            spans, embargo = in_order(len(part.y)), 0
        rows, odds = [np.empty(0, dtype="int64")], []
        wanted, folds = self._members(), self._inner(spans, embargo)
        for number, fold in enumerate(folds, start=1):
            inner = part.take(fold.train)
            if len(np.unique(inner.y)) < 2:
                log.warning("an inner fold of %d training rows holds one class alone: left out", len(inner.y))
                continue
            fitted = [learn(one, inner, fixed[one.name])[0] for one in wanted]
            rows.append(fold.test)
            odds.append(log_odds(_answers(fitted, taken(part.X, fold.test))))
            tell(number, len(folds), "inner folds")
        width = len(wanted) * (part.classes - 1)
        return np.concatenate(rows), np.concatenate(odds) if odds else np.empty((0, width), dtype="float32")

    def _combined(self, answers: Floats, meta: Fitted | None) -> Floats:
        assert meta is not None
        return meta.probabilities(log_odds(answers))

    def _read_meta(self, folder: Path) -> Fitted:
        return read(self._meta_spec(), folder)

    def final_config(self, folds: Sequence[TrainingMetrics]) -> dict[str, Any]:
        """The members, and what combines them, with what each fixes from its own fits in the folds."""
        return {**super().final_config(folds), "meta": _fixed(self._meta_spec(), META, folds)}
