"""Causal convolutions over time: the blocks of a temporal convolutional network (Bai, Kolter and Koltun 2018).

What does not belong here: pooling and heads (`betti.models.tcn`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CausalConvolution", "TemporalBlock", "TemporalStack", "receptive_field"]

CONVOLUTIONS = 2  # in a block


def receptive_field(kernel: int, dilations: Sequence[int]) -> int:
    """How many steps, the present one included, the last step of a stack of blocks depends on.

    >>> receptive_field(3, (1, 2, 4, 8))
    61
    """
    return 1 + CONVOLUTIONS * (kernel - 1) * sum(dilations)


class CausalConvolution(nn.Module):
    """A dilated convolution that sees the present and the past: (B, channels, length) to the same length.

    Its weights are normalised: direction and size are learnt apart (Salimans and Kingma 2016).

    Args:
        channels: that come in.
        out: that go out.
        kernel: steps it sees.
        dilation: distance between them.
    """

    def __init__(self, channels: int, out: int, kernel: int, dilation: int) -> None:
        super().__init__()
        # Padded on both sides, the first steps of the outcome are those of a convolution padded on the left alone.
        self.behind = (kernel - 1) * dilation
        self.convolution = weight_norm(nn.Conv1d(channels, out, kernel, padding=self.behind, dilation=dilation))

    def forward(self, steps: Tensor) -> Tensor:
        """(B, channels, length) to (B, out, length)."""
        convolved: Tensor = self.convolution(steps)
        return convolved[..., : steps.shape[-1]]


class TemporalBlock(nn.Module):
    """Two causal convolutions, each with ReLU and dropout, beside a shortcut: figure 1 (b) of the paper.

    Args:
        channels: that come in.
        out: that go out.
        kernel: of both convolutions.
        dilation: of both convolutions.
        dropout: share of activations set to zero in training.
    """

    def __init__(self, channels: int, out: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            CausalConvolution(channels, out, kernel, dilation),
            nn.ReLU(),
            nn.Dropout(dropout),
            CausalConvolution(out, out, kernel, dilation),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.shortcut = nn.Identity() if channels == out else nn.Conv1d(channels, out, 1)

    def forward(self, steps: Tensor) -> Tensor:
        """(B, channels, length) to (B, out, length)."""
        summed: Tensor = self.layers(steps) + self.shortcut(steps)
        return summed.relu()


class TemporalStack(nn.Sequential):
    """Blocks with dilations 1, 2, 4, ...: (B, channels, length) to (B, out, length).

    Args:
        channels: that come in.
        out: of each block.
        blocks: how many.
        kernel: of every convolution.
        dropout: in the blocks.
    """

    def __init__(self, channels: int, out: int, blocks: int, kernel: int, dropout: float) -> None:
        widths = [channels, *[out] * blocks]
        dilations = [2**place for place in range(blocks)]
        super().__init__(
            *(
                TemporalBlock(before, after, kernel, dilation, dropout)
                for (before, after), dilation in zip(pairwise(widths), dilations, strict=True)
            )
        )
        self.receptive_field = receptive_field(kernel, dilations)
