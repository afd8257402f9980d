"""The form in which every backend gives a persistence diagram: finite pairs of positive length, by birth and death.

What does not belong here: how pairs are found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["in_order"]


def in_order(pairs: Floats) -> Floats:
    """A diagram (k, 2) from pairs in any order, infinite and zero-length ones among them.

    >>> in_order(np.array([[1.0, 2.0], [0.0, 3.0], [1.0, 1.0], [0.0, np.inf]])).tolist()
    [[0.0, 3.0], [1.0, 2.0]]
    """
    births, deaths = pairs[:, 0], pairs[:, 1]
    kept = pairs[(deaths > births) & (deaths < np.inf)]
    return np.ascontiguousarray(kept[np.lexsort((kept[:, 1], kept[:, 0]))], dtype=np.float64)
