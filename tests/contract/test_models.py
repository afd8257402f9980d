"""What every registered model must do. A new file in betti/models is under test here from the moment it exists."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import betti.models
from betti.errors import BadModelInput, PartUnavailable, UnknownName
from betti.models import FOLDER, ModelRegistry
from betti.models._template import Template
from betti.windows import Windows

TEMPLATE = "template_under_test"
ModelRegistry.register(TEMPLATE, family="classical", description="the copy-me model")(Template)

# Small enough for a test, by family and then by name; a family that is not here runs on its defaults.
SMALL: dict[str, dict[str, Any]] = {
    "lightgbm": {"rounds": 40, "early_stopping_rounds": 10, "learning_rate": 0.1},
    "lstm": {
        "hidden": 16,
        "layers": 1,
        "length": 4,
        "epochs": 12,
        "warmup_epochs": 1,
        "batch_size": 64,
        "learning_rate": 0.02,
        "dropout": 0.1,
        "device": "cpu",
    },
}
QUICK: dict[str, dict[str, Any]] = {"lstm": {"epochs": 2}, "lightgbm": {"rounds": 5}}
FEATURES, LENGTH, ROWS = 5, 4, 600
NAMES = [*FOLDER.names(), TEMPLATE]


def with_knob(knob: str) -> list[str]:
    return [name for name in NAMES if knob in ModelRegistry.get_model_info(name).default_config]


def network_only(folder: Path) -> dict[str, bytes]:
    """What was learnt, without the configuration that is stored beside it."""
    return {path: content for path, content in files(folder).items() if path != "model.json"}


def create(name: str, **knobs: Any) -> Any:
    return ModelRegistry.create(name, {**SMALL.get(name, {}), **knobs})


def quick(name: str, **knobs: Any) -> Any:
    return create(name, **{**QUICK.get(name, {}), **knobs})


@dataclass(frozen=True)
class Sample:
    X: Any
    y: np.ndarray

    def part(self, rows: slice) -> Sample:
        return Sample(self.X[rows], self.y[rows])


def sample(name: str, classes: int = 3, rows: int = ROWS, seed: int = 0) -> Sample:
    """Rows whose class follows from the first feature of the last step, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, LENGTH, FEATURES)).astype("float32")
    signal = X[:, -1, 0] + 0.4 * rng.normal(size=rows)
    y = np.digitize(signal, [-0.5, 0.5] if classes == 3 else [0.3])
    return Sample(X if sequences(name) else X[:, -1], y.astype("int64"))


def sequences(name: str) -> bool:
    return bool(create(name).requires_sequences)


def log_loss(y: np.ndarray, probabilities: np.ndarray) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(y)), y], 1e-15)).mean())


def prior_loss(train: np.ndarray, held_out: np.ndarray) -> float:
    share = np.bincount(train, minlength=3) / len(train)
    return log_loss(held_out, np.tile(share, (len(held_out), 1)))


def fitted(name: str, data: Sample, weights: np.ndarray | None = None, **knobs: Any) -> Any:
    model = quick(name, **knobs)
    model.fit(data.X, data.y, None, None, sample_weights=weights)
    return model


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# What is known without training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_model_says_what_it_is(name: str) -> None:
    info = ModelRegistry.get_model_info(name)
    assert info.family
    assert info.description
    assert {"seed", "classes"} <= set(info.default_config)
    assert json.loads(json.dumps(info.default_config)) == info.default_config
    assert ("length" in info.default_config) == info.requires_sequences


@pytest.mark.parametrize("name", NAMES)
def test_a_knob_that_is_not_there_or_does_not_fit_is_named(name: str) -> None:
    with pytest.raises(UnknownName, match="no_such_knob"):
        ModelRegistry.create(name, {"no_such_knob": 1})
    with pytest.raises(BadModelInput, match="seed"):
        ModelRegistry.create(name, {"seed": "seven"})
    with pytest.raises(BadModelInput, match="classes"):
        ModelRegistry.create(name, {"classes": -1})
    for value in (7.5, float("nan"), float("inf"), None):
        with pytest.raises(BadModelInput, match="seed"):
            ModelRegistry.create(name, {"seed": value})
    assert type(ModelRegistry.create(name, {"seed": 8.0}).config["seed"]) is int


