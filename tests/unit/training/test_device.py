from __future__ import annotations

import pytest
import torch

from betti.errors import BadModelInput
from betti.training import device
from betti.training.device import epoch_seed, refuse_absent, resolve, seeded


def test_names() -> None:
    assert resolve("cpu") == "cpu"
    assert resolve("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(BadModelInput, match="auto, cpu, cuda"):
        resolve("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadModelInput, match="sees no GPU"):
        resolve("cuda")


def test_what_this_machine_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_absent("cpu", "bf16", 1)
    with pytest.raises(BadModelInput, match="precision = 'fp16' on the CPU"):
        refuse_absent("cpu", "fp16", 1)
    with pytest.raises(BadModelInput, match="devices = 4096 of"):
        refuse_absent("cuda", "32", 4096)
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    with pytest.raises(BadModelInput, match=r"devices = 2 needs Lightning Fabric\. pip install"):
        refuse_absent("cpu", "32", 2)


def test_the_block_is_seeded_and_leaves_no_trace() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    draws = []
    for _ in range(2):
        with seeded(11, "cpu"):
            assert torch.are_deterministic_algorithms_enabled()
            assert not torch.utils.deterministic.fill_uninitialized_memory
            draws.append(torch.rand(2))
    assert torch.equal(*draws)
    assert torch.equal(torch.rand(2), wanted)
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert not torch.are_deterministic_algorithms_enabled()


def test_every_epoch_and_stream_has_a_seed_of_its_own() -> None:
    seeds = [epoch_seed(seed, epoch, stream) for seed in (0, 1, 7) for epoch in (1, 2, 3) for stream in (0, 1, 2)]
    assert len(set(seeds)) == len(seeds)
    assert epoch_seed(7, 1, 0) == epoch_seed(7, 1, 0)
    for seed in seeds:
        torch.Generator().manual_seed(seed)  # none is too large
