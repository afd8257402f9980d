"""Stage 3, one item per family: features of the clean bars. The formulas belong to `betti.features`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betti import features as families
from betti import knobs as _knobs
from betti.slices import Slices

if TYPE_CHECKING:
    import pandas as pd

    from betti.context import Context

__all__ = ["features", "slices"]


def features(clean: pd.DataFrame, context: Context | None, *, family: str, **knobs: Any) -> pd.DataFrame:
    """One family's table: `timestamp`, `symbol`, float32 columns; a row for every bar, NaN while it warms up.

    Args:
        clean: columns as in `betti.schemas.BARS`.
        context: what surrounds the markets; only families that look at it are given it.
        family: its name.
        **knobs: its own.

    Raises:
        UnknownName, BadParam: the family or a knob does not exist, or a value is out of range.
    """
    return families.compute(family, clean, context, **knobs)


def slices(*, family: str, **knobs: Any) -> Slices:
    """How far back the family looks."""
    found = families.family(family)
    values = _knobs.checked(found.function, knobs, f"features.{family}")
    return Slices(
        back=found.lookback(**values), ahead=0, modules=found.modules(**values), takes_context=found.takes_context
    )
