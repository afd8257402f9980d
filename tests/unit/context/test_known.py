"""When a bar closed, seen from the bars up to it alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.context import _known as known

few = settings(max_examples=60, deadline=None, derandomize=True)
MINUTE, DAY = known.MINUTE, known.DAY


def slowly(opens: list[int]) -> list[int]:
    found = []
    for row, time in enumerate(opens):
        past = opens[max(row - known.STEPS, 0) : row + 1]
        steps = [later - earlier for earlier, later in pairwise(past) if later > earlier]
        found.append(time + min(steps, default=0))
    return found


@few
@given(st.lists(st.sampled_from([0, 1, 5, 5, 5, 60]), max_size=60))
def test_closes_are_those_of_the_slow_version(steps: list[int]) -> None:
    opens = np.cumsum(np.array(steps, dtype=np.int64))
    assert known.closes(opens).tolist() == slowly(opens.tolist())


def test_a_weekend_makes_no_bar_longer() -> None:
    days = np.array([0, 1, 2, 3, 4, 7, 8], dtype=np.int64) * DAY
    assert known.closes(days)[1:].tolist() == (days[1:] + DAY).tolist()


def test_a_repeated_time_has_the_length_of_its_fellows() -> None:
    opens = np.array([0, 5, 10, 10, 15], dtype=np.int64) * MINUTE
    assert (known.closes(opens)[1:] - opens[1:] == 5 * MINUTE).all()


def test_no_bars_and_one_bar() -> None:
    assert known.closes(np.empty(0, dtype=np.int64)).tolist() == []
    assert known.closes(np.array([7], dtype=np.int64)).tolist() == [7]


def test_a_track_is_known_after_its_release_until_it_is_stale() -> None:
    track = known.Track(np.array([10, 20]), np.array([1.0, 2.0]))
    moments = np.array([9, 10, 11, 20, 21, 25, 26])
    np.testing.assert_array_equal(track.at(moments, stale=5), [np.nan, np.nan, 1.0, np.nan, 2.0, 2.0, np.nan])
    assert track.age(moments).tolist() == [0, 0, 1, 10, 1, 5, 6]


def test_fading() -> None:
    np.testing.assert_allclose(known.fading(np.array([0, 10, 20]), 10.0), [1.0, 0.5, 0.25])
