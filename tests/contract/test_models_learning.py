"""What every registered model must learn, and must not: a planted signal, and permuted labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from betti.errors import BadModelInput
from betti.models import ModelRegistry
from tests.contract._models import (
    NAMES,
    ROWS,
    TEMPLATE,
    Sample,
    class_counts,
    create,
    files,
    fitted,
    log_loss,
    made_heads,
    made_inputs,
    prior_loss,
    quick,
    sample,
    with_knob,
)

every_model = pytest.mark.parametrize("name", NAMES)
# Nats by which a planted signal must beat the shares of the classes, and permuted labels must not.
MARGIN, CHANCE = 0.25, 0.02


def majority(classes: np.ndarray) -> float:
    return float(np.bincount(classes).max() / len(classes))


@every_model
def test_a_planted_signal_is_learnt(name: str) -> None:
    whole = sample(name, rows=1500)
    data, held_out = whole.part(slice(0, 1000)), whole.part(slice(1000, None))
    model = create(name)
    metrics = model.fit(data.X, data.y, held_out.X, held_out.y)
    prior = prior_loss(data.classes, held_out.classes)
    answers = model.predict(held_out.X)
    assert log_loss(held_out.classes, answers.class_probabilities) < prior - MARGIN
    assert (answers.class_predictions == held_out.classes).mean() > majority(held_out.classes) + 0.1
    assert metrics.val_accuracy > max(majority(held_out.classes) + 0.1, 0.6)
    # Of a model of further heads too, whatever it was trained by.
    assert metrics.val_loss < prior - MARGIN


@every_model
def test_permuted_labels_teach_nothing(name: str) -> None:
    made = sample(name, rows=2000)
    whole = made.taught(name, np.random.default_rng(9).permutation(made.classes))
    data, valid, held_out = (whole.part(slice(*ends)) for ends in ((0, 1000), (1000, 1500), (1500, 2000)))
    model = create(name)
    model.fit(data.X, data.y, valid.X, valid.y)
    answers = model.predict(held_out.X)
    # 500 rows: two standard errors of a share near .4 are .044.
    assert (answers.class_predictions == held_out.classes).mean() < majority(held_out.classes) + 0.05
    prior = prior_loss(data.classes, held_out.classes)
    assert log_loss(held_out.classes, answers.class_probabilities) > prior - CHANCE


# A rare class ------------------------------------------------------------------------------------------------------


def imbalanced(name: str, rows: int = 2400) -> Sample:
    """Two classes; one row in twelve or so is of the second, and noise makes it hard to tell."""
    if 2 not in class_counts(name):
        pytest.skip("its targets have three classes")
    X, told = made_inputs(name, rows, seed=5)
    y = (told + 0.6 * np.random.default_rng(6).normal(size=rows) > 1.6).astype("int64")
    return Sample(X, y, made_heads(name, y, seed=5))


def recall(y: np.ndarray, chosen: np.ndarray, label: int) -> float:
    return float((chosen[y == label] == label).mean())


def test_class_weights_are_for_every_family() -> None:
    assert {"lightgbm", "logistic", "lstm", TEMPLATE} <= set(with_knob("class_weight"))


@pytest.mark.parametrize("stops_early", [True, False], ids=["stops early", "to the end"])
@pytest.mark.parametrize("name", with_knob("class_weight"))
def test_balanced_classes_find_more_of_a_rare_one(name: str, stops_early: bool) -> None:
    whole = imbalanced(name)
    data, valid, held_out = (whole.part(slice(start, start + 800)) for start in (0, 800, 1600))
    assert 0.04 < data.classes.mean() < 0.12
    found = []
    for knobs in ({}, {"class_weight": "balanced"}):
        model = create(name, **knobs)
        seen = (valid.X, valid.y) if stops_early else (None, None)
        model.fit(data.X, data.y, *seen)
        found.append(model.predict(held_out.X).class_predictions)
    plain, balanced = (recall(held_out.classes, chosen, 1) for chosen in found)
    # A standard error of a share among the 60 or so rare rows that are held out is .06, and both see the same ones.
    assert balanced > plain + 0.05
    assert recall(held_out.classes, found[1], 0) > 0.6


@pytest.mark.parametrize("name", with_knob("class_weight"))
def test_balanced_is_weighing_by_hand(name: str) -> None:
    data = imbalanced(name, rows=ROWS)
    given = np.random.default_rng(4).uniform(0.5, 1.5, ROWS)
    each = np.array([given[data.classes == label].sum() for label in (0, 1)])
    by_hand = fitted(name, data, given / each[data.classes])
    by_knob = fitted(name, data, given, class_weight="balanced")
    np.testing.assert_allclose(
        by_knob.predict(data.X).class_probabilities, by_hand.predict(data.X).class_probabilities, atol=1e-4
    )


# A loss of its own -------------------------------------------------------------------------------------------------

FOCAL = [name for name in with_knob("loss") if name in with_knob("focal_gamma")]


def network_only(folder: Path) -> dict[str, bytes]:
    """What was learnt, without the configuration that is stored beside it."""
    return {path: content for path, content in files(folder).items() if path != "model.json"}


@pytest.mark.parametrize("name", FOCAL)
def test_focal_loss_with_gamma_zero_is_cross_entropy(name: str, tmp_path: Path) -> None:
    data, held_out = sample(name), sample(name, seed=1, rows=200)
    losses = {
        "none": {},
        "entropy": {"loss": "cross_entropy"},
        "focal_0": {"loss": "focal", "focal_gamma": 0.0},
        "focal_2": {"loss": "focal"},
    }
    for folder, knobs in losses.items():
        model = quick(name, **knobs)
        model.fit(data.X, data.y, held_out.X, held_out.y)
        model.save(tmp_path / folder)
    none, entropy, focal_0, focal_2 = (network_only(tmp_path / folder) for folder in losses)
    assert none == entropy == focal_0
    assert none != focal_2


@pytest.mark.parametrize("name", FOCAL)
def test_focal_loss_learns_a_planted_signal(name: str) -> None:
    whole = sample(name, rows=1500)
    data, held_out = whole.part(slice(0, 1000)), whole.part(slice(1000, None))
    metrics = create(name, loss="focal").fit(data.X, data.y, held_out.X, held_out.y)
    assert metrics.val_accuracy > 0.6


@pytest.mark.parametrize("name", FOCAL)
def test_a_loss_that_is_none_is_refused(name: str) -> None:
    for knobs in ({"loss": "hinge"}, {"loss": "focal", "focal_gamma": -1.0}, {"loss": "focal", "focal_gamma": "2"}):
        with pytest.raises(BadModelInput, match=list(knobs)[-1]):
            ModelRegistry.create(name, knobs)
    with pytest.raises(BadModelInput, match=r"focal_gamma = 2\.0 with the loss cross_entropy"):
        ModelRegistry.create(name, {"focal_gamma": 2.0})


# The final model ---------------------------------------------------------------------------------------------------


@every_model
def test_the_final_configuration_trains_without_validation(name: str) -> None:
    data, held_out = sample(name), sample(name, seed=1, rows=200)
    first = quick(name)
    metrics = first.fit(data.X, data.y, held_out.X, held_out.y)
    knobs = first.final_config([metrics, metrics])
    last = quick(name, **knobs)
    found = last.fit(data.X, data.y, None, None)
    assert np.isnan(found.val_loss)
    assert not found.early_stopped
    if metrics.best_epoch is not None:
        assert found.epochs_trained == metrics.best_epoch
