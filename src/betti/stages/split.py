"""Stage 6, one item per target: which labelled rows train, validate and test, and which the purge takes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betti import splits

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["split"]


def split(labels: pd.DataFrame, *, scheme: str, **knobs: Any) -> pd.DataFrame:
    """A role for every labelled row in every fold: `timestamp`, `symbol`, `fold`, `role`.

    Raises:
        UnknownName, BadParam: the scheme or a knob does not exist, a value is out of range, or too few labels.
    """
    return splits.split(scheme, labels, **knobs)
