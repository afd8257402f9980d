"""Memory foreseen and memory used: exact where it can be counted, and never far off where it is measured."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from betti.errors import BadModelInput
from betti.models import FOLDER, ModelRegistry, _sizes
from betti.training import estimates, footprint
from betti.training.footprint import Footprint


def dense(width: int = 30, hidden: int = 40) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 3))


def of(network: nn.Module, width: int, rows: int, **more: int) -> Footprint:
    return footprint.of_network(network, lambda few: network(torch.zeros(few, width)), rows, **more)


@pytest.mark.parametrize("rows", [1, 4, 8, 1000])
def test_a_dense_network_is_counted_to_the_byte(rows: int):
    """Kept for the way back: the input, what the tanh said (once, for two layers), nothing else."""
    found = of(dense(), 30, rows, inputs=123)
    weights = 4 * (30 * 40 + 40 + 40 * 3 + 3)
    assert (found.weights, found.gradients, found.moments) == (weights, weights, 2 * weights)
    assert found.activations == 4 * rows * (30 + 40)
    assert found.workspace == max(weights, 4 * rows * 40) and found.inputs == 123
    assert found.total == sum(getattr(found, name) for name in found.__dataclass_fields__)


def test_frozen_weights_have_no_gradients_and_buffers_are_weights():
    network = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5))
    network[0].requires_grad_(False)
    found = of(network, 6, 10, moments=0)
    assert found.gradients == 4 * 10 and found.moments == 0
    assert found.weights == 4 * (6 * 5 + 5 + 10 + 10) + 8  # scale and shift, mean and variance, a 64-bit count


def test_asking_changes_nothing():
    network = dense()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    of(network, 30, 50)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training and all(one.grad is None for one in network.parameters())


def test_a_batch_without_rows_is_refused():
    with pytest.raises(BadModelInput, match="0 rows"):
        of(dense(), 30, 0)


def test_parameters_are_told_by_part():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))
            self.body = dense()
            self.same = self.body[0]
            self.idle = nn.ReLU()

    whole = Net()
    parts = footprint.parameters(whole)
    assert parts == {"": 3, "body": 30 * 40 + 40 + 40 * 3 + 3}
    assert sum(parts.values()) == sum(one.numel() for one in whole.parameters())
    assert footprint.parameters(nn.ModuleDict({"shell": whole})) == parts
    assert footprint.parameters(nn.Identity()) == {}


PROGRAM = """
import sys, torch
from torch import nn
from betti.training import footprint
torch.set_num_threads(1)
network = nn.Sequential(nn.Linear(400, 1500), nn.Tanh(), nn.Linear(1500, 1500), nn.Tanh(), nn.Linear(1500, 3))
optimizer = torch.optim.AdamW(network.parameters())
def forward(rows):
    return nn.functional.cross_entropy(network(torch.randn(rows, 400)), torch.zeros(rows, dtype=torch.long))
def step(rows):
    optimizer.zero_grad(set_to_none=True)
    forward(rows).backward()
    optimizer.step()
expected = footprint.of_network(network, forward, 6000)
step(2)
with footprint.watched("cpu") as used:
    step(6000)
