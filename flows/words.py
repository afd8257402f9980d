"""What a flow says while it runs, in words: told to whoever called it in this process, beside Prefect's own log.

What does not belong here: progress of a stage (`betti.progress`), and how words are shown.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["say", "told"]

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("betti_words_listener", default=None)


@contextmanager
def told(listener: Callable[[str], None]) -> Iterator[None]:
    """Tell the listener whatever flows say inside this block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def say(words: str) -> None:
    """Tell the listener, where there is one."""
    listener = _listener.get()
    if listener is not None:
        listener(words)
