"""Which columns a model is given: against scipy's correlations, and the laws that a choice obeys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from betti.training import pruning
from betti.training.pruning import MOST_ROWS, AllConstant, Choice, choose, everything, rank_correlations

# Few different values, so that ties, twins and constant columns all occur.
MATRICES = arrays("float32", st.tuples(st.integers(2, 30), st.integers(1, 8)), elements=st.integers(0, 4).map(float))


def names(values: np.ndarray) -> tuple[str, ...]:
    return tuple(f"c{place}" for place in range(values.shape[1]))


def columns(*values: np.ndarray) -> np.ndarray:
    return np.stack(values, axis=1).astype("float32")


@given(MATRICES)
def test_rank_correlations_are_those_of_scipy(values: np.ndarray) -> None:
    found = rank_correlations(values)
    varies = np.ptp(values, axis=0) > 0
    assert (found[~varies] == 0).all()
    for one in np.flatnonzero(varies):
        for two in np.flatnonzero(varies):
            assert found[one, two] == pytest.approx(spearmanr(values[:, one], values[:, two]).statistic, abs=1e-12)


@given(MATRICES, st.sampled_from([0.3, 0.7, 0.95, 1.0]))
@settings(max_examples=200)
def test_what_is_kept_and_what_is_dropped(values: np.ndarray, limit: float) -> None:
    rows, all_names = np.arange(len(values)), names(values)
    if not np.ptp(values, axis=0).any():
        with pytest.raises(AllConstant, match=f"all {len(all_names)} columns are constant in {len(rows)} train rows"):
            choose(all_names, values, rows, limit)
        return
    choice = choose(all_names, values, rows, limit)
    assert sorted((*choice.kept, *choice.constant, *choice.alike)) == sorted(all_names)
    assert choice.dropped == len(all_names) - len(choice.kept)
    assert list(choice.kept) == sorted(choice.kept)
    constant = tuple(name for name, spread in zip(all_names, np.ptp(values, axis=0), strict=True) if spread == 0)
    assert choice.constant == constant
    size = np.abs(rank_correlations(values))
    at = {name: place for place, name in enumerate(all_names)}
    for place, one in enumerate(choice.kept):
        for two in choice.kept[:place]:
            assert size[at[one], at[two]] <= limit or limit == 1
    for name, twin in choice.alike.items():
        assert twin in choice.kept
        assert at[twin] < at[name]
        assert size[at[name], at[twin]] > limit


def test_the_earlier_of_two_stays_whatever_a_monotone_function_makes_of_it() -> None:
    base, other = np.random.default_rng(0).normal(size=(2, 400))
    values = columns(base, np.exp(base), -(base**3), other, base + 0.1 * other)
    found = choose(names(values), values, np.arange(400), 0.95)
    assert found == Choice(kept=("c0", "c3"), constant=(), alike={"c1": "c0", "c2": "c0", "c4": "c0"})
    turned = values[:, ::-1].copy()
    assert choose(names(turned), turned, np.arange(400), 0.95).kept == ("c0", "c1")


def test_a_column_is_not_dropped_for_one_that_is_gone() -> None:
    """c1 is like c0, and c2 like c1 but not like c0: c2 says something that no kept column says."""
    first, second = np.random.default_rng(1).normal(size=(2, 2000))
    values = columns(first, first + 0.5 * second, first + 1.1 * second)
    size = rank_correlations(values)
    assert size[0, 1] > 0.85 > size[0, 2]
    assert size[1, 2] > 0.85
    assert choose(names(values), values, np.arange(2000), 0.85).kept == ("c0", "c2")


def test_a_limit_of_one_drops_constant_columns_alone() -> None:
    base = np.arange(50.0)
    values = columns(base, 2 * base, np.full(50, 7.0))
    found = choose(names(values), values, np.arange(50), 1.0)
    assert found == Choice(kept=("c0", "c1"), constant=("c2",), alike={})


def test_no_row_but_the_given_ones_counts() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(300, 6)).astype("float32")
    values[:, 4] = values[:, 0]
    values[:, 5] = 3
    rows = np.arange(0, 200, 2)
    before = choose(names(values), values, rows, 0.9)
    assert (before.constant, before.alike) == (("c5",), {"c4": "c0"})
    poisoned = np.full_like(values, np.nan)
    poisoned[rows] = values[rows]
    assert choose(names(values), poisoned, rows, 0.9) == before


def test_many_rows_are_sampled_but_a_single_different_value_is_seen() -> None:
    count = 2 * MOST_ROWS
    rng = np.random.default_rng(3)
    base = rng.normal(size=count)
    hour = np.arange(count) % 24
    once = np.zeros(count)
    once[np.setdiff1d(np.arange(count), pruning._sample(np.arange(count)))[0]] = 1
    values = columns(base, hour, once, base + 1e-3 * rng.normal(size=count), np.zeros(count))
    rows = np.arange(count)
    found = choose(names(values), values, rows, 0.95)
    assert found == Choice(kept=("c0", "c1", "c2"), constant=("c4",), alike={"c3": "c0"})
    assert choose(names(values), values, rows, 0.95) == found
    sampled = pruning._sample(rows)
    assert len(np.unique(sampled)) == MOST_ROWS
    assert (np.diff(sampled) > 0).all()
    assert np.unique(hour[sampled]).tolist() == list(range(24))


def test_everything_is_every_column() -> None:
    assert everything(("a", "b")) == Choice(kept=("a", "b"), constant=(), alike={})
    assert everything(("a", "b")).dropped == 0
