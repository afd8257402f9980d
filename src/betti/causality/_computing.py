"""A family on changed bars and in changed surroundings, as the pipeline would write it: what both checks compute with.

What does not belong here: how bars and surroundings are changed (`betti.probes`, `betti.releases`), and what a change
of a value means.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from betti import knobs as _knobs
from betti import releases
from betti.errors import BadInput, BettiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from betti.context import Context
    from betti.features import FeatureFamily

    Floats = NDArray[np.float32]

__all__ = ["WORK", "Computing", "ProbeFailed", "TooFewBars", "differs"]

WORK = "computations"  # what is told to who listens (`betti.progress`)


class TooFewBars(BadInput):
    """Fewer bars than the check of a family needs."""

    def __init__(self, family: str, found: int, needed: int, lookback: int) -> None:
        self.family, self.found, self.needed = family, found, needed
        super().__init__(
            f"{found} bars of one symbol are too few to check family '{family}', whose look-back is {lookback}: "
            f"give at least {needed}"
        )


class ProbeFailed(BettiError):
    """A family that raised while it was being checked."""

    def __init__(self, family: str, bars: str, cause: BaseException) -> None:
        self.family, self.cause = family, cause
        super().__init__(
            f"family '{family}' failed on {bars}: {type(cause).__name__}: {cause}. A family must take any bars in "
            "time order, and look nothing up outside them"
        )


@dataclass(frozen=True)
class Computing:
    """One family with its knobs and what surrounds the market.

    Attributes:
        family: any family, registered or not.
        values: its knobs, all of them and checked.
        warm_up: its look-back at these knobs, in bars.
        context: what surrounds the market; None for a family that does not look at it.
    """

    family: FeatureFamily
    values: Mapping[str, Any]
    warm_up: int
    context: Context | None

    @classmethod
    def of(
        cls,
        family: FeatureFamily,
        bars: pd.DataFrame,
        knobs: Mapping[str, Any] | None,
        context: Context | None,
        seed: int = 0,
    ) -> Computing:
        """With checked knobs; surroundings are made up for a family that takes them, where there are none.

        Without any, every column of such a family would stand still, and hold whatever is asked of it.

        Raises:
            UnknownName, BadParam: a knob does not exist, or a value is out of range.
        """
        values = _knobs.checked(family.function, knobs or {}, f"features.{family.name}")
        beside = None
        if family.takes_context:
            beside = context if context is not None else releases.around(bars, seed)
        return cls(family, values, family.lookback(**values), beside)

    def within(self, context: Context | None) -> Computing:
        """The same family in other surroundings."""
        return replace(self, context=context)

    def table(self, bars: pd.DataFrame, what: str) -> pd.DataFrame:
        """(rows, columns) in float32, as the pipeline would write them; `what` says which bars they are in an error.

        Raises:
            NotFinite: the family gave an infinity.
            ProbeFailed: the family raised.
        """
        try:
            return self.family.of_symbol(bars.reset_index(drop=True), self.warm_up, self.values, self.context)
        except BettiError:
            raise
        except Exception as cause:  # whatever a family does, its user learns on which bars
            raise ProbeFailed(self.family.name, what, cause) from cause


def differs(before: Floats, after: Floats) -> NDArray[np.bool_]:
    """Where two tables differ by one bit or more; NaN equals NaN."""
    found: NDArray[np.bool_] = (before != after) & ~(np.isnan(before) & np.isnan(after))
    return found
