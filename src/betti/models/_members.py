"""The members of an ensemble: named in its configuration, made by the registry, each with inputs as it takes them.

A member of windows gets them in its own length, one of single rows the last row of them; one that needs scaling has a
scaler of its own, fitted on the rows it learns from. What does not belong here: how answers are combined
(`_ensemble.py` and the ensembles' own files).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from betti.errors import BadModelInput, BrokenArtifact
from betti.models import ModelRegistry
from betti.training.device import refuse_absent, resolve
from betti.training.scaling import Scaler, fit_scaler
from betti.windows import Windows

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from betti.models._protocol import BaseModel, Single, Spans, TrainingMetrics

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64] | slice

__all__ = ["Fitted", "Part", "Spec", "learn", "longest", "read", "specs", "taken", "trainable_here"]

# A member's name is its folder's.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
FORM = "It takes {model: a registered model, config: {its knobs}}"


# What the configuration says ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spec:
    """One member as the configuration names it.

    Attributes:
        name: its own.
        model: the registered one.
        config: its knobs; a `seed` among them stands for the ensemble's.
        seed: the ensemble's.
    """

    name: str
    model: str
    config: Mapping[str, Any]
    seed: int

    def create(self, classes: int = 0, fixed: Mapping[str, Any] | None = None) -> BaseModel:
        """A fresh model, with `fixed` in the place of its knobs.

        Raises:
            UnknownName, PartUnavailable, BadModelInput: as `ModelRegistry.create`.
        """
        return ModelRegistry.create(self.model, {"seed": self.seed, **self.config, **(fixed or {}), "classes": classes})


def specs(owner: str, knob: str, members: Any, seed: int) -> tuple[Spec, ...]:
    """The members that a knob names, in the order of their names, each made once to see that it can be.

    Their order is that of their names because what combines them goes by it, and a file may tell them in any order.

    Args:
        owner: the ensemble, for messages.
        knob: the knob, likewise.
        members: name -> {"model", "config"}; without a model the name says it, without a config it has its defaults.
        seed: the ensemble's.

    Raises:
        BadModelInput: no members, a name that names no folder, another form, `classes` in a config, or a model that
            takes several inputs or learns other label columns.
        UnknownName, PartUnavailable: as `ModelRegistry.create`.
    """
    if not isinstance(members, Mapping) or not members:
        raise BadModelInput(owner, f"{knob} = {members!r}", "Name at least one member")
    found = tuple(_spec(owner, f"{knob}.{name}", str(name), members[name], seed) for name in sorted(members, key=str))
    for one in found:
        model = one.create()
        if model.inputs or model.heads:
            what = "several inputs" if model.inputs else "other label columns than the class"
            raise BadModelInput(owner, f"{knob}.{one.name}: '{one.model}' takes {what}", "Run it by itself")
    return found


def _spec(owner: str, where: str, name: str, entry: Any, seed: int) -> Spec:
    if not NAME.fullmatch(name):
        raise BadModelInput(owner, f"member '{name}'", "Name it by letters, digits, _ and -")
    if not isinstance(entry, Mapping) or set(entry) - {"model", "config"}:
        raise BadModelInput(owner, f"{where} = {entry!r}", FORM)
    model, config = entry.get("model", name), entry.get("config", {})
    if not isinstance(model, str) or not isinstance(config, Mapping):
        raise BadModelInput(owner, f"{where} = {entry!r}", FORM)
    if "classes" in config:
        raise BadModelInput(owner, f"{where}.config.classes = {config['classes']!r}", "The target says how many")
    return Spec(name, model, config, seed)


def longest(members: tuple[Spec, ...]) -> int | None:
    """Rows in the longest window that a member takes; None where all take single rows."""
    made = [member.create() for member in members]
    return max((int(model.config["length"]) for model in made if model.requires_sequences), default=None)


def trainable_here(model: BaseModel) -> None:
    """Refuse a model that needs a device which this machine does not have, or that has a member which does.

    Not when it is made: a model that was trained on a GPU still answers where there is none.

    Raises:
        BadModelInput: a device, a precision or a number of devices that is not to be had here.
    """
    config = model.config
    if "device" in config:
        refuse_absent(resolve(config["device"]), config.get("precision", "32"), config.get("devices", 1))
    for knob, block in (("members", config.get("members")), ("meta", config.get("meta"))):
        if block is not None:
            named = block if knob == "members" else {knob: block}
            for one in specs(type(model).__name__, knob, named, config["seed"]):
                trainable_here(one.create())


# Fitting and answering ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """Rows to learn from, checked, and validation rows where there are any.

    Attributes:
        X: (n, features), or (n, length, features) as an array or `Windows`.
        y: (n,) int64 classes.
        weights: (n,) positive.
        spans: (start, end) of each row in nanoseconds since 1970, or None.
        classes: how many there are.
        X_val: validation inputs, or None.
        y_val: their classes, or None.
    """

    X: Single
    y: NDArray[np.int64]
    weights: Floats
    spans: Spans | None
    classes: int
    X_val: Single | None = None
    y_val: NDArray[np.int64] | None = field(default=None)

    def take(self, rows: NDArray[np.int64]) -> Part:
        """Fewer rows, and no validation rows."""
        spans = None if self.spans is None else (self.spans[0][rows], self.spans[1][rows])
        return Part(taken(self.X, rows), self.y[rows], self.weights[rows], spans, self.classes)


@dataclass(frozen=True)
class Fitted:
    """A fitted member, and the scaler of the rows it learnt from where it needs one."""

    name: str
    model: BaseModel
    scaler: Scaler | None

    def probabilities(self, X: Single) -> Floats:
        """(n, classes) for the ensemble's inputs."""
        return self.model.predict(_scaled(_suited(self.model, X), self.scaler)).class_probabilities

    def save(self, folder: Path) -> None:
        """Write the model's own files, and its scaler, into a folder of its own."""
        self.model.save(folder)
        if self.scaler is not None:
            self.scaler.save(folder)


