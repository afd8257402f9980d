"""Blending (Toscher, Jahrer and Bell 2009): a model learns from the members' answers to the last, held-out rows.

Cheaper than stacking, which holds out one block after another, and closer to the present; it learns from fewer rows.
Members are fitted again on all rows afterwards. What does not belong here: members and combination (`_ensemble.py`),
and which rows may teach (`betti.training.inner_folds`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from betti.models import ModelRegistry
from betti.models._ensemble import DEFAULT_MEMBERS, SMALL_MEMBERS, Stacked
from betti.models._search import Real
from betti.training.inner_folds import holdout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from betti.models._checks import Bounds
    from betti.models._protocol import Spans
    from betti.models._search import Choice
    from betti.training.inner_folds import InnerFold

__all__ = ["Blending"]

BOUNDS: Bounds = {"holdout": (0.01, 0.9)}


@ModelRegistry.register("blending", family="ensemble", description="a model over members' answers to held-out rows")
class Blending(Stacked):
    """Members combined by a model that learnt from the last part of the training rows."""

    RANGES = BOUNDS
    SMALL: ClassVar[Mapping[str, Any]] = {"members": SMALL_MEMBERS}
    SEARCH: ClassVar[Mapping[str, Choice]] = {"holdout": Real(0.1, 0.5)}

    def _knobs(self) -> dict[str, Any]:
        return {
            "members": DEFAULT_MEMBERS,  # name: {model, config}; without a model the name says it
            "meta": {"model": "logistic"},  # what combines them: a model of single rows
            "holdout": 0.2,  # share of the training stretch, by time, that members answer for
            "embargo": "1D",  # between what members learn from and what they answer for; 30min, 4h, 1D
        }

    def _inner(self, spans: Spans, embargo: int) -> tuple[InnerFold, ...]:
        return holdout(spans, self.config["holdout"], embargo)
