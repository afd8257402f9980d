"""How the compiled functions of this package are compiled, and where their machine code is kept.

numba keeps machine code on disk per source file and does not see that a function it calls, in another file, has
changed: edited code would go on running as it was. Here the folder of the machine code is named after the contents of
all sources of the package, so that any edit compiles anew. What does not belong here: anything numerical.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled"]

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Machine code for a function of arrays and numbers: IEEE arithmetic in the order written, no interpreter lock."""
    config: Any = numba.config  # its attributes are made at import
    chosen = config.CACHE_DIR
    config.CACHE_DIR = chosen or _FOLDER
    try:
        return cast("F", numba.njit(cache=True, nogil=True)(function))
    finally:
        config.CACHE_DIR = chosen


def _folder() -> str:
    """`__pycache__` of this package, or the user's cache where the package cannot be written to."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(here.glob("*.py")):
        digest.update(source.read_bytes())
    home = here / "__pycache__"
    if not os.access(home if home.exists() else here, os.W_OK):
        home = Path("~/.cache/betti").expanduser()
    return str(home / f"compiled-{digest.hexdigest()[:16]}")


_FOLDER = _folder()
