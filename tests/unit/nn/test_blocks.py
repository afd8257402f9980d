from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from betti.nn.losses import weighted_cross_entropy
from betti.nn.recurrent import ClassificationHead, RecurrentNetwork


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


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3)])
def test_recurrent_shapes_and_parameter_count(kind: type[nn.LSTM | nn.GRU], gates: int) -> None:
    network = RecurrentNetwork(kind, features=7, classes=3, hidden=16, layers=2, dropout=0.1)
    assert network(torch.zeros(4, 9, 7)).shape == (4, 3)
    layers = gates * 16 * (7 + 16 + 2) + gates * 16 * (16 + 16 + 2)
    head = 2 * 16 + (16 * 8 + 8) + (8 * 3 + 3)
    assert sum(p.numel() for p in network.parameters()) == layers + head


def test_the_head_sees_the_last_state() -> None:
    network = RecurrentNetwork(nn.GRU, features=2, classes=3, hidden=4, layers=1, dropout=0.0).eval()
    windows = torch.randn(5, 6, 2)
    _, last = network.recurrent(windows)
    torch.testing.assert_close(network(windows), network.head(last[0]))
