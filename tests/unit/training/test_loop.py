from __future__ import annotations

import dataclasses
import logging
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from betti.errors import BadModelInput
from betti.nn.losses import weighted_cross_entropy
from betti.progress import listening
from betti.training import loop
from betti.training.batches import Resident, shuffled
from betti.training.memory import OutOfMemory
from betti.windows import Windows
from tests.unit.training._problems import (
    Two,
    TwoLosses,
    dropping,
    examples,
    linear,
    problem,
    settings,
    train,
    two,
    two_examples,
    weights,
)

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


def test_without_validation_trains_for_every_epoch() -> None:
    outcome = train(examples())
    assert (outcome.epochs, outcome.best_epoch, outcome.early_stopped) == (6, None, False)
    assert len(outcome.history["train_loss"]) == 6
    assert outcome.history["val_loss"] == []
    assert outcome.checkpoints == ()


def test_stops_early_and_restores_the_best_epoch() -> None:
    valid = examples(seed=3)
    upside_down = dataclasses.replace(valid, targets=1 - valid.targets)  # what is learnt makes this worse
    outcome = train(examples(), upside_down, epochs=40)
    assert outcome.early_stopped
    assert outcome.epochs == (outcome.best_epoch or 0) + 3
    logits = torch.from_numpy(loop.outputs(outcome.network, upside_down.inputs, "cpu"))
    restored = float(nn.functional.cross_entropy(logits, torch.from_numpy(upside_down.targets)))
    assert restored == pytest.approx(min(outcome.history["val_loss"]), abs=1e-6)


def test_gains_below_min_delta_are_none() -> None:
    outcome = train(examples(), examples(seed=3), min_delta=10.0, epochs=20)
    assert (outcome.best_epoch, outcome.epochs) == (1, 4)


def test_same_seed_same_weights_and_another_seed_others() -> None:
    one, again, other = (
        weights(loop.train(problem(examples(), build=dropping), settings(seed=seed), "cpu")) for seed in (1, 1, 2)
    )
    assert one == again != other


def test_an_epochs_draws_follow_from_its_number_alone() -> None:
    """Otherwise a training that goes on would draw others than an undisturbed one."""
    seen: list[list[float]] = []
    for before in (1, 5):
        draws: list[float] = []

        def watch(network: Any, batch: Any, draws: list[float] = draws, before: int = before) -> dict[str, float]:
            draws.append(float(torch.rand(())))
            torch.rand(before)  # disturbs the generator, until the next epoch
            return {}

        loop.train(dataclasses.replace(problem(examples(), build=dropping), watch=watch), settings(), "cpu")
        seen.append(draws)
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 6


def test_a_loss_that_is_not_finite_names_epoch_and_batch() -> None:
    def endless(outputs: Any, targets: Any, row_weights: Any) -> torch.Tensor:
        return weighted_cross_entropy(outputs, targets, row_weights) * float("inf")

    with pytest.raises(loop.LossNotFinite, match="epoch 1, batch 1: the loss is not finite"):
        loop.train(problem(examples(rows=64), loss=endless), settings(), "cpu")
    wild = dataclasses.replace(examples(seed=1), inputs=np.full((50, 3), np.nan, dtype="float32"))
    with pytest.raises(loop.LossNotFinite, match="epoch 1: the validation loss"):
        train(examples(rows=64), wild)


def test_the_batch_at_fault_is_the_one_named() -> None:
    class Third(nn.Linear):
        steps = 0

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            self.steps += 1
            return super().forward(batch) * (float("nan") if self.steps == 4 + 3 else 1.0)

    with pytest.raises(loop.LossNotFinite, match="epoch 2, batch 3: the loss"):
        loop.train(problem(examples(rows=64), build=lambda: Third(3, 2)), settings(), "cpu")


