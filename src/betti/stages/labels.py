"""Stage 5, one item per target: the answers, each with the span of bars it looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betti import labelling
from betti.slices import Slices

if TYPE_CHECKING:
    import pandas as pd

    from betti.context import Context

__all__ = ["labels", "slices"]


def labels(clean: pd.DataFrame, context: Context | None, *, kind: str, **knobs: Any) -> pd.DataFrame:
    """One target's label table; bars whose future is not all there have no row.

    Args:
        clean: columns as in `betti.schemas.BARS`.
        context: what surrounds the markets; only targets that look at it are given it.
        kind: a file in `betti/labelling`.
        **knobs: its own.

    Raises:
        UnknownName, BadParam: the kind or a knob does not exist, or a value is out of range.
    """
    return labelling.label(kind, clean, context, **knobs)


def slices(*, kind: str, **knobs: Any) -> Slices:
    """How far the target looks back and ahead."""
    back, ahead = labelling.reach(kind, **knobs)
    modules = (f"betti.labelling.{kind}",)
    return Slices(back=back, ahead=ahead, modules=modules, takes_context=labelling.takes_context(kind))
