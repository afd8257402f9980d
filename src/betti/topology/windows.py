"""A run of windows through the planar engine without leaving compiled code.

What does not belong here: which windows to take, and what to do with those the planar engine declines
(`betti.topology.native`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.topology._compiled import compiled
from betti.topology.planar import planar_persistence
from betti.topology.vectors import describe, row_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

__all__ = ["planar_numbers"]


@compiled
def planar_numbers(windows: Floats, delay: int, grid: Floats, layers: int) -> tuple[Floats, Flags]:
    """The numbers of each window's delay embedding in the plane.

    Args:
        windows: (count, length), standardised, length above `delay`.
        delay: steps between the coordinates of a point.
        grid: filtration values (bins,), evenly spaced from 0.
        layers: landscape layers.

    Returns:
        (count, row_length(bins, layers)), and which windows failed a check of the planar engine (count,): their rows
        mean nothing.
    """
    numbers = np.empty((len(windows), row_length(len(grid), layers)))
    declined = np.zeros(len(windows), np.bool_)
    for k in range(len(windows)):
        window = windows[k]
        components, holes, sound = planar_persistence(window[: len(window) - delay], window[delay:])
        if sound:
            describe(components, holes, grid, layers, numbers[k])
        declined[k] = not sound
    return numbers, declined
