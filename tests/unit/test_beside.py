"""Work on the side: the same results and the same faults as one after the other."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betti import progress
from betti.beside import ahead, each, writing


@given(st.lists(st.integers()))
def test_items_come_in_their_order(items):
    assert list(ahead(iter(items))) == items


def test_the_next_item_is_made_while_one_is_in_hand_and_no_more():
    made, second = [], threading.Event()

    def source():
        for number in range(5):
            made.append(number)
            if number == 1:
                second.set()
            yield number

    coming = ahead(source())
    assert next(coming) == 0
    assert second.wait(5)
    assert made == [0, 1]
    assert list(coming) == [1, 2, 3, 4]


def test_what_making_an_item_raises_comes_after_those_before_it():
    def source():
        yield 1
        raise KeyError("second")

    coming = ahead(source())
    assert next(coming) == 1
    with pytest.raises(KeyError, match="second"):
        next(coming)


def test_a_reader_that_stops_early_ends_the_source():
    ended = threading.Event()

    def source():
        try:
            yield from range(10)
        finally:
            ended.set()

    coming = ahead(source())
    next(coming)
    coming.close()
    del coming
    assert ended.wait(5)


def test_progress_is_heard_from_the_side():
    heard = []
    with progress.listening(lambda done, total, what: heard.append((done, total, what))):
        assert list(ahead(progress.track([1, 2], "made"))) == [1, 2]
        each(lambda n: progress.tell(n, 9, "each"), [3])
        with writing() as later:
            later(progress.tell, 4, 9, "written")
    assert heard == [(1, 2, "made"), (2, 2, "made"), (3, 9, "each"), (4, 9, "written")]


def test_writing_keeps_the_order_and_is_done_on_leaving():
    done = []
    with writing() as later:
        for number in range(20):
            later(done.append, number)
    assert done == list(range(20))


def test_what_writing_raises_is_not_lost():
    def fail():
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), writing() as later:
        later(fail)
    reached = []
    with pytest.raises(OSError, match="disk full"), writing() as later:  # noqa: PT012  # which of the two raises?
        later(fail)
        reached.append(later(print))
    assert reached == []


def test_each_does_all_and_raises_what_one_raised():
    done = []
    each(done.append, range(50))
    assert sorted(done) == list(range(50))
    with pytest.raises(ValueError, match="3"):
        each(lambda n: (_ for _ in ()).throw(ValueError("3")) if n == 3 else None, range(9))
