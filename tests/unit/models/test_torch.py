"""What the shared shell does for every torch model, shown on the LSTM and on a network of two inputs and two heads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from betti.errors import BadModelInput, BrokenArtifact
from betti.models import ModelRegistry, _torch
from betti.models._protocol import Answers, InputSpec, PredictionOutput
from betti.training.scores import softmax
from betti.windows import NamedInputs, Rows, Windows
from tests.unit.training._problems import Two, TwoLosses

SMALL = {"hidden": 8, "layers": 2, "length": 5, "epochs": 3, "warmup_epochs": 1, "device": "cpu"}


def data(rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(rows, 5, 3)).astype("float32")
    return X, (X[:, -1, 0] > 0).astype("int64")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_global_generators_are_left_alone() -> None:
    X, y = data()
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    ModelRegistry.create("lstm", SMALL).fit(X, y, None, None)
    assert torch.equal(torch.rand(1), wanted)
    assert not torch.are_deterministic_algorithms_enabled()


def test_another_seed_gives_another_network() -> None:
    X, y = data()
    answers = []
    for seed in (1, 2):
        model = ModelRegistry.create("lstm", {**SMALL, "seed": seed})
        model.fit(X, y, None, None)
        answers.append(model.predict(X).class_probabilities)
    assert not np.array_equal(*answers)


def test_the_final_model_keeps_the_folds_schedule() -> None:
    X, y = data()
    model = ModelRegistry.create("lstm", {**SMALL, "epochs": 6})
    metrics = model.fit(X, y, X, y)
    assert metrics.best_epoch
    assert model.final_config([metrics]) == {"epochs": metrics.best_epoch, "schedule_epochs": 6}
    last = ModelRegistry.create("lstm", {**SMALL, "epochs": 2, "schedule_epochs": 6})
    found = last.fit(X, y, None, None)
    assert found.epochs_trained == 2
    assert found.best_epoch is None
    assert found.history["learning_rate"] == metrics.history["learning_rate"][:2]


@pytest.mark.parametrize(
    ("knob", "value"),
    [("schedule", "linear"), ("precision", "64"), ("devices", 0), ("accumulate", 0), ("device", "tpu")],
)
def test_bad_knobs_of_the_loop_are_named(knob: str, value: Any) -> None:
    with pytest.raises(BadModelInput, match=f"{knob} = {value!r}"):
        ModelRegistry.create("lstm", {**SMALL, knob: value})


def test_a_knob_of_another_schedule_is_refused_before_training() -> None:
    with pytest.raises(BadModelInput, match="with the schedule cosine"):
        ModelRegistry.create("lstm", {**SMALL, "plateau_factor": 0.5})


@pytest.mark.parametrize("given", [{"compile": True, "devices": 2}, {"devices": 3, "compile": True}])
def test_one_device_alone_is_compiled_for(given: dict[str, Any]) -> None:
    with pytest.raises(BadModelInput, match="compile with devices = "):
        ModelRegistry.create("lstm", {**SMALL, **given})
    with pytest.raises(BadModelInput, match="compile with devices = "):
        ModelRegistry.create("lstm", SMALL).fit(*data(), None, None, config=given)
    assert ModelRegistry.create("lstm", {**SMALL, **given, "compile": False})


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"warmup_epochs": 500, "epochs": 3}, "500 of 3"),
        ({"warmup_epochs": 3, "epochs": 3}, "3 of 3"),
        ({"warmup_epochs": 20, "epochs": 50, "schedule_epochs": 20}, "20 of 20"),
        ({"warmup_epochs": 100}, "100 of 100"),
        ({"warmup_epochs": 2, "epochs": 3}, ""),
        ({"warmup_epochs": 9, "epochs": 2, "schedule_epochs": 10}, ""),  # a final model keeps the folds' schedule
        ({"epochs": 3}, ""),  # the default of 5
        ({"warmup_epochs": 5, "epochs": 3}, ""),  # which a model that is made again has been given
        ({"warmup_epochs": 8, "epochs": 1}, ""),  # a look at the model
    ],
)
def test_a_warm_up_that_does_not_end_is_refused(given: dict[str, int], found: str) -> None:
    if not found:
        model = ModelRegistry.create("lstm", given)
        assert ModelRegistry.create("lstm", model.config).config == model.config
        return
    with pytest.raises(BadModelInput, match=f"warmup_epochs = {found} epochs"):
        ModelRegistry.create("lstm", given)


def test_what_the_folds_found_can_always_be_made() -> None:
    """However early they stopped, and whatever the warm-up."""
    X, y = data()
    model = ModelRegistry.create("lstm", {**SMALL, "epochs": 6, "warmup_epochs": 4})
    metrics = model.fit(X, y, X, y)
    for best in range(1, 7):
        found = model.final_config([dataclasses.replace(metrics, best_epoch=best)])
        assert ModelRegistry.create("lstm", {**model.config, **found}).config["epochs"] == best


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    X, y = data()
    model = ModelRegistry.create("lstm", SMALL)
    model.fit(X, y, None, None)
    model.save(tmp_path)
    text = (tmp_path / "model.json").read_text().replace('"hidden": 8', '"hidden": 9')
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(BrokenArtifact, match="does not fit"):
        ModelRegistry.create("lstm").load(tmp_path)


def test_checkpoints_lie_beside_the_model_and_travel_with_it(tmp_path: Path) -> None:
    X, y = data()
    model = ModelRegistry.create("lstm", {**SMALL, "epochs": 6})
    metrics = model.fit(X, y, X, y)
    model.save(tmp_path / "one")
    ranked = np.argsort(metrics.history["val_loss"], kind="stable")[:3] + 1
    wanted = {f"checkpoints/epoch_{epoch:04d}.safetensors" for epoch in ranked}
    assert set(files(tmp_path / "one")) == {"model.json", "network.safetensors", *wanted}
    best = load_file(tmp_path / "one" / "checkpoints" / f"epoch_{metrics.best_epoch:04d}.safetensors")
    network = load_file(tmp_path / "one" / "network.safetensors")
    assert all(torch.equal(best[name], value) for name, value in network.items())
    again = ModelRegistry.create("lstm")
    again.load(tmp_path / "one")
    again.save(tmp_path / "two")
    assert files(tmp_path / "two") == files(tmp_path / "one")


# Several inputs and heads ------------------------------------------------------------------------------------------


class Pair(_torch.TorchModel):
    """`Two` as a model: a class and a size, from two inputs of single rows."""

    NAME: ClassVar[str] = "pair"
    KNOBS: ClassVar[Mapping[str, Any]] = {"left_rate": 0.02, "epochs": 30, "learning_rate": 0.02, "device": "cpu"}
    BOUNDS: ClassVar[Any] = {**_torch.BOUNDS, "left_rate": (0, 1)}

    @property
    def inputs(self) -> Mapping[str, InputSpec]:
        return {"left": InputSpec("any"), "right": InputSpec("any")}

    @property
    def heads(self) -> tuple[str, ...]:
        return ("size",)

    def network(self, shape: _torch.Shape) -> nn.Module:
        assert (dict(shape.inputs), shape.classes) == ({"left": (2,), "right": (3,)}, 2)
        return Two()

    def loss(self) -> TwoLosses:
        return TwoLosses()

    def output(self, said: Any) -> PredictionOutput:
        found = PredictionOutput.from_probabilities(softmax(said["logits"]))
        found.outputs["size"] = said["size"]
        return found


def pairs(rows: int, seed: int) -> tuple[NamedInputs, Answers]:
    table = np.random.default_rng(seed).normal(size=(rows, 5)).astype("float32")
    inputs = NamedInputs({"left": Rows(table[:, :2], np.arange(rows)), "right": Rows(table[:, 2:], np.arange(rows))})
    sizes = np.where(np.arange(rows) % 3 == 0, np.nan, table[:, 3] - table[:, 1])
    return inputs, Answers((table[:, 0] > 0).astype("int64"), {"size": sizes})


def test_a_model_of_several_inputs_and_heads_learns_saves_and_loads(tmp_path: Path) -> None:
    (X, y), (unseen, answers) = pairs(400, seed=0), pairs(200, seed=1)
    model = Pair()
    assert model.get_default_config()["epochs"] == 30
    assert not model.requires_sequences
    metrics = model.fit(X, y, unseen, answers)
    assert metrics.val_accuracy > 0.9
    assert len(metrics.history["scale"]) == metrics.epochs_trained
    said = model.predict(unseen)
    known = ~np.isnan(answers.heads["size"])
    assert np.corrcoef(said.outputs["size"][known], answers.heads["size"][known])[0, 1] > 0.9
    model.save(tmp_path)
    again = Pair()
    again.load(tmp_path)
    np.testing.assert_array_equal(again.predict(unseen).class_probabilities, said.class_probabilities)
    np.testing.assert_array_equal(again.predict(unseen).outputs["size"], said.outputs["size"])
    with pytest.raises(BadModelInput, match=r"input .left.: rows of 3 features"):
        again.predict(NamedInputs({"left": unseen["right"], "right": unseen["left"]}).take(slice(0, 3)))


def test_a_row_without_weight_is_left_out_with_its_heads() -> None:
    X, y = pairs(100, seed=0)
    one, two = Pair({"epochs": 3}), Pair({"epochs": 3})
    one.fit(X, y, None, None, sample_weights=np.r_[np.zeros(50), np.ones(50)])
    two.fit(X.take(slice(50, 100)), Answers(y.classes[50:], {"size": y.heads["size"][50:]}), None, None)
    np.testing.assert_array_equal(one.predict(X).outputs["size"], two.predict(X).outputs["size"])


def test_windows_are_gathered_where_the_network_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing on the way from `fit` to the network makes all windows at once."""
    table = np.random.default_rng(0).normal(size=(300, 3)).astype("float32")
    windows = Windows(table, np.arange(4, 300), 5)
    monkeypatch.setattr(Windows, "__getitem__", lambda self, rows: pytest.fail("windows were made"))
    model = ModelRegistry.create("lstm", SMALL)
    model.fit(windows, (table[4:, 0] > 0).astype("int64"), None, None)
    assert model.predict(windows).class_probabilities.shape == (296, 2)


def test_one_row_is_answered_as_among_many() -> None:
    X, y = data()
    model = ModelRegistry.create("tcn", {"length": 5, "channels": 8, "blocks": 2, "epochs": 2, "device": "cpu"})
    model.fit(X, y, None, None)
    alone = np.vstack([model.predict(X[row : row + 1]).class_probabilities for row in range(5)])
    np.testing.assert_allclose(alone, model.predict(X).class_probabilities[:5], atol=1e-6)