print(expected.activations + expected.workspace, used.peak)
"""


def test_what_is_foreseen_is_what_a_step_takes():
    """In a process of its own, whose parent may have held more."""
    out = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    foreseen, used = map(int, out.stdout.split())
    assert foreseen > 50e6
    assert 0.6 < used / foreseen < 1.7


def test_a_block_is_measured_whatever_came_before_it():
    """The second block takes less than the first did, and nothing of the first is counted in it."""
    peaks = []
    for size in (60_000_000, 20_000_000, 10):
        with footprint.watched("cpu") as used:
            np.ones(size, dtype="uint8").sum()
        peaks.append(used.peak)
    assert 0.8 < peaks[0] / 60e6 < 1.3
    assert peaks[1] / 20e6 < 1.5  # some of it may lie where the allocator kept memory
    assert peaks[2] < 5e6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
def test_a_gpu_is_measured_by_its_own_allocator():
    network = dense(300, 4000).to("cuda")
    optimizer = torch.optim.AdamW(network.parameters())
    made = footprint.of_network(network, lambda few: network(torch.zeros(few, 300, device="cuda")), 8192)
    with footprint.watched("cuda") as used:
        for _ in range(2):
            optimizer.zero_grad(set_to_none=True)
            network(torch.zeros(8192, 300, device="cuda")).sum().backward()
            optimizer.step()
    assert 0.6 < used.peak / (made.total - made.weights) < 1.7


def test_trees_grow_with_the_matrix():
    small, large = (footprint.of_trees("lightgbm", rows, 50) for rows in (10_000, 20_000))
    assert large.inputs == 2 * small.inputs == 2 * int(10_000 * 50 * 4 * footprint.FACTORS["lightgbm"])
    assert footprint.of_trees("unheard_of", 10, 10).inputs >= footprint.of_trees("xgboost", 10, 10).inputs
    assert (
        footprint.of_trees("xgboost", 100, 10, classes=3).workspace > footprint.of_trees("xgboost", 100, 10).workspace
    )


def test_a_fit_that_is_too_large_is_a_typed_warning(monkeypatch: pytest.MonkeyPatch):
    assert footprint.capacity("cpu") > 2e8
    assert footprint.too_large("lstm", Footprint(weights=1000), "cpu") is None
    monkeypatch.setattr(footprint, "capacity", lambda _: 2_000_000)
    found = footprint.too_large("lstm", Footprint(activations=3_000_000), "cuda")
    assert found is not None and (found.needed, found.there) == (3_000_000, 2_000_000)
    assert str(found).startswith("lstm is expected to take 3.0 MB, cuda has 2.0 MB: lower batch_size")
    assert isinstance(found, Warning)


def test_a_containers_limit_counts(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(footprint, "_cgroup_limits", lambda: iter([5_000_000]))
    assert footprint.capacity("cpu") == 5_000_000


# Registered models --------------------------------------------------------------------------------------------------


def test_a_models_network_is_the_one_it_trains():
    model = ModelRegistry.create("lstm", {"hidden": 8, "layers": 1, "length": 5, "epochs": 1, "device": "cpu"})
    network = _sizes.network(model, columns=3)
    assert network is not None and _sizes.shapes(model, 3) == {"X": (5, 3)}
    X = np.random.default_rng(0).normal(size=(60, 5, 3)).astype("float32")
    model.fit(X, np.arange(60) % 3, None, None)
    trained = sum(one.numel() for one in model._fitted.network.parameters())
    assert trained == sum(footprint.parameters(network).values())


def test_a_longer_window_and_a_larger_batch_take_more():
    def activations(**knobs: int) -> int:
        made = _sizes.expected(ModelRegistry.create("lstm", {"hidden": 8, "layers": 1, **knobs}), "lstm", 100)
        assert made is not None
        return made.activations

    short = activations(length=5, batch_size=64)
    assert 1.5 < activations(length=10, batch_size=64) / short < 2.5
    assert 1.9 < activations(length=5, batch_size=128) / short < 2.1


def test_models_without_a_network_are_known_by_their_library():
    assert _sizes.network(ModelRegistry.create("logistic")) is None
    found = _sizes.expected(ModelRegistry.create("lightgbm"), "lightgbm", 1000, columns=20)
    assert found is not None and found.inputs == int(1000 * 20 * 4 * footprint.FACTORS["lightgbm"])
    assert _sizes.expected(ModelRegistry.create("lightgbm"), "unheard_of", 1000) is None


@pytest.mark.parametrize("name", FOLDER.names())
def test_every_model_has_an_estimate(name: str):
    model = ModelRegistry.create(name, ModelRegistry.create(name).SMALL)
    few, many = (_sizes.expected(model, name, rows) for rows in (2_000, 8_000))
    assert few is not None and many is not None
    assert 0 < few.total < many.total
    assert estimates.is_network(model) == (_sizes.network(model) is not None)


def test_an_ensemble_takes_its_largest_member_beside_its_own_matrix():
    def expected(members: dict) -> int:
        found = _sizes.expected(ModelRegistry.create("voting", {"members": members}), "voting", 10_000, columns=20)
        assert found is not None
        return found.total

    alone = _sizes.expected(ModelRegistry.create("xgboost"), "xgboost", 10_000, columns=20)
    assert alone is not None
    both = expected({"xgboost": {}, "logistic": {}})
    assert both == expected({"xgboost": {}}) == alone.total + 10_000 * 20 * 4
    assert expected({"logistic": {}}) < both


def test_a_support_vector_machine_is_held_by_the_rows_it_draws():
    sizes = [
        _sizes.expected(ModelRegistry.create("svm", {"max_rows": rows}), "svm", 50_000) for rows in (500, 1000, 20_000)
    ]
    workspaces = [found.workspace for found in sizes if found is not None]
    assert len(workspaces) == 3 and workspaces == sorted(workspaces)
    assert workspaces[-1] == 500e6  # the kernel's cache is bounded: all of it would be 1.6 GB


MEASURED = """
import json, sys
import numpy as np
from betti.models import ModelRegistry, _sizes
from betti.training import footprint
name, rows, columns, knobs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
model = ModelRegistry.create(name, knobs)
def fit(rows):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, columns), dtype="float32")
    y = (X[:, 0] + rng.standard_normal(rows, dtype="float32") > 0).astype("int64")
    cut = rows * 4 // 5
    model.fit(X[:cut], y[:cut], X[cut:], y[cut:])
