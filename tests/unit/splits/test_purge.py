"""Overlap of spans with an interval, both ends included; one span per row over several heads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import splits
from betti.splits.purge import overlaps, union_of_spans
from tests.unit.splits.checks import check_split, spans


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
