"""Platt's two numbers: against a library's logistic regression, and what holds of any scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.models._platt import LEAST_SLOPE, Platt


def planted(slope: float, intercept: float, rows: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 4, rows)
    return scores, (rng.random(rows) < 1 / (1 + np.exp(-(slope * scores + intercept)))).astype("int64")


def loss(chance: np.ndarray, happened: np.ndarray) -> float:
    return float(-np.log(np.where(happened > 0, chance, 1 - chance)).mean())


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_logistic_regression_on_platt_s_targets(seed: int) -> None:
    from sklearn.linear_model import LogisticRegression

    scores, happened = planted(0.4, -1.0, seed=seed)
    ones, zeros = happened.sum(), (1 - happened).sum()
    targets = np.where(happened > 0, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    oracle = LogisticRegression(C=1e12, tol=1e-12, max_iter=10_000).fit(
        np.tile(scores, 2)[:, None], np.repeat([1, 0], len(scores)), np.concatenate([targets, 1 - targets])
    )
    found = Platt.fitted(scores, happened)
    assert found.slope == pytest.approx(oracle.coef_[0, 0], rel=1e-4)
    assert found.intercept == pytest.approx(oracle.intercept_[0], rel=1e-4)


def test_what_was_planted_is_found() -> None:
    found = Platt.fitted(*planted(0.3, -2.0, rows=50_000))
    assert (found.slope, found.intercept) == (pytest.approx(0.3, rel=0.05), pytest.approx(-2.0, rel=0.05))


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


@pytest.mark.parametrize("happened", [np.zeros(9, dtype="int64"), np.ones(9, dtype="int64")])
def test_one_class_alone_is_likely_and_no_more(happened: np.ndarray) -> None:
    scores = np.arange(9.0)
    chance = Platt.fitted(scores, happened).chance(scores)
    assert np.abs(chance - np.where(happened > 0, 10 / 11, 1 / 11)).max() < 0.01


def test_scores_far_apart_do_not_overflow() -> None:
    scores = np.array([-1e6, -1e3, 1e3, 1e6])
    with np.errstate(over="raise", invalid="raise"):
        found = Platt.fitted(scores, np.array([0, 0, 1, 1]))
        assert np.isfinite(found.chance(scores)).all()
