"""Who is told, in this process, what happens in a flow that is run here.

A module of its own: Prefect's worker sends the flow to another process, and a context variable cannot travel.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.stage import Watcher

__all__ = ["current", "watching"]

_watcher: ContextVar[Watcher | None] = ContextVar("betti_watcher", default=None)


def current() -> Watcher | None:
    """The watcher of this context, if it has one."""
    return _watcher.get()


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Tell the watcher what happens in flows that are run inside this block."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)
