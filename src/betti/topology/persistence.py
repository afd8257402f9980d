"""Persistent homology of Vietoris-Rips filtrations: checks, the door to the backends, and one form of the answer.

A backend is one file beside this one with a function (clouds, max_dimension) -> diagrams, entered in `BACKENDS`, and
its like for distance matrices in `DISTANCE_BACKENDS`. `auto` takes the native engine, or giotto-tda above H1.
What does not belong here: how a backend computes, and what a diagram is used for.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from betti.errors import BadInput, UnknownName
from betti.topology import giotto, native
from betti.topology.embedding import BadSeries, points_per_window, standardised, takens
from betti.topology.pool import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Backend = Callable[[Floats, int], list[list[Floats]]]

__all__ = [
    "BACKENDS",
    "DISTANCE_BACKENDS",
    "METRICS",
    "BadCloud",
    "persistence",
    "persistence_batch",
    "persistence_windows",
]

# Windows handed to the backend together.
_BATCH = 64


def _auto(clouds: Floats, max_dimension: int) -> list[list[Floats]]:
    chosen = native.diagrams if max_dimension <= native.HIGHEST else giotto.diagrams
    return chosen(clouds, max_dimension)


def _auto_distances(matrices: Floats, max_dimension: int) -> list[list[Floats]]:
    chosen = native.distance_diagrams if max_dimension <= native.HIGHEST else giotto.distance_diagrams
    return chosen(matrices, max_dimension)


# Each takes (count, points, coordinates) with at least two points and gives, per cloud and dimension, a diagram as
# `betti.topology.diagrams` has them.
BACKENDS: dict[str, Backend] = {"auto": _auto, "giotto": giotto.diagrams, "native": native.diagrams}

# The same of (count, points, points): distances.
DISTANCE_BACKENDS: dict[str, Backend] = {
    "auto": _auto_distances,
    "giotto": giotto.distance_diagrams,
    "native": native.distance_diagrams,
}

METRICS = {"euclidean": BACKENDS, "precomputed": DISTANCE_BACKENDS}


class BadCloud(BadInput):
    """Points that have no Vietoris-Rips filtration."""

    def __init__(self, found: str, remedy: str) -> None:
        self.found = found
        super().__init__(f"point cloud: {found}. {remedy}")


def persistence(
    points: ArrayLike, *, max_dimension: int = 1, metric: str = "euclidean", backend: str = "auto"
) -> list[Floats]:
    """Exact Vietoris-Rips persistence diagrams of one cloud.

    Args:
        points: (n, coordinates), finite; n may be 0. With `metric="precomputed"` distances (n, n): symmetric, not
            negative, zero on the diagonal; the triangle inequality is not needed.
        max_dimension: the highest homology dimension, 0 or more.
        metric: a name in `METRICS`.
        backend: a name in `BACKENDS`.

    Returns:
        `max_dimension + 1` arrays (k, 2) float64 of [birth, death] in units of distance, H0 first, sorted by birth
        and death. The infinite H0 class and pairs of zero length are left out.

    Raises:
        BadCloud: not a finite (n, coordinates) array, or not a matrix of distances.
        UnknownName: no such metric or backend.
        DimensionTooHigh: `max_dimension` is above what the chosen backend computes.

    >>> square = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    >>> persistence(square)[1].round(6).tolist()
    [[1.0, 1.414214]]
    """
    cloud = np.asarray(points, dtype=np.float64)
    if cloud.ndim != 2:
        raise BadCloud(f"shape {cloud.shape}", "Give one point per row: (n, coordinates)")
    return persistence_batch(cloud[None], max_dimension=max_dimension, metric=metric, backend=backend)[0]


def persistence_batch(
    clouds: ArrayLike, *, max_dimension: int = 1, metric: str = "euclidean", backend: str = "auto"
) -> list[list[Floats]]:
    """`persistence` of many clouds of one size, (count, n, coordinates), in one call of the backend.

    Raises:
        BadCloud: not a finite (count, n, coordinates) array, or not matrices of distances.
        UnknownName: no such metric or backend.
        DimensionTooHigh: `max_dimension` is above what the chosen backend computes.
    """
    if metric not in METRICS:
        raise UnknownName("metric", metric, METRICS)
    if backend not in METRICS[metric]:
        raise UnknownName("persistence backend", backend, METRICS[metric])
    checked = _checked(np.asarray(clouds, dtype=np.float64), max_dimension)
    if metric == "precomputed":
        _check_distances(checked)
    if len(checked) == 0 or checked.shape[1] < 2:
        return [[np.empty((0, 2)) for _ in range(max_dimension + 1)] for _ in checked]
    return METRICS[metric][backend](checked, max_dimension)


def persistence_windows(
    series: ArrayLike,
    *,
    window: int,
    stride: int = 1,
    dimension: int = 2,
    delay: int = 1,
    max_dimension: int = 1,
    backend: str = "auto",
    threads: int | None = None,
) -> Generator[list[Floats], None, None]:
    """`persistence` of the delay embedding of each window of a series, standardised by its own mean and deviation.

    Windows are views of the series; a few dozen at a time are standardised and embedded. `close`, or an interrupt,
    stops the work.

    Args:
        series: (n,), finite.
        window: length of a window; windows start at 0, stride, 2 x stride, ...
        stride: steps from one window to the next.
        dimension: coordinates of a point.
        delay: steps between coordinates.
        max_dimension: the highest homology dimension, 0 or more.
        backend: a name in `BACKENDS`.
        threads: at most; every core when not given. Diagrams do not depend on it.

    Returns:
        Diagrams window by window, in order, each as `persistence` gives them; nothing for a series shorter than a
        window.

    Raises:
        BadSeries: not a finite (n,) array, or a window, stride, dimension or delay that fits no cloud into a window.
        UnknownName: no such backend.
        BadCloud, DimensionTooHigh: with the first diagrams, for a `max_dimension` below 0 or above what the chosen
            backend computes.

    >>> wave = np.sin(np.arange(300) / 5)
    >>> found = list(persistence_windows(wave, window=100, stride=50, delay=8))
    >>> len(found), [len(holes) for _, holes in found]
    (5, [1, 1, 1, 1, 1])
    """
    values = _series(series, window, stride, dimension, delay)
    if backend not in BACKENDS:
        raise UnknownName("persistence backend", backend, BACKENDS)
    windows = sliding_window_view(values, window)[::stride] if len(values) >= window else np.empty((0, window))

    def work(rows: slice) -> list[list[Floats]]:
        clouds = takens(standardised(windows[rows]), dimension=dimension, delay=delay)
        return persistence_batch(clouds, max_dimension=max_dimension, backend=backend)

    return _one_by_one(batches(work, len(windows), _BATCH, threads))


def _one_by_one(found: Generator[list[list[Floats]], None, None]) -> Generator[list[Floats], None, None]:
    """What batches hold; the batches are closed with it."""
    with closing(found):
        for batch in found:
            yield from batch


def _series(series: ArrayLike, window: int, stride: int, dimension: int, delay: int) -> Floats:
    values = np.asarray(series, dtype=np.float64)
    if values.ndim != 1:
        raise BadSeries(f"shape {values.shape}", "Give one value per step: (n,)")
    if not np.isfinite(values).all():
        raise BadSeries(f"value {int(np.argmin(np.isfinite(values)))} is NaN or infinite", "Clean the series first")
    if min(window, stride, dimension, delay) < 1 or points_per_window(window, dimension=dimension, delay=delay) < 1:
        raise BadSeries(
            f"window {window}, stride {stride}, dimension {dimension}, delay {delay}",
            "All are at least 1, and (dimension - 1) x delay is below the window",
        )
    return values


def _checked(clouds: Floats, max_dimension: int) -> Floats:
    if max_dimension < 0:
        raise BadCloud(f"max_dimension {max_dimension}", "Give 0 or more")
    if clouds.ndim != 3 or (clouds.shape[1] > 0 and clouds.shape[2] == 0):
        raise BadCloud(f"shape {clouds.shape}", "Give (count, points, coordinates) with at least one coordinate")
    finite = np.isfinite(clouds).all(axis=(1, 2))
    if not finite.all():
        first = int(np.argmin(finite))
        raise BadCloud(f"a coordinate of cloud {first} is NaN or infinite", "Clean the series before embedding it")
    return clouds


def _check_distances(matrices: Floats) -> None:
    """Raise unless each is a square, symmetric matrix without negative entries, zero on its diagonal."""
    if matrices.shape[1] != matrices.shape[2]:
        raise BadCloud(f"distances of shape {matrices.shape[1:]}", "Give a square matrix (n, n)")
    for k, matrix in enumerate(matrices):
        if np.diagonal(matrix).any() or (matrix < 0).any() or not np.array_equal(matrix, matrix.T):
            raise BadCloud(
                f"matrix {k} is not symmetric, has a negative entry, or is not zero on its diagonal",
                "Give distances, e.g. squareform(pdist(points))",
            )
