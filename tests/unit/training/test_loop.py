from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from betti.nn.losses import weighted_cross_entropy
from betti.progress import listening
from betti.training import loop
from betti.training.batches import Resident, shuffled
from betti.windows import Windows

SETTINGS = loop.Settings(
    epochs=6,
    schedule_epochs=0,
    batch_size=16,
    learning_rate=0.05,
    weight_decay=0.0,
    clip=1.0,
    warmup_epochs=2,
    patience=3,
    min_delta=0.0,
    seed=1,
)


def examples(rows: int = 50, seed: int = 0) -> loop.Examples:
    X = np.random.default_rng(seed).normal(size=(rows, 3)).astype("float32")
    return loop.Examples(X, (X[:, 0] > 0).astype("int64"), np.ones(rows))


def train(data: loop.Examples, valid: loop.Examples | None = None, **changed: float) -> loop.Outcome:
    settings = dataclasses.replace(SETTINGS, **changed)
    return loop.train(lambda: nn.Linear(3, 2), weighted_cross_entropy, data, valid, settings, "cpu")


def test_warm_up_then_half_a_cosine() -> None:
    factors = [loop.learning_rate_factor(epoch, SETTINGS) for epoch in range(1, 7)]
    np.testing.assert_allclose(
        factors, [1 / 3, 2 / 3, 1.0, 0.5 * (1 + np.cos(np.pi / 4)), 0.5, 0.5 * (1 - np.cos(np.pi / 4))]
    )
    longer = dataclasses.replace(SETTINGS, epochs=3, schedule_epochs=6)
    assert [loop.learning_rate_factor(epoch, longer) for epoch in range(1, 4)] == factors[:3]


def test_without_validation_trains_for_every_epoch() -> None:
    outcome = train(examples())
    assert (outcome.epochs, outcome.best_epoch, outcome.early_stopped) == (6, None, False)
    assert len(outcome.history["train_loss"]) == 6
    assert outcome.history["val_loss"] == []


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
    one, two, other = train(examples()), train(examples()), train(examples(), seed=2)
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, two.network.state_dict()[name])
        assert not torch.equal(value, other.network.state_dict()[name])


def test_a_loss_that_is_not_finite_names_epoch_and_batch() -> None:
    data = examples(rows=64)
    with pytest.raises(loop.LossNotFinite, match="epoch 1, batch 1: the loss is not finite"):
        loop.train(
            lambda: nn.Linear(3, 2),
            lambda outputs, targets, weights: weighted_cross_entropy(outputs, targets, weights) * float("inf"),
            data,
            None,
            SETTINGS,
            "cpu",
        )
    wild = dataclasses.replace(examples(seed=1), inputs=np.full((50, 3), 3e38, dtype="float32"))
    with pytest.raises(loop.LossNotFinite, match="epoch 1: the validation loss"):
        train(data, wild)


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
