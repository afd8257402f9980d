"""Retrieval: what followed the patterns most like the present one, as a context, in time or not at all.

Borgeaud et al. 2022 condition a network on retrieved neighbours likewise, and keep keys fixed, so that a library does
not have to be made again while the network learns. What does not belong here: finding neighbours (`index.py`), holding
patterns (`library.py`), time limits (`breaker.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from betti.errors import BadModelInput
from betti.networks.conditioning.breaker import Guard
from betti.networks.conditioning.index import Neighbours, VectorIndex, opened
from betti.networks.conditioning.library import PatternLibrary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from betti.networks.conditioning.library import Pattern

__all__ = ["PatternRAG"]

HIDDEN = 128


class PatternRAG(nn.Module):
    """Queries (B, pattern_dim) to contexts (B, context_dim), or None where no answer came in time.

    The neighbours' descriptions and outcomes are averaged with weights that fall with their distance (a softmax of the
    cosines at a learnt sharpness), and a small network makes the context of it. With its defaults it has 50,049
    parameters. The library is no part of the weights: it is saved beside them and grows while the network serves.

    Attributes:
        library: what is searched. Replace it by `update_pattern_library` or `use`.
    """

    def __init__(
        self,
        pattern_dim: int = 128,
        context_dim: int = 256,
        *,
        outcome_dim: int = 3,
        max_patterns: int = 10_000,
        neighbours: int = 8,
        index: VectorIndex | str = "auto",
        guard: Guard | None = None,
    ) -> None:
        """Start with an empty library.

        Args:
            pattern_dim: numbers of a query and of a pattern.
            context_dim: numbers of a context.
            outcome_dim: numbers of what followed a pattern.
            max_patterns: patterns held; beyond it the oldest go.
            neighbours: patterns averaged for an answer.
            index: how neighbours are found (`betti.networks.conditioning.index`).
            guard: what holds a search to its time.

        Raises:
            UnknownName: no such index.
            PartUnavailable: an index whose library is not installed.
        """
        super().__init__()
        self.pattern_dim, self.neighbours = pattern_dim, neighbours
        self.library = PatternLibrary.empty(pattern_dim, outcome_dim, max_patterns)
        self.guard = guard or Guard()
        self._index = opened(index, max_patterns) if isinstance(index, str) else index
        self.sharpness = nn.Parameter(torch.tensor([2.0]))  # as a logarithm
        self.encoder = nn.Sequential(
            nn.Linear(pattern_dim + outcome_dim + 1, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, context_dim)
        )
        self.context_dim = context_dim

    def update_pattern_library(self, patterns: Sequence[Pattern]) -> None:
        """Add patterns whose outcome is known now; the oldest go where they become too many.

        Raises:
            BadModelInput: a pattern of another width, or with a number that is not finite.
        """
        self.use(self.library.extended(patterns))

    def use(self, library: PatternLibrary) -> None:
        """Search this library from now on.

        Raises:
            BadModelInput: its patterns or outcomes have another width.
        """
        wanted = (self.library.features.shape[1], self.library.outcomes.shape[1])
        found = (library.features.shape[1], library.outcomes.shape[1])
        if found != wanted:
            raise BadModelInput("PatternRAG", f"a library of widths {found}", f"It takes {wanted}")
        self._index.prepare(library)
        self.library = library

    def forward(
        self, query_features: Tensor, timeout_ms: float | None = 60, as_of: Tensor | None = None
    ) -> Tensor | None:
        """The context of each query; None where it came too late, failed, or the library is empty.

        Args:
            query_features: (B, pattern_dim), scaled as the patterns are. A row with a number that is not finite gets a
                context of zeros, as one does that may see no pattern.
            timeout_ms: how long the search may take. None waits for as long as it takes and lets errors through: for
                training, whose result must not depend on the clock.
            as_of: (B,) int64, when each query is asked, in the library's unit of time; patterns known later are not
                seen. None asks now, when all of the library is known: for live use alone.
        """
        library = self.library
        if not len(library):
            return None
        finite = torch.isfinite(query_features).all(dim=1)
        queries = torch.where(finite[:, None], query_features, 0.0).detach().float()

        def search() -> Neighbours:
            with torch.no_grad():  # which holds for one thread alone
                return self._index.search(library, queries, as_of, self.neighbours)

        found = search() if timeout_ms is None else self.guard.ask(search, timeout_ms)
        return None if found is None else self._context(library, found) * finite[:, None]

    def _context(self, library: PatternLibrary, found: Neighbours) -> Tensor:
        """(B, context_dim) of what was found; zeros where that is nothing."""
        seen = found.rows >= 0
        rows = found.rows.clamp(min=0).cpu().numpy()
        device = found.rows.device
        features = torch.from_numpy(library.features[rows]).to(device)
        outcomes = torch.from_numpy(library.outcomes[rows]).to(device)
        scores = (self.sharpness.exp() * found.similarity).masked_fill(~seen, -1e9)
        weights = scores.softmax(dim=1)[..., None]
        nearest = torch.where(seen, found.similarity, 0.0).amax(dim=1, keepdim=True)
        mixed = torch.cat([(weights * features).sum(dim=1), (weights * outcomes).sum(dim=1), nearest], dim=1)
        context: Tensor = self.encoder(mixed)
        return context * seen.any(dim=1, keepdim=True)
