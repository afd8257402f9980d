"""One thread per stage, so that the same seed gives the same bytes.

Sums change with the number of threads that add them: a logistic regression changed bytes between one BLAS thread and
two. Every entry point calls `pin()` before anything imports numpy. Parallelism comes from running items side by side.
"""

from __future__ import annotations

import os

__all__ = ["THREAD_VARIABLES", "pin"]

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def pin() -> None:
    """Set every BLAS and OpenMP library to one thread, in this process and the ones it starts."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
