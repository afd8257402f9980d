"""What targets share."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.labelling._spans import (
    ahead,
    average_true_range,
    average_uniqueness,
    ewm_deviation,
    ewm_memory,
    long_average_uniqueness,
)
from tests.conftest import random_bars
from tests.unit.labelling.loops import uniqueness


@settings(max_examples=40, deadline=None)
@given(spans=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=25))
def test_average_uniqueness_equals_a_literal_double_loop(spans):
    starts = np.array([start for start, _ in spans], dtype="int64")
    ends = starts + np.array([length for _, length in spans], dtype="int64")
    ours = average_uniqueness(ends=ends, starts=starts, bars=60)
    np.testing.assert_allclose(ours, uniqueness(starts, ends), rtol=1e-12)
    np.testing.assert_allclose(long_average_uniqueness(ends=ends, starts=starts, bars=60), ours, rtol=1e-12)


def test_long_spans_give_the_same_bits_from_any_start():
    starts = np.arange(40_000)
    ends = starts + np.random.default_rng(0).integers(1, 9_000, len(starts))
    whole = long_average_uniqueness(ends, starts, 50_000)
    kept = starts >= 12_345
    moved = long_average_uniqueness(ends[kept] - 12_345, starts[kept] - 12_345, 50_000 - 12_345)
    inner = starts[kept] > 12_345 + 9_000  # whose neighbours are all there
    assert np.array_equal(moved[inner], whole[kept][inner])
    np.testing.assert_allclose(whole, average_uniqueness(ends, starts, 50_000), rtol=1e-9)


def test_the_worked_example_of_concurrent_labels():
    """Three labels, of which two share a bar (Lopez de Prado 2018, section 4.5.3)."""
    ends, starts = np.array([2, 3, 5]), np.array([-1, 1, 3])
    assert average_uniqueness(ends=ends, starts=starts, bars=6).round(6).tolist() == [0.833333, 0.75, 1.0]


def test_labels_that_share_nothing_weigh_one():
    assert average_uniqueness(ends=np.array([2, 4]), starts=np.array([0, 2]), bars=5).tolist() == [1, 1]


def test_ahead_holds_the_bars_after_each_row():
    assert ahead(np.arange(5.0), 2).tolist() == [[1, 2], [2, 3], [3, 4]]
    assert ahead(np.arange(5.0), 5).shape == (0, 5)


def test_average_true_range_equals_a_literal_loop():
    bars = random_bars(60)
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    ours = average_true_range(high, low, close, 14)
    assert np.isnan(ours[:14]).all()
    for t in range(14, 60):
        ranges = [
            max(high[i] - low[i], abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1])) for i in range(t - 13, t + 1)
        ]
        assert ours[t] == pytest.approx(np.mean(ranges))


def test_the_deviation_has_forgotten_its_start_when_it_speaks():
    close = random_bars(500)["close"].to_numpy()
    memory = ewm_memory(20)
    whole = ewm_deviation(close, 20)
    assert np.isnan(whole[:memory]).all()
    assert np.isfinite(whole[memory:]).all()
    for start in (50, 200):
        cut = ewm_deviation(close[start:], 20)
        assert np.array_equal(cut[memory:], whole[start + memory :])
    returns = pd.Series(np.log(close)).diff()
    assert whole[-1] == pytest.approx(returns.ewm(span=20).std().iloc[-1])
