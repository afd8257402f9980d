"""Stage 6, one item per target: which labelled rows train, validate and test, and which the purge takes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betti import splits
from betti.errors import BadParam

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["split"]


def split(labels: pd.DataFrame, *, scheme: str, **knobs: Any) -> pd.DataFrame:
    """A role for every labelled row in every fold: `timestamp`, `symbol`, `fold`, `role`.

    Raises:
        UnknownName, BadParam: the scheme or a knob does not exist, a value is out of range, too few labels, or a fold
            is left without a row to train on.
    """
    folds = splits.split(scheme, labels, **knobs)
    training = folds.loc[folds["role"] == "train", "fold"].unique()
    empty = sorted({*folds["fold"].unique().tolist()} - {*training.tolist()})
    if empty:
        found = f"fold {empty[0]} keeps no row to train on: those before its test rows are purged or lie in the embargo"
        raise BadParam("split.embargo", str(knobs.get("embargo")), f"{found}. Shorten it, ask for fewer folds")
    return folds
