"""Members' answers averaged: their probabilities (soft), or one vote each for the most probable class (hard).

A weighted linear pool of probabilities (Stone 1961), or of votes. What does not belong here: members (`_members.py`),
and combinations that are learnt (`stacking.py`, `blending.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from betti.errors import BadModelInput, UnknownName
from betti.models import ModelRegistry
from betti.models._ensemble import DEFAULT_MEMBERS, SMALL_MEMBERS, Ensemble
from betti.models._search import OneOf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from betti.models._checks import Bounds
    from betti.models._members import Fitted
    from betti.models._search import Choice

    Floats = NDArray[np.float64]

__all__ = ["Voting"]

BOUNDS: Bounds = {"voting": ("soft", "hard")}


@ModelRegistry.register("voting", family="ensemble", description="members' probabilities or votes, averaged")
class Voting(Ensemble):
    """A weighted mean of what the members say."""

    RANGES = BOUNDS
    SMALL: ClassVar[Mapping[str, Any]] = {"members": SMALL_MEMBERS}
    SEARCH: ClassVar[Mapping[str, Choice]] = {"voting": OneOf(("soft", "hard"))}

    def _knobs(self) -> dict[str, Any]:
        return {
            "members": DEFAULT_MEMBERS,  # name: {model, config}; without a model the name says it
            "voting": "soft",  # soft averages probabilities, hard counts each member's most probable class
            "weights": {},  # name: what a member counts; 1 where it is not named
        }

    def _check(self) -> None:
        super()._check()
        for name, weight in self.config["weights"].items():
            if name not in self.config["members"]:
                raise UnknownName("member in Voting's weights", str(name), self.config["members"])
            number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not number or not 0 <= weight < float("inf"):
                found = f"weights.{name} = {weight!r}"
                raise BadModelInput(type(self).__name__, found, "It takes a number that is not negative")
        if not self._weights().any():
            raise BadModelInput(type(self).__name__, "all weights are 0", "Let at least one member count")

    def _weights(self) -> Floats:
        """(members,), in the order of their names."""
        return np.array([float(self.config["weights"].get(name, 1.0)) for name in sorted(self.config["members"])])

    def _combined(self, answers: Floats, meta: Fitted | None) -> Floats:  # noqa: ARG002  # nothing is learnt
        voices = answers
        if self.config["voting"] == "hard":
            voices = np.eye(answers.shape[2])[answers.argmax(axis=2)]
        pooled: Floats = np.average(voices, axis=0, weights=self._weights())
        return pooled
