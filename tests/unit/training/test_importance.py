from __future__ import annotations

import numpy as np
import pytest
from sklearn.inspection import permutation_importance as reference
from sklearn.linear_model import LogisticRegression

from betti.models import BaseModel, ModelRegistry
from betti.training.importance import of_model, permutation_importance, table
from betti.windows import Windows


def rows(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(count, 4)).astype("float32")
    return X, (X[:, 2] + 0.5 * X[:, 0] + 0.3 * rng.normal(size=count) > 0).astype("int64")


def test_agrees_with_scikit_learn() -> None:
    X, y = rows()
    model = LogisticRegression().fit(X, y)
    ours = permutation_importance(model.predict_proba, X, y, repeats=40, seed=1)
    theirs = reference(model, X, y, scoring="neg_log_loss", n_repeats=40, random_state=2)
    # Two means of 40 draws each.
    error = 4 * theirs.importances_std * np.sqrt(2 / 40) + 1e-6
    assert (np.abs(ours - theirs.importances_mean) < error).all()
    assert ours[2] > ours[0] > 5 * abs(ours[1])


def test_an_unused_column_has_exactly_none() -> None:
    X, y = rows()
    model = LogisticRegression().fit(X[:, :1], y)
    found = permutation_importance(lambda inputs: model.predict_proba(inputs[:, :1]), X, y)
    assert found[0] > 0
    np.testing.assert_array_equal(found[1:], 0)


def test_weights_say_whose_loss_counts() -> None:
    X, y = rows()
    X[:200, 2] = 0  # the first half knows nothing of the column
    model = LogisticRegression().fit(X[200:], y[200:])
    half = np.arange(400) < 200
    first, last = (
        permutation_importance(model.predict_proba, X, y, weights=weights.astype("float64"), seed=3)
        for weights in (half, ~half)
    )
    assert last[2] > first[2] + 0.2


def test_windows_are_permuted_by_column_and_left_alone() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(203, 3)).astype("float32")
    windows = Windows(values, np.arange(3, 203), 4)
    y = (windows[:].mean(axis=1)[:, 1] > 0).astype("int64")

    def said(inputs: np.ndarray) -> np.ndarray:
        sure = 1 / (1 + np.exp(-10 * inputs.mean(axis=1)[:, 1]))
        return np.column_stack([1 - sure, sure])

    before = values.copy()
    lazy = permutation_importance(said, windows, y, repeats=2, seed=5)
    np.testing.assert_array_equal(values, before)
    assert lazy[1] > 0.5
    np.testing.assert_array_equal(lazy[[0, 2]], 0)
    np.testing.assert_array_equal(lazy, permutation_importance(said, windows[:], y, repeats=2, seed=5))


def test_the_seed_decides() -> None:
    X, y = rows(60)
    model = LogisticRegression().fit(X, y)
    one, again, other = (permutation_importance(model.predict_proba, X, y, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert one == pytest.approx(other, abs=0.3)


def fitted(name: str, config: dict) -> tuple[BaseModel, np.ndarray, np.ndarray]:
    X, y = rows(600)
    model = ModelRegistry.create(name, config)
    model.fit(X[:400], y[:400], None, None)
    return model, X[400:], y[400:]


def test_a_models_own_importance_is_taken_as_it_is() -> None:
    model, X, y = fitted("logistic", {})
    own = model.get_feature_importance()
    assert own is not None
    assert of_model(model, X, y, 7) == {int(place): value for place, value in own.items()}


def test_a_model_without_one_is_asked_with_columns_permuted() -> None:
    X, y = rows(600)
    windows = np.stack([X, X], axis=1)
    config = {"hidden": 8, "layers": 1, "length": 2, "dropout": 0.0, "epochs": 20, "warmup_epochs": 1}
    model = ModelRegistry.create("lstm", {**config, "batch_size": 64, "learning_rate": 0.02, "device": "cpu"})
    model.fit(windows[:400], y[:400], None, None)
    assert model.get_feature_importance() is None
    found = of_model(model, windows[400:], y[400:], 7)
    assert sorted(found, key=lambda place: -found[place])[:2] == [2, 0]
    assert min(found.values()) >= 0
    assert of_model(model, windows[:0], y[:0], 7) == {}


def test_shares_are_means_over_the_models_that_were_asked() -> None:
    worth = {"fold_0": {0: 3.0, 1: 1.0}, "fold_1": {0: 1.0}, "final": {}}
    columns = {"fold_0": ("a", "b"), "fold_1": ("b",), "final": ("a", "b")}
    found = table(worth, columns).set_index("column")
    assert found.loc["a"].tolist() == [0.375, 0.0, 0.75]
    assert found.loc["b"].tolist() == [0.625, 0.25, 1.0]
    assert found["share"].sum() == 1
    assert table({"final": {}}, columns).empty
