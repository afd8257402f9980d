from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from betti.errors import BadModelInput, BrokenArtifact
from betti.models import ModelRegistry
from betti.models._protocol import Answers
from betti.models.jade import Jade
from tests.unit.networks.planted import Planted, planted

SMALL = {**Jade.SMALL, "device": "cpu"}


def answers(made: Planted) -> Answers:
    return Answers(made.classes, {name: made.labels[name] for name in Jade().heads})


def test_defaults_are_the_published_ones() -> None:
    from betti.models._torch import Shape

    model = ModelRegistry.create("jade")
    assert model.heads == ("start", "end", "type", "begun", "ahead", "censored")
    assert (model.config["length"], model.config["balancer"]) == (105, "staged")
    network = model.network(Shape({"X": (105, 12)}, 2))  # type: ignore[attr-defined]
    assert sum(one.numel() for one in network.parameters()) == 97_547


def test_it_finds_planted_expansions(tmp_path: Path) -> None:
    made, held = planted(500), planted(200, seed=1)
    model = ModelRegistry.create("jade", {**SMALL, "epochs": 20, "hidden_size": 24})
    metrics = model.fit(made.windows, answers(made), held.windows, answers(held))
    found = model.predict(held.windows)
    assert (found.class_predictions == held.classes).mean() > 0.95
    inside = held.classes > 0
    start, end = held.labels["start"][inside], held.labels["end"][inside]
    assert np.abs(found.outputs["end"][inside] - end).mean() < 5
    assert (np.abs(found.outputs["start"][inside] - start) <= 3).mean() > 0.6
    bars = np.arange(105)
    truth = (bars >= start[:, None]) & (bars <= end[:, None])
    assert ((found.outputs["mask"][inside] > 0.5) == truth).mean() > 0.95
    timed = ~np.isnan(held.labels["start"])
    assert np.abs(found.outputs["countdown"] - (held.labels["start"] - 104))[timed].mean() < 12
    types = np.column_stack([found.outputs[f"type_{kind}"] for kind in range(3)])
    np.testing.assert_allclose(types.sum(axis=1), 1.0)
    assert {f"share_{name}" for name in ("pointers", "type", "binary", "countdown")} <= set(metrics.history)
    model.save(tmp_path)
    again = ModelRegistry.create("jade")
    again.load(tmp_path)
    for name, values in again.predict(held.windows).outputs.items():
        np.testing.assert_array_equal(values, found.outputs[name])


def test_outputs_are_the_places_that_pointers_mean() -> None:
    """Start 50 and end 65 are centre 57.5 / 104 and length 16 / 105."""
    quiet = np.zeros((1, 105))
    said = {
        "logits": np.zeros((1, 3)),
        "pointers": np.array([[57.5 / 104, 16 / 105]]),
        "expansion_binary_logits": np.where(np.arange(105) == 60, 2.0, -3.0)[None],
        "expansion_countdown": quiet + 50 - np.arange(105),
    }
    found = Jade().output(said)
    assert found.outputs["start"][0] == pytest.approx(50) and found.outputs["end"][0] == pytest.approx(65)
    assert found.outputs["countdown"][0] == -54
    assert found.class_probabilities[0, 1] == pytest.approx(1 / (1 + np.exp(-2)))


def log_loss(chance: np.ndarray, happened: np.ndarray) -> float:
    return float(-np.log(np.where(happened > 0, chance, 1 - chance)).mean())


def test_on_noise_it_is_hardly_worse_than_the_prior_and_keeps_the_order_of_windows(tmp_path: Path) -> None:
    """Labels of other windows: without calibration its log loss is far above that of the classes' shares."""
    made, valid, held = planted(300, plain=0.5), planted(300, seed=1, plain=0.5), planted(300, seed=2, plain=0.5)
    shuffled = [one.windows[np.random.default_rng(9).permutation(300)] for one in (made, valid, held)]
    model = Jade({**SMALL, "epochs": 6})
    model.fit(shuffled[0], answers(made), shuffled[1], answers(valid))
    said = model.predict(shuffled[2])
    chance, highest = said.class_probabilities[:, 1], said.outputs["mask"].max(axis=1)
    prior = log_loss(np.full(300, made.classes.mean()), held.classes)
    assert log_loss(chance, held.classes) < prior + 0.05 < log_loss(highest, held.classes)
    assert (np.argsort(chance, kind="stable") == np.argsort(highest, kind="stable")).all()
    model.save(tmp_path)
    facts = json.loads((tmp_path / "model.json").read_text())
    assert set(facts["calibration"]) == {"slope", "intercept"}
    again = Jade()
    again.load(tmp_path)
    np.testing.assert_array_equal(again.predict(shuffled[2]).class_probabilities[:, 1], chance)


