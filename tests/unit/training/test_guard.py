"""How many columns so many samples carry: the table's own numbers, and who is warned or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betti.training.guard import TooFewSamples, most_columns, thinness


@pytest.mark.parametrize(
    ("samples", "columns"), [(50_000, 100), (100_000, 200), (199_999, 200), (200_000, 400), (500_000, 500)]
)
def test_most_columns_are_those_of_the_table_and_rise_in_steps(samples: int, columns: int) -> None:
    assert most_columns(samples) == columns


@given(st.integers(1, 2_000_000), st.integers(1, 2_000_000))
def test_more_samples_never_carry_fewer_columns(one: int, two: int) -> None:
    assert most_columns(min(one, two)) <= most_columns(max(one, two))


def kinds(samples: int, columns: int) -> list[str]:
    return [one.kind for one in thinness("r", {"fold_0": (samples, columns)}, None)]


def test_who_is_warned() -> None:
    assert kinds(2000, 100) == []
    assert kinds(1999, 100) == ["few_samples"]
    assert kinds(50_000, 100) == []
    assert kinds(50_000, 101) == ["many_columns"]
    assert kinds(100_000, 200) == []
    assert kinds(400_000, 401) == ["many_columns"]
    assert kinds(1000, 101) == ["few_samples", "many_columns"]


def test_the_smallest_fold_counts() -> None:
    folds = {"fold_0": (900, 30), "fold_1": (300, 20), "fold_2": (100_000, 20)}
    (warning,) = thinness("r", folds, None)
    assert (warning.size.fold, warning.found, warning.limit) == ("fold_1", 15.0, 20.0)
    assert warning.message == "fold_1 has 300 train rows for 20 columns: 15 samples a column, 20 are good"


def test_what_is_refused() -> None:
    assert [one.kind for one in thinness("r", {"fold_0": (1000, 100)}, 10)] == ["few_samples"]
    with pytest.raises(TooFewSamples, match=r"run 'r': fold_0 has 999 train rows for 100 columns, 9\.9 a column"):
        thinness("r", {"fold_0": (999, 100)}, 10)
    with pytest.raises(TooFewSamples, match=r"2\.4 a column; least_samples_per_feature is 2\.5"):
        thinness("r", {"fold_0": (24, 10)}, 2.5)
    assert thinness("r", {"fold_0": (2000, 100)}, 20) == ()


def test_many_columns_are_told_with_their_limit() -> None:
    (warning,) = thinness("r", {"fold_0": (60_000, 214)}, None)
    assert warning.message == "fold_0 has 60,000 train rows and 214 columns: at most 100 columns for so many rows"
    assert (warning.found, warning.limit) == (214.0, 100.0)


def test_of_folds_with_columns_of_their_own_the_thinnest_counts() -> None:
    folds = {"fold_0": (1000, 40), "fold_1": (1100, 120)}
    few, many = thinness("r", folds, None)
    assert (few.kind, few.size.fold) == ("few_samples", "fold_1")
    assert (many.kind, many.size.fold) == ("many_columns", "fold_1")
    with pytest.raises(TooFewSamples, match="fold_1"):
        thinness("r", folds, 12)
