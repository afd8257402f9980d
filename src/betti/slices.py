"""How far a stage looks around a row: what lets it be computed one period at a time.

A stage module that works bar by bar offers `slices(...)` beside its function, with the same keyword arguments.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Slices"]


@dataclass(frozen=True)
class Slices:
    """Bars before and after a row that may enter its values, the modules that compute them, and whether they look at
    what surrounds the market (`betti.context`).
    """

    back: int
    ahead: int
    modules: tuple[str, ...]
    takes_context: bool = False
