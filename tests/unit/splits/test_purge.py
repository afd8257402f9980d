"""Overlap of spans with an interval, both ends included."""

from __future__ import annotations

import pandas as pd
import pytest

from betti.splits.purge import overlaps


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(1, 4, False), (1, 5, True), (5, 9, True), (9, 12, True), (10, 12, False), (1, 20, True), (6, 7, True)],
)
def test_overlap_includes_both_ends(start, end, expected):
    def day(number: int) -> pd.Timestamp:
        return pd.Timestamp(2020, 1, number, tz="UTC")

    labels = pd.DataFrame({"span_start": [day(start)], "span_end": [day(end)]})
    assert overlaps(labels, day(5), day(9)).tolist() == [expected]
