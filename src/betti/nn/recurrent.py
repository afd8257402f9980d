"""Recurrent classifiers: stacked layers of one kind, and the head that turns one state into class logits.

What does not belong here: the knobs of a model (`betti.models`).
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["ClassificationHead", "RecurrentNetwork"]


class ClassificationHead(nn.Module):
    """LayerNorm, dropout, linear, ReLU, dropout, linear: (B, width) to (B, classes) logits.

    Args:
        width: features of the state that comes in; the hidden layer is half as wide.
        classes: logits that go out.
        dropout: share of activations set to zero in training, before each linear layer.
    """

    def __init__(self, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        hidden = max(width // 2, classes)
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            nn.Dropout(dropout),
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    def forward(self, state: Tensor) -> Tensor:
        """(B, width) to (B, classes)."""
        logits: Tensor = self.layers(state)
        return logits


class RecurrentNetwork(nn.Module):
    """(B, length, features) to (B, classes) logits: stacked recurrent layers, then a head on the last state.

    Args:
        kind: `nn.LSTM` or `nn.GRU`.
        features: width of a row.
        classes: logits that go out.
        hidden: width of the state.
        layers: stacked layers.
        dropout: between layers and in the head.
    """

    def __init__(
        self, kind: type[nn.LSTM | nn.GRU], features: int, classes: int, hidden: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        # torch warns of dropout without a second layer to put it before.
        between = dropout if layers > 1 else 0.0
        self.recurrent = kind(features, hidden, layers, batch_first=True, dropout=between)
        self.head = ClassificationHead(hidden, classes, dropout)

    def forward(self, windows: Tensor) -> Tensor:
        """Logits from what the last layer holds after the window's last row."""
        states, _ = self.recurrent(windows)
        logits: Tensor = self.head(states[:, -1])
        return logits
