"""Combinatorial folds: counts and backtest paths by formula, each row on every path once."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from betti import splits
from betti.errors import BadParam
from betti.splits.combinatorial import backtest_paths, fold_groups, path_rows
from tests.unit.splits.checks import check_split, spans

choices = st.integers(2, 9).flatmap(lambda groups: st.tuples(st.just(groups), st.integers(1, groups - 1)))


@pytest.mark.parametrize(
    ("groups", "test_groups", "folds", "paths"), [(6, 2, 15, 5), (10, 2, 45, 9), (10, 8, 45, 36), (5, 1, 5, 1)]
)
def test_published_counts(groups, test_groups, folds, paths):
    assert len(fold_groups(groups, test_groups)) == folds
    assert backtest_paths(groups, test_groups).shape == (paths, groups)


@given(choices)
def test_counts_and_paths_follow_the_formulas(choice):
    groups, test_groups = choice
    folds, paths = fold_groups(groups, test_groups), backtest_paths(groups, test_groups)
    assert len(folds) == len(set(folds)) == comb(groups, test_groups)
    assert len(paths) == comb(groups, test_groups) * test_groups / groups
    used = [(int(fold), group) for path in paths for group, fold in enumerate(path)]
    assert sorted(used) == [(fold, group) for fold, tested in enumerate(folds) for group in tested]
    assert (np.diff(paths, axis=0) > 0).all(), "a path later in the list takes a later fold"


def test_paths_of_six_groups_are_those_of_figure_12_1():
    """Lopez de Prado 2018: the first path takes S1, S1, S2, S3, S4, S5, the last one S5, S9, S12, S14, S15, S15."""
    paths = backtest_paths(6, 2) + 1
    assert paths[0].tolist() == [1, 1, 2, 3, 4, 5]
    assert paths[1].tolist() == [2, 6, 6, 7, 8, 9]
    assert paths[-1].tolist() == [5, 9, 12, 14, 15, 15]


@pytest.mark.parametrize(("groups", "test_groups"), [(6, 2), (4, 3), (5, 1)])
def test_a_path_holds_every_row_once_from_the_fold_it_says(groups, test_groups):
    labels = spans(6, rows=90, symbols=3)
    rows = path_rows(splits.split("combinatorial", labels, groups=groups, test_groups=test_groups))
    paths = backtest_paths(groups, test_groups)
    instants = np.sort(labels["timestamp"].unique())
    edges = np.linspace(0, len(instants), groups + 1).round().astype(int)
    group = np.searchsorted(edges, np.searchsorted(instants, rows["timestamp"]), side="right") - 1
    assert rows["fold"].tolist() == paths[rows["path"], group].tolist()
    wanted = labels[["symbol", "timestamp"]].sort_values(["symbol", "timestamp"]).to_numpy().tolist()
    assert sorted(rows["path"].unique()) == list(range(len(paths)))
    for _, path in rows.groupby("path"):
        assert path[["symbol", "timestamp"]].to_numpy().tolist() == wanted


def test_paths_do_not_depend_on_the_order_of_the_folds_table():
    folds = splits.split("combinatorial", spans(6, rows=60))
    pd.testing.assert_frame_equal(path_rows(folds.sample(frac=1, random_state=0)), path_rows(folds))


def test_blocks_tested_once_make_one_path():
    rows = path_rows(splits.split("walk_forward", spans(1, rows=80)))
    assert set(rows["path"]) == {0}
    assert not rows.duplicated(["symbol", "timestamp"]).any()


@pytest.mark.parametrize("test_groups", [0, 5, 9])
def test_paths_need_something_to_test_and_to_learn_from(test_groups):
    with pytest.raises(BadParam, match="left to learn from"):
        backtest_paths(5, test_groups)


def test_it_learns_from_both_sides_of_a_test():
    labels = spans(3, rows=100, longest=2)
    folds = splits.split("combinatorial", labels, groups=5, test_groups=1, embargo="0D")
    middle = folds[folds["fold"] == 2]
    tested = middle.loc[middle["role"] == "test", "timestamp"]
    learnt = middle.loc[middle["role"].isin(["train", "valid"]), "timestamp"]
    assert learnt.min() < tested.min() < tested.max() < learnt.max()
    assert (
        middle.loc[middle["role"] == "valid", "timestamp"].min() > middle.loc[middle["role"] == "train", "timestamp"]
    ).all()


def test_without_a_share_nothing_validates():
    labels = spans(3, rows=60)
    folds = splits.split("combinatorial", labels, valid_share=0)
    assert "valid" not in set(folds["role"])
    check_split(labels, folds, "1D")


@pytest.mark.parametrize(
    ("knobs", "problem"),
    [
        ({"groups": 4, "test_groups": 4}, "left to learn from"),
        ({"groups": 4, "test_groups": 0}, "greater than or equal to 1"),
        ({"groups": 20, "test_groups": 10}, "184756 folds"),
        ({"groups": 1}, "greater than or equal to 2"),
        ({"groups": 40, "test_groups": 1}, "too few for 40 groups"),
        ({"valid_share": 1.0}, "less than 0.9"),
        ({"embargo": "5 bars"}, "match"),
    ],
)
def test_a_knob_out_of_range_is_refused(knobs, problem):
    with pytest.raises(BadParam, match=problem):
        splits.split("combinatorial", spans(1, rows=50, symbols=1), **knobs)
