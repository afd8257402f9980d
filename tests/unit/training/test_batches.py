"""What a batch holds, and that training, evaluation and live prediction are given the same inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.models._protocol import PredictionOutput
from betti.training.batches import NamedResident, Resident, in_order, shuffled
from betti.training.manifest import RunManifest
from betti.training.prepare import feature_rows, labelled
from betti.training.run import Member, TrainedRun
from betti.training.scaling import ONLY, Scaler, fit_robust
from betti.windows import NamedInputs, Rows, Windows


def matrix(rows: int, columns: int = 4) -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, columns)).astype("float32")


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 40),
    length=st.integers(1, 7),
    first=st.integers(0, 2),
    batch=st.integers(1, 9),
    seed=st.integers(0, 99),
    order=st.sampled_from("CF"),
)
def test_batches_of_windows_equal_literal_slices(rows, length, first, batch, seed, order):
    values = np.array(matrix(rows, 5), order=order)[:, first : first + 3]
    ends = np.arange(length - 1, rows)[::-1].copy()
    resident = Resident(Windows(values, ends, length), "cpu")
    assert len(resident) == len(ends)
    for picked in shuffled(len(ends), batch, torch.Generator().manual_seed(seed), "cpu"):
        wanted = [values[end - length + 1 : end + 1] for end in ends[picked.numpy()]]
        found = resident.gather(picked).numpy()
        assert found.shape == (len(picked), length, 3)
        np.testing.assert_array_equal(found, np.reshape(wanted, found.shape))


def test_rows_and_arrays_are_gathered_alike():
    values = matrix(9)
    at = np.array([8, 2, 2, 5])
    picked = torch.tensor([3, 0])
    np.testing.assert_array_equal(Resident(Rows(values, at), "cpu").gather(picked).numpy(), values[[5, 8]])
    np.testing.assert_array_equal(Resident(values[at], "cpu").gather(picked).numpy(), values[[5, 8]])


def test_a_batch_may_be_changed_and_the_matrix_stays():
    values = matrix(9)
    before = values.copy()
    Resident(Windows(values, np.array([4, 8]), 3), "cpu").gather(torch.tensor([0, 1])).zero_()
    np.testing.assert_array_equal(values, before)


def test_on_the_cpu_nothing_is_copied():
    table = matrix(20, 6)
    for values in (table, table[:, 1:4]):
        resident = Resident(Windows(values, np.arange(4, 20), 5), "cpu")
        assert resident.values.data_ptr() == values.__array_interface__["data"][0]
        assert resident.values.shape == values.shape


def test_a_matrix_is_sent_once_for_all_roles_of_a_fold():
    values = matrix(30)
    values.setflags(write=False)  # torch cannot share it, so that each sending shows as a copy
    windows = Windows(values, np.arange(4, 30), 5)
    train = Resident(windows.take(slice(0, 15)), "cpu")
    valid = Resident(windows.take(slice(18, 26)), "cpu", beside=train)
    shorter = Resident(Windows(values, np.arange(2, 30), 3), "cpu", beside=train)
    alone = Resident(windows.take(slice(18, 26)), "cpu")
    others = Resident(Windows(matrix(30), np.arange(4, 30), 5), "cpu", beside=train)
    assert train.values.data_ptr() == valid.values.data_ptr() == shorter.values.data_ptr() != alone.values.data_ptr()
    assert others.values.data_ptr() != train.values.data_ptr()
    rows = torch.arange(8)
    assert torch.equal(valid.gather(rows), alone.gather(rows))


def test_named_inputs_give_named_batches():
    table = matrix(12, 5)
    ends = np.arange(3, 12)
    inputs = NamedInputs({"bars": Windows(table[:, :2], ends, 4), "topology": Rows(table[:, 2:], ends)})
    resident = NamedResident(inputs, "cpu")
    batch = resident.gather(torch.tensor([8, 0]))
    assert len(resident) == 9
    np.testing.assert_array_equal(batch["bars"].numpy(), np.stack([table[8:12, :2], table[0:4, :2]]))
    np.testing.assert_array_equal(batch["topology"].numpy(), table[[11, 3], 2:])
    valid = NamedResident(inputs.take(slice(4, 6)), "cpu", beside=resident)
    assert torch.equal(valid.gather(torch.tensor([1]))["bars"], resident.gather(torch.tensor([5]))["bars"])


@pytest.mark.parametrize(("rows", "size", "sizes"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (2, 5, [2]), (0, 4, [0])])
def test_in_order(rows, size, sizes):
    batches = list(in_order(rows, size, "cpu"))
    assert [len(batch) for batch in batches] == sizes
    assert torch.cat(batches).tolist() == list(range(rows))


def test_shuffled_takes_every_row_once_and_leaves_no_single_row():
    batches = shuffled(10, 3, torch.Generator().manual_seed(1), "cpu")
    assert [len(batch) for batch in batches] == [3, 3, 4]
    assert sorted(torch.cat(batches).tolist()) == list(range(10))
    again = shuffled(10, 3, torch.Generator().manual_seed(1), "cpu")
    assert all(torch.equal(one, other) for one, other in zip(batches, again, strict=True))


# --- training, evaluation, live


class Recorder:
    """A model that only remembers what it was asked about."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def predict(self, X: Any) -> PredictionOutput:
        self.seen.append(np.array(X[:]))
        return PredictionOutput.from_probabilities(np.full((len(X), 2), 0.5))


