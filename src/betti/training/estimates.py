"""How much memory a fit of a model should take, before it begins: which estimate of `footprint.py` is a model's own.

What does not belong here: the estimates, and how wide a model's inputs are (`betti.models._sizes`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from betti.errors import BadModelInput
from betti.training import footprint

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from betti.models._protocol import BaseModel
    from betti.training.footprint import Footprint

__all__ = ["CLASSES", "ONE", "Shapes", "expected", "is_network", "network", "one_input", "weighed"]

CLASSES = (3, 2)  # of a target; a model may take one of these alone
ONE = "X"  # the name of the only input, as `_torch.Shape` has it
# Input -> shape of one row of it: (features,) or (length, features).
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]


def is_network(model: BaseModel) -> bool:
    """Whether it is a torch model: where their shell was never imported it is none, and torch need not be."""
    shell = sys.modules.get("betti.models._torch")
    return shell is not None and isinstance(model, shell.TorchModel)


def one_input(model: BaseModel, columns: int) -> Shapes:
    """Of a model of one input, given so many columns."""
    length = (int(model.config["length"]),) if model.requires_sequences else ()
    return {ONE: (*length, columns)}


def network(model: BaseModel, shapes: Shapes) -> nn.Module | None:
    """The network that the model would train on these shapes, for three classes where it takes those.

    None for a model without a network.

    Raises:
        BadModelInput: it takes neither three classes nor two.
    """
    if not is_network(model):
        return None
    from betti.models._torch import Shape, TorchModel

    assert isinstance(model, TorchModel)
    *others, last = CLASSES
    for classes in others:
        try:
            return model.network(Shape(dict(shapes), classes))
        except BadModelInput:
            continue
    return model.network(Shape(dict(shapes), last))


def expected(model: BaseModel, name: str, rows: int, shapes: Shapes) -> Footprint | None:
    """What a fit on so many rows is expected to take on the CPU; None for a model that nothing is known of.

    Args:
        model: with the run's knobs.
        name: it is registered under.
        rows: training and validation rows together.
        shapes: of its inputs.
    """
    built = network(model, shapes)
    if built is None:
        return _without_a_network(model, name, rows, sum(shape[-1] for shape in shapes.values()))
    from betti.models._torch import TorchModel

    assert isinstance(model, TorchModel)
    whole = sum(shape[-1] for shape in shapes.values()) * rows * 4  # windows are views: a row lies there once
    batch = int(model.config["batch_size"]) // int(model.config.get("accumulate", 1))
    return footprint.of_network(built, lambda few: model.call(built, _batch(shapes, few)), max(batch, 1), inputs=whole)


def weighed(what: str, model: BaseModel, name: str, rows: int, columns: int) -> AbstractContextManager[None]:
    """Tell, around a fit, what it is expected to take and what it took; a network tells its own (`weighing.py`).

    Args:
        what: is fitted, for the log.
        model: with the run's knobs.
        name: it is registered under.
        rows: training and validation rows together.
        columns: of all its inputs.
    """
    if is_network(model):
        return nullcontext()
    return footprint.told(what, expected(model, name, rows, {ONE: (columns,)}), "cpu")


def _batch(shapes: Shapes, rows: int) -> Tensor | dict[str, Tensor]:
    """Random numbers of these shapes, from a generator of their own."""
    import torch

    source = torch.Generator().manual_seed(0)
    made = {name: torch.randn(rows, *shape, generator=source) for name, shape in shapes.items()}
    return made[ONE] if set(made) == {ONE} else made


def _without_a_network(model: BaseModel, name: str, rows: int, columns: int) -> Footprint | None:
    if "members" in model.config:
        return _of_members(model, rows, columns)
    if name == "logistic":
        return footprint.of_linear(rows, columns, classes=CLASSES[0])
    if name == "svm":
        own = sys.modules[type(model).__module__]
        drawn, cache = int(model.config["max_rows"]), own.CACHE_MB * 10**6
        return footprint.of_kernel(rows, columns, drawn=drawn, block=own.BLOCK, cache=cache)
    if name in footprint.FACTORS:
        config = model.config
        leaves = config.get("num_leaves") or 2 ** int(config.get("max_depth") or config.get("depth") or 6)
        return footprint.of_trees(name, rows, columns, leaves=int(leaves), classes=CLASSES[0])
    return None


def _of_members(model: BaseModel, rows: int, columns: int) -> Footprint | None:
    """The largest of an ensemble's members, which are fitted one after another, beside the rows they are given."""
    from betti.models._members import specs

    every = specs(type(model).__name__, "members", model.config["members"], int(model.config["seed"]))
    made = [(one.create(), one.model) for one in every]
    found = [expected(member, name, rows, one_input(member, columns)) for member, name in made]
    known = [one for one in found if one is not None]
    if not known:
        return None
    largest = max(known, key=lambda one: one.total)
    return replace(largest, inputs=largest.inputs + rows * columns * 4)