def test_a_weight_that_is_not_finite_is_named_and_no_batch_is_blamed() -> None:
    """Nobody knows which batch did it: no loss has used the weight since."""

    class Spoiling(nn.Linear):
        steps = 0

        def __init__(self) -> None:
            super().__init__(3, 2)
            self.unused = nn.Parameter(torch.zeros(2))

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            self.steps += 1
            if self.steps == 4 + 2:
                with torch.no_grad():
                    self.unused[0] = float("nan")
            return super().forward(batch)

    with pytest.raises(loop.LossNotFinite, match="stopped at epoch 2: the weight 'unused' is not finite") as caught:
        loop.train(problem(examples(rows=64), build=Spoiling), settings(), "cpu")
    assert (caught.value.epoch, caught.value.batch) == (2, None)


def test_a_warm_up_that_never_ends_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        train(examples(), warmup_epochs=5)
        assert not caplog.text
        train(examples(), warmup_epochs=6, schedule_epochs=7)
        assert not caplog.text
        train(examples(), warmup_epochs=6)
    assert "never reaches 0.05: it warms up over 6 epochs, of 6 in all" in caplog.text


def test_epochs_are_told() -> None:
    told: list[tuple[int, int, str]] = []
    with listening(lambda done, total, what: told.append((done, total, what))):
        train(examples(), epochs=2)
    assert told == [(1, 2, "epochs"), (2, 2, "epochs")]


def test_batches_hold_every_row_once_and_no_single_row() -> None:
    batches = shuffled(33, 16, torch.Generator().manual_seed(0), "cpu")
    assert [len(batch) for batch in batches] == [16, 17]
    assert sorted(torch.cat(batches).tolist()) == list(range(33))
    assert [len(b) for b in shuffled(1, 16, torch.Generator().manual_seed(0), "cpu")] == [1]


def test_resident_windows_are_the_windows() -> None:
    windows = Windows(np.arange(20, dtype="float32").reshape(10, 2), np.array([2, 5, 9]), 3)
    rows = np.array([2, 0])
    np.testing.assert_array_equal(Resident(windows, "cpu").gather(torch.from_numpy(rows)).numpy(), windows[rows])


# Against a loop written out ----------------------------------------------------------------------------------------


def test_a_training_is_the_plain_torch_one() -> None:
    """AdamW, warm-up, weights and clipping as anybody would write them, over the same batches."""
    data = dataclasses.replace(examples(rows=50), weights=np.random.default_rng(2).uniform(0.5, 1.5, 50))
    outcome = loop.train(problem(data), settings(epochs=2, weight_decay=0.1, clip=0.1), "cpu")
    torch.manual_seed(1)
    network = linear()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.05, weight_decay=0.1)
    X, y, w = torch.from_numpy(data.inputs), torch.from_numpy(data.targets), torch.from_numpy(data.weights).float()
    for epoch in (1, 2):
        optimizer.param_groups[0]["lr"] = 0.05 * epoch / 3
        order = torch.Generator().manual_seed(loop.epoch_seed(1, epoch, loop.ORDER))
        for rows in torch.randperm(50, generator=order).split(16):
            loss = (w[rows] * nn.functional.cross_entropy(network(X[rows]), y[rows], reduction="none")).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 0.1)
            optimizer.step()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(outcome.network.state_dict()[name], value)


# Several inputs, targets, outputs and losses -----------------------------------------------------------------------


def test_named_inputs_targets_and_outputs() -> None:
    data, valid = two_examples(), two_examples(seed=1)
    outcome = loop.train(two(data, valid), settings(epochs=4), "cpu")
    assert set(outcome.history) == {
        *("train_loss", "val_loss", "val_score", "learning_rate"),
        *("scale", "seen", "left_mean", "bias"),
    }
    assert {len(values) for values in outcome.history.values()} == {4}
    said = loop.outputs(outcome.network, valid.inputs, "cpu")
    assert isinstance(said, dict)
    assert {name: (found.shape, found.dtype.name) for name, found in said.items()} == {
        "logits": ((60, 2), "float64"),
        "size": ((60,), "float64"),
    }
    at = np.argmin(outcome.history["val_score"])
    sizes = valid.targets["size"]
    assert outcome.best_epoch == at + 1
    assert np.abs(np.nan_to_num(said["size"] - sizes)).mean() == pytest.approx(
        outcome.history["val_score"][at], abs=1e-6
    )


