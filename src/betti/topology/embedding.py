"""Windows of a series as clouds of delay vectors (Takens 1981).

What does not belong here: which windows to take, distances, homology.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from betti.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["BadSeries", "points_per_window", "standardised", "takens"]

# A deviation below this share of the window's level is rounding: the window is constant.
_ROUNDING = 1e-13


class BadSeries(BadInput):
    """A series that has no windows to embed, or that no embedding can be chosen from."""

    def __init__(self, found: str, remedy: str) -> None:
        self.found = found
        super().__init__(f"series: {found}. {remedy}")


def points_per_window(window: int, *, dimension: int, delay: int) -> int:
    """How many delay vectors a window of this length holds; below 1 it is too short."""
    return window - (dimension - 1) * delay


def standardised(windows: Floats) -> Floats:
    """Each window minus its own mean over its own population deviation; a constant window becomes zeros.

    Args:
        windows: (count, length), finite.
    """
    rows = np.ascontiguousarray(windows, dtype=np.float64)
    level = np.abs(rows).max(axis=1, keepdims=True)
    # Divided by their level first: squares of prices near 1e-200 or 1e200 would leave the range of a float.
    rows = np.divide(rows, level, out=np.zeros_like(rows), where=level > 0)
    centred = rows - rows.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=1, keepdims=True))
    return np.divide(centred, deviation, out=np.zeros_like(rows), where=deviation > _ROUNDING)


def takens(windows: Floats, *, dimension: int, delay: int) -> Floats:
    """Delay vectors (x[i], x[i + delay], ..., x[i + (dimension - 1) x delay]) of each window, as a read-only view.

    Args:
        windows: (count, length).
        dimension: coordinates of a point.
        delay: steps between coordinates.

    Returns:
        (count, length - (dimension - 1) x delay, dimension).

    >>> takens(np.arange(5.0)[None], dimension=2, delay=3)[0].tolist()
    [[0.0, 3.0], [1.0, 4.0]]
    """
    reach = (dimension - 1) * delay + 1
    return sliding_window_view(windows, reach, axis=1)[:, :, ::delay]
