"""The silhouette: one curve per diagram, the mean of its pairs' tents with longer pairs weighing more.

Sampled at every value of the filtration grid, as giotto-tda's `Silhouette` of power 1 (Chazal et al. 2014). Not
coarser than the grid: most tents of a window are narrow, and few samples would miss them. Left out is the grid's first
value, 0, where every silhouette is 0. `h1_042` is H1 at the grid's value 42, as in the Betti curve `betti1_042`.

What does not belong here: the curve itself (`_curves`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.topology.descriptors._curves import silhouette
from betti.topology.descriptors._diagrams import HOMOLOGY, of_dimension, rows

if TYPE_CHECKING:
    from betti.topology.descriptors._diagrams import Diagrams, Floats

__all__ = ["LOOKS_BACK", "columns", "numbers"]

LOOKS_BACK = False


def columns(bins: int) -> tuple[str, ...]:
    """One number per homology dimension and grid value above 0: 2 x (bins - 1)."""
    return tuple(f"h{h}_{step:03d}" for h in HOMOLOGY for step in range(1, bins))


def numbers(diagrams: Diagrams, _before: Diagrams, grid: Floats) -> Floats:
    """Samples (count, 2 x (bins - 1)) in units of distance; 0 for an empty diagram."""
    values = grid[1:]
    curves = ([silhouette(found, values) for found in of_dimension(diagrams, h)] for h in HOMOLOGY)
    return np.concatenate([rows(found, len(values)) for found in curves], axis=1)
