"""Fusing three encodings: complexity modulates the other two (FiLM), or all three stand side by side.

Perez et al. 2018, "FiLM: visual reasoning with a general conditioning layer", equations 1 and 2: a condition scales
(gamma) and shifts (beta) each feature. What does not belong here: the encoders (`nbeats.py`), tokens modulated by a
factored map (`betti.networks.conditioning`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ConcatFusion", "FiLMConditioningFusion", "FiLMGenerator", "FiLMLayer", "Fused", "Modulation"]

CONDITIONING = 256


class Modulation(NamedTuple):
    """What a condition makes of features: gamma (B, features) scales them, beta (B, features) shifts them."""

    gamma: Tensor
    beta: Tensor

    def of(self, features: Tensor) -> Tensor:
        """Gamma x features + beta, (B, features)."""
        return self.gamma * features + self.beta


@dataclass(frozen=True)
class Fused:
    """A fused encoding (B, output_dim), and what was done to its parts, by name; nothing where nothing modulates."""

    features: Tensor
    modulations: dict[str, Modulation] = field(default_factory=dict)


class FiLMGenerator(nn.Module):
    """(B, input_dim) to (B, output_dim): the condition, out of the encoded complexity.

    Args:
        input_dim: width of the encoded complexity.
        hidden_dim: width between the two layers.
        output_dim: width of the condition.
        dropout: between them.
    """

    def __init__(
        self, input_dim: int = 64, hidden_dim: int = 128, output_dim: int = CONDITIONING, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.generator = nn.Sequential(
            *(nn.Linear(input_dim, hidden_dim), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Linear(hidden_dim, output_dim), nn.ReLU()),
        )

    def forward(self, complexity: Tensor) -> Tensor:
        """(B, input_dim) to (B, output_dim)."""
        condition: Tensor = self.generator(complexity)
        return condition


class FiLMLayer(nn.Module):
    """Scale and shift features as a condition says; before training it leaves them as they are, to the bit.

    Args:
        feature_dim: features that are modulated.
        conditioning_dim: width of the condition.
    """

    def __init__(self, feature_dim: int, conditioning_dim: int = CONDITIONING) -> None:
        super().__init__()
        self.gamma_fc = nn.Linear(conditioning_dim, feature_dim)
        self.beta_fc = nn.Linear(conditioning_dim, feature_dim)
        for layer, start in ((self.gamma_fc, 1.0), (self.beta_fc, 0.0)):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, start)

    def modulation(self, conditioning: Tensor) -> Modulation:
        """What this condition, (B, conditioning_dim), does to the features."""
        return Modulation(self.gamma_fc(conditioning), self.beta_fc(conditioning))

    def forward(self, features: Tensor, conditioning: Tensor) -> Tensor:
        """(B, feature_dim) under (B, conditioning_dim) to (B, feature_dim)."""
        return self.modulation(conditioning).of(features)


class FiLMConditioningFusion(nn.Module):
    """Complexity modulates the bars' encoding, topology's, and what the first layer makes of both.

    Args:
        nbeats_dim: width of the bars' encoding.
        tda_dim: width of topology's.
        complexity_dim: width of complexity's.
        hidden_dim: width between the two layers.
        output_dim: width that goes out.
        dropout: after each layer.
        generator_hidden: width inside the generator of the condition.
        conditioning_dim: width of the condition.
    """

    def __init__(
        self,
        nbeats_dim: int = 1024,
        tda_dim: int = 256,
        complexity_dim: int = 64,
        hidden_dim: int = 512,
        output_dim: int = 256,
        dropout: float = 0.3,
        generator_hidden: int = 128,
        conditioning_dim: int = CONDITIONING,
    ) -> None:
        super().__init__()
        self.film_generator = FiLMGenerator(complexity_dim, generator_hidden, conditioning_dim)
        self.film_nbeats = FiLMLayer(nbeats_dim, conditioning_dim)
        self.film_tda = FiLMLayer(tda_dim, conditioning_dim)
        self.film_shared = FiLMLayer(hidden_dim, conditioning_dim)
        self.fc1 = nn.Linear(nbeats_dim + tda_dim, hidden_dim)
        self.norm1 = nn.LayerNorm(hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, output_dim)
        self.norm2 = nn.LayerNorm(output_dim)
        self.dropout = nn.Dropout(dropout)
        self.output_dim = output_dim

    @property
    def layers(self) -> dict[str, FiLMLayer]:
        """The modulated encodings' layers by name."""
        return {"nbeats": self.film_nbeats, "tda": self.film_tda, "shared": self.film_shared}

    def modulations(self, complexity_features: Tensor) -> dict[str, Modulation]:
        """What these (B, complexity_dim) do to each encoding: `nbeats`, `tda`, `shared`."""
        condition = self.film_generator(complexity_features)
        return {name: layer.modulation(condition) for name, layer in self.layers.items()}

    def fused(self, nbeats_features: Tensor, tda_features: Tensor, complexity_features: Tensor) -> Fused:
        """What `forward` gives, with the modulations that led to it."""
        by = self.modulations(complexity_features)
        both = torch.cat([by["nbeats"].of(nbeats_features), by["tda"].of(tda_features)], dim=1)
        hidden = self.dropout(functional.relu(self.norm1(self.fc1(both))))
        shared = by["shared"].of(hidden)
        return Fused(self.dropout(functional.relu(self.norm2(self.fc2(shared)))), by)

    def forward(self, nbeats_features: Tensor, tda_features: Tensor, complexity_features: Tensor) -> Tensor:
        """(B, nbeats_dim), (B, tda_dim) and (B, complexity_dim) to (B, output_dim)."""
        return self.fused(nbeats_features, tda_features, complexity_features).features


class ConcatFusion(nn.Module):
    """What FiLM is compared with: the three encodings side by side through two layers.

    Its norms scale and do not shift, which makes the 820,736 parameters of the published comparison.

    Args:
        nbeats_dim: width of the bars' encoding.
        tda_dim: width of topology's.
        complexity_dim: width of complexity's.
        hidden_dim: width between the two layers.
        output_dim: width that goes out.
        dropout: after each layer.
    """

    def __init__(
        self,
        nbeats_dim: int = 1024,
        tda_dim: int = 256,
        complexity_dim: int = 64,
        hidden_dim: int = 512,
        output_dim: int = 256,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        whole = nbeats_dim + tda_dim + complexity_dim
        self.layers = nn.Sequential(
            *(nn.Linear(whole, hidden_dim), nn.LayerNorm(hidden_dim, bias=False), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Linear(hidden_dim, output_dim), nn.LayerNorm(output_dim, bias=False), nn.ReLU(), nn.Dropout(dropout)),
        )
        self.output_dim = output_dim

    def fused(self, nbeats_features: Tensor, tda_features: Tensor, complexity_features: Tensor) -> Fused:
        """What `forward` gives; nothing modulates."""
        return Fused(self.layers(torch.cat([nbeats_features, tda_features, complexity_features], dim=1)))

    def forward(self, nbeats_features: Tensor, tda_features: Tensor, complexity_features: Tensor) -> Tensor:
        """(B, nbeats_dim), (B, tda_dim) and (B, complexity_dim) to (B, output_dim)."""
        return self.fused(nbeats_features, tda_features, complexity_features).features
