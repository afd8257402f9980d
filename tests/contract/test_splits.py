"""The wall between training and test, over every registered scheme."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import splits
from betti.errors import BadParam, UnknownName
from tests.unit.splits.checks import check_split, spans

every_scheme = pytest.mark.parametrize("scheme", splits.FOLDER.names())
few = settings(max_examples=25, deadline=None)
some_labels = st.builds(
    spans,
    seed=st.integers(0, 10_000),
    rows=st.integers(60, 120),
    symbols=st.integers(1, 4),
    longest=st.integers(1, 30),
    before=st.integers(0, 8),
)


def test_the_schemes_that_ship_are_registered_and_import():
    assert {"combinatorial", "three_way", "walk_forward"} <= set(splits.FOLDER.names())
    assert "purge" not in splits.FOLDER.names(), "the purge is what schemes share, not a scheme"
    assert splits.FOLDER.failures() == {}


@every_scheme
@few
@given(labels=some_labels)
def test_no_train_or_valid_span_overlaps_a_test_span(scheme, labels):
    check_split(labels, splits.split(scheme, labels))


@every_scheme
@few
@given(labels=some_labels, days=st.integers(0, 15))
def test_what_is_learnt_keeps_the_embargo_in_time(scheme, labels, days):
    check_split(labels, splits.split(scheme, labels, embargo=f"{days}D"), f"{days}D")


@every_scheme
@few
@given(labels=some_labels)
def test_all_symbols_test_the_same_instants(scheme, labels):
    folds = splits.split(scheme, labels)
    for _, rows in folds.groupby("fold"):
        tested = set(rows.loc[rows["role"] == "test", "timestamp"])
        assert (rows["timestamp"].isin(tested) == (rows["role"] == "test")).all()


@every_scheme
def test_labels_are_left_as_they_are_and_their_order_does_not_matter(scheme):
    labels = spans(1)
    before = labels.copy()
    folds = splits.split(scheme, labels)
    pd.testing.assert_frame_equal(labels, before)
    pd.testing.assert_frame_equal(splits.split(scheme, labels.sample(frac=1, random_state=1)), folds)


@every_scheme
def test_too_few_labels_are_refused(scheme):
    for rows in (0, 1, 3):
        with pytest.raises(BadParam, match="too few"):
            splits.split(scheme, spans(1).iloc[:rows])


@every_scheme
def test_it_is_documented_and_refuses_unknown_knobs(scheme):
    module = splits.FOLDER.load(scheme)
    assert module.__doc__
    assert "Returns:" in module.split.__doc__
    with pytest.raises(UnknownName, match="no_such_knob"):
        splits.split(scheme, spans(1), no_such_knob=1)


# --- splitters that leak


def by_rows(labels: pd.DataFrame) -> pd.DataFrame:
    """Train on the first half, test on the second, without looking at the spans."""
    middle = labels["timestamp"].median()
    role = np.where(labels["timestamp"] <= middle, "train", "test")
    return labels[["timestamp", "symbol"]].assign(fold=0, role=role)


def purged_from_the_end_of_the_first_test_span(labels: pd.DataFrame) -> pd.DataFrame:
    """A known fault: the purge begins where the first test label ends."""
    folds = by_rows(labels)
    first = labels[folds["role"] == "test"].sort_values("timestamp").iloc[0]
    overlapping = (labels["span_end"] >= first["span_end"]) & (folds["role"] == "train")
    return folds.assign(role=folds["role"].where(~overlapping, "purged"))


def drops_what_it_purges(labels: pd.DataFrame) -> pd.DataFrame:
    folds = splits.split("walk_forward", labels)
    return folds[folds["role"] != "purged"]


def two_roles(labels: pd.DataFrame) -> pd.DataFrame:
    folds = splits.split("walk_forward", labels)
    return pd.concat([folds, folds.iloc[:1]], ignore_index=True)


@pytest.mark.parametrize(
    "leaky", [by_rows, purged_from_the_end_of_the_first_test_span, drops_what_it_purges, two_roles]
)
def test_the_checker_catches_a_splitter_that_leaks(leaky):
    labels = spans(3, rows=100, longest=20)
    with pytest.raises(AssertionError, match=r"overlaps|role"):
        check_split(labels, leaky(labels))


@every_scheme
def test_the_checker_catches_an_embargo_that_is_too_short(scheme):
    labels = spans(3, rows=100, longest=2)
    with pytest.raises(AssertionError, match="within the embargo"):
        check_split(labels, splits.split(scheme, labels, embargo="3D"), "5D")
