"""Stage 5, one item per target: the answers, each with the span of bars it looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betti import labelling
from betti.slices import Slices

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["labels", "slices"]


def labels(clean: pd.DataFrame, *, kind: str, **knobs: Any) -> pd.DataFrame:
    """One target's label table; bars whose future is not all there have no row.

    Raises:
        UnknownName, BadParam: the kind or a knob does not exist, or a value is out of range.
    """
    return labelling.label(kind, clean, **knobs)


def slices(*, kind: str, **knobs: Any) -> Slices:
    """How far the target looks back and ahead."""
    back, ahead = labelling.reach(kind, **knobs)
    return Slices(back=back, ahead=ahead, modules=(f"betti.labelling.{kind}",))
