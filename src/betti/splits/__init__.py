"""Splits: one file = one scheme that turns label spans into folds, registered by being in this folder.

A scheme module offers `split(labels, *, ...knobs) -> pd.DataFrame` with the columns of `betti.schemas.FOLDS`. Every
labelled row has a role in every fold, so that a purge can be seen and counted. `purge.py` is the exception: it is the
wall all schemes share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betti import knobs as _knobs
from betti.discovery import Folder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FOLDER", "split"]

FOLDER = Folder("betti.splits", kind="split scheme", helpers=("purge",))


def split(scheme: str, labels: pd.DataFrame, /, **knobs: Any) -> pd.DataFrame:
    """Folds over labelled rows: `timestamp`, `symbol`, `fold`, `role`.

    Args:
        scheme: a file in `betti/splits`: "walk_forward", "combinatorial", "three_way".
        labels: a label table; only its key and span columns are read. For a model that learns several labels, the
            union of their spans (`betti.splits.purge.union_of_spans`).
        **knobs: the scheme's own, checked against its signature.

    Returns:
        One row per label and fold, by fold, symbol and time. `symbol` and `role` are categorical and `fold` is int16,
        because there may be many folds of many rows; what is written has the types of the schema.

    Raises:
        UnknownName, BadParam: the scheme or a knob does not exist, or a value is out of range.
        BadParam: the labels are too few for the folds asked for.
    """
    module = FOLDER.load(scheme)
    table: pd.DataFrame = module.split(labels, **_knobs.checked(module.split, knobs, "split"))
    return table
