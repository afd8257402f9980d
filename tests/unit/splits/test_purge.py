"""Overlap of spans with an interval, both ends included; one span per row over several heads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import splits
from betti.splits.purge import overlaps, union_of_spans
from tests.unit.splits.checks import check_split, leaking, spans


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(1, 4, False), (1, 5, True), (5, 9, True), (9, 12, True), (10, 12, False), (1, 20, True), (6, 7, True)],
)
def test_overlap_includes_both_ends(start, end, expected):
    assert overlaps(np.array([start]), np.array([end]), 5, 9).tolist() == [expected]


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6)), min_size=1, max_size=8),
    first=st.integers(0, 20),
    length=st.integers(0, 6),
)
def test_overlap_is_a_common_instant(rows, first, length):
    starts = np.array([start for start, _ in rows])
    ends = starts + np.array([longer for _, longer in rows])
    wanted = [
        bool(set(range(a, b + 1)) & set(range(first, first + length + 1))) for a, b in zip(starts, ends, strict=True)
    ]
    assert overlaps(starts, ends, first, first + length).tolist() == wanted


def heads(seed: int, rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two label tables of the same rows: one reads a day ahead, the other up to two weeks, and three days back."""
    day = spans(seed, rows=rows, longest=1)
    rng = np.random.default_rng(seed)
    ahead, back = (pd.to_timedelta(rng.integers(0, most, len(day)), unit="D") for most in (14, 4))
    week = day.assign(span_start=day["span_start"] - back, span_end=day["span_end"] + ahead)
    return day, week


def test_a_row_has_the_union_of_its_heads_spans():
    day, week = heads(4, 40)
    some = week.sample(frac=0.7, random_state=0)
    joint = union_of_spans(day, some)
    assert list(joint.columns) == ["timestamp", "symbol", "span_start", "span_end"]
    assert not joint.duplicated(["timestamp", "symbol"]).any()
    assert len(joint) == len(day)
    both = pd.concat([day, some])
    for row in joint.itertuples():
        mine = both[(both["timestamp"] == row.timestamp) & (both["symbol"] == row.symbol)]
        assert (row.span_start, row.span_end) == (mine["span_start"].min(), mine["span_end"].max())
    pd.testing.assert_frame_equal(union_of_spans(some, day), joint)
    pd.testing.assert_frame_equal(union_of_spans(joint), joint)


@pytest.mark.parametrize("scheme", splits.FOLDER.names())
def test_folds_of_the_union_are_clean_for_every_head(scheme):
    day, week = heads(9, 90)
    folds = splits.split(scheme, union_of_spans(day, week))
    for head in (day, week):
        check_split(head, folds, "1D")
    with pytest.raises(AssertionError, match=r"overlaps|embargo"):
        check_split(week, splits.split(scheme, day), "1D")


@st.composite
def several_heads(draw: st.DrawFn) -> list[pd.DataFrame]:
    """Label tables of two to four heads: the first labels every row, the others some, each with spans of its own."""
    rows = draw(st.integers(40, 50))
    whole = spans(draw(st.integers(0, 5000)), rows=rows, symbols=2, longest=3)
    found = [whole]
    for seed in draw(st.lists(st.integers(0, 5000), min_size=1, max_size=3)):
        rng = np.random.default_rng(seed)
        ahead, back = (pd.to_timedelta(rng.integers(0, most, len(whole)), unit="D") for most in (20, 6))
        other = whole.assign(span_start=whole["timestamp"] - back, span_end=whole["timestamp"] + ahead)
        found.append(other[rng.random(len(whole)) < 0.8])
    return found


@pytest.mark.parametrize("scheme", splits.FOLDER.names())
@settings(max_examples=8, deadline=None)
@given(labels=several_heads(), days=st.integers(0, 6))
def test_no_head_learns_from_what_another_head_is_tested_on(scheme: str, labels: list[pd.DataFrame], days: int) -> None:
    """Heads share a network: what one of them learnt of a span, all of them know."""
    folds = splits.split(scheme, union_of_spans(*labels), embargo=f"{days}D").astype({"symbol": "str"})
    for _, mine in folds.groupby("fold"):
        parts = {
            role: [mine[mine["role"] == role].merge(head, on=["timestamp", "symbol"]) for head in labels]
            for role in ("train", "valid", "test")
        }
        for learning in (*parts["train"], *parts["valid"]):
            for tested in parts["test"]:
                assert leaking(learning, tested, f"{days}D") == 0
        for learning in parts["train"]:
            for validating in parts["valid"]:
                assert leaking(learning, validating) == 0


@pytest.mark.parametrize("scheme", splits.FOLDER.names())
@settings(max_examples=8, deadline=None)
@given(labels=several_heads())
def test_more_heads_take_rows_out_of_training_and_change_nothing_else(scheme: str, labels: list[pd.DataFrame]) -> None:
    alone, joint = (splits.split(scheme, table) for table in (labels[0], union_of_spans(*labels)))
    pd.testing.assert_frame_equal(alone[["timestamp", "symbol", "fold"]], joint[["timestamp", "symbol", "fold"]])
    before, after = (folds["role"].astype("str") for folds in (alone, joint))
    changed = before[before != after]
    assert not set(changed) & {"test", "unused"}
    assert set(after[changed.index]) <= {"purged", "embargoed"}


@pytest.mark.parametrize("scheme", splits.FOLDER.names())
def test_folds_of_one_head_leak_into_another(scheme: str) -> None:
    day, week = heads(9, 90)
    folds = splits.split(scheme, day, embargo="0D").astype({"symbol": "str"})
    found = 0
    for _, mine in folds.groupby("fold"):
        train, test = (
            mine[mine["role"] == role].merge(head, on=["timestamp", "symbol"])
            for role, head in (("train", week), ("test", day))
        )
        valid = mine[mine["role"] == "valid"].merge(week, on=["timestamp", "symbol"])
        found += leaking(train, test) + leaking(valid, test)
    assert found