def manifest(columns: tuple[str, ...], length: int | None) -> RunManifest:
    texts = dict.fromkeys(("run", "model", "target", "set", "label", "device"), "any")
    facts: dict[str, Any] = {"config": {}, "final_config": {}, "fits": {}, "rows": {}, "dropped": {}, "libraries": {}}
    return RunManifest(**texts, **facts, seed=1, columns=columns, classes=2, length=length, folds=(0,))


@pytest.mark.parametrize("length", [1, 5, None])
def test_training_evaluation_and_live_prediction_get_the_same_inputs(length, tmp_path: Path):
    """Bytes of three ways to the inputs of the same decision: a training batch, a test row, the newest bar alone."""
    stamps = pd.date_range("2021-01-01", periods=40, freq="1h", tz="UTC").as_unit("us")
    table = pd.DataFrame({"timestamp": np.tile(stamps, 2), "symbol": np.repeat(["AAA", "BBB"], 40)})
    table[["a", "b", "c"]] = np.random.default_rng(3).normal(5, 3, size=(80, 3)).astype("float32")
    keys = table[["timestamp", "symbol"]]
    labels = keys.assign(span_start=table["timestamp"], span_end=table["timestamp"], trigger=1.0, weight=1.0)

    features = feature_rows(table, ("a", "b", "c"), length)
    data = labelled(labels, "trigger", features, 2)
    scaler = fit_robust(features.values[data.positions[:20]])
    scaler.save(tmp_path)
    stored = Scaler.load(tmp_path)
    batch = Resident(features.inputs(data.positions, scaler), "cpu").gather(torch.arange(len(data.rows))).numpy()

    model = Recorder()
    run = TrainedRun(
        manifest(features.columns, length),
        {"fold_0": Member(model, {ONLY: stored}), "final": Member(model, {ONLY: stored})},
    )
    tested = run.predict(0, table.sample(frac=1, random_state=1), keys)
    pd.testing.assert_frame_equal(tested.rows, data.rows[["timestamp", "symbol"]])
    assert model.seen[-1].tobytes() == batch.tobytes()
    for row, key in data.rows[["timestamp", "symbol"]].iterrows():
        known = table[table["timestamp"] <= key["timestamp"]].groupby("symbol").tail(length or 1)
        run.predict(None, known, pd.DataFrame([key]).astype(keys.dtypes))
        assert model.seen[-1].tobytes() == batch[[row]].tobytes()