fit(300)  # libraries are loaded
with footprint.watched("cpu") as used:
    fit(rows)
print(_sizes.expected(model, name, rows, columns).total, used.peak)
"""
LINE = {"model": "logistic", "config": {"max_iter": 5}}


@pytest.mark.parametrize(
    ("name", "rows", "columns", "knobs"),
    [
        ("logistic", 60_000, 60, {"max_iter": 5}),
        ("svm", 1_500, 20, {}),
        ("stacking", 40_000, 60, {"members": {"line": LINE}, "folds": 1}),
    ],
)
def test_what_is_foreseen_of_rows_is_what_a_fit_takes(name: str, rows: int, columns: int, knobs: dict):
    """In a process of its own, as above."""
    words = [sys.executable, "-c", MEASURED, name, str(rows), str(columns), json.dumps(knobs)]
    out = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    expected, used = map(int, out.stdout.split())
    assert used > 10e6
    assert 0.6 < used / expected < 1.7


# Telling ------------------------------------------------------------------------------------------------------------


def test_a_block_within_a_block_hides_nothing_of_it():
    """The inner one lets the process's peak begin anew."""
    with footprint.watched("cpu") as outer:
        np.ones(60_000_000, dtype="uint8").sum()
        with footprint.watched("cpu") as inner:
            np.ones(20_000_000, dtype="uint8").sum()
    assert 0.8 < outer.peak / 60e6 < 1.3
    assert inner.peak < 40e6


def test_what_a_fit_took_is_told_beside_what_was_foreseen(caplog):
    with caplog.at_level(logging.INFO), footprint.told("run 'r', fold_0", Footprint(inputs=2_000_000), "cpu"):
        np.ones(30_000_000, dtype="uint8").sum()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("memory of run 'r', fold_0 on cpu: 2.0 MB (inputs 2.0 MB) expected, ")
    assert line.endswith("MB used")


def test_a_fit_of_which_nothing_is_known_is_measured_all_the_same(caplog):
    with caplog.at_level(logging.INFO), footprint.told("a fit", None, "cpu"):
        pass
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("memory of a fit on cpu: nothing expected, ")


def test_a_fit_that_will_not_fit_is_warned_of_and_begun(caplog, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(footprint, "capacity", lambda _: 1000)
    begun = False
    with footprint.told("a fit", Footprint(inputs=2_000_000), "cpu"):
        begun = True
    assert begun
    assert any("expected to take 2.0 MB" in record.getMessage() for record in caplog.records)
