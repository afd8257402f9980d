"""What a training is expected to take is said before it begins, and what it took when it has ended."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch import nn

from betti.training import footprint
from betti.training.batches import Held
from betti.training.problem import Examples, Problem
from betti.training.weighing import foreseen, weighed


def problem(width: int, rows: int = 64) -> Problem:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(rows, 8)).astype("float32")
    network = nn.Sequential(nn.Linear(8, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.5), nn.Linear(width, 2))
    return Problem(
        build=lambda: network,
        loss=lambda outputs, targets, weights: (
            nn.functional.cross_entropy(outputs, targets, reduction="none") * weights
        ),
        train=Examples(inputs, rng.integers(0, 2, rows), np.ones(rows)),
    )


def test_a_wider_network_and_a_larger_batch_take_more():
    narrow, wide = (problem(width) for width in (16, 256))
    data = Held(narrow.train, "cpu")
    small = foreseen(narrow.build(), narrow, data, 32)
    assert foreseen(wide.build(), wide, data, 32).weights > 10 * small.weights
    assert foreseen(narrow.build(), narrow, data, 64).activations == pytest.approx(2 * small.activations, rel=0.05)


def test_asking_leaves_the_network_as_it_was():
    asked = problem(16)
    network = asked.build()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    foreseen(network, asked, Held(asked.train, "cpu"), 32)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_both_numbers_are_told(caplog):
    asked = problem(16)
    with caplog.at_level(logging.INFO), weighed(asked.build(), asked, Held(asked.train, "cpu"), 32):
        pass
    (line,) = [record.getMessage() for record in caplog.records if record.name == "betti.training.footprint"]
    assert "expected" in line
    assert "used" in line


def test_a_training_that_will_not_fit_is_warned_of(caplog, monkeypatch):
    monkeypatch.setattr(footprint, "capacity", lambda device: 1000)
    asked = problem(16)
    with weighed(asked.build(), asked, Held(asked.train, "cpu"), 32):
        pass
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "lower batch_size" in warning
