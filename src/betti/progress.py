"""How far a long computation is, told to whoever listens.

A stage tells; it neither prints nor knows Prefect. The runner sets a listener for its own context; without one,
telling costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

__all__ = ["Listener", "listening", "tell", "track"]

T = TypeVar("T")
Listener = Callable[[int, int, str], None]

_listener: ContextVar[Listener | None] = ContextVar("betti_progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send what is told inside this block to `listener(done, total, what)`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(done: int, total: int, what: str) -> None:
    """Say that `done` of `total` steps of `what` are finished."""
    listener = _listener.get()
    if listener is not None:
        listener(done, total, what)


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield the items, telling after each; without a `total` they are counted first, which holds them all.

    >>> with listening(lambda done, total, what: print(what, done, total)):
    ...     list(track("ab", "letters"))
    letters 1 2
    letters 2 2
    ['a', 'b']
    """
    known = list(items) if total is None else items
    whole = len(known) if isinstance(known, list) else total or 0
    for done, item in enumerate(known, start=1):
        yield item
        tell(done, whole, what)
