"""Two processes on this machine's CPU stand for two GPUs: they share each batch and stay equal."""

from __future__ import annotations

import dataclasses
import os
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from betti.errors import BadModelInput
from betti.progress import listening
from betti.training import loop
from tests.unit.training._problems import examples, linear, problem, settings, train, weights

FABRIC = pytest.mark.skipif(find_spec("lightning") is None, reason="Lightning Fabric is not installed")


def leave(network: nn.Module, batch: Any, folder: Path) -> dict[str, float]:
    """Each process leaves the bytes of its network after each epoch."""
    with (folder / str(os.getpid())).open("ab") as file:
        file.write(b"".join(value.numpy().tobytes() for value in network.state_dict().values()))
    return {"bias": float(network.bias.detach().sum())}


def wild(outputs: Any, targets: Any, row_weights: torch.Tensor) -> torch.Tensor:
    return outputs.sum(dim=1) * float("nan")


@FABRIC
def test_two_processes_learn_what_one_learns_and_stay_equal(tmp_path: Path) -> None:
    data, valid = examples(rows=52), examples(seed=1)  # the last batch has two rows for each
    told: list[tuple[int, int, str]] = []
    watched = dataclasses.replace(problem(data, valid), watch=partial(leave, folder=tmp_path))
    with listening(lambda *step: told.append(step)):
        shared = loop.train(watched, settings(devices=2, accumulate=2), "cpu")
    ranks = [file.read_bytes() for file in tmp_path.iterdir()]
    assert len(ranks) == 2
    assert ranks[0] == ranks[1]
    best, size = shared.best_epoch or 0, len(weights(shared))
    assert ranks[0][(best - 1) * size : best * size] == weights(shared)
    assert told == [(epoch, 6, "epochs") for epoch in range(1, 7)]
    alone = train(data, valid)
    for name, value in alone.network.state_dict().items():
        torch.testing.assert_close(shared.network.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(shared.history["val_loss"], alone.history["val_loss"], rtol=1e-4)
    assert shared.best_epoch == alone.best_epoch
    assert [one.epoch for one in shared.checkpoints] == [one.epoch for one in alone.checkpoints]


@FABRIC
def test_what_a_process_raises_is_raised_here() -> None:
    faulty = problem(examples(rows=64), loss=wild)
    with pytest.raises(loop.LossNotFinite, match="epoch 1, batch 1: the loss") as caught:
        loop.train(faulty, settings(devices=2), "cpu")
    assert (caught.value.epoch, caught.value.batch) == (1, 1)


class SmallHost(nn.Linear):
    """A network for a machine that holds eight rows a process."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if len(batch) > 8:
            torch.empty(2**60, dtype=torch.uint8)
        return super().forward(batch)


@FABRIC
def test_memory_that_runs_out_in_a_process_is_answered_with_parts(caplog: pytest.LogCaptureFixture) -> None:
    small = problem(examples(rows=32), build=partial(SmallHost, 3, 2))
    found = loop.train(small, settings(devices=2, batch_size=32, epochs=1, warmup_epochs=0), "cpu")
    assert "training begins anew, with batches of 32 rows in 2 parts" in caplog.text
    assert found.epochs == 1


@pytest.mark.skipif(torch.cuda.device_count() > 1, reason="there are two GPUs here")
def test_more_devices_than_there_are_is_refused() -> None:
    with pytest.raises(BadModelInput, match="devices = 2 of"):
        loop.train(problem(examples(), build=linear), settings(devices=2), "cuda")


def test_without_fabric_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lightning.fabric", None)
    with pytest.raises(BadModelInput, match=r"needs Lightning Fabric\. pip install 'betti\[torch\]'"):
        loop.train(problem(examples()), settings(devices=2), "cpu")
