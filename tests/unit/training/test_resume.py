"""A training that was killed goes on to the result of an undisturbed one, and only from a state of its own."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from betti.progress import listening
from betti.training import loop
from betti.training.resume import Place, Slot, State, digest, place, resuming
from betti.windows import NamedInputs, Rows, Windows
from tests.unit.training._problems import (
    EPOCHS,
    dropping,
    examples,
    long_training,
    problem,
    settings,
    two,
    two_examples,
    whole,
)

ROOT = Path(__file__).resolve().parents[3]


def started(folder: Path) -> subprocess.Popen[str]:
    program = f"from tests.unit.training._problems import child, Path; child(Path({str(folder)!r}))"
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, text=True
    )


def test_killed_in_mid_training_and_nothing_shows(tmp_path: Path) -> None:
    process = started(tmp_path / "run")
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(20)]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert said == list(range(1, 21))
    process = started(tmp_path / "run")
    lines = process.communicate(timeout=120)[0].split()
    assert process.returncode == 0
    assert 20 <= int(lines[0]) < EPOCHS  # it goes on where the one before was killed
    assert lines[-1] == long_training()
    assert not (tmp_path / "run").exists()


# In one process ----------------------------------------------------------------------------------------------------


class Killed(Exception):
    """Stands for a kill where a process has to live on."""


def interrupted(folder: Path, what: loop.Problem, known: loop.Settings, after: int) -> None:
    def stop(done: int, total: int, name: str) -> None:
        if done == after + 1:
            raise Killed

    with pytest.raises(Killed), listening(stop), resuming(folder, "code", every=0.0):
        loop.train(what, known, "cpu")


def epochs_told(folder: Path, what: loop.Problem, known: loop.Settings, code: str = "code") -> list[int]:
    told: list[int] = []
    with listening(lambda done, total, name: told.append(done)), resuming(folder, code, every=0.0):
        loop.train(what, known, "cpu")
    return told


@pytest.mark.parametrize("after", [1, 3, 5])
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_it_goes_on_after_the_last_epoch_that_was_kept(after: int, precision: str, tmp_path: Path) -> None:
    known = settings(precision=precision)
    what = two(two_examples(), two_examples(seed=1))
    interrupted(tmp_path / "run", what, known, after)
    told: list[int] = []
    with listening(lambda done, total, name: told.append(done)), resuming(tmp_path / "run", "code", every=0.0):
        found = loop.train(what, known, "cpu")
    assert told == list(range(after + 1, 7))
    assert whole(found) == whole(loop.train(what, known, "cpu"))


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    """A run trains a model per fold; a kill in the third must not cost the first two."""
    done, known = problem(examples(), examples(seed=1), build=dropping), settings()
    other = problem(examples(seed=5), build=dropping)
    alone = whole(loop.train(done, known, "cpu"))
    told: list[int] = []

    def stop(epoch: int, total: int, name: str) -> None:
        told.append(epoch)
        if len(told) == 6 + 3:
            raise Killed

    def run() -> str:
        """Two trainings in turn; the first one's outcome."""
        with resuming(tmp_path / "run", "code"):
            found = whole(loop.train(done, known, "cpu"))
            loop.train(other, known, "cpu")
            return found

    with pytest.raises(Killed), listening(stop):
        run()
    told.clear()
    with listening(lambda epoch, total, name: told.append(epoch)):
        assert run() == alone
    assert told == [1, 2, 3, 4, 5, 6]  # ten seconds had not passed: the other one had left nothing


def other_weights(data: loop.Examples) -> loop.Examples:
    return dataclasses.replace(data, weights=np.linspace(0.5, 1.5, len(data)))


