"""Persistent homology of Vietoris-Rips filtrations: checks, the door to the backends, and one form of the answer.

A backend is one file beside this one with a function (clouds, max_dimension) -> diagrams, entered in `BACKENDS`.
What does not belong here: how a backend computes, and what a diagram is used for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.errors import BadInput, UnknownName
from betti.topology import giotto

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Backend = Callable[[Floats, int], list[list[Floats]]]

__all__ = ["BACKENDS", "BadCloud", "persistence", "persistence_windows"]

# Each takes (count, points, coordinates) with at least two points and gives, per cloud and dimension, (k, 2) pairs.
BACKENDS: dict[str, Backend] = {"giotto": giotto.diagrams}


class BadCloud(BadInput):
    """Points that have no Vietoris-Rips filtration."""

    def __init__(self, found: str, remedy: str) -> None:
        self.found = found
        super().__init__(f"point cloud: {found}. {remedy}")


def persistence(points: ArrayLike, *, max_dimension: int = 1, backend: str = "giotto") -> list[Floats]:
    """Exact Vietoris-Rips persistence diagrams of one cloud under the Euclidean distance.

    Args:
        points: (n, coordinates), finite; n may be 0.
        max_dimension: the highest homology dimension, 0 or more.
        backend: a name in `BACKENDS`.

    Returns:
        `max_dimension + 1` arrays (k, 2) float64 of [birth, death] in units of distance, H0 first, sorted by birth
        and death. The infinite H0 class and pairs of zero length are left out.

    Raises:
        BadCloud: not a finite (n, coordinates) array.
        UnknownName: no such backend.
    """
    cloud = np.asarray(points, dtype=np.float64)
    if cloud.ndim != 2:
        raise BadCloud(f"shape {cloud.shape}", "Give one point per row: (n, coordinates)")
    return persistence_windows(cloud[None], max_dimension=max_dimension, backend=backend)[0]


def persistence_windows(clouds: ArrayLike, *, max_dimension: int = 1, backend: str = "giotto") -> list[list[Floats]]:
    """`persistence` of many clouds of one size, (count, n, coordinates), in one call of the backend.

    Raises:
        BadCloud: not a finite (count, n, coordinates) array.
        UnknownName: no such backend.
    """
    if backend not in BACKENDS:
        raise UnknownName("persistence backend", backend, BACKENDS)
    checked = _checked(np.asarray(clouds, dtype=np.float64), max_dimension)
    if len(checked) == 0 or checked.shape[1] < 2:
        return [[np.empty((0, 2)) for _ in range(max_dimension + 1)] for _ in checked]
    found = BACKENDS[backend](checked, max_dimension)
    return [[_ordered(pairs) for pairs in diagrams] for diagrams in found]


def _checked(clouds: Floats, max_dimension: int) -> Floats:
    if max_dimension < 0:
        raise BadCloud(f"max_dimension {max_dimension}", "Give 0 or more")
    if clouds.ndim != 3 or (clouds.size == 0 and clouds.shape[2] == 0):
        raise BadCloud(f"shape {clouds.shape}", "Give (count, points, coordinates) with at least one coordinate")
    finite = np.isfinite(clouds).all(axis=(1, 2))
    if not finite.all():
        first = int(np.argmin(finite))
        raise BadCloud(f"a coordinate of cloud {first} is NaN or infinite", "Clean the series before embedding it")
    return clouds


def _ordered(pairs: Floats) -> Floats:
    """Finite pairs of positive length, sorted by birth, then death."""
    kept = pairs[(pairs[:, 1] > pairs[:, 0]) & np.isfinite(pairs[:, 1])]
    return np.ascontiguousarray(kept[np.lexsort((kept[:, 1], kept[:, 0]))], dtype=np.float64)
