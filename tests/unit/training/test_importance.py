from __future__ import annotations

import numpy as np
import pytest
from sklearn.inspection import permutation_importance as reference
from sklearn.linear_model import LogisticRegression

from betti.training.importance import permutation_importance
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
