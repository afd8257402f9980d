"""Encoders of the trigger network: N-BEATS over a window of bars, and two small ones for topology and complexity.

Oreshkin et al. 2020, "N-BEATS: neural basis expansion analysis for interpretable time series forecasting", section 3:
doubly residual stacks of blocks with trend, seasonality and generic bases. The window is flattened bar after bar, so
that a basis is a function of time; what a stack would forecast is its share of the encoding. What does not belong here:
fusing the encodings (`film_fusion.py`) and the heads on top (`film.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from betti.errors import BadModelInput, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ATTENTIONS",
    "BASES",
    "AttentionBlock",
    "ComplexityEncoder",
    "OHLCVNBEATSEncoder",
    "StackAttention",
    "TDAEncoder",
    "seasonality_basis",
    "trend_basis",
]

STACKS = ("trend", "seasonality", "generic", "generic")
DEGREE = 3
HARMONICS = 5
GENERIC = 32
HEADS = 8

# Bases ---------------------------------------------------------------------------------------------------------------


def trend_basis(degree: int, size: int) -> Tensor:
    """(degree + 1, size): powers 0 to `degree` of time, which runs from 0 to below 1 (section 3.3, equation 2).

    >>> trend_basis(2, 4)[2].tolist()
    [0.0, 0.0625, 0.25, 0.5625]
    """
    time = torch.arange(size, dtype=torch.float32) / size
    return torch.stack([time**power for power in range(degree + 1)])


def seasonality_basis(harmonics: int, size: int) -> Tensor:
    """(2 x harmonics, size): cosines, then sines, of 1 to `harmonics` turns over the stretch (section 3.3, equation 3).

    >>> seasonality_basis(1, 4).round().abs().tolist()
    [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    """
    time = torch.arange(size, dtype=torch.float32) / size
    turns = 2 * torch.pi * torch.arange(1, harmonics + 1)[:, None] * time
    return torch.cat([turns.cos(), turns.sin()])


class _FixedBasis(nn.Module):
    """(B, coefficients) to (B, size) along fixed functions; nothing to learn, and nothing to store."""

    basis: Tensor

    def __init__(self, basis: Tensor) -> None:
        super().__init__()
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, coefficients: Tensor) -> Tensor:
        return coefficients @ self.basis


@dataclass(frozen=True)
class Basis:
    """A block's kind: how many coefficients it finds, and what spreads them over a stretch of a given size."""

    coefficients: int
    over: Callable[[int], nn.Module]


BASES = {
    "trend": Basis(DEGREE + 1, lambda size: _FixedBasis(trend_basis(DEGREE, size))),
    "seasonality": Basis(2 * HARMONICS, lambda size: _FixedBasis(seasonality_basis(HARMONICS, size))),
    "generic": Basis(GENERIC, lambda size: nn.Linear(GENERIC, size)),
}


class _Block(nn.Module):
    """(B, size) to (B, size) backcast and (B, width) forecast: ReLU layers, then the coefficients of both."""

    def __init__(self, basis: Basis, size: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = [size, *[width] * layers]
        self.layers = nn.Sequential(
            *(
                part
                for before, after in pairwise(widths)
                for part in (nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))
            )
        )
        self.backcast = nn.Sequential(nn.Linear(width, basis.coefficients), basis.over(size))
        self.forecast = nn.Sequential(nn.Linear(width, basis.coefficients), basis.over(width))

    def forward(self, stretch: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.layers(stretch)
        return self.backcast(hidden), self.forecast(hidden)


class _Stack(nn.Module):
    """Blocks of one kind: each sees what those before left unexplained; their forecasts add up."""

    def __init__(self, basis: Basis, blocks: int, size: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(basis, size, width, layers, dropout) for _ in range(blocks))

    def forward(self, rest: Tensor) -> tuple[Tensor, Tensor]:
        """What is left of the stretch, (B, size), and the forecast, (B, width)."""
        forecasts = []
        for block in self.blocks:
            backcast, forecast = block(rest)
            rest = rest - backcast
            forecasts.append(forecast)
        return rest, torch.stack(forecasts).sum(dim=0)


# Attention -----------------------------------------------------------------------------------------------------------


class AttentionBlock(nn.Module):
    """Self-attention with a residual and LayerNorm over the whole encoding as a single token: (B, width) to itself.

    One token attends to nothing but itself, so this is a linear map of it; `StackAttention` has tokens to choose from.

    Args:
        width: features of the encoding.
        heads: attention heads, which share the width evenly.
    """

    def __init__(self, width: int, heads: int = HEADS) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, encoding: Tensor) -> Tensor:
        """(B, width) to (B, width)."""
        token = encoding[:, None]
        attended, _ = self.attention(token, token, token)
        normed: Tensor = self.norm(encoding + attended[:, 0])
        return normed


class StackAttention(nn.Module):
    """Self-attention with a residual and LayerNorm over the stacks' forecasts as tokens: (B, tokens x width) to itself.

    Args:
        width: features of one stack's forecast.
        tokens: stacks.
        heads: attention heads, which share the width evenly.
    """

    def __init__(self, width: int, tokens: int = len(STACKS), heads: int = HEADS) -> None:
        super().__init__()
        self.tokens = tokens
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, encoding: Tensor) -> Tensor:
        """(B, tokens x width) to the same shape."""
        tokens = encoding.view(len(encoding), self.tokens, -1)
        attended, _ = self.attention(tokens, tokens, tokens)
        normed: Tensor = self.norm(tokens + attended)
        return normed.flatten(1)


