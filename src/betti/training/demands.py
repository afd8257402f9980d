"""What a model demands of its run: columns of the feature set for its inputs, label columns for its heads.

Each demand that the run does not meet is a typed error that names the run, the model, what is missing, and what has it.
What does not belong here: taking the columns (`inputs.py`, `prepare.py`), declaring sets (`betti.features`).
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING

from betti.errors import BadInput, BadParam, UnknownName
from betti.training.manifest import InputFacts
from betti.training.scaling import ONLY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from betti.features._sets import FeatureSet
    from betti.models._protocol import BaseModel

__all__ = ["MissingHeads", "MissingInputs", "input_facts", "refuse_missing_heads", "refuse_pruning"]

MOST_NAMES = 8


class MissingInputs(BadInput):
    """A feature set without columns that inputs of the model are made of; `needed` names the sets of all inputs."""

    def __init__(
        self, run: str, model: str, feature_set: str, absent: Mapping[str, Sequence[str]], needed: Sequence[str]
    ) -> None:
        self.run, self.model, self.absent = run, model, dict(absent)
        lacks = "; ".join(f"{len(names)} of '{name}': {_some(names)}" for name, names in absent.items())
        fitting = _sets_with(needed)
        remedy = f"Use the set {' or '.join(fitting)}" if fitting else "Use a set with them"
        super().__init__(
            f"run '{run}': the model '{model}' takes columns that the feature set '{feature_set}' lacks: {lacks}. "
            f"{remedy}, or list them under `sets` in params.yaml"
        )


class MissingHeads(BadInput):
    """A target without label columns that heads of the model learn."""

    def __init__(self, run: str, model: str, target: str, absent: Sequence[str], wanted: Sequence[str]) -> None:
        self.run, self.model, self.target, self.absent = run, model, target, tuple(absent)
        fitting = _targets_with(wanted)
        remedy = f"Targets of the kind {' or '.join(fitting)} have them" if fitting else "No registered target has them"
        super().__init__(
            f"run '{run}': the model '{model}' learns {', '.join(wanted)} beside the class, and the labels of "
            f"'{target}' have no {', no '.join(absent)}. {remedy}"
        )


def input_facts(
    run: str, model: str, prototype: BaseModel, feature_set: str, columns: tuple[str, ...]
) -> dict[str, InputFacts]:
    """The inputs of a run's model, out of the columns that its set has.

    Args:
        run: its name, for the error.
        model: the model's name, likewise.
        prototype: the model with the run's knobs.
        feature_set: the set's name.
        columns: the set's columns, in order.

    Returns:
        Input name -> set, columns and length; of a model of one input the name `ONLY` -> the whole set.

    Raises:
        MissingInputs: an input's set has columns that these are not.
        UnknownName: an input names a set that is not declared.
    """
    if not prototype.inputs:
        length = int(prototype.config["length"]) if prototype.requires_sequences else None
        return {ONLY: InputFacts(set=feature_set, columns=columns, length=length)}
    found: dict[str, InputFacts] = {}
    absent: dict[str, list[str]] = {}
    for name, spec in prototype.inputs.items():
        chosen: list[str] = []
        for pattern in _declared(spec.set).columns:
            matching = [column for column in columns if fnmatchcase(column, pattern)]
            if not matching:
                absent.setdefault(spec.set, []).append(pattern)
            chosen += [column for column in matching if column not in chosen]
        found[name] = InputFacts(set=spec.set, columns=tuple(chosen), length=spec.length)
    if absent:
        raise MissingInputs(run, model, feature_set, absent, [spec.set for spec in prototype.inputs.values()])
    return found


def refuse_missing_heads(run: str, model: str, prototype: BaseModel, target: str, columns: Sequence[str]) -> None:
    """Refuse a target whose labels lack a column that the model learns.

    Raises:
        MissingHeads: names them, and the targets that have them.
    """
    absent = [name for name in prototype.heads if name not in columns]
    if absent:
        raise MissingHeads(run, model, target, absent, prototype.heads)


def refuse_pruning(run: str, model: str, prototype: BaseModel, prune: float | None) -> None:
    """Refuse to leave out columns of a model whose inputs have fixed ones.

    Raises:
        BadParam: `prune` is set and the model takes several inputs.
    """
    if prune is not None and prototype.inputs:
        found = f"the model '{model}' takes all columns of its inputs {', '.join(prototype.inputs)}; leave `prune` out"
        raise BadParam(f"runs.{run}.prune", prune, found)


def _declared_sets() -> Mapping[str, FeatureSet]:
    # Named as text: an edit of any set would make every run stale. A network's set is declared as its inputs' sets put
    # together, so that an edit of one of these changes the run's own table, which does.
    sets: Mapping[str, FeatureSet] = import_module("betti.features._sets").SETS
    return sets


def _declared(name: str) -> FeatureSet:
    sets = _declared_sets()
    if name not in sets:
        raise UnknownName("feature set", name, sets)
    return sets[name]


def _sets_with(needed: Sequence[str]) -> list[str]:
    """Declared sets that have every column of these sets, the two smallest."""
    wanted = {column for name in needed for column in _declared(name).columns}
    fitting = [one for one in _declared_sets().values() if wanted <= set(one.columns)]
    return [f"'{one.name}'" for one in sorted(fitting, key=lambda one: len(one.columns))[:2]]


def _targets_with(columns: Sequence[str]) -> list[str]:
    """Kinds of targets whose labels have all of these columns."""
    # Named as text: this is the wording of an error, on which no result depends.
    folder = import_module("betti.labelling").FOLDER
    return [name for name, module in folder.loaded() if set(columns) <= set(module.COLUMNS)]


def _some(names: Sequence[str]) -> str:
    rest = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")
