"""Feature-wise linear modulation of tokens by a context, through a narrow map.

Another `FiLMLayer`, of single vectors and at full rank, stands in `betti.networks.film`. What does not belong here:
where the context comes from (`system.py`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["FiLMLayer", "Modulation"]


class Modulation(NamedTuple):
    """What a context makes of a token: gamma x token + beta, each (B, target_dim)."""

    gamma: Tensor
    beta: Tensor


class FiLMLayer(nn.Module):
    """Tokens (B, T, target_dim) times gamma plus beta, both a linear map of the context (B, context_dim).

    Perez et al. 2018, "FiLM: visual reasoning with a general conditioning layer", equation 2. The map is factored:
    context_dim to `rank` to 2 x target_dim. From 256 to 512 at rank 64 it has 83,008 parameters, where a full one has
    263,168. It starts as the identity, to the bit: the second factor's weights are 0, its bias gives gamma 1, beta 0.

    >>> layer = FiLMLayer(context_dim=4, target_dim=3, rank=2)
    >>> tokens = torch.arange(6.0).reshape(1, 2, 3)
    >>> torch.equal(layer(tokens, torch.ones(1, 4)), tokens)
    True
    """

    def __init__(self, context_dim: int = 256, target_dim: int = 512, rank: int = 64) -> None:
        super().__init__()
        self.context_dim, self.target_dim = context_dim, target_dim
        self.narrow = nn.Linear(context_dim, rank)
        self.wide = nn.Linear(rank, 2 * target_dim)
        nn.init.zeros_(self.wide.weight)
        with torch.no_grad():
            self.wide.bias[:target_dim] = 1
            self.wide.bias[target_dim:] = 0

    def get_params(self, context: Tensor) -> Modulation:
        """Gamma and beta of each context; (B, context_dim) to (B, target_dim) each."""
        gamma, beta = self.wide(self.narrow(context)).chunk(2, dim=-1)
        return Modulation(gamma, beta)

    def forward(self, l_tokens: Tensor, context: Tensor) -> Tensor:
        """(B, T, target_dim) tokens and (B, context_dim) context to modulated tokens of the same shape."""
        return modulated(l_tokens, self.get_params(context))


def modulated(tokens: Tensor, modulation: Modulation) -> Tensor:
    """(B, T, width) tokens under a modulation that is there already, as it is in all steps of a recurrence."""
    return torch.addcmul(modulation.beta[:, None], modulation.gamma[:, None], tokens)
