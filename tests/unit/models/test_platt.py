"""Platt's two numbers: against a library's optimum, and what holds of any scores and of rows that repeat each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.models._platt import LEAST_SLOPE, Platt, independent_share


def planted(slope: float, intercept: float, rows: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 4, rows)
    return scores, (rng.random(rows) < 1 / (1 + np.exp(-(slope * scores + intercept)))).astype("int64")


def loss(chance: np.ndarray, happened: np.ndarray) -> float:
    return float(-np.log(np.where(happened > 0, chance, 1 - chance)).mean())


@pytest.mark.parametrize("repeated", [1, 20])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_least_of_what_it_says(seed: int, repeated: int) -> None:
    from scipy.optimize import minimize

    scores, happened = (np.repeat(one, repeated) for one in planted(0.4, -1.0, rows=400, seed=seed))
    share = independent_share(happened)
    ones, zeros = share * happened.sum(), share * (1 - happened).sum()
    targets = np.where(happened > 0, (ones + 1) / (ones + 2), 1 / (zeros + 2))

    def posterior(weights: np.ndarray) -> float:
        chance = 1 / (1 + np.exp(-(weights[0] * scores + weights[1])))
        told = targets * np.log(chance) + (1 - targets) * np.log(1 - chance)
        return -share * told.sum() + ((weights[0] - 1) ** 2 + weights[1] ** 2) / 2

    oracle = minimize(posterior, np.array([0.5, 0.0]), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9}).x
    found = Platt.fitted(scores, happened)
    assert (found.slope, found.intercept) == (pytest.approx(oracle[0], abs=1e-5), pytest.approx(oracle[1], abs=1e-5))


def test_what_was_planted_is_found() -> None:
    found = Platt.fitted(*planted(0.3, -2.0, rows=50_000))
    assert (found.slope, found.intercept) == (pytest.approx(0.3, rel=0.05), pytest.approx(-2.0, rel=0.05))


def test_with_many_rows_it_is_the_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    scores, happened = planted(0.4, -1.0, rows=100_000)
    oracle = LogisticRegression(C=1e12, tol=1e-12).fit(scores[:, None], happened)
    found = Platt.fitted(scores, happened)
    assert found.slope == pytest.approx(oracle.coef_[0, 0], rel=2e-3)
    assert found.intercept == pytest.approx(oracle.intercept_[0], rel=2e-3)


def test_a_row_that_is_there_a_hundred_times_counts_a_few_times_at_most() -> None:
    """Six events in six hundred rows, told apart: the scores stay about as they are."""
    happened = np.repeat([0, 1, 0, 1, 0, 1], 100)
    scores = np.where(happened > 0, 0.2, -0.2)
    assert 600 * independent_share(happened) < 12
    found = Platt.fitted(scores, happened)
    assert 1.0 <= found.slope < 1.5 and abs(found.intercept) < 0.1
    independent = np.random.default_rng(0).permutation(600)
    assert Platt.fitted(scores[independent], happened[independent]).slope > 3


@pytest.mark.parametrize("length", [1, 5, 50])
def test_the_worth_of_rows_is_about_that_of_their_runs(length: int) -> None:
    events = np.random.default_rng(0).integers(0, 2, 4000 // length)
    worth = 4000 * independent_share(np.repeat(events, length))
    assert 0.3 * len(events) < worth < 1.2 * len(events)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-50, 50), st.booleans()), min_size=2, max_size=60))
def test_the_order_stays_and_nothing_is_certain(rows: list[tuple[float, bool]]) -> None:
    scores, happened = (np.array(side) for side in zip(*rows, strict=True))
    found = Platt.fitted(scores.astype(float), happened.astype("int64"))
    assert found.slope >= LEAST_SLOPE and np.isfinite([found.slope, found.intercept]).all()
    chance = found.chance(np.sort(scores.astype(float)))
    assert (np.diff(chance) >= 0).all()
    assert ((chance >= 0) & (chance <= 1)).all()


def test_scores_that_say_the_opposite_say_nothing() -> None:
    scores, happened = planted(-0.5, 0.5)
    found = Platt.fitted(scores, happened)
    share = happened.mean()
    assert found.slope == LEAST_SLOPE
    assert np.abs(found.chance(scores) - share).max() < 0.01
    prior = loss(np.full(len(scores), share), happened)
    assert loss(found.chance(scores), happened) == pytest.approx(prior, abs=2e-3)


@pytest.mark.parametrize("happened", [np.zeros(900, dtype="int64"), np.ones(900, dtype="int64")])
def test_one_class_alone_is_worth_one_row(happened: np.ndarray) -> None:
    found = Platt.fitted(np.linspace(-1, 1, 900), happened)
    assert found.slope > 0.5 and 0.05 < abs(found.intercept) < 0.5


def test_scores_far_apart_do_not_overflow() -> None:
    scores = np.array([-1e6, -1e3, 1e3, 1e6])
    with np.errstate(over="raise", invalid="raise"):
        found = Platt.fitted(scores, np.array([0, 0, 1, 1]))
        assert np.isfinite(found.chance(scores)).all()
