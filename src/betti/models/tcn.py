"""A temporal convolutional network over windows of scaled features (Bai, Kolter and Koltun 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from betti.models import ModelRegistry, _torch
from betti.models._search import Real, Whole
from betti.nn.convolution import TemporalStack
from betti.nn.recurrent import ClassificationHead

if TYPE_CHECKING:
    from collections.abc import Mapping

    from betti.models._checks import Bounds
    from betti.models._search import Choice

__all__ = ["Tcn", "TcnNetwork"]

BOUNDS: Bounds = {
    **_torch.TorchClassifier.BOUNDS,
    "channels": (1, 1e5),
    "blocks": (1, 20),
    "kernel": (2, 1e3),
    "dropout": (0, 0.95),
    "length": (1, 1e5),
}


class TcnNetwork(nn.Module):
    """(B, length, features) to (B, classes) logits: causal blocks, their mean over time, a head.

    Args:
        features: width of a row.
        classes: logits that go out.
        channels: of each block.
        blocks: with dilations 1, 2, 4, ...
        kernel: of each convolution.
        dropout: in the blocks and in the head.
    """

    def __init__(self, features: int, classes: int, channels: int, blocks: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.stack = TemporalStack(features, channels, blocks, kernel, dropout)
        self.head = ClassificationHead(channels, classes, dropout)

    @property
    def receptive_field(self) -> int:
        """Rows that one step of the stack depends on: 1 + 2 (kernel - 1) x the sum of the dilations."""
        return self.stack.receptive_field

    def forward(self, windows: Tensor) -> Tensor:
        """Logits from the mean of what the last block says of each step."""
        steps = self.stack(windows.transpose(1, 2))
        logits: Tensor = self.head(steps.mean(dim=2))
        return logits


@ModelRegistry.register("tcn", family="neural", description="causal dilated convolutions over windows, mean over time")
class Tcn(_torch.TorchClassifier):
    """`TcnNetwork` trained by the one torch loop on windows of (n, length, features)."""

    NAME: ClassVar[str] = "tcn"
    KNOBS: ClassVar[Mapping[str, Any]] = {
        "channels": 64,
        "blocks": 4,  # dilations 1, 2, 4, 8
        "kernel": 3,
        "dropout": 0.3,
        "length": 120,  # rows in a window
    }
    BOUNDS: ClassVar[Bounds] = BOUNDS
    SMALL: ClassVar[Mapping[str, Any]] = {
        **_torch.SMALL,
        "channels": 16,
        "blocks": 2,
        "kernel": 2,
        "length": 4,
        "dropout": 0.1,
    }

    SEARCH: ClassVar[Mapping[str, Choice]] = {
        "learning_rate": Real(1e-4, 1e-2, log=True),
        "channels": Whole(16, 128, log=True),
        "blocks": Whole(2, 6),
        "kernel": Whole(2, 5),
        "dropout": Real(0.0, 0.5),
        "weight_decay": Real(1e-6, 1e-1, log=True),
    }

    def network(self, shape: _torch.Shape) -> nn.Module:
        """As many blocks as configured, and the head."""
        sizes = (self.config[name] for name in ("channels", "blocks", "kernel", "dropout"))
        return TcnNetwork(shape.features, shape.classes, *sizes)
