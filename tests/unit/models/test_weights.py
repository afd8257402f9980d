from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from betti.models import ModelRegistry, _checks
from betti.models._weights import balanced, row_weights

labels = st.lists(st.integers(0, 3), min_size=2, max_size=60).filter(lambda y: len(set(y)) > 1)


def training(
    y: np.ndarray, weights: np.ndarray | None = None, y_val: np.ndarray | None = None, classes: int = 4
) -> _checks.Training:
    """What a model's `fit` has in hand when it asks for weights."""
    model = ModelRegistry.create("logistic")
    X_val = None if y_val is None else np.ones((len(y_val), 1))
    return _checks.training(model, np.ones((len(y), 1)), y, X_val, y_val, weights, classes)


@given(labels)
def test_factors_are_scikit_learns(y: list[int]) -> None:
    found = balanced(np.array(y), np.ones(len(y)), classes=4)
    seen = np.unique(y)
    np.testing.assert_allclose(found[seen], compute_class_weight("balanced", classes=seen, y=y), rtol=1e-12)
    np.testing.assert_array_equal(np.delete(found, seen), 1)


@given(labels, st.integers(0, 2**32 - 1))
def test_counts_are_sums_of_sample_weights(y: list[int], seed: int) -> None:
    """A row of weight 3 counts as three rows."""
    times = np.random.default_rng(seed).integers(1, 5, len(y))
    weighted = balanced(np.array(y), times.astype("float64"), classes=4)
    repeated = balanced(np.repeat(y, times), np.ones(times.sum()), classes=4)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-12)


@given(labels, st.integers(0, 2**32 - 1))
def test_classes_weigh_the_same_the_mean_is_one_and_rows_of_a_class_keep_their_shares(y: list[int], seed: int) -> None:
    sample = np.random.default_rng(seed).uniform(0.01, 3, len(y))
    data = training(np.array(y), sample)
    weights = row_weights(data, "balanced").train
    assert weights.mean() == pytest.approx(1)
    totals = np.bincount(y, weights=weights)
    np.testing.assert_allclose(totals[totals > 0], len(y) / len(set(y)))
    for label in set(y):
        own = np.array(y) == label
        np.testing.assert_allclose(weights[own] / weights[own].sum(), sample[own] / sample[own].sum())


def test_without_class_weights_sample_weights_stay() -> None:
    data = training(np.array([0, 0, 1]), np.array([1.0, 2.0, 3.0]), np.array([1, 0]))
    found = row_weights(data, None)
    assert found.train is data.weights
    np.testing.assert_array_equal(found.valid, [1, 1])


def test_classes_are_counted_on_training_rows_alone() -> None:
    y = np.array([0, 0, 0, 1])
    few = row_weights(training(y, y_val=np.array([0, 1])), "balanced")
    many = row_weights(training(y, y_val=np.array([1, 1, 1, 1, 0])), "balanced")
    np.testing.assert_array_equal(few.train, many.train)
    np.testing.assert_allclose(few.train, [2 / 3, 2 / 3, 2 / 3, 2])
    np.testing.assert_allclose(few.valid, [0.5, 1.5])
    assert many.valid[0] / many.valid[-1] == pytest.approx(3)
    assert many.valid.mean() == pytest.approx(1)


def test_a_validation_class_that_training_never_saw_has_a_weight() -> None:
    found = row_weights(training(np.array([0, 0, 0, 1]), y_val=np.array([0, 1, 2])), "balanced").valid
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found / found[2], [2 / 3, 2, 1])


def test_rows_of_weight_zero_are_no_part_of_the_training_data() -> None:
    data = training(np.array([2, 0, 1, 0]), np.array([0.0, 1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(data.kept, [False, True, True, True])
    np.testing.assert_array_equal(data.y, [0, 1, 0])
    np.testing.assert_allclose(data.weights, [0.5, 1, 1.5])
    assert data.X.shape == (3, 1)
    whole = training(data.y, np.array([1.0, 2.0, 3.0]))
    assert whole.kept.all()
    np.testing.assert_array_equal(row_weights(whole, "balanced").train, row_weights(data, "balanced").train)


def test_early_stopping_watches_the_classes_as_they_are_learnt() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 4)).astype("float32")
    y = (X[:, 2] + rng.normal(size=1200) > 1.8).astype("int64")
    model = ModelRegistry.create("lightgbm", {"class_weight": "balanced", "early_stopping_rounds": 5})
    metrics = model.fit(X[:800], y[:800], X[800:], y[800:])
    factors = compute_class_weight("balanced", classes=[0, 1], y=y[:800])
    probabilities = model.predict(X[800:]).class_probabilities
    wanted = log_loss(y[800:], probabilities, sample_weight=factors[y[800:]])
    assert min(metrics.history["val_loss"]) == pytest.approx(wanted)
    # What is reported is comparable with other runs: plain rows.
    assert metrics.val_loss == pytest.approx(log_loss(y[800:], probabilities))


def test_the_network_stops_by_weighted_classes_too() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 3, 4)).astype("float32")
    y = (X[:, -1, 2] + rng.normal(size=900) > 1.8).astype("int64")
    small = {"hidden": 8, "layers": 1, "length": 3, "epochs": 6, "warmup_epochs": 1, "device": "cpu"}
    model = ModelRegistry.create("lstm", {**small, "learning_rate": 0.02, "class_weight": "balanced"})
    metrics = model.fit(X[:600], y[:600], X[600:], y[600:])
    factors = compute_class_weight("balanced", classes=[0, 1], y=y[:600])
    probabilities = model.predict(X[600:]).class_probabilities
    wanted = log_loss(y[600:], probabilities, sample_weight=factors[y[600:]])
    assert min(metrics.history["val_loss"]) == pytest.approx(wanted, rel=1e-5)
    assert metrics.val_loss == pytest.approx(log_loss(y[600:], probabilities))


def test_a_fit_can_do_without_what_the_model_was_made_with() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)).astype("float32")
    y = (X[:, 0] > 1).astype("int64")
    plain, changed = ModelRegistry.create("logistic"), ModelRegistry.create("logistic", {"class_weight": "balanced"})
    plain.fit(X, y, None, None)
    changed.fit(X, y, None, None, config={"class_weight": None})
    assert changed.config == plain.config
    np.testing.assert_array_equal(changed.predict(X).class_probabilities, plain.predict(X).class_probabilities)


def test_the_reported_training_loss_is_of_sample_weights_alone() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)).astype("float32")
    y = (X[:, 0] > 1).astype("int64")
    given_weights = rng.uniform(0.1, 1, 300)
    model = ModelRegistry.create("logistic", {"class_weight": "balanced"})
    metrics = model.fit(X, y, None, None, sample_weights=given_weights)
    wanted = log_loss(y, model.predict(X).class_probabilities, sample_weight=given_weights)
    assert metrics.train_loss == pytest.approx(wanted)


def test_weights_are_not_changed() -> None:
    data = training(np.array([0, 0, 1]), np.array([1.0, 2.0, 3.0]))
    before = data.weights.copy()
    row_weights(data, "balanced")
    np.testing.assert_array_equal(data.weights, before)
