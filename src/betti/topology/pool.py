"""Independent batches of rows on several threads: compiled code runs without the interpreter's lock.

What a row gives does not depend on the batch or the thread that computes it, so results are the same for any number
of threads. What does not belong here: what is computed.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["LIMIT", "batches", "cores"]

LIMIT = "BETTI_THREADS"  # environment variable: threads at most

T = TypeVar("T")


def cores() -> int:
    """The cores that this process may use, at most as many as BETTI_THREADS says if it holds a number."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get(LIMIT, "")
    return max(1, min(usable, int(asked))) if asked.isdecimal() else usable


def batches(work: Callable[[slice], T], count: int, size: int, threads: int | None = None) -> Generator[T, None, None]:
    """`work` of rows 0 to count, `size` rows at a time, on at most `threads` threads; results in order.

    Few batches are under way at once, so memory does not grow with `count`. When the caller closes the generator, is
    interrupted, or a batch fails, batches that wait are dropped and those that run are waited for: fractions of a
    second.

    >>> list(batches(lambda rows: rows.stop - rows.start, 10, 4))
    [4, 4, 2]
    """
    parts = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    workers = min(threads or cores(), len(parts))
    if workers <= 1:
        yield from map(work, parts)
        return
    running: deque[Future[T]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="batch") as pool:
        try:
            for part in parts:
                running.append(pool.submit(work, part))
                if len(running) > 2 * workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
