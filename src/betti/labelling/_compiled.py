"""How the compiled functions of the targets are compiled.

numba keeps machine code on disk per source file, and does not see that a function it calls, in another file, has
changed. So a compiled function calls compiled functions and reads constants of its own file alone. What does not belong
here: anything numerical.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled"]

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Machine code for a function of arrays and numbers: IEEE arithmetic in the order written, no interpreter lock."""
    njit: Any = numba.njit  # its stub does not say that the signature stays
    return cast("F", njit(cache=True, nogil=True, no_cfunc_wrapper=True, error_model="numpy")(function))
