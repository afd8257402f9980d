"""Stacked generalisation (Wolpert 1992): a model learns from the members' answers out of fold.

Inner folds walk forward through the training rows: each block is answered for by members that learnt from what had
ended before it. The first block has no answers, and teaches members alone. What does not belong here: members and
combination (`_ensemble.py`), folds (`betti.training.inner_folds`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from betti.models import ModelRegistry
from betti.models._ensemble import DEFAULT_MEMBERS, SMALL_MEMBERS, Stacked
from betti.models._search import Whole
from betti.training.inner_folds import walk_forward

if TYPE_CHECKING:
    from collections.abc import Mapping

    from betti.models._checks import Bounds
    from betti.models._protocol import Spans
    from betti.models._search import Choice
    from betti.training.inner_folds import InnerFold

__all__ = ["Stacking"]

BOUNDS: Bounds = {"folds": (1, 100)}


@ModelRegistry.register("stacking", family="ensemble", description="a model over members' answers out of inner folds")
class Stacking(Stacked):
    """Members combined by a model that learnt from inner walk-forward folds."""

    RANGES = BOUNDS
    SMALL: ClassVar[Mapping[str, Any]] = {"members": SMALL_MEMBERS, "folds": 3}
    SEARCH: ClassVar[Mapping[str, Choice]] = {"folds": Whole(2, 10)}

    def _knobs(self) -> dict[str, Any]:
        return {
            "members": DEFAULT_MEMBERS,  # name: {model, config}; without a model the name says it
            "meta": {"model": "logistic"},  # what combines them: a model of single rows
            "folds": 5,  # inner blocks that members answer for
            "embargo": "1D",  # between what an inner fold learns from and what it answers for; 30min, 4h, 1D
        }

    def _inner(self, spans: Spans, embargo: int) -> tuple[InnerFold, ...]:
        return walk_forward(spans, self.config["folds"], embargo)
