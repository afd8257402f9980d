"""What recurrent classifiers share: the head that turns one hidden state into class logits.

What does not belong here: the recurrent layers themselves, which stand in each model's own file.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["ClassificationHead"]


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