@pytest.mark.parametrize(
    "changed",
    [
        "code",
        "settings",
        "inputs",
        "targets",
        "weights",
        "validation",
        "network",
        "rates",
        "facts",
    ],
)
def test_a_stale_state_is_not_gone_on_from(changed: str, tmp_path: Path) -> None:
    data, valid, known = two_examples(), two_examples(seed=1), settings()
    what, code = two(data, valid), "code"
    interrupted(tmp_path / "run", what, known, 3)
    sizes = {**data.targets, "size": data.targets["size"] + 1}  # type: ignore[dict-item]
    others: dict[str, Any] = {
        "inputs": two(dataclasses.replace(data, inputs=two_examples(seed=2).inputs), valid),
        "targets": two(dataclasses.replace(data, targets=sizes), valid),
        "weights": two(other_weights(data), valid),
        "validation": two(data, other_weights(valid)),
        "network": two(data, valid, build=partial(seeded_two, 5)),
        "rates": two(data, valid, rate=0.02),
        "facts": two(data, valid, facts={"model": "another"}),
    }
    known = settings(clip=0.5) if changed == "settings" else known
    told = epochs_told(tmp_path / "run", others.get(changed, what), known, "edited" if changed == "code" else code)
    assert told[0] == 1


def seeded_two(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return two(two_examples(), None).build()


def test_a_file_that_is_no_state_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    known, what = settings(), problem(examples())
    for content in (b"", b"no state", b"\x08\0\0\0\0\0\0\0{}      "):
        interrupted(tmp_path / "run", what, known, 3)
        (file,) = (tmp_path / "run").glob("*.safetensors")
        file.write_bytes(content)
        with caplog.at_level(logging.WARNING):
            assert epochs_told(tmp_path / "run", what, known)[0] == 1
        assert "it begins anew" in caplog.text
        caplog.clear()


def test_a_state_from_before_memory_ran_out_is_not_gone_on_from(tmp_path: Path) -> None:
    limits = iter([16, 16, 8, 8, 8])

    class Fuller(nn.Module):
        """Its device has lost half its memory by the fourth epoch."""

        def __init__(self) -> None:
            super().__init__()
            self.inside, self.epoch, self.begun = dropping(), 0, next(limits)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            if self.training and len(batch) > (16 if self.epoch < 3 else 8):
                raise torch.OutOfMemoryError("too much")
            return self.inside(batch)

    def count(network: Any, batch: Any) -> dict[str, float]:
        network.epoch += 1
        return {}

    what = dataclasses.replace(problem(examples(rows=64), build=Fuller), watch=count)
    told = epochs_told(tmp_path / "run", what, settings())
    assert told == [1, 2, 3, *range(1, 7)]


def test_a_warm_start_is_not_repeated(tmp_path: Path) -> None:
    times: list[int] = []
    what = dataclasses.replace(problem(examples()), warm=lambda network, device: times.append(1))
    interrupted(tmp_path / "run", what, settings(), 3)
    epochs_told(tmp_path / "run", what, settings())
    assert times == [1]


def test_outside_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place() is None
    loop.train(problem(examples()), settings(), "cpu")
    assert list(tmp_path.rglob("*")) == []
    interrupted(tmp_path / "run", problem(examples()), settings(), 3)
    assert list((tmp_path / "run").iterdir())  # a failure keeps what was done
    assert place() is None


def test_states_come_back_as_they_went(tmp_path: Path) -> None:
    slot = Slot(Place(tmp_path / "run", "code"), "key")
    assert slot.read() is None
    tensors = {"a": torch.arange(6).reshape(2, 3).t(), "b/c": torch.tensor(1.5), "d": torch.tensor([True])}
    slot.write(State(tensors, {"best": float("inf"), "loss": 0.1 + 0.2}))
    found = slot.read()
    assert found is not None
    assert found.facts == {"best": float("inf"), "loss": 0.1 + 0.2}
    assert all(torch.equal(found.tensors[name], value) for name, value in tensors.items())


def test_a_key_says_what_lies_where() -> None:
    table = np.arange(12, dtype="float32").reshape(6, 2)
    ends, at = np.array([3, 4]), np.array([3, 4])
    inputs = [
        table,
        table.astype("float64"),
        table.reshape(3, 4),
        table[:, ::-1],
        Windows(table, ends, 2),
        Windows(table, ends, 3),
        Windows(table, ends + 1, 2),
        Rows(table, at),
        NamedInputs({"a": Rows(table, at)}),
        NamedInputs({"b": Rows(table, at)}),
        None,
    ]
    keys = [digest("code", {}, {}, one) for one in inputs]
    assert len(set(keys)) == len(keys)
    assert keys[0] == digest("code", {}, {}, np.asfortranarray(table))
