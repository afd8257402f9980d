from __future__ import annotations

import pytest
import torch

from betti.errors import BadModelInput
from betti.models import ModelRegistry
from betti.models.tcn import TcnNetwork


def test_defaults_are_the_published_ones() -> None:
    config = ModelRegistry.get_model_info("tcn").default_config
    wanted = {"channels": 64, "blocks": 4, "kernel": 3, "length": 120, "learning_rate": 1e-3, "weight_decay": 1e-4}
    assert {name: config[name] for name in wanted} == wanted


def test_shapes_parameter_count_and_field() -> None:
    network = TcnNetwork(features=7, classes=3, channels=64, blocks=4, kernel=3, dropout=0.0)
    assert network(torch.zeros(4, 120, 7)).shape == (4, 3)
    assert network.receptive_field == 61

    def layer(before: int) -> int:
        return 64 * before * 3 + 64 + 64  # directions, sizes, biases

    head = 2 * 64 + (64 * 32 + 32) + (32 * 3 + 3)
    wanted = layer(7) + 7 * layer(64) + (7 * 64 + 64) + head
    assert sum(one.numel() for one in network.parameters()) == wanted


def test_the_mean_is_over_time() -> None:
    """A window whose rows are all alike is, but for its beginning, as good as any other length of it."""
    torch.manual_seed(0)
    network = TcnNetwork(features=2, classes=2, channels=4, blocks=1, kernel=2, dropout=0.0).eval()
    row = torch.randn(1, 1, 2)
    steps = network.stack(row.expand(1, 9, 2).transpose(1, 2))
    pooled = steps.mean(dim=2)
    torch.testing.assert_close(network(row.expand(1, 9, 2)), network.head(pooled))
    torch.testing.assert_close(steps[..., network.receptive_field - 1 :].std(dim=2), torch.zeros(1, 4))


def test_bad_knobs_are_named() -> None:
    with pytest.raises(BadModelInput, match="kernel = 1"):
        ModelRegistry.create("tcn", {"kernel": 1})
