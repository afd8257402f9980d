"""The persistence image: how many pairs are born where and live how long, weighted by length and smoothed.

10 x 10 pixels of birth and persistence over the filtration grid's range, as giotto-tda's `PersistenceImage` on those
samplings (Adams et al. 2017). `h1_03_07` is birth pixel 3, persistence pixel 7.

H0 is born at 0, so its image is a profile along persistence times one fixed profile along birth: only the pixels of
birth 0 are given. What does not belong here: how the image is computed (`_pictures`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.topology.descriptors._diagrams import of_dimension
from betti.topology.descriptors._pictures import PIXELS, persistence_images
from betti.topology.vectorisation import gathered

if TYPE_CHECKING:
    from betti.topology.descriptors._diagrams import Diagrams, Floats

__all__ = ["LOOKS_BACK", "columns", "numbers"]

LOOKS_BACK = False


def columns(_bins: int) -> tuple[str, ...]:
    """10 pixels of H0, then 100 of H1, birth by birth; the same on every grid."""
    return (
        *(f"h0_00_{persistence:02d}" for persistence in range(PIXELS)),
        *(f"h1_{birth:02d}_{persistence:02d}" for birth in range(PIXELS) for persistence in range(PIXELS)),
    )


def numbers(diagrams: Diagrams, _before: Diagrams, grid: Floats) -> Floats:
    """Pixels (count, 110): weighted pairs per unit of birth and of persistence; 0 for an empty diagram."""
    components, holes = (persistence_images(gathered(of_dimension(diagrams, h)), grid) for h in (0, 1))
    return np.concatenate([components[:, 0], holes.reshape(len(diagrams), PIXELS**2)], axis=1)
