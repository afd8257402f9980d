"""Patterns that were seen, what followed each, and when that was known.

A library is a value: it does not change, so that a search never sees half an update. What does not belong here: finding
neighbours (`index.py`), and what a network makes of them (`patterns.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.errors import BadModelInput, BrokenArtifact, MissingFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Integers = NDArray[np.int64]

__all__ = ["Pattern", "PatternLibrary"]

FACTS, ARRAYS = "library.json", "library.safetensors"
REMEDY = "Name the folder that the library was saved into"


@dataclass(frozen=True)
class Pattern:
    """One pattern.

    Attributes:
        features: (pattern_dim,) its description, scaled as queries are.
        outcome: (outcome_dim,) what followed, such as a 1 at its class.
        known: when the outcome was known, in any one unit of time that queries use too; the end of the label's span.
    """

    features: Floats
    outcome: Floats
    known: int


@dataclass(frozen=True)
class PatternLibrary:
    """Patterns in the order they came.

    Attributes:
        features: (n, pattern_dim) float32.
        outcomes: (n, outcome_dim) float32.
        known: (n,) int64, when each outcome was known.
        serials: (n,) int64, ascending, the name of each for as long as it is held.
        most: patterns held; beyond it those known the longest go.
        given: patterns that ever came; the next one's serial.
    """

    features: Floats
    outcomes: Floats
    known: Integers
    serials: Integers
    most: int
    given: int

    @classmethod
    def empty(cls, pattern_dim: int, outcome_dim: int, most: int = 10_000) -> PatternLibrary:
        """A library without patterns.

        >>> library = PatternLibrary.empty(2, 1, most=2)
        >>> rows = [Pattern(np.full(2, day), np.ones(1), known=day) for day in (3, 1, 2)]
        >>> library.extended(rows).known.tolist()
        [3, 2]
        """
        features, outcomes = np.empty((0, pattern_dim), "float32"), np.empty((0, outcome_dim), "float32")
        return cls(features, outcomes, np.empty(0, "int64"), np.empty(0, "int64"), most, 0)

    def __len__(self) -> int:
        return len(self.known)

    def extended(self, patterns: Sequence[Pattern]) -> PatternLibrary:
        """This library with more patterns, and without the oldest where they are too many.

        Raises:
            BadModelInput: a pattern of another width, or with a number that is not finite.
        """
        if not patterns:
            return self
        widths = {(np.shape(one.features), np.shape(one.outcome)) for one in patterns}
        if len(widths) > 1:
            raise BadModelInput("PatternLibrary", f"patterns of {len(widths)} shapes", "Give patterns of one shape")
        return self.with_rows(
            np.stack([one.features for one in patterns]),
            np.stack([one.outcome for one in patterns]),
            np.array([one.known for one in patterns], dtype="int64"),
        )

    def with_rows(self, features: NDArray[Any], outcomes: NDArray[Any], known: Integers) -> PatternLibrary:
        """As `extended`, with many patterns as arrays: (m, pattern_dim), (m, outcome_dim) and (m,)."""
        self._check(features, outcomes, known)
        serials = np.arange(self.given, self.given + len(known), dtype="int64")
        whole = replace(
            self,
            features=np.concatenate([self.features, features.astype("float32")]),
            outcomes=np.concatenate([self.outcomes, outcomes.astype("float32")]),
            known=np.concatenate([self.known, known.astype("int64")]),
            serials=np.concatenate([self.serials, serials]),
            given=self.given + len(known),
        )
        if len(whole) <= self.most:
            return whole
        # Among those known at one time the ones that came first go.
        newest = np.sort(np.argsort(whole.known, kind="stable")[-self.most :])
        return whole._take(newest)

    def since(self, known: int) -> PatternLibrary:
        """Only patterns whose outcome was known at this time or later: how old ones expire by age."""
        return self._take(np.flatnonzero(self.known >= known))

    def _take(self, rows: Integers) -> PatternLibrary:
        return replace(
            self,
            features=self.features[rows],
            outcomes=self.outcomes[rows],
            known=self.known[rows],
            serials=self.serials[rows],
        )

    def _check(self, features: NDArray[Any], outcomes: NDArray[Any], known: Integers) -> None:
        wanted = [(len(known), self.features.shape[1]), (len(known), self.outcomes.shape[1])]
        found = [features.shape, outcomes.shape]
        if found != wanted:
            raise BadModelInput("PatternLibrary", f"features and outcomes of {found}", f"It takes {wanted}")
        if not (np.isfinite(features).all() and np.isfinite(outcomes).all()):
            raise BadModelInput("PatternLibrary", "a number that is not finite", "Leave such patterns out")

    def save(self, folder: Path) -> None:
        """Write `library.safetensors` and `library.json`; equal libraries give equal bytes."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
        save_file(arrays, folder / ARRAYS)
        text = json.dumps({"given": self.given, "most": self.most}, indent=1, sort_keys=True)
        (folder / FACTS).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> PatternLibrary:
        """Read what `save` wrote; nothing in the files is run.

        Raises:
            MissingFile: a file is not there.
            BrokenArtifact: a file is not what it should be.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        for path in (folder / FACTS, folder / ARRAYS):
            if not path.exists():
                raise MissingFile(path, REMEDY)
        try:
            facts = json.loads((folder / FACTS).read_bytes())
            most, given = int(facts["most"]), int(facts["given"])
        except (ValueError, KeyError, TypeError) as cause:
            raise BrokenArtifact(folder / FACTS, f"does not say `most` and `given`: {cause}") from cause
        try:
            arrays = load_file(folder / ARRAYS)
        except SafetensorError as cause:
            raise BrokenArtifact(folder / ARRAYS, f"is not a safetensors file: {cause}") from cause
        found = {name: (part.ndim, str(part.dtype)) for name, part in arrays.items()}
        if found != _ARRAYS or len({len(part) for part in arrays.values()}) != 1:
            raise BrokenArtifact(folder / ARRAYS, f"holds {found}")
        return cls(**arrays, most=most, given=given)


_ARRAYS = {
    "features": (2, "float32"),
    "outcomes": (2, "float32"),
    "known": (1, "int64"),
    "serials": (1, "int64"),
}
