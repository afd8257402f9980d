from __future__ import annotations

import torch
from torch.nn import functional

from betti.nn.losses import weighted_cross_entropy
from betti.nn.recurrent import ClassificationHead


def test_head_is_layer_norm_dropout_linear_relu_dropout_linear() -> None:
    head = ClassificationHead(width=12, classes=3, dropout=0.3)
    kinds = [type(layer).__name__ for layer in head.layers]
    assert kinds == ["LayerNorm", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert head(torch.zeros(5, 12)).shape == (5, 3)


def test_weighted_cross_entropy_is_torchs_times_the_weight() -> None:
    torch.manual_seed(0)
    logits, targets, weights = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2]), torch.rand(6)
    found = weighted_cross_entropy(logits, targets, weights)
    for row in range(6):
        wanted = weights[row] * functional.cross_entropy(logits[row : row + 1], targets[row : row + 1])
        torch.testing.assert_close(found[row], wanted)
