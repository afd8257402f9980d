from __future__ import annotations

import pytest
import torch

from betti.errors import BadModelInput
from betti.training.device import resolve, seeded


def test_names() -> None:
    assert resolve("cpu") == "cpu"
    assert resolve("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(BadModelInput, match="auto, cpu, cuda"):
        resolve("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadModelInput, match="sees no GPU"):
        resolve("cuda")


def test_the_block_is_seeded_and_leaves_no_trace() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    draws = []
    for _ in range(2):
        with seeded(11, "cpu"):
            assert torch.are_deterministic_algorithms_enabled()
            draws.append(torch.rand(2))
    assert torch.equal(*draws)
    assert torch.equal(torch.rand(2), wanted)
