"""How large a model is before it has seen any data: its inputs' shapes, its network's parameters, the memory of a fit.

A model that takes whatever columns its run has is looked at with `COLUMNS` of them. What does not belong here: the
estimate itself (`betti.training.estimates`), and data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.errors import UnknownName
from betti.training import estimates
from betti.training.estimates import CLASSES, ONE

if TYPE_CHECKING:
    from torch import nn

    from betti.models._protocol import BaseModel
    from betti.training.footprint import Footprint

__all__ = ["CLASSES", "COLUMNS", "ONE", "expected", "network", "shapes"]

COLUMNS = 50  # of a model that takes any


def shapes(model: BaseModel, columns: int = COLUMNS) -> dict[str, tuple[int, ...]]:
    """Shape of one row of each input: (features,) or (length, features); the only one is called "X".

    Raises:
        UnknownName: an input names a feature set that is not declared.
    """
    from betti import features

    if not model.inputs:
        return dict(estimates.one_input(model, columns))
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
    return estimates.network(model, shapes(model, columns))


def expected(model: BaseModel, name: str, rows: int, columns: int = COLUMNS) -> Footprint | None:
    """What a fit on so many rows is expected to take on the CPU; None for a model that nothing is known of.

    Args:
        model: with the run's knobs.
        name: it is registered under.
        rows: training and validation rows together.
        columns: of the run's feature set; those of named inputs are the model's own.
    """
    return estimates.expected(model, name, rows, shapes(model, columns))
