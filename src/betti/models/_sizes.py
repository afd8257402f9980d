"""How large a model is before it has seen any data: its inputs' shapes, its network's parameters, the memory of a fit.

A model that takes whatever columns its run has is looked at with `COLUMNS` of them. What does not belong here: the
estimate itself (`betti.training.footprint`), and data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.errors import BadModelInput, UnknownName
from betti.training import footprint

if TYPE_CHECKING:
    from torch import Tensor, nn

    from betti.models._protocol import BaseModel
    from betti.training.footprint import Footprint

__all__ = ["CLASSES", "COLUMNS", "ONE", "expected", "network", "shapes"]

COLUMNS = 50  # of a model that takes any
CLASSES = (3, 2)  # of a target; a model may take one of these alone
ONE = "X"  # the name of the only input, as `_torch.Shape` has it


def shapes(model: BaseModel, columns: int = COLUMNS) -> dict[str, tuple[int, ...]]:
    """Shape of one row of each input: (features,) or (length, features); the only one is called "X".

    Raises:
        UnknownName: an input names a feature set that is not declared.
    """
    from betti import features

    if not model.inputs:
        length = (int(model.config["length"]),) if model.requires_sequences else ()
        return {ONE: (*length, columns)}
    declared = features.sets()
    found: dict[str, tuple[int, ...]] = {}
    for name, one in model.inputs.items():
        if one.set not in declared:
            raise UnknownName(f"feature set of input {name}:", one.set, declared)
        width = len(declared[one.set].columns)
        found[name] = (width,) if one.length is None else (one.length, width)
    return found


def network(model: BaseModel, columns: int = COLUMNS) -> nn.Module | None:
    """The network that the model would train on so many columns, for three classes where it takes those.

    None for a model without a network.

    Raises:
        BadModelInput: it takes neither three classes nor two.
    """
    from betti.models._torch import Shape, TorchModel

    if not isinstance(model, TorchModel):
        return None
    *others, last = CLASSES
    own = shapes(model, columns)
    for classes in others:
        try:
            return model.network(Shape(own, classes))
        except BadModelInput:
            continue
    return model.network(Shape(own, last))


def expected(model: BaseModel, name: str, rows: int, columns: int = COLUMNS) -> Footprint | None:
    """What a fit on so many rows is expected to take on the CPU; None for a model that nothing is known of.

    Args:
        model: with the run's knobs.
        name: it is registered under.
        rows: training and validation rows together.
        columns: of the run's feature set; those of named inputs are the model's own.
    """
    from betti.models._torch import TorchModel

    built = network(model, columns)
    if built is None or not isinstance(model, TorchModel):
        return _trees(model, name, rows, columns)
    own = shapes(model, columns)
    whole = sum(shape[-1] for shape in own.values()) * rows * 4  # windows are views: a row lies there once
    batch = int(model.config["batch_size"]) // int(model.config.get("accumulate", 1))
    return footprint.of_network(built, lambda few: model.call(built, _batch(own, few)), max(batch, 1), inputs=whole)


def _batch(own: dict[str, tuple[int, ...]], rows: int) -> Tensor | dict[str, Tensor]:
    """Random numbers of these shapes, from a generator of their own."""
    import torch

    source = torch.Generator().manual_seed(0)
    made = {name: torch.randn(rows, *shape, generator=source) for name, shape in own.items()}
    return made[ONE] if set(made) == {ONE} else made


def _trees(model: BaseModel, name: str, rows: int, columns: int) -> Footprint | None:
    if name not in footprint.FACTORS:
        return None
    leaves = model.config.get("num_leaves") or 2 ** int(model.config.get("max_depth") or model.config.get("depth") or 6)
    return footprint.of_trees(name, rows, columns, leaves=int(leaves), classes=CLASSES[0])
