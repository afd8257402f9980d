"""Betti's own engine: which algorithm a cloud goes to, and its scale. Exact H0 and H1 in float64.

Points in the plane go to `planar`, all others and distance matrices to `general`, and so does a planar cloud that
fails a check of the planar engine; a `Tally` counts who took what. Compiled code is imported when used: numba takes a
quarter of a second. What does not belong here: checking input (`betti.topology.persistence`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.errors import BadInput
from betti.topology import embedding
from betti.topology.diagrams import in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["HIGHEST", "DimensionTooHigh", "Tally", "diagrams", "distance_diagrams", "window_numbers"]

HIGHEST = 1  # homology dimension

# From one shell of edges to the next, in distance.
_GROWTH = 1.3

# Clouds handed to compiled code together: memory does not grow with their number.
_BATCH = 64


class DimensionTooHigh(BadInput):
    """Homology above H1, which this engine does not compute."""

    def __init__(self, max_dimension: int) -> None:
        self.max_dimension = max_dimension
        super().__init__(
            f"the native persistence engine computes H0 and H1; max_dimension = {max_dimension} needs "
            "backend='giotto', or 'auto' to have it chosen"
        )


@dataclass
class Tally:
    """How many clouds each algorithm took.

    Attributes:
        planar: by faces in the plane.
        general: by lunes, as asked: another dimension, or distances.
        fallback: by lunes, because a check of the planar engine failed.
    """

    planar: int = 0
    general: int = 0
    fallback: int = 0

    def add(self, other: Tally) -> None:
        """Count what another one has counted."""
        self.planar += other.planar
        self.general += other.general
        self.fallback += other.fallback


def diagrams(clouds: Floats, max_dimension: int, tally: Tally | None = None) -> list[list[Floats]]:
    """Diagrams of clouds of one size.

    Args:
        clouds: (count, points, coordinates), finite, points >= 1.
        max_dimension: 0 or 1.
        tally: counts are added to it.

    Returns:
        Per cloud, per dimension: a diagram (k, 2).

    Raises:
        DimensionTooHigh: max_dimension above 1.
    """
    _check(max_dimension)
    tally = tally or Tally()
    # Over a power of two, which rounds nothing, squares stay in range.
    exponents = np.frexp((clouds.max(axis=1) / 2 - clouds.min(axis=1) / 2).max(axis=1))[1]
    scaled = np.ldexp(clouds, -exponents[:, None, None])
    by = _by_faces if clouds.shape[2] == 2 else _by_lunes
    found: list[list[Floats]] = []
    for start in range(0, len(clouds), _BATCH):
        rows = slice(start, start + _BATCH)
        found.extend(by(scaled[rows], exponents[rows], tally))
    return [both[: max_dimension + 1] for both in found]


def distance_diagrams(matrices: Floats, max_dimension: int, tally: Tally | None = None) -> list[list[Floats]]:
    """Diagrams of spaces given by their distances (count, points, points): symmetric, finite, zero on the diagonal.

    Raises:
        DimensionTooHigh: max_dimension above 1.
    """
    from betti.topology.general import general_persistence

    _check(max_dimension)
    tally = tally or Tally()
    tally.general += len(matrices)
    found = (general_persistence(np.array(matrix), _GROWTH) for matrix in matrices)
    return [[in_order(_from_zero(deaths)), in_order(pairs)][: max_dimension + 1] for deaths, pairs in found]


def window_numbers(
    windows: Floats, *, dimension: int, delay: int, grid: Floats, layers: int, tally: Tally | None = None
) -> Floats:
    """The numbers of windows of a series (`betti.topology.vectors`), each on its own, to the last bit.

    Args:
        windows: (count, length), standardised, long enough for the embedding.
        dimension: coordinates of a point.
        delay: steps between coordinates.
        grid: filtration values (bins,), evenly spaced from 0.
        layers: landscape layers.
        tally: counts are added to it.

    Returns:
        (count, 2 x (bins + 2 + layers)).
    """
    from betti.topology.planar import planar_persistence
    from betti.topology.vectors import described

    tally = tally or Tally()
    if dimension == 2:
        ends = windows.shape[1] - delay
        batch = planar_persistence(np.ascontiguousarray(windows[:, :ends]), np.ascontiguousarray(windows[:, delay:]))
        numbers, left = described(batch, grid, layers), np.flatnonzero(batch.declined)
        tally.planar += len(windows) - len(left)
        tally.fallback += len(left)
    else:
        left = np.arange(len(windows))
        numbers = np.empty((len(windows), 2 * (len(grid) + 2 + layers)))
        tally.general += len(left)
    for k in left:
        cloud = embedding.takens(windows[k : k + 1], dimension=dimension, delay=delay)[0]
        numbers[k] = _general_numbers(cloud, grid, layers)
    return numbers


def _check(max_dimension: int) -> None:
    if max_dimension > HIGHEST:
        raise DimensionTooHigh(max_dimension)


def _by_faces(clouds: Floats, exponents: Integers, tally: Tally) -> list[list[Floats]]:
    """H0 and H1 of planar clouds whose squares are in range, times two to the exponents."""
    from betti.topology.planar import planar_persistence

    batch = planar_persistence(np.ascontiguousarray(clouds[:, :, 0]), np.ascontiguousarray(clouds[:, :, 1]))
    rests = np.flatnonzero(batch.declined)
    tally.planar += len(clouds) - len(rests)
    tally.fallback += len(rests)
    components = _apart(_from_zero(batch.deaths), batch.death_ends, exponents)
    holes = _apart(batch.pairs, batch.pair_ends, exponents)
    found = [list(both) for both in zip(components, holes, strict=True)]
    for k in rests:
        found[k] = _scaled(*_lunes(clouds[k]), exponents[k])
    return found


def _by_lunes(clouds: Floats, exponents: Integers, tally: Tally) -> list[list[Floats]]:
    """H0 and H1 of clouds of any dimension whose squares are in range, times two to the exponents."""
    tally.general += len(clouds)
    return [_scaled(*_lunes(cloud), exponent) for cloud, exponent in zip(clouds, exponents, strict=True)]


def _lunes(cloud: Floats) -> tuple[Floats, Floats]:
    """Deaths of H0 and pairs of H1, in any order, zero lengths among them."""
    from betti.topology.general import general_persistence, squared_distances

    deaths, pairs = general_persistence(squared_distances(np.array(cloud)), _GROWTH**2)
    return np.sqrt(deaths), np.sqrt(pairs)


def _apart(pairs: Floats, ends: Integers, exponents: Integers) -> list[Floats]:
    """The diagrams of a batch, each times two to its exponent."""
    pairs = np.ldexp(pairs, np.repeat(exponents, np.diff(ends, prepend=0))[:, None])
    diagrams = np.split(pairs, ends[:-1])
    if (pairs[:, 1] > pairs[:, 0]).all():
        return [diagram.copy() for diagram in diagrams]
    return [in_order(diagram) for diagram in diagrams]  # lengths near the smallest float were lost


def _scaled(deaths: Floats, pairs: Floats, exponent: int) -> list[Floats]:
    return [in_order(np.ldexp(diagram, exponent)) for diagram in (_from_zero(deaths), pairs)]


def _from_zero(deaths: Floats) -> Floats:
    """Pairs (k, 2) born at zero."""
    return np.column_stack((np.zeros_like(deaths), deaths))


def _general_numbers(cloud: Floats, grid: Floats, layers: int) -> Floats:
    """One row of `window_numbers`, by lunes."""
    from betti.topology.planar import Batch
    from betti.topology.vectors import described

    components, holes = _scaled(*_lunes(cloud), 0)
    ends = np.array([len(components)]), np.array([len(holes)])
    batch = Batch(components[:, 1].copy(), ends[0], holes, ends[1], np.zeros(1, np.bool_))
    numbers: Floats = described(batch, grid, layers)[0]
    return numbers
