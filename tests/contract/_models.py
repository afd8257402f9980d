"""What the contract tests of models are made of: every model, small, and samples of what it takes and learns.

A model of one input gets noise of five columns; one of several gets what its `inputs` say, as wide as the declared sets
are. The class follows from the first column, which is one number all along a window and in every input alike: models
that look at the last row learn it, and those that take the mean of all. Answers of further heads are made by the label
column's name, so that they agree with the class as those of the target do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from betti import features, labelling
from betti.features._sets import declared
from betti.models import FOLDER, Answers, BaseModel, ModelRegistry
from betti.models._template import Template
from betti.windows import NamedInputs
from tests import documented, several

TEMPLATE = "template_under_test"
# The worked examples of docs/add-a-model.md, in the order of its blocks.
DOCUMENTED = ("centroid", "pooled")
ModelRegistry.register(TEMPLATE, family="classical", description="the copy-me model")(Template)
for number, example in enumerate(DOCUMENTED):
    documented.module("add-a-model.md", example, number)
# A file that does not import is told by name in test_layout.py, and keeps no other from being tested.
NAMES = [*(name for name, _ in FOLDER.loaded()), TEMPLATE, several.NAME, *DOCUMENTED]

FEATURES, ROWS = 5, 600
# Knobs that count passes over the rows, and how many are enough where nothing needs to be learnt.
PASSES = {"epochs": 2, "rounds": 5, "trees": 5}

Heads = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def _size(generator: np.random.Generator, y: np.ndarray) -> np.ndarray:
    return y + 0.5 * generator.normal(size=len(y))


def _score(generator: np.random.Generator, y: np.ndarray) -> np.ndarray:
    return np.tanh(y - y.mean() + 0.3 * generator.normal(size=len(y)))


def _same(_: np.random.Generator, y: np.ndarray) -> np.ndarray:
    return y.astype("float64")


def _never(_: np.random.Generator, y: np.ndarray) -> np.ndarray:
    return np.zeros(len(y))


def _where_one(value: float) -> Heads:
    return lambda _, y: np.where(y == 1, value, np.nan)


# What a label column says where the class is y: of the target `expansion`, one that fills the window or none.
HEADS: dict[str, Heads] = {
    "max_pct": _size,
    "score_7d": _score,
    "score_30d": _score,
    "direction_7d": _same,
    "direction_30d": _same,
    "side": _never,
    "start": _where_one(0.0),
    "end": _where_one(104.0),
    "type": lambda generator, y: np.where(y == 1, generator.integers(0, 3, len(y)), np.nan),
    "begun": _never,
    "ahead": _never,
    "censored": _never,
}


# Models ------------------------------------------------------------------------------------------------------------


def small(name: str) -> dict[str, Any]:
    """The knobs that make a model small; those that say how long it trains are not held back."""
    model = type(ModelRegistry.create(name))
    cpu = {"device": "cpu"} if "device" in ModelRegistry.get_model_info(name).default_config else {}
    return {**cpu, **model.SMALL}


def create(name: str, **knobs: Any) -> BaseModel:
    return ModelRegistry.create(name, {**small(name), **knobs})


def quick(name: str, **knobs: Any) -> BaseModel:
    """A small model that makes few passes."""
    few = {knob: most for knob, most in PASSES.items() if knob in create(name).config}
    return create(name, **{**few, **knobs})


@cache
def sequences(name: str) -> bool:
    return create(name).requires_sequences


@cache
def several_inputs(name: str) -> bool:
    return bool(create(name).inputs)


@cache
def class_counts(name: str) -> tuple[int, ...]:
    """How many classes the targets have that a model can learn: those with its heads, any without heads."""
    heads = set(create(name).heads)
    if not heads:
        return (2, 3)
    return tuple(sorted({module.CLASSES for _, module in labelling.FOLDER.loaded() if heads <= set(module.COLUMNS)}))


def with_knob(knob: str) -> list[str]:
    return [name for name in NAMES if knob in ModelRegistry.get_model_info(name).default_config]


@cache
def set_columns(feature_set: str) -> tuple[str, ...]:
    """The columns that a declared set has at default knobs."""
    every = [column for family in features.families().values() for column in family.columns]
    found = [column for pattern in declared(feature_set).columns for column in every if fnmatchcase(column, pattern)]
    return tuple(dict.fromkeys(found))


def width(feature_set: str) -> int:
    return len(set_columns(feature_set))


def columns_of(name: str) -> list[str]:
    """Every column that a model takes; a model of one input takes a few of any name."""
    inputs = create(name).inputs
    found = [column for spec in inputs.values() for column in set_columns(spec.set)]
    return list(dict.fromkeys(found)) or [f"f__{number}" for number in range(FEATURES)]


# Samples -----------------------------------------------------------------------------------------------------------


def take(X: Any, rows: Any) -> Any:
    return X.take(rows) if isinstance(X, NamedInputs) else X[rows]


def each_changed(X: Any, change: Callable[[np.ndarray], np.ndarray]) -> Iterator[Any]:
    """The inputs with one of them changed, each in turn."""
    if not isinstance(X, NamedInputs):
        yield change(X)
        return
    for name, part in X.items():
        yield NamedInputs({**X, name: change(part)})


def copied(X: Any) -> Any:
    return NamedInputs({name: part.copy() for name, part in X.items()}) if isinstance(X, NamedInputs) else X.copy()


def parts(X: Any) -> Mapping[str, np.ndarray]:
    return X if isinstance(X, NamedInputs) else {"": X}


@dataclass(frozen=True)
class Sample:
    """Inputs, classes, and what a model of further heads learns beside them."""

    X: Any
    classes: np.ndarray
    heads: Mapping[str, np.ndarray]

    @property
    def y(self) -> Any:
        return Answers(self.classes, self.heads) if self.heads else self.classes

    def part(self, rows: Any) -> Sample:
        heads = {name: values[rows] for name, values in self.heads.items()}
        return Sample(take(self.X, rows), self.classes[rows], heads)

    def taught(self, name: str, classes: np.ndarray, seed: int = 0) -> Sample:
        """The same inputs with other classes, and heads that agree with these."""
        return Sample(self.X, classes, made_heads(name, classes, seed))


def made_heads(name: str, classes: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed + 100)
    return {head: HEADS[head](generator, classes) for head in create(name).heads}


def made_inputs(name: str, rows: int, seed: int) -> tuple[Any, np.ndarray]:
    """Inputs of noise, and what their first columns hold."""
    generator, model = np.random.default_rng(seed), create(name)
    told = generator.normal(size=rows).astype("float32")
    found = {}
    for own, (columns, length) in shapes(model).items():
        part = generator.normal(size=(rows, columns) if length is None else (rows, length, columns)).astype("float32")
        part.T[0] = told
        found[own] = part
    return (NamedInputs(found) if model.inputs else found[""]), told


def shapes(model: BaseModel) -> dict[str, tuple[int, int | None]]:
    """Columns and length of each input; the only one of a model of one is called ""."""
    if model.inputs:
        return {own: (width(spec.set), spec.length) for own, spec in model.inputs.items()}
    return {"": (FEATURES, model.config["length"] if model.requires_sequences else None)}


def sample(name: str, classes: int | None = None, rows: int = ROWS, seed: int = 0) -> Sample:
    """Rows whose class follows from the first column of the last step, with noise; as many classes as it can learn."""
    X, told = made_inputs(name, rows, seed)
    y = classes_of(told + 0.4 * np.random.default_rng(seed + 1).normal(size=rows), classes or class_counts(name)[-1])
    return Sample(X, y, made_heads(name, y, seed))


def classes_of(signal: np.ndarray, classes: int) -> np.ndarray:
    return np.digitize(signal, [-0.5, 0.5] if classes == 3 else [0.3]).astype("int64")


def fitted(name: str, data: Sample, weights: np.ndarray | None = None, **knobs: Any) -> BaseModel:
    model = quick(name, **knobs)
    model.fit(data.X, data.y, None, None, sample_weights=weights)
    return model


# Scores and files --------------------------------------------------------------------------------------------------


def log_loss(y: np.ndarray, probabilities: np.ndarray) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(y)), y], 1e-15)).mean())


def prior_loss(train: np.ndarray, held_out: np.ndarray) -> float:
    share = np.bincount(train, minlength=3) / len(train)
    return log_loss(held_out, np.tile(share, (len(held_out), 1)))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