@pytest.mark.parametrize("name", NAMES)
def test_an_optional_knob_without_a_value_leaves_no_trace(name: str, tmp_path: Path) -> None:
    """A model that gets one more optional knob is stored in the bytes of before."""
    optional = {knob for knob, value in ModelRegistry.get_model_info(name).default_config.items() if value is None}
    assert not optional & set(ModelRegistry.create(name).config)
    data = sample(name)
    fitted(name, data).save(tmp_path / "one")
    fitted(name, data, **dict.fromkeys(optional)).save(tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert not optional & set(json.loads((tmp_path / "one" / "model.json").read_bytes())["config"])


@pytest.mark.parametrize("name", FOLDER.names())
def test_ranges_are_those_of_knobs(name: str) -> None:
    assert set(getattr(FOLDER.load(name), "BOUNDS", {})) <= set(ModelRegistry.get_model_info(name).default_config)


@pytest.mark.parametrize("name", with_knob("class_weight"))
@pytest.mark.parametrize("value", ["balance", "", 1, 2.5, True, ["balanced"], {"0": 1.0}])
def test_a_class_weight_that_is_none_is_refused(name: str, value: Any) -> None:
    with pytest.raises(BadModelInput, match=r"class_weight = .*It takes balanced"):
        ModelRegistry.create(name, {"class_weight": value})
    with pytest.raises(BadModelInput, match="class_weight"):
        ModelRegistry.create(name).fit(np.ones((2, 1)), np.array([0, 1]), None, None, config={"class_weight": value})


def test_registered_families() -> None:
    families = ModelRegistry.list_models()
    assert "lightgbm" in families["boosting"]
    assert "lstm" in families["neural"]
    assert "logistic" in families["classical"]


def test_an_unknown_model_says_what_there_is() -> None:
    with pytest.raises(UnknownName, match="did you mean 'lightgbm'"):
        ModelRegistry.create("lightgbn")


def test_a_file_that_cannot_import_is_listed_with_its_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs_a_library.py").write_text("import a_library_that_is_not_here\n")
    monkeypatch.setattr(betti.models, "__path__", [*betti.models.__path__, str(tmp_path)])
    assert set(FOLDER.failures()) == {"needs_a_library"}
    assert "a_library_that_is_not_here" in str(FOLDER.failures()["needs_a_library"])
    assert "needs_a_library" not in {n for names in ModelRegistry.list_models().values() for n in names}
    with pytest.raises(PartUnavailable, match="a_library_that_is_not_here"):
        ModelRegistry.create("needs_a_library")


def test_the_template_is_not_registered_by_itself() -> None:
    assert "_template" not in FOLDER.names()


# Answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_probabilities(name: str, classes: int) -> None:
    data = sample(name, classes)
    output = fitted(name, data, classes=classes).predict(data.X)
    assert output.class_probabilities.shape == (ROWS, classes)
    assert output.class_probabilities.dtype == np.float64
    assert (output.class_probabilities >= 0).all()
    np.testing.assert_allclose(output.class_probabilities.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_array_equal(output.class_predictions, output.class_probabilities.argmax(axis=1))
    np.testing.assert_array_equal(output.confidence, output.class_probabilities.max(axis=1))


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_answers_exactly_the_same(name: str, tmp_path: Path) -> None:
    data = sample(name)
    model = fitted(name, data)
    model.save(tmp_path)
    again = ModelRegistry.create(name)
    again.load(tmp_path)
    assert again.config == model.config
    np.testing.assert_array_equal(again.predict(data.X).class_probabilities, model.predict(data.X).class_probabilities)
    assert again.get_feature_importance() == model.get_feature_importance()
    again.save(tmp_path / "again")
    model.save(tmp_path / "model")
    assert files(tmp_path / "again") == files(tmp_path / "model")


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bytes(name: str, tmp_path: Path) -> None:
    data, held_out = sample(name), sample(name, seed=1, rows=200)
    for folder in ("one", "two"):
        model = quick(name)
        model.fit(data.X, data.y, held_out.X, held_out.y)
        model.save(tmp_path / folder)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert not any(path.endswith((".pkl", ".pickle", ".joblib", ".pt")) for path in files(tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_equal_weights_change_nothing_and_unequal_ones_do(name: str) -> None:
    data = sample(name)
    plain, equal, unequal = (
        fitted(name, data, weights).predict(data.X).class_probabilities
        for weights in (None, np.full(ROWS, 0.25), np.where(data.y == 0, 0.05, 1.0))
    )
    np.testing.assert_array_equal(plain, equal)
    assert unequal[:, 0].mean() < plain[:, 0].mean()


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_shares_whatever_their_scale(name: str) -> None:
    data = sample(name)
    weights = np.random.default_rng(4).uniform(0.1, 2.0, ROWS)
    plain, exact, rounded = (
        fitted(name, data, scale * weights).predict(data.X).class_probabilities for scale in (1.0, 2.0**-6, 1000.0)
    )
    np.testing.assert_array_equal(plain, exact)
    # A thousand is no power of two: weights differ in their last bit.
    np.testing.assert_allclose(plain, rounded, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_of_weight_zero_is_a_row_left_out(name: str) -> None:
    data = sample(name)
    first = np.arange(ROWS) < ROWS // 2
    # The half without weight says the contrary of the other, and one more row of each class is without any.
    misled = Sample(data.X, np.where(first, data.y, 2 - data.y))
    weights = np.where(first, np.random.default_rng(4).uniform(0.5, 1.5, ROWS), 0.0)
    weights[np.unique(data.y, return_index=True)[1]] = 0.0
    kept = weights > 0
    believed, weighted, left_out = (
        fitted(name, one, given).predict(data.X).class_probabilities
        for one, given in ((misled, None), (misled, weights), (Sample(data.X[kept], data.y[kept]), weights[kept]))
    )
    np.testing.assert_allclose(weighted, left_out, atol=1e-9)
    assert np.abs(believed - left_out).mean() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_class_of_weight_zero_is_a_class_left_out(name: str) -> None:
    data = sample(name)
    weights = (data.y != 1).astype("float64")
    probabilities = fitted(name, data, weights, classes=3).predict(data.X).class_probabilities
    assert probabilities.shape == (ROWS, 3)
    assert probabilities[:, 1].mean() < 0.25
    with pytest.raises(BadModelInput, match="training labels are class 2"):
        quick(name).fit(data.X, data.y, None, None, sample_weights=(data.y == 2).astype("float64"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_class_that_never_occurs_keeps_its_column(name: str, missing: int) -> None:
    data = sample(name)
    known = data.y != missing
    model = fitted(name, Sample(data.X[known], data.y[known]), classes=3)
    probabilities = model.predict(data.X).class_probabilities
    assert probabilities.shape == (ROWS, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-9)
    assert probabilities[:, missing].mean() < 0.25


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_not_changed(name: str) -> None:
    data = sample(name)
    before = data.X.copy(), data.y.copy()
    fitted(name, data).predict(data.X)
    np.testing.assert_array_equal(data.X, before[0])
    np.testing.assert_array_equal(data.y, before[1])


@pytest.mark.parametrize("name", [n for n in NAMES if sequences(n)])
def test_windows_give_what_arrays_give(name: str) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(203, FEATURES)).astype("float32")
    values[:2] = np.nan  # warm-up rows that no window covers
    windows = Windows(values, np.arange(2 + LENGTH - 1, 203), LENGTH)
    y = (values[windows.ends, 0] > 0).astype("int64")
    weights = rng.integers(0, 3, len(windows)).astype("float64")
    lazy, whole = quick(name), quick(name)
    lazy.fit(windows, y, None, None, sample_weights=weights)
    whole.fit(windows[np.arange(len(windows))], y, None, None, sample_weights=weights)
    np.testing.assert_array_equal(
        lazy.predict(windows).class_probabilities,
        whole.predict(windows[np.arange(len(windows))]).class_probabilities,
    )


# Refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(name: str, value: float) -> None:
    data = sample(name)
    bad = data.X.copy()
    bad[3] = value
    with pytest.raises(BadModelInput, match="NaN or infinity"):
        quick(name).fit(bad, data.y, None, None)
    with pytest.raises(BadModelInput, match="NaN or infinity"):
        quick(name).fit(data.X, data.y, bad, data.y)
    with pytest.raises(BadModelInput, match="NaN or infinity"):
        fitted(name, data).predict(bad)


@pytest.mark.parametrize("name", NAMES)
def test_shapes_that_do_not_fit_are_refused(name: str) -> None:
    data = sample(name)
    model = fitted(name, data)
    with pytest.raises(BadModelInput, match="features"):
        model.predict(data.X[..., :-1])
    with pytest.raises(BadModelInput, match="dimensions"):
        model.predict(data.X[0])
    with pytest.raises(BadModelInput, match="hold nothing"):
        model.predict(data.X[:0])
    with pytest.raises(BadModelInput, match="y_train has shape"):
        quick(name).fit(data.X, data.y[:-1], None, None)
    with pytest.raises(BadModelInput, match="weights have shape"):
        quick(name).fit(data.X, data.y, None, None, sample_weights=np.ones(3))
    with pytest.raises(BadModelInput, match="features"):
        quick(name).fit(data.X, data.y, data.X[..., :-1], data.y)
    if sequences(name):
        with pytest.raises(BadModelInput, match="length"):
            model.predict(data.X[:, 1:])


@pytest.mark.parametrize("name", NAMES)
def test_labels_that_are_no_classes_are_refused(name: str) -> None:
    data = sample(name)
    with pytest.raises(BadModelInput, match="class 1"):
        quick(name).fit(data.X, np.ones(ROWS, dtype="int64"), None, None)
    with pytest.raises(BadModelInput, match="labels from 0 to 2"):
        quick(name, classes=2).fit(data.X, data.y, None, None)
    with pytest.raises(BadModelInput, match="labels from -1"):
        quick(name).fit(data.X, data.y - 1, None, None)
    with pytest.raises(BadModelInput, match="no classes"):
        quick(name).fit(data.X, data.y + 0.5, None, None)
    with pytest.raises(BadModelInput, match="hold nothing"):
        quick(name).fit(data.X[:0], data.y[:0], None, None)
    with pytest.raises(BadModelInput, match="weights are"):
        quick(name).fit(data.X, data.y, None, None, sample_weights=np.zeros(ROWS))


@pytest.mark.parametrize("name", NAMES)
def test_an_unfitted_model_refuses_to_answer_and_to_save(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadModelInput, match="not fitted"):
        create(name).predict(sample(name).X)
    with pytest.raises(BadModelInput, match="not fitted"):
        create(name).save(tmp_path)


# Learning ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_signal_is_learnt(name: str) -> None:
    whole = sample(name, rows=1500)
    data, held_out = whole.part(slice(0, 1000)), whole.part(slice(1000, None))
    model = create(name)
    metrics = model.fit(data.X, data.y, held_out.X, held_out.y)
    prior = prior_loss(data.y, held_out.y)
    assert log_loss(held_out.y, model.predict(held_out.X).class_probabilities) < prior - 0.25
    assert metrics.val_accuracy > 0.6
    assert metrics.val_loss < prior - 0.25


@pytest.mark.parametrize("name", NAMES)
def test_permuted_labels_teach_nothing(name: str) -> None:
    whole = sample(name, rows=2000)
    permuted = np.random.default_rng(9).permutation(whole.y)
    model = create(name)
    model.fit(whole.X[:1000], permuted[:1000], whole.X[1000:1500], permuted[1000:1500])
    answers = model.predict(whole.X[1500:])
    majority = np.bincount(permuted[1500:]).max() / 500
    # 500 rows: two standard errors of a share near .4 are .044.
    assert (answers.class_predictions == permuted[1500:]).mean() < majority + 0.05
    assert log_loss(permuted[1500:], answers.class_probabilities) > prior_loss(permuted[:1000], permuted[1500:]) - 0.02


# A rare class ------------------------------------------------------------------------------------------------------


def imbalanced(name: str, rows: int = 2400) -> Sample:
    """Two classes; one row in twelve or so is of the second, and noise makes it hard to tell."""
    whole = sample(name, rows=rows, seed=5)
    last = whole.X[:, -1, 0] if sequences(name) else whole.X[:, 0]
    y = last + 0.6 * np.random.default_rng(6).normal(size=rows) > 1.6
    return Sample(whole.X, y.astype("int64"))


def recall(y: np.ndarray, chosen: np.ndarray, label: int) -> float:
    return float((chosen[y == label] == label).mean())


def test_class_weights_are_for_every_family() -> None:
    assert {"lightgbm", "logistic", "lstm", TEMPLATE} <= set(with_knob("class_weight"))


@pytest.mark.parametrize("stops_early", [True, False], ids=["stops early", "to the end"])
@pytest.mark.parametrize("name", with_knob("class_weight"))
def test_balanced_classes_find_more_of_a_rare_one(name: str, stops_early: bool) -> None:
    whole = imbalanced(name)
    data, valid, held_out = (whole.part(slice(start, start + 800)) for start in (0, 800, 1600))
    assert 0.04 < data.y.mean() < 0.12
    found = []
    for knobs in ({}, {"class_weight": "balanced"}):
        model = create(name, **knobs)
        seen = (valid.X, valid.y) if stops_early else (None, None)
        model.fit(data.X, data.y, *seen)
        found.append(model.predict(held_out.X).class_predictions)
    plain, balanced = (recall(held_out.y, chosen, 1) for chosen in found)
    # A standard error of a share among the 60 or so rare rows that are held out is .06.
    assert balanced > plain + 0.15
    assert recall(held_out.y, found[1], 0) > 0.6


@pytest.mark.parametrize("name", with_knob("class_weight"))
def test_balanced_is_weighing_by_hand(name: str) -> None:
    data = imbalanced(name, rows=ROWS)
    given = np.random.default_rng(4).uniform(0.5, 1.5, ROWS)
    each = np.array([given[data.y == label].sum() for label in (0, 1)])
    by_hand = fitted(name, data, given / each[data.y])
    by_knob = fitted(name, data, given, class_weight="balanced")
    np.testing.assert_allclose(
        by_knob.predict(data.X).class_probabilities, by_hand.predict(data.X).class_probabilities, atol=1e-4
    )


@pytest.mark.parametrize("name", with_knob("loss"))
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


@pytest.mark.parametrize("name", with_knob("loss"))
def test_focal_loss_learns_a_planted_signal(name: str) -> None:
    whole = sample(name, rows=1500)
    data, held_out = whole.part(slice(0, 1000)), whole.part(slice(1000, None))
    metrics = create(name, loss="focal").fit(data.X, data.y, held_out.X, held_out.y)
    assert metrics.val_accuracy > 0.6


@pytest.mark.parametrize("name", with_knob("loss"))
def test_a_loss_that_is_none_is_refused(name: str) -> None:
    for knobs in ({"loss": "hinge"}, {"loss": "focal", "focal_gamma": -1.0}, {"loss": "focal", "focal_gamma": "2"}):
        with pytest.raises(BadModelInput, match=list(knobs)[-1]):
            ModelRegistry.create(name, knobs)
    with pytest.raises(BadModelInput, match=r"focal_gamma = 2\.0 with the loss cross_entropy"):
        ModelRegistry.create(name, {"focal_gamma": 2.0})


# The final model ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
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
