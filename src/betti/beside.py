"""Work on the side: the next item is made, or the last one written, while this one is in hand.

Reading, parsing and writing Parquet and CSV leave the interpreter free, so that a second core can do them. Order and
results are those of doing one after the other. What does not belong here: computing in parallel
(`betti.topology.pool`), where results could depend on it.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["ahead", "each", "writing"]

T = TypeVar("T")
_END = object()


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The items, each made while the one before is in hand; at most one waits. What making one raises is raised here.

    >>> list(ahead(n * n for n in range(4)))
    [0, 1, 4, 9]
    """
    source, here = iter(items), copy_context()  # who listens to progress is known on the side too
    with ThreadPoolExecutor(1, "ahead") as pool:
        coming: Future[Any] = pool.submit(here.run, _following, source)
        while (item := coming.result()) is not _END:
            coming = pool.submit(here.run, _following, source)
            yield item
            item = None  # what is in hand no more need not be held while the next is waited for


def _following(source: Iterator[Any]) -> Any:
    return next(source, _END)


@contextmanager
def writing() -> Iterator[Callable[..., None]]:
    """Give a function `later(work, *arguments)` that does the work on the side, in order, one piece behind at most.

    Leaving waits for the rest; what a piece raises is raised by the next call or on leaving.
    """
    with ThreadPoolExecutor(1, "writing") as pool:
        waiting: list[Future[Any]] = []

        def later(work: Callable[..., Any], *arguments: Any) -> None:
            while waiting:
                waiting.pop().result()
            waiting.append(pool.submit(copy_context().run, work, *arguments))

        yield later
        for one in waiting:
            one.result()


def each(work: Callable[[T], Any], items: Iterable[T]) -> None:
    """Do the work for every item, two side by side; what one raises is raised when those begun have ended.

    >>> done = []
    >>> each(done.append, [1, 2, 3])
    >>> sorted(done)
    [1, 2, 3]
    """
    with ThreadPoolExecutor(2, "each") as pool:
        begun = [pool.submit(copy_context().run, work, item) for item in items]
        try:
            for one in begun:
                one.result()
        finally:
            for one in begun:
                one.cancel()
