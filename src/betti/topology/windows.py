"""Many clouds or windows through the planar engine without leaving compiled code.

What does not belong here: which windows to take, and what to do with those the planar engine declines
(`betti.topology.native`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from betti.topology._compiled import compiled
from betti.topology.planar import planar_persistence
from betti.topology.vectors import describe, row_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Integers = NDArray[np.int64]

__all__ = ["Batch", "planar_diagrams", "planar_numbers"]


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


class Batch(NamedTuple):
    """The diagrams of many clouds, one after the other.

    Attributes:
        deaths: of H0, ascending within a cloud (all deaths,).
        death_ends: where each cloud's deaths end (count,).
        pairs: of H1, by birth and death within a cloud (all pairs, 2).
        pair_ends: where each cloud's pairs end (count,).
        declined: clouds that failed a check of the planar engine: they have neither (count,).
    """

    deaths: Floats
    death_ends: Integers
    pairs: Floats
    pair_ends: Integers
    declined: Flags


@compiled
def planar_diagrams(clouds: Floats) -> Batch:
    """The diagrams of clouds (count, n, 2), n >= 1, each as `planar_persistence` wants it."""
    count, n = clouds.shape[:2]
    deaths, pairs = np.empty(count * n), np.empty((count * n, 2))
    death_ends, pair_ends, declined = np.empty(count, np.int64), np.empty(count, np.int64), np.zeros(count, np.bool_)
    dead, paired = 0, 0
    for k in range(count):
        components, holes, sound = planar_persistence(clouds[k, :, 0].copy(), clouds[k, :, 1].copy())
        if sound:
            while paired + len(holes) > len(pairs):
                pairs = np.concatenate((pairs, np.empty_like(pairs)))
            deaths[dead : dead + len(components)] = components
            pairs[paired : paired + len(holes)] = holes
            dead, paired = dead + len(components), paired + len(holes)
        death_ends[k], pair_ends[k], declined[k] = dead, paired, not sound
    return Batch(deaths[:dead], death_ends, pairs[:paired], pair_ends, declined)