# What a configuration calls them; each takes the number of stacks and the width of one forecast.
ATTENTIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "single": lambda stacks, width: AttentionBlock(stacks * width),
    "stacks": lambda stacks, width: StackAttention(width, stacks),
    "none": lambda _stacks, _width: nn.Identity(),
}

# Encoders ------------------------------------------------------------------------------------------------------------


class OHLCVNBEATSEncoder(nn.Module):
    """(B, bars, channels) to (B, hidden_size): batch norm, N-BEATS stacks, their forecasts side by side, attention.

    Args:
        input_size: bars in a window.
        num_channels: columns of a bar.
        hidden_size: width of the encoding; each stack has an even share of it, which is also its layers' width.
        stack_types: kinds of the stacks, of `BASES`.
        num_blocks: blocks in each stack.
        num_layers: ReLU layers in each block.
        dropout: after each of them.
        attention: over the encoding, of `ATTENTIONS`.

    Raises:
        UnknownName: a kind of stack or attention that there is not.
        BadModelInput: the stacks or the attention heads cannot share the encoding evenly.
    """

    def __init__(
        self,
        input_size: int = 96,
        num_channels: int = 14,
        hidden_size: int = 1024,
        stack_types: tuple[str, ...] = STACKS,
        num_blocks: int = 4,
        num_layers: int = 4,
        dropout: float = 0.3,
        attention: str = "single",
    ) -> None:
        super().__init__()
        for kind in stack_types:
            if kind not in BASES:
                raise UnknownName("kind of stack", kind, BASES)
        if attention not in ATTENTIONS:
            raise UnknownName("attention", attention, ATTENTIONS)
        width, rest = divmod(hidden_size, len(stack_types))
        if rest or width % HEADS:
            shared = f"{len(stack_types)} stacks of a multiple of {HEADS}"
            raise BadModelInput("OHLCVNBEATSEncoder", f"hidden_size = {hidden_size}", f"It is shared by {shared}")
        size = input_size * num_channels
        self.norm = nn.BatchNorm1d(num_channels)
        self.stacks = nn.ModuleList(
            _Stack(BASES[kind], num_blocks, size, width, num_layers, dropout) for kind in stack_types
        )
        self.attention = ATTENTIONS[attention](len(stack_types), width)

    def forward(self, bars: Tensor) -> Tensor:
        """(B, bars, channels) to (B, hidden_size)."""
        rest = self.norm(bars.transpose(1, 2)).transpose(1, 2).flatten(1)
        forecasts = []
        for stack in self.stacks:
            rest, forecast = stack(rest)
            forecasts.append(forecast)
        encoding: Tensor = self.attention(torch.cat(forecasts, dim=1))
        return encoding


class TDAEncoder(nn.Module):
    """(B, topology columns) to (B, output_dim): two layers, each linear, LayerNorm, ReLU, dropout.

    Args:
        input_dim: topology columns.
        hidden_dim: width between the layers.
        output_dim: width of the encoding.
        dropout: after each layer.
    """

    def __init__(
        self, input_dim: int = 214, hidden_dim: int = 128, output_dim: int = 256, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(input_dim, hidden_dim), nn.LayerNorm(hidden_dim), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Linear(hidden_dim, output_dim), nn.LayerNorm(output_dim), nn.ReLU(), nn.Dropout(dropout)),
        )

    def forward(self, topology: Tensor) -> Tensor:
        """(B, input_dim) to (B, output_dim)."""
        encoding: Tensor = self.layers(topology)
        return encoding


class ComplexityEncoder(nn.Module):
    """(B, indicators) to (B, output_dim): two layers, each linear, LayerNorm, ReLU.

    Without dropout: what it says scales whole features, and noise in it would be noise in all of them at once.

    Args:
        input_dim: complexity indicators.
        output_dim: width of the encoding, and of the layer before.
    """

    def __init__(self, input_dim: int = 6, output_dim: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(input_dim, output_dim), nn.LayerNorm(output_dim), nn.ReLU()),
            *(nn.Linear(output_dim, output_dim), nn.LayerNorm(output_dim), nn.ReLU()),
        )

    def forward(self, complexity: Tensor) -> Tensor:
        """(B, input_dim) to (B, output_dim)."""
        encoding: Tensor = self.layers(complexity)
        return encoding
