"""Batches on threads: the order of results, what an error or an early end leaves behind, how far work runs ahead."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.topology import native, pool
from betti.topology.embedding import standardised
from betti.topology.vectorisation import fixed_grid
from tests.unit.topology.clouds import closes

THREADS = (1, 2, 3, 4)
AHEAD = 2  # batches begun per thread beyond those handed out, at most

every_count = pytest.mark.parametrize("threads", THREADS)


class Counted:
    """Work that notes which batches began, and may wait or fail."""

    def __init__(self, then: Callable[[slice], None] = lambda _: None) -> None:
        self.begun: list[int] = []
        self.then = then

    def __call__(self, rows: slice) -> int:
        self.begun.append(rows.start)
        self.then(rows)
        return rows.start


def settle(work: Counted) -> list[int]:
    """What has begun when nothing begins any more."""
    begun = -1
    while begun != len(work.begun):
        begun = len(work.begun)
        time.sleep(0.05)
    return work.begun


# --- order


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 60), size=st.integers(1, 70), threads=st.integers(1, 5))
def test_every_row_comes_once_and_in_order(count: int, size: int, threads: int) -> None:
    found = list(pool.batches(lambda rows: list(range(rows.start, rows.stop)), count, size, threads))
    assert [row for batch in found for row in batch] == list(range(count))
    assert all(len(batch) == size for batch in found[:-1])


@every_count
def test_results_come_in_order_whatever_ends_first(threads: int) -> None:
    def slow_at_first(rows: slice) -> int:
        time.sleep(0.03 if rows.start % 4 == 0 else 0)
        return rows.start

    assert list(pool.batches(slow_at_first, 24, 1, threads)) == list(range(24))


def test_several_threads_work_at_once() -> None:
    """Each batch waits for another one: a single thread would wait in vain."""
    together = threading.Barrier(2, timeout=20)
    assert len(list(pool.batches(lambda _: together.wait(), 4, 1, 2))) == 4


def test_one_thread_is_the_callers_own() -> None:
    assert set(pool.batches(lambda _: threading.get_ident(), 5, 1, 1)) == {threading.get_ident()}


def test_results_are_the_same_bytes_for_any_number_of_threads() -> None:
    series = np.concatenate([closes("NASDAQ")[:400], np.round(closes("SP500")[:300] / 20) * 20])
    rows, grid = standardised(np.lib.stride_tricks.sliding_window_view(series, 60)), fixed_grid(2.0, 20)

    def numbers(part: slice) -> np.ndarray:
        return native.window_numbers(rows[part], dimension=2, delay=4, grid=grid, layers=2)

    found = [np.concatenate(list(pool.batches(numbers, len(rows), 50, threads))).tobytes() for threads in (1, 2, 4)]
    assert found[0] == found[1] == found[2]


# --- errors and early ends


@every_count
def test_an_error_reaches_the_caller_and_what_waits_is_not_begun(threads: int) -> None:
    def third_fails(rows: slice) -> None:
        time.sleep(0.01)
        if rows.start == 2:
            raise ZeroDivisionError("the third")

    work, found = Counted(third_fails), []
    with pytest.raises(ZeroDivisionError, match="the third"):
        found.extend(pool.batches(work, 1000, 1, threads))
    assert len(settle(work)) <= 3 + AHEAD * threads + 1
    assert 2 in work.begun


@every_count
def test_closing_early_drops_what_waits_and_waits_for_what_runs(threads: int) -> None:
    ended: list[int] = []

    def slow(rows: slice) -> None:
        time.sleep(0.02)
        ended.append(rows.start)

    work = Counted(slow)
    found = pool.batches(work, 1000, 1, threads)
    assert next(found) == 0
    found.close()
    assert sorted(ended) == sorted(work.begun), "a batch still ran after the generator was closed"
    assert settle(work) == sorted(work.begun)
    assert len(work.begun) <= 1 + AHEAD * threads + 1


def test_what_waits_is_cancelled_not_computed() -> None:
    """Both threads are held up and two more batches wait behind them: those must never begin."""
    release = threading.Event()

    def wait(rows: slice) -> None:
        if rows.start in (1, 2):
            release.wait(20)

    held = Counted(wait)
    found = pool.batches(held, 1000, 1, 2)
    assert next(found) == 0
    assert settle(held) == [0, 1, 2]
    threading.Timer(0.1, release.set).start()
    found.close()
    assert settle(held) == [0, 1, 2]


@pytest.mark.parametrize("threads", [2, 4])
def test_an_interrupt_while_waiting_ends_the_work(threads: int) -> None:
    def interrupt(rows: slice) -> None:
        if rows.start == 4:
            _thread.interrupt_main()
        time.sleep(0.02)

    work = Counted(interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            list(pool.batches(work, 1000, 1, threads))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(settle(work)) <= 5 + 2 * (AHEAD * threads + 1)


# --- memory


@every_count
@pytest.mark.parametrize("taken", [1, 2, 7, 30])
def test_work_runs_only_a_few_batches_ahead_of_the_caller(threads: int, taken: int) -> None:
    work = Counted()
    found = pool.batches(work, 1000, 1, threads)
    for _ in range(taken):
        next(found)
    assert taken <= len(settle(work)) <= taken + AHEAD * threads
    found.close()


def test_nothing_begins_before_it_is_asked_for() -> None:
    work = Counted()
    pool.batches(work, 10, 1, 2)
    assert settle(work) == []


# --- how many threads


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("said", "cores"), [("1", 1), ("3", 3), ("8", 8), ("64", 8), ("0", 1)])
def test_the_environment_limits_the_threads(monkeypatch: pytest.MonkeyPatch, said: str, cores: int) -> None:
    monkeypatch.setenv(pool.LIMIT, said)
    assert pool.cores() == cores


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize("said", ["", " ", "two", "-1", "1.5", "²", "0x2", "1e3", "+2"])
def test_what_is_no_number_limits_nothing(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(pool.LIMIT, said)
    assert pool.cores() == 8


@pytest.mark.usefixtures("eight_cores")
def test_batches_keep_to_the_environments_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def name(_: slice) -> str:
        time.sleep(0.01)
        return threading.current_thread().name

    def names() -> set[str]:
        return set(pool.batches(name, 12, 1))

    monkeypatch.setenv(pool.LIMIT, "1")
    assert names() == {threading.current_thread().name}
    monkeypatch.setenv(pool.LIMIT, "2")
    assert len(names()) == 2


def test_without_a_limit_every_usable_core_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(pool.LIMIT, raising=False)
    assert pool.cores() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert pool.cores() == 1
