"""The conditioning system: what a market's regime and its remembered patterns say, as one context for modulation.

What does not belong here: the parts themselves, and the network that is conditioned (`betti.networks.hrm`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from betti.errors import BadModelInput
from betti.networks.conditioning.config import ConditioningConfig
from betti.networks.conditioning.film import FiLMLayer
from betti.networks.conditioning.patterns import PatternRAG
from betti.networks.conditioning.regime import RegimeClassifier

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ConditioningSystem"]

NAME = "ConditioningSystem"
MIXED = 64


class ConditioningSystem(nn.Module):
    """Features of B bars to a context (B, context_dim), which `film_layer` turns into gamma and beta.

    Each path adds its context; with `enable_hybrid` a learnt map of both is added where both answered. A path that is
    off is not run and adds nothing. It fails open: retrieval without an answer, and rows with a number that is not
    finite, add nothing either, and the rest works on. With its defaults it has 205,321 parameters.

    Attributes:
        regime_classifier: (B, input_dim) to regimes.
        pattern_rag: (B, pattern_dim) to contexts.
        film_layer: contexts to modulations.
        enable_regime: whether the regime conditions; the flags may be set at any time.
        enable_rag: whether patterns do.
        enable_hybrid: whether the two are mixed.
        timeout_ms: how long retrieval may take; None for as long as it takes.
    """

    def __init__(self, config: ConditioningConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ConditioningConfig()
        width, rag = config.film.context_dim, config.rag
        self.regime_classifier = RegimeClassifier(config.regime.input_dim, config.regime.num_regimes)
        self.regime_contexts = nn.Linear(config.regime.num_regimes, width, bias=False)
        self.pattern_rag = PatternRAG(
            rag.pattern_dim,
            width,
            outcome_dim=rag.outcome_dim,
            max_patterns=rag.max_patterns,
            neighbours=rag.neighbours,
            index=rag.index,
        )
        self.mixture = nn.Sequential(nn.Linear(2 * width, MIXED), nn.GELU(), nn.Linear(MIXED, width))
        self.film_layer = FiLMLayer(width, config.film.target_dim, config.film.rank)
        self.enable_regime, self.enable_rag = config.enable_regime, config.enable_rag
        self.enable_hybrid = config.enable_hybrid
        self.timeout_ms: float | None = rag.timeout_ms or None

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """The context of each bar; zeros where no path is on or none answered.

        Args:
            features: `regime_features` (B, 20), as `against_own_past` gives them, and `pattern_features` (B, 128);
                those of a path that is off may be absent. `as_of` (B,) int64 may say when each bar is asked about, in
                the pattern library's unit of time; without it, all of the library is seen.

        Raises:
            BadModelInput: features of an enabled path are absent or of another width, or numbers of rows differ.
        """
        rows, like = self._checked(features)
        regime = self._regime_context(features["regime_features"]) if self.enable_regime else None
        patterns = None
        if self.enable_rag:
            patterns = self.pattern_rag(features["pattern_features"], self.timeout_ms, features.get("as_of"))
        context = like.new_zeros((rows, self.config.film.context_dim), dtype=torch.float32)
        for part in (regime, patterns):
            if part is not None:
                context = context + part
        if self.enable_hybrid and regime is not None and patterns is not None:
            context = context + self.mixture(torch.cat([regime, patterns], dim=1))
        return context

    def _regime_context(self, features: Tensor) -> Tensor:
        finite = torch.isfinite(features).all(dim=1, keepdim=True)
        # Before the network: NaN times 0 is NaN, in the gradient as well.
        logits = self.regime_classifier(torch.where(finite, features, 0.0))
        context: Tensor = self.regime_contexts(logits.softmax(dim=1))
        return context * finite

    def _checked(self, features: Mapping[str, Tensor]) -> tuple[int, Tensor]:
        """How many rows there are, and a tensor on their device."""
        wanted = {"regime_features": self.config.regime.input_dim, "pattern_features": self.config.rag.pattern_dim}
        needed = {"regime_features": self.enable_regime, "pattern_features": self.enable_rag}
        for name, width in wanted.items():
            if name not in features and needed[name]:
                raise BadModelInput(NAME, f"no {name}", f"Give (B, {width}), or switch its path off")
            if name in features and (features[name].ndim != 2 or features[name].shape[1] != width):
                raise BadModelInput(NAME, f"{name} of {tuple(features[name].shape)}", f"It takes (B, {width})")
        counts = {name: len(part) for name, part in features.items()}
        if len(set(counts.values())) != 1:
            raise BadModelInput(NAME, f"rows by name: {counts or 'none'}", "Give features of the same bars")
        return next((len(part), part) for part in features.values())
