"""Amplitudes: how far a diagram is from the empty one, in seven metrics.

As giotto-tda's `Amplitude` at its default exponent 2 and the samplings used here: Betti curve, first landscape layer
and silhouette on the filtration grid, heat and image on the 10 x 10 pixels of the descriptors of those names.
What does not belong here: how curves and pictures are computed (`_curves`, `_pictures`).
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from betti.topology.descriptors._curves import landscape, silhouette
from betti.topology.descriptors._diagrams import HOMOLOGY, of_dimension, rows, spacing
from betti.topology.descriptors._pictures import heat_pictures, persistence_images, samples
from betti.topology.vectorisation import betti_curves, gathered

if TYPE_CHECKING:
    from betti.topology.descriptors._diagrams import Diagrams, Floats

__all__ = ["LOOKS_BACK", "METRICS", "columns", "numbers"]

LOOKS_BACK = False

METRICS = ("bottleneck", "wasserstein", "betti", "landscape", "silhouette", "heat", "image")


def columns(_bins: int) -> tuple[str, ...]:
    """Seven metrics per homology dimension, such as `h1_bottleneck`; the same on every grid."""
    return tuple(f"h{h}_{metric}" for h in HOMOLOGY for metric in METRICS)


def numbers(diagrams: Diagrams, _before: Diagrams, grid: Floats) -> Floats:
    """Amplitudes (count, 14); 0 for an empty diagram.

    bottleneck, wasserstein: the largest half length and the root of the sum of squared half lengths, in units of
    distance. The others: L2 norms of the curves and pictures by the rectangle rule.
    """
    return np.concatenate([_amplitudes(of_dimension(diagrams, h), grid) for h in HOMOLOGY], axis=1)


def _amplitudes(diagrams: list[Floats], grid: Floats) -> Floats:
    """(count, 7) of one homology dimension, in the order of `METRICS`."""
    pairs = gathered(diagrams)
    halves = [(found[:, 1] - found[:, 0]) / 2 for found in diagrams]
    step, pixel = spacing(grid), spacing(samples(grid))
    return np.column_stack(
        [
            np.array([half.max(initial=0.0) for half in halves], dtype=np.float64),
            np.array([sqrt((half**2).sum()) for half in halves], dtype=np.float64),
            _norms(betti_curves(pairs, grid), step),
            _norms(rows([landscape(found, grid) for found in diagrams], len(grid)), step),
            _norms(rows([silhouette(found, grid) for found in diagrams], len(grid)), step),
            _norms(heat_pictures(pairs, grid), pixel**2),
            _norms(persistence_images(pairs, grid), pixel**2),
        ]
    )


def _norms(functions: Floats, cell: float) -> Floats:
    """L2 norms (count,) of functions sampled one to a cell of this length or area, (count, ...) of them."""
    flat = np.ascontiguousarray(functions).reshape(len(functions), int(np.prod(functions.shape[1:])))
    norms: Floats = np.sqrt((flat**2).sum(axis=1) * cell)
    return norms
