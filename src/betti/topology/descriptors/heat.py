"""The heat picture: a diagram under heat flow that is held at 0 on the diagonal, so that short pairs hardly count.

10 x 10 pixels of birth and death over the filtration grid's range, as giotto-tda's `HeatKernel` on that sampling
(Reininghaus et al. 2015). `h1_03_07` is birth pixel 3, death pixel 7.

The picture is antisymmetric, so only pixels above the diagonal are given. H0 is born at 0, and its pixels of birth 0
determine the others. What does not belong here: how the picture is computed (`_pictures`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.topology.descriptors._diagrams import of_dimension
from betti.topology.descriptors._pictures import PIXELS, heat_pictures
from betti.topology.vectorisation import gathered

if TYPE_CHECKING:
    from betti.topology.descriptors._diagrams import Diagrams, Floats

__all__ = ["LOOKS_BACK", "columns", "numbers"]

LOOKS_BACK = False

_BIRTHS, _DEATHS = np.triu_indices(PIXELS, k=1)


def columns(_bins: int) -> tuple[str, ...]:
    """9 pixels of H0, then 45 of H1, birth by birth; the same on every grid."""
    return (
        *(f"h0_00_{death:02d}" for death in range(1, PIXELS)),
        *(f"h1_{birth:02d}_{death:02d}" for birth, death in zip(_BIRTHS, _DEATHS, strict=True)),
    )


def numbers(diagrams: Diagrams, _before: Diagrams, grid: Floats) -> Floats:
    """Pixels (count, 54): pairs per unit of birth and of death; 0 for an empty diagram."""
    components, holes = (heat_pictures(gathered(of_dimension(diagrams, h)), grid) for h in (0, 1))
    return np.concatenate([components[:, 0, 1:], holes[:, _BIRTHS, _DEATHS]], axis=1)
