"""Functions of the filtration value that a diagram gives: its tents, their weighted mean and their maximum.

One diagram at a time, so that a curve cannot depend on other diagrams, and sums run over pairs in their order. What
does not belong here: Betti curves and landscape norms, which are `betti.topology.vectorisation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from betti.topology.descriptors._diagrams import Floats

__all__ = ["POWER", "landscape", "silhouette"]

# The exponent of a pair's length in its weight. 1 is the usual one: short pairs count, long ones count more.
POWER = 1.0


def silhouette(diagram: Floats, grid: Floats) -> Floats:
    """Samples (bins,) of the power-weighted silhouette (Chazal et al. 2014, section 4), in units of distance.

    The mean of the tents of all pairs, weighted by length to the power `POWER`; 0 for an empty diagram.
    """
    if len(diagram) == 0:
        return np.zeros(len(grid))
    weights = (diagram[:, 1] - diagram[:, 0]) ** POWER
    sums = (weights[:, None] * _tents(diagram, grid)).sum(axis=0)
    return np.asarray(sums / weights.sum(), dtype=np.float64)


def landscape(diagram: Floats, grid: Floats) -> Floats:
    """Samples (bins,) of the first persistence landscape layer (Bubenik 2015): the highest tent, 0 without any."""
    return np.asarray(_tents(diagram, grid).max(axis=0, initial=0.0), dtype=np.float64)


def _tents(diagram: Floats, grid: Floats) -> Floats:
    """(pairs, bins): max(0, min(x - birth, death - x)) for each pair and grid value x."""
    births, deaths = diagram[:, 0, None], diagram[:, 1, None]
    return np.maximum(np.minimum(grid - births, deaths - grid), 0.0)
