"""Walk-forward: blocks in time, purged exactly where spans overlap, embargoed in time."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import splits
from betti.errors import BadParam
from tests.unit.splits.checks import check_split, joined, spans


def split(labels: pd.DataFrame, **knobs: object) -> pd.DataFrame:
    return splits.split("walk_forward", labels, **knobs)


def daily(rows: int, length: int, symbol: str = "A") -> pd.DataFrame:
    """One label a day, each with a span of `length` days."""
    stamps = pd.date_range("2010-01-01", periods=rows, freq="1D", tz="UTC").as_unit("us")
    end = (stamps + pd.Timedelta(days=length)).as_unit("us")
    return pd.DataFrame({"timestamp": stamps, "symbol": symbol, "span_start": stamps, "span_end": end})


def roles(folds: pd.DataFrame, fold: int) -> list[str]:
    return folds.loc[folds["fold"] == fold, "role"].tolist()


def test_one_fold_by_hand():
    found = roles(split(daily(20, 2), folds=1, valid_share=0.3, embargo="1D"), 0)
    expected = ["train"] * 5 + ["purged"] * 2 + ["embargoed"] * 0 + ["embargoed", "purged", "purged"] + ["test"] * 10
    assert found == expected


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    folds=st.integers(1, 6),
    valid_share=st.floats(0.05, 0.6),
    embargo=st.integers(0, 20),
    history=st.sampled_from(["expanding", "rolling"]),
    before=st.integers(0, 10),
)
def test_each_role_is_what_its_definition_says(seed, folds, valid_share, embargo, history, before):
    labels = spans(seed, rows=80, symbols=3, longest=15, before=before)
    found = split(labels, folds=folds, valid_share=valid_share, embargo=f"{embargo}D", history=history)
    check_split(labels, found)
    for _, rows in joined(labels, found).groupby("fold"):
        test = rows[rows["role"] == "test"]
        test_start, test_end = test["span_start"].min(), test["span_end"].max()
        wait = pd.Timedelta(days=embargo)
        past = rows[(rows["timestamp"] < test["timestamp"].min()) & (rows["role"] != "unused")]
        overlapping = (past["span_end"] >= test_start) & (past["span_start"] <= test_end)
        assert (past.loc[overlapping, "role"] == "purged").all()
        waiting = (past["span_end"] >= test_start - wait) & ~overlapping
        assert (past.loc[waiting, "role"] == "embargoed").all()
        free = past[~overlapping & ~waiting]
        assert set(free["role"]) <= {"train", "valid", "purged"}
        purged_free = free[free["role"] == "purged"]
        valid = rows[rows["role"] == "valid"]
        if len(valid) and len(purged_free):
            assert (purged_free["timestamp"] < valid["timestamp"].min()).all()
        assert (rows.loc[rows["timestamp"] > test["timestamp"].max(), "role"] == "unused").all()


@pytest.mark.parametrize("length", [1, 3, 8])
def test_a_row_is_purged_when_it_overlaps_and_only_then(length):
    folds = split(daily(60, length), folds=2, valid_share=0.6, embargo="0D")
    for fold, first in ((0, 20), (1, 40)):
        found = roles(folds, fold)
        assert found[first - length : first] == ["purged"] * length
        assert found[first - length - 1] == "valid"


def test_an_embargo_counts_hours_not_rows():
    folds = split(daily(60, 1), folds=2, valid_share=0.6, embargo="60h")
    assert roles(folds, 0)[16:20] == ["valid", "embargoed", "embargoed", "purged"]


def test_test_blocks_are_disjoint_and_cover_the_tail():
    labels = spans(5, rows=100, symbols=3)
    folds = split(labels, folds=4)
    tested = folds[folds["role"] == "test"]
    assert not tested.duplicated(["symbol", "timestamp"]).any()
    first = tested["timestamp"].min()
    assert len(tested) == (labels["timestamp"] >= first).sum()
    blocks = tested.groupby("fold")["timestamp"].agg(["min", "max"])
    assert (blocks["min"].iloc[1:].to_numpy() > blocks["max"].iloc[:-1].to_numpy()).all()
    sizes = tested.groupby("fold")["timestamp"].nunique()
    assert sizes.max() - sizes.min() <= 1


def test_validation_is_the_last_part_of_the_training_stretch():
    folds = split(daily(120, 1), folds=1, valid_share=0.25, embargo="0D")
    found = roles(folds, 0)
    assert found[:44] == ["train"] * 44
    assert found[44] == "purged"
    assert found[45:59] == ["valid"] * 14


def test_a_rolling_history_forgets_its_beginning():
    labels = daily(120, 1)
    rolling, expanding = split(labels, folds=3, history="rolling"), split(labels, folds=3)
    assert roles(rolling, 0) == roles(expanding, 0)
    assert roles(rolling, 2)[:60] == ["unused"] * 60
    assert roles(rolling, 2)[60] == "train"
    assert roles(expanding, 2)[0] == "train"


@pytest.mark.parametrize(
    "knobs",
    [{"folds": 0}, {"folds": 20}, {"embargo": "5 bars"}, {"embargo": 5}, {"valid_share": 0}, {"history": "all"}],
)
def test_a_knob_out_of_range_is_refused(knobs):
    with pytest.raises(BadParam, match=next(iter(knobs))):
        split(daily(50, 1), **knobs)
