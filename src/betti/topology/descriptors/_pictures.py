"""Diagrams as small smoothed pictures over a fixed coarse grid: the persistence image and the heat picture.

Both follow giotto-tda on the same samplings: a pair counts at the pixel that it falls into, values beyond the last
sample count at the last pixel, then a Gaussian is applied, cut off at four deviations and at the border. What does
not belong here: which pixels become columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from betti.topology.descriptors._diagrams import spacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from betti.topology.descriptors._diagrams import Floats
    from betti.topology.vectorisation import Pairs

__all__ = ["PIXELS", "SIGMA", "heat_pictures", "persistence_images", "samples"]

# Pixels along an axis. Few: a picture has the square of it, and Adams et al. (2017) found resolution to matter little.
PIXELS = 10

# The Gaussian's deviation, in pixels. Fixed in pixels, the kernel is the same whatever the grid's extent.
SIGMA = 1.0


def samples(grid: Floats) -> Floats:
    """The coarse sampling (PIXELS,) of the grid's range: pixel k holds values from sample k up to the next."""
    return np.linspace(float(grid[0]), float(grid[-1]), PIXELS)


def persistence_images(pairs: Pairs, grid: Floats) -> Floats:
    """Persistence images (count, birth, persistence), PIXELS x PIXELS each (Adams et al. 2017).

    A pair weighs its persistence, taken as that of the middle of its pixel: a weight that grows linearly from the
    diagonal, as the paper's stability asks for, and does not erase the pairs of the lowest pixels, which hold most of
    a window's. Densities: per unit of birth and of persistence.
    """
    marks = samples(grid)
    step = spacing(marks)
    weights = marks + step / 2
    counts = _counted(pairs, pairs.births, pairs.deaths - pairs.births, marks)
    return _smoothed(counts * weights) / step**2


def heat_pictures(pairs: Pairs, grid: Floats) -> Floats:
    """Heat pictures (count, birth, death), PIXELS x PIXELS each (Reininghaus et al. 2015).

    The pairs smoothed by a Gaussian, less their mirror image in the diagonal: antisymmetric, and 0 on the diagonal.
    Densities: per unit of birth and of death.
    """
    marks = samples(grid)
    smoothed = _smoothed(_counted(pairs, pairs.births, pairs.deaths, marks))
    return (smoothed - smoothed.transpose(0, 2, 1)) / spacing(marks) ** 2


def _counted(pairs: Pairs, across: Floats, along: Floats, marks: Floats) -> Floats:
    """How many pairs of each diagram fall into each pixel (count, PIXELS, PIXELS)."""
    column, row = _pixel(across, marks), _pixel(along, marks)
    places = (pairs.owners * PIXELS + column) * PIXELS + row
    counts = np.bincount(places, minlength=pairs.count * PIXELS * PIXELS)
    return counts.reshape(pairs.count, PIXELS, PIXELS).astype(np.float64)


def _pixel(values: Floats, marks: Floats) -> NDArray[np.int64]:
    """The pixel of each value: the last sample at or below it, the first pixel for what lies below all."""
    return np.maximum(np.searchsorted(marks, values, side="right") - 1, 0)


def _smoothed(pictures: Floats) -> Floats:
    """Each picture under the Gaussian, with zeros around it."""
    return np.asarray(gaussian_filter(pictures, SIGMA, mode="constant", axes=(1, 2)), dtype=np.float64)