def test_an_objective_learns_and_remembers_and_is_itself_left_alone() -> None:
    data, loss = two_examples(), TwoLosses()
    history = loop.train(two(data, two_examples(seed=1), loss=loss), settings(epochs=3), "cpu").history
    told = int((~np.isnan(data.targets["size"])).sum())
    assert history["seen"] == [told, 2 * told, 3 * told]  # of training rows alone
    assert history["scale"][0] != history["scale"][-1]
    assert loss.scale.item() == loss.seen.item() == 0.0


def test_a_scalar_loss_is_a_loss() -> None:
    def whole(outputs: Any, targets: Any, row_weights: Any) -> torch.Tensor:
        return weighted_cross_entropy(outputs, targets, row_weights).mean()

    by_row, by_batch = (loop.train(problem(examples(), loss=loss), settings(), "cpu") for loss in (
        weighted_cross_entropy, whole
    ))  # fmt: skip
    assert weights(by_row) == weights(by_batch)
    np.testing.assert_allclose(by_row.history["train_loss"], by_batch.history["train_loss"], rtol=1e-6)


def test_a_loss_that_nobody_would_tell_of_epochs_is_refused() -> None:
    class Forgotten(nn.Module):
        def epoch_ended(self) -> None: ...

    with pytest.raises(BadModelInput, match="Make it a subclass"):
        loop.train(problem(examples(), loss=Forgotten()), settings(), "cpu")


def test_a_named_tuple_stays_one() -> None:
    from collections import namedtuple

    Said = namedtuple("Said", "logits size")  # its fields are made by hand here

    class Tupled(Two):
        def forward(self, batch: Any) -> Any:
            return Said(**super().forward(batch))

    said = loop.outputs(Tupled(), two_examples().inputs, "cpu")
    assert (said.logits.shape, said.size.shape) == ((60, 2), (60,))  # type: ignore[union-attr]


def test_a_warm_start_comes_before_the_first_step() -> None:
    def warm(network: nn.Module, device: str) -> None:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(0.25)

    begun = dataclasses.replace(problem(examples()), warm=warm)
    outcome = loop.train(begun, settings(epochs=1, learning_rate=1e-12), "cpu")
    assert all(torch.allclose(one, torch.tensor(0.25)) for one in outcome.network.state_dict().values())


# Parts, precision, kernels -----------------------------------------------------------------------------------------


