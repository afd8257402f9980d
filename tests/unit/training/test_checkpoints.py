from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from betti.errors import BrokenArtifact
from betti.training.checkpoints import Best, Checkpoint, read_checkpoints, write_checkpoints


class Numbered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.zeros(()))


@given(values=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), min_size=1, max_size=12), keep=st.integers(0, 4))
def test_the_smallest_are_kept_with_their_own_weights(values: list[float], keep: int) -> None:
    best, network = Best(keep, min_delta=0.0), Numbered()
    for epoch, value in enumerate(values, start=1):
        with torch.no_grad():
            network.number.fill_(epoch)
        best.offer(epoch, value, network)
    ranked = sorted(enumerate(values, start=1), key=lambda one: (one[1], one[0]))
    assert [(one.epoch, one.value) for one in best.checkpoints()] == ranked[:keep]
    assert best.epoch == ranked[0][0]
    held = {epoch: float(weights["number"]) for epoch, weights in best.weights.items()}
    assert held == {epoch: float(epoch) for epoch in held}
    assert set(held) == {best.epoch, *(epoch for epoch, _ in ranked[:keep])}


def test_a_gain_below_min_delta_is_a_checkpoint_and_not_the_best() -> None:
    best, network = Best(keep=1, min_delta=0.1), Numbered()
    best.offer(1, 0.5, network)
    best.offer(2, 0.45, network)
    assert best.epoch == 1
    assert [one.epoch for one in best.checkpoints()] == [2]
    assert set(best.weights) == {1, 2}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    kept = [
        Checkpoint(7, 0.5, {"b": torch.ones(2, 3).t(), "a": torch.zeros(1)}),
        Checkpoint(12, 0.6, {"a": torch.ones(1)}),
    ]
    told = write_checkpoints(tmp_path / "one", kept)
    assert told == [{"epoch": 7, "value": 0.5}, {"epoch": 12, "value": 0.6}]
    found = read_checkpoints(tmp_path / "one", told)
    assert isinstance(found[0].weights, Path)
    assert torch.equal(load_file(found[0].weights)["b"], torch.ones(3, 2))
    # A model that was read and is written again takes its files along.
    write_checkpoints(tmp_path / "two", found)
    for one in found:
        assert (tmp_path / "one" / "checkpoints" / one.file).read_bytes() == (
            tmp_path / "two" / "checkpoints" / one.file
        ).read_bytes()


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokenArtifact, match=r"epoch_0003\.safetensors: is not there"):
        read_checkpoints(tmp_path, [{"epoch": 3, "value": 0.1}])