def test_without_validation_rows_it_is_calibrated_on_the_training_rows() -> None:
    made = planted(200, plain=0.5)
    model = Jade({**SMALL, "epochs": 3})
    metrics = model.fit(made.windows, answers(made), None, None)
    chance = model.predict(made.windows).class_probabilities[:, 1]
    # Where the log loss is least, the mean probability is about the share of windows with an expansion.
    assert chance.mean() == pytest.approx(made.classes.mean(), abs=0.03)
    assert metrics.train_loss == pytest.approx(log_loss(chance, made.classes), rel=1e-6)


@pytest.mark.parametrize("spoilt", [{"slope": 1.0}, None, {"slope": "x", "intercept": 0}])
def test_a_file_without_its_calibration_is_refused(tmp_path: Path, spoilt: object) -> None:
    made = planted(40)
    model = Jade({**SMALL, "epochs": 1})
    model.fit(made.windows, answers(made), None, None)
    model.save(tmp_path)
    file = tmp_path / "model.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "calibration": spoilt}))
    with pytest.raises(BrokenArtifact, match="calibration"):
        Jade().load(tmp_path)


@pytest.mark.parametrize("balancer", ["initial", "running", "kendall", "fixed"])
def test_every_balancer_trains(balancer: str) -> None:
    made = planted(40)
    scales = {"scale_pointers": 50.0, "scale_type": 0.1, "scale_binary": 1.0, "scale_countdown": 1.0}
    knobs = {**SMALL, "epochs": 1, "balancer": balancer, **(scales if balancer == "fixed" else {})}
    metrics = ModelRegistry.create("jade", knobs).fit(made.windows, answers(made), None, None)
    assert sum(metrics.history[f"share_{name}"][0] for name in ("pointers", "type", "binary", "countdown")) == (
        pytest.approx(1.0)
    )


def test_an_encoder_may_learn_before_there_are_labels() -> None:
    made = planted(60)
    answers_ = answers(made)
    said = []
    for knobs in ({}, {"pretrain_epochs": 2}, {"pretrain_epochs": 2, "freeze_encoder": True}):
        model = ModelRegistry.create("jade", {**SMALL, "epochs": 1, "batch_size": 20, **knobs})
        model.fit(made.windows, answers_, None, None)
        said.append(model)
    plain, warm, frozen = (model._fitted.network.network.lstm for model in said)  # type: ignore[attr-defined]
    assert not np.array_equal(plain.weight_hh_l0.detach(), warm.weight_hh_l0.detach())
    fresh = ModelRegistry.create(
        "jade", {**SMALL, "epochs": 2, "batch_size": 20, "pretrain_epochs": 2, "freeze_encoder": True}
    )
    fresh.fit(made.windows, answers_, None, None)
    # Labels taught the heads alone: one epoch of them or two leave the same encoder.
    again = fresh._fitted.network.network.lstm  # type: ignore[attr-defined]
    assert np.array_equal(again.weight_hh_l0.detach(), frozen.weight_hh_l0.detach())


def test_what_it_refuses() -> None:
    made = planted(40)
    with pytest.raises(BadModelInput, match="freeze_encoder without pre-training"):
        ModelRegistry.create("jade", {"freeze_encoder": True})
    with pytest.raises(BadModelInput, match="scale_type with the balancer staged"):
        ModelRegistry.create("jade", {"scale_type": 1.0})
    with pytest.raises(BadModelInput, match="initial_epochs with the balancer running"):
        ModelRegistry.create("jade", {"balancer": "running", "initial_epochs": 5})
    with pytest.raises(BadModelInput, match="balancer"):
        ModelRegistry.create("jade", {"balancer": "none"})
    with pytest.raises(BadModelInput, match="of windows of 60"):
        ModelRegistry.create("jade", SMALL).fit(made.windows[:, :60], answers(made), None, None)


def test_the_final_models_calibration_is_that_of_the_folds() -> None:
    made = planted(200, plain=0.5)
    folds = []
    for seed in (1, 2, 3):
        model = Jade({**SMALL, "epochs": 2, "seed": seed})
        folds.append(model.fit(made.windows[:150], answers(made).take(np.arange(150)), made.windows[150:],
                               answers(made).take(np.arange(150, 200))))  # fmt: skip
    told = Jade(SMALL).final_config(folds)
    slopes = [one.history["calibration.slope"][0] for one in folds]
    assert told["slope"] == sorted(slopes)[1]
    final = Jade({**SMALL, "epochs": 2, "slope": told["slope"], "intercept": told["intercept"]})
    final.fit(made.windows, answers(made), None, None)
    assert final._platt.slope == told["slope"]


def test_windows_longer_than_the_targets_are_refused() -> None:
    """An expansion that the window cuts ends at the window's last bar: elsewhere every place would be shifted."""
    made = planted(120, plain=0.2)
    assert (made.labels["censored"] > 0).any()
    longer = np.concatenate([made.windows, made.windows[:, :5]], axis=1)
    with pytest.raises(BadModelInput, match="Set length to the target's window"):
        Jade({**SMALL, "epochs": 1, "length": longer.shape[1]}).fit(longer, answers(made), None, None)
