from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import LeakError
from betti.training.leaks import overlapping, refuse_leaks

intervals = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)), min_size=1, max_size=12)


@settings(max_examples=100, deadline=None)
@given(intervals, intervals)
def test_overlap_is_what_comparing_every_pair_says(rows: list[tuple[int, int]], test: list[tuple[int, int]]) -> None:
    starts, ends = (np.array(v) for v in zip(*((a, a + n) for a, n in rows), strict=True))
    test_starts, test_ends = (np.array(v) for v in zip(*((a, a + n) for a, n in test), strict=True))
    wanted = ((starts[:, None] <= test_ends) & (ends[:, None] >= test_starts)).any(axis=1)
    np.testing.assert_array_equal(overlapping(starts, ends, test_starts, test_ends), wanted)


def rows(role: str, symbol: str, start: str, end: str) -> dict[str, object]:
    stamp = pd.Timestamp(start, tz="UTC")
    return {
        "timestamp": stamp,
        "symbol": symbol,
        "span_start": stamp,
        "span_end": pd.Timestamp(end, tz="UTC"),
        "role": role,
    }


def test_another_symbols_span_leaks_too() -> None:
    table = pd.DataFrame(
        [rows("train", "AAA", "2020-01-01", "2020-01-05"), rows("test", "BBB", "2020-01-05", "2020-01-09")]
    )
    with pytest.raises(LeakError, match=r"fold 3: 1 training rows .* AAA 2020-01-01"):
        refuse_leaks(3, table)
    refuse_leaks(3, table.assign(role=["purged", "test"]))


def test_between_two_test_blocks_there_is_room() -> None:
    table = pd.DataFrame(
        [
            rows("test", "AAA", "2020-01-01", "2020-01-03"),
            rows("train", "AAA", "2020-01-10", "2020-01-12"),
            rows("test", "AAA", "2020-01-20", "2020-01-23"),
        ]
    )
    refuse_leaks(0, table)
