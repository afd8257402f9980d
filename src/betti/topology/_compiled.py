"""How the compiled functions of this package are compiled, and where their machine code is kept.

numba keeps machine code on disk per source file and does not see that a function it calls, in another file, has
changed: edited code would go on running as it was. Here the folder of the machine code is named after the contents of
all compiled sources of the package, so that an edit of one compiles anew. What does not belong here: anything
numerical.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

__all__ = ["entry", "inlined", "inner"]

_MARK = b"_compiled import"  # in the sources whose functions are compiled

F = TypeVar("F", bound=Callable[..., Any])


def entry(function: F) -> F:
    """Machine code for a function of arrays and numbers: IEEE arithmetic in the order written, no interpreter lock."""
    return _compiled(function)


def inner(function: F) -> F:
    """The same for a function that compiled code alone calls: without a door to Python it compiles sooner."""
    return _compiled(function, no_cpython_wrapper=True)


def inlined(function: F) -> F:
    """The same for a function with one caller, into which it goes: compiled once, not once more with each caller."""
    return _compiled(function, no_cpython_wrapper=True, inline="always")


def _compiled(function: F, **options: object) -> F:
    config: Any = numba.config  # its attributes are made at import
    njit: Any = numba.njit  # its stub lacks options that it takes
    chosen = config.CACHE_DIR
    config.CACHE_DIR = chosen or _FOLDER
    try:
        return cast("F", njit(cache=True, nogil=True, no_cfunc_wrapper=True, **options)(function))
    finally:
        config.CACHE_DIR = chosen


def _folder() -> str:
    """`__pycache__` of this package, or the user's cache where the package cannot be written to."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(here.glob("*.py")):
        text = source.read_bytes()
        if _MARK in text:
            digest.update(text)
    home = here / "__pycache__"
    if not os.access(home if home.exists() else here, os.W_OK):
        home = Path("~/.cache/betti").expanduser()
    return str(home / f"compiled-{digest.hexdigest()[:16]}")


_FOLDER = _folder()
