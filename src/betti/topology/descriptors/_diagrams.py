"""What descriptors are given: diagrams of windows, and how one homology dimension is taken out of them.

What does not belong here: any number of a diagram.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["HOMOLOGY", "Diagrams", "Floats", "of_dimension", "rows", "spacing"]

Floats: TypeAlias = NDArray[np.float64]

# Per window, per homology dimension: (pairs, 2) of [birth, death].
Diagrams: TypeAlias = Sequence[Sequence[Floats]]

HOMOLOGY = (0, 1)


def of_dimension(diagrams: Diagrams, homology: int) -> list[Floats]:
    """The diagrams of one homology dimension, one (pairs, 2) per window; also of no windows."""
    return [found[homology] for found in diagrams]


def rows(found: Sequence[Floats], width: int) -> Floats:
    """One-dimensional arrays of `width` numbers as one table (count, width); also of no rows."""
    return np.array(found, dtype=np.float64).reshape(len(found), width)


def spacing(samples: Floats) -> float:
    """The distance between evenly spaced values (n,), n at least 2."""
    return float((samples[-1] - samples[0]) / (len(samples) - 1))
