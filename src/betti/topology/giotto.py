"""Vietoris-Rips persistence by giotto-tda: the reference backend.

giotto-tda and giotto-ph are AGPL-3.0 and take seconds to import, so they are imported when used. What does not belong
here: checking clouds (`betti.topology.persistence`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from betti.errors import PartUnavailable
from betti.topology.diagrams import in_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    ToDistances = Callable[[Floats], tuple[Floats, NDArray[np.int32]]]

__all__ = ["diagrams", "distance_diagrams"]

# Distances of one batch, in matrix entries: 32 MB of float64.
_BATCH_ENTRIES = 2**22


def diagrams(clouds: Floats, max_dimension: int) -> list[list[Floats]]:
    """Diagrams of clouds of one size, to float32 accuracy relative to each cloud's extent.

    Args:
        clouds: (count, points, coordinates), finite, points >= 2.
        max_dimension: the highest homology dimension.

    Returns:
        Per cloud, per dimension: a diagram (k, 2).

    Raises:
        PartUnavailable: giotto-tda is not installed here.
    """
    return _in_batches(clouds, max_dimension, _distances)


def distance_diagrams(matrices: Floats, max_dimension: int) -> list[list[Floats]]:
    """Diagrams of spaces given by their distances (count, points, points), as `diagrams` gives them.

    Raises:
        PartUnavailable: giotto-tda is not installed here.
    """
    return _in_batches(matrices, max_dimension, _in_range)


def _in_batches(arrays: Floats, max_dimension: int, to_distances: ToDistances) -> list[list[Floats]]:
    try:
        from gtda.homology import VietorisRipsPersistence
    except ImportError as cause:
        raise PartUnavailable("persistence backend", "giotto", cause) from cause

    dimensions = tuple(range(max_dimension + 1))
    transformer = VietorisRipsPersistence(metric="precomputed", homology_dimensions=dimensions, n_jobs=1)
    size = max(1, _BATCH_ENTRIES // arrays.shape[1] ** 2)
    found: list[list[Floats]] = []
    for start in range(0, len(arrays), size):
        found.extend(_batch(*to_distances(arrays[start : start + size]), transformer, dimensions))
    return found


def _batch(
    distances: Floats, exponents: NDArray[np.int32], transformer: Any, dimensions: tuple[int, ...]
) -> list[list[Floats]]:
    """One call of giotto-tda, and its triples (birth, death, dimension) taken apart."""
    triples = transformer.fit_transform(distances)
    pairs = np.ldexp(triples[:, :, :2].astype(np.float64), exponents[:, None, None])
    owners = triples[0, :, 2]  # the same layout in every cloud of the batch: padded with zero-length pairs
    return [[in_order(cloud[owners == dimension]) for dimension in dimensions] for cloud in pairs]


def _distances(clouds: Floats) -> tuple[Floats, NDArray[np.int32]]:
    """Euclidean distance matrices over a power of two per cloud, and its exponent.

    From differences, not from dot products as scikit-learn's, which lose half the digits of near points. giotto-ph
    stores float32: the power of two costs no accuracy and keeps clouds of any extent inside its range.
    """
    from scipy.spatial.distance import pdist, squareform

    extents = (clouds.max(axis=1) / 2 - clouds.min(axis=1) / 2).max(axis=1)
    exponents = np.frexp(extents)[1].astype(np.int32)
    scaled = np.ldexp(clouds, -exponents[:, None, None])
    return np.stack([squareform(pdist(cloud)) for cloud in scaled]), exponents


def _in_range(matrices: Floats) -> tuple[Floats, NDArray[np.int32]]:
    """Distance matrices over a power of two each, and its exponent."""
    exponents = np.frexp(matrices.max(axis=(1, 2)))[1].astype(np.int32)
    return np.ldexp(matrices, -exponents[:, None, None]), exponents