def learn(member: Spec, part: Part, fixed: Mapping[str, Any] | None = None) -> tuple[Fitted, TrainingMetrics]:
    """Fit a fresh member; `fixed` stands in the place of its knobs."""
    model = member.create(part.classes, fixed)
    scaler = fit_scaler(model.model_family, _decisions(part.X)) if model.requires_scaling else None
    seen = _scaled(_suited(model, part.X), scaler)
    unseen = None if part.X_val is None else _scaled(_suited(model, part.X_val), scaler)
    metrics = model.fit(seen, part.y, unseen, part.y_val, sample_weights=part.weights, spans=part.spans)
    return Fitted(member.name, model, scaler), metrics


def read(member: Spec, folder: Path) -> Fitted:
    """What `Fitted.save` wrote.

    Raises:
        MissingFile, BrokenArtifact: files that are not there, or not what they should be.
    """
    model = member.create()
    model.load(folder)
    scaler = Scaler.load(folder)
    if model.requires_scaling and scaler is None:
        raise BrokenArtifact(folder, "has no scaler, and its model needs one")
    return Fitted(member.name, model, scaler)


def taken(X: Single, rows: Rows) -> Single:
    """Fewer of the inputs; a matrix of windows is shared."""
    return X.take(rows) if isinstance(X, Windows) else X[rows]


def _decisions(X: Single) -> NDArray[np.float32]:
    """(n, features): the row that each answer is given at."""
    if isinstance(X, Windows):
        return X.values[X.ends]
    return X[:, -1] if X.ndim == 3 else X


def _suited(model: BaseModel, X: Single) -> Single:
    """Inputs as this member takes them."""
    if not model.requires_sequences:
        return _decisions(X)
    length = int(model.config["length"])
    return Windows(X.values, X.ends, length) if isinstance(X, Windows) else X[:, -length:]


def _scaled(X: Single, scaler: Scaler | None) -> Single:
    if scaler is None:
        return X
    if isinstance(X, Windows):
        return Windows(scaler.transform(X.values), X.ends, X.length)
    return scaler.transform(X)