def test_a_batch_in_parts_is_the_batch() -> None:
    whole, parts = (train(examples(), examples(seed=1), accumulate=number) for number in (1, 3))
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(parts.network.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(whole.history["train_loss"], parts.history["train_loss"], rtol=1e-4)


class Small(nn.Module):
    """A network for a device that holds eight rows."""

    def __init__(self, limit: int = 8) -> None:
        super().__init__()
        self.inside, self.limit = dropping(), limit

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if len(batch) > self.limit:
            raise torch.OutOfMemoryError("too much")
        return self.inside(batch)


def test_out_of_memory_is_answered_with_parts(caplog: pytest.LogCaptureFixture) -> None:
    data, valid = examples(rows=64), examples(seed=1)
    with caplog.at_level(logging.WARNING):
        found = loop.train(problem(data, valid, build=Small), settings(), "cpu")
    assert "training begins anew, with batches of 16 rows in 2 parts" in caplog.text
    wanted = loop.train(problem(data, valid, build=Small), settings(accumulate=2), "cpu")
    assert weights(found) == weights(wanted)
    assert found.history == wanted.history
    assert loop.outputs(found.network, valid.inputs, "cpu").shape == (50, 2)  # type: ignore[union-attr]


class SmallHost(Small):
    """The same where the CPU's memory runs out: torch's own allocator says so, of more than any machine has."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if len(batch) > self.limit:
            torch.empty(2**60, dtype=torch.uint8)
        return self.inside(batch)


def test_a_cpu_out_of_memory_is_answered_like_a_gpu() -> None:
    data = examples(rows=64)
    found = loop.train(problem(data, build=SmallHost), settings(), "cpu")
    assert weights(found) == weights(loop.train(problem(data, build=Small), settings(accumulate=2), "cpu"))
    with pytest.raises(OutOfMemory, match="does not hold one of 8 parts of a batch of 16 rows"):
        loop.train(problem(data, build=lambda: SmallHost(1)), settings(), "cpu")


def test_another_error_of_torch_is_not_taken_for_it(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), caplog.at_level(logging.WARNING):
        loop.train(problem(examples(rows=64), build=lambda: nn.Linear(4, 2)), settings(), "cpu")
    assert not caplog.text


def test_a_device_that_holds_nothing_is_named() -> None:
    with pytest.raises(OutOfMemory, match="does not hold one of 8 parts of a batch of 16 rows"):
        loop.train(problem(examples(rows=64), build=lambda: Small(1)), settings(), "cpu")


def test_half_precision_in_training_alone() -> None:
    kinds = set()

    class Telling(nn.Linear):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            said = super().forward(batch)
            kinds.add((self.training, said.dtype))
            return said

    data, valid = examples(), examples(seed=1)
    half = loop.train(problem(data, valid, build=lambda: Telling(3, 2)), settings(precision="bf16"), "cpu")
    assert kinds == {(True, torch.bfloat16), (False, torch.float32)}
    full = train(data, valid)
    assert weights(half) != weights(full)
    assert half.history["val_loss"][-1] == pytest.approx(full.history["val_loss"][-1], abs=0.02)
    assert {value.dtype for value in half.network.state_dict().values()} == {torch.float32}


def test_half_precision_that_the_cpu_does_not_compute_in_is_refused() -> None:
    with pytest.raises(BadModelInput, match="fp16"):
        train(examples(), precision="fp16")


def test_a_compiled_training_is_the_training() -> None:
    """The kernels themselves are torch's matter, and take a minute to make: here they are left out."""
    with torch.compiler.set_stance("force_eager"):
        compiled = train(examples(), examples(seed=1), compile=True)
    assert weights(compiled) == weights(train(examples(), examples(seed=1)))


@GPU
@pytest.mark.parametrize("precision", ["32", "bf16", "fp16"])
def test_a_gpu_learns_what_the_cpu_learns(precision: str) -> None:
    data, valid = two_examples(), two_examples(seed=1)
    here = loop.train(two(data, valid), settings(), "cpu")
    there = loop.train(two(data, valid), settings(precision=precision), "cuda")
    assert there.history["val_loss"][-1] == pytest.approx(here.history["val_loss"][-1], abs=0.1)


# Checkpoints -------------------------------------------------------------------------------------------------------


def test_the_best_epochs_are_kept() -> None:
    outcome = train(examples(), examples(seed=3), epochs=12, learning_rate=0.5, patience=12)
    losses = outcome.history["val_loss"]
    assert [one.value for one in outcome.checkpoints] == sorted(losses)[:3]
    assert [losses[one.epoch - 1] for one in outcome.checkpoints] == sorted(losses)[:3]
    best = outcome.checkpoints[0]
    assert best.epoch == outcome.best_epoch
    assert isinstance(best.weights, dict)
    for name, value in outcome.network.state_dict().items():
        assert torch.equal(best.weights[name], value)
    assert train(examples(), examples(seed=3), checkpoints=0).checkpoints == ()
