"""Weights by the return that is a label's own, and by age, against literal loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.labelling._weights import LEAST, NEWEST, OLDEST, attributed_return, recency
from tests.conftest import random_bars


def attributed_by_loop(ends: list[int], starts: list[int], close: np.ndarray, scale: list[float]) -> list[float]:
    spans = list(zip(starts, ends, strict=True))
    weights = []
    for (start, end), whole in zip(spans, scale, strict=True):
        own = 0.0
        for bar in range(start + 1, end + 1):
            readers = sum(1 for s, e in spans if s + 1 <= bar <= e)
            own += np.log(close[bar] / close[bar - 1]) / readers
        weights.append(min(max(abs(own) / whole, LEAST), 1.0))
    return weights


@settings(max_examples=40, deadline=None)
@given(
    spans=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12), st.floats(0.01, 0.5)), max_size=25),
    seed=st.integers(0, 99),
)
def test_the_attributed_return_equals_a_literal_double_loop(spans, seed):
    close = random_bars(60, seed)["close"].to_numpy()
    starts, lengths, scale = ([span[i] for span in spans] for i in range(3))
    ends = [start + length for start, length in zip(starts, lengths, strict=True)]
    ours = attributed_return(np.array(ends, dtype="int64"), np.array(starts, dtype="int64"), close, np.array(scale))
    np.testing.assert_allclose(ours, attributed_by_loop(ends, starts, close, scale), rtol=1e-9)


def test_a_market_that_does_not_move_leaves_the_least_weight():
    one = attributed_return(np.array([3]), np.array([0]), np.full(5, 7.0), np.array([0.1]))
    assert one.tolist() == [LEAST]


def test_age_halves_and_stops():
    days = pd.Series(pd.to_datetime(["1900-01-01", "2029-12-22", "2029-12-31", "2030-01-01", "2040-01-01"], utc=True))
    assert recency(days, None, "2030-01-01").tolist() == [1, 1, 1, 1, 1]
    np.testing.assert_allclose(recency(days, 10.0, "2030-01-01"), [OLDEST, 0.5, 0.5**0.1, 1, 1])


def test_another_newest_day_changes_no_ratio():
    stamps = random_bars(500)["timestamp"]
    late, later = recency(stamps, 200.0, "2003-01-01"), recency(stamps, 200.0, "2005-01-01")
    np.testing.assert_allclose(late / late.mean(), later / later.mean(), rtol=1e-9)


@given(half_life=st.floats(7, 3000))
def test_years_before_the_newest_day_age_still_counts(half_life):
    stamps = random_bars(800)["timestamp"]
    weights = recency(stamps, half_life, NEWEST)
    days = (stamps.iloc[-1] - stamps.iloc[0]).days
    assert stamps.iloc[-1].year < 2012
    if half_life > 12:  # below, 2001 lies more than 1,000 half-lives before the newest day
        np.testing.assert_allclose(weights[0] / weights[-1], 0.5 ** (days / half_life), rtol=1e-9)
