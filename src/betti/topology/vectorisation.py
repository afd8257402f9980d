"""Persistence diagrams as rows of numbers of fixed length, on a grid that is the same for every diagram, forever.

A grid fitted to the diagrams at hand would let later windows change earlier rows. Conventions are giotto-tda's on the
same grid, but for the empty diagram: its entropy is 0 here. What does not belong here: column names, homology.

A diagram's numbers do not depend on the diagrams beside it, to the last bit: sums run over its own pairs in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Pairs", "betti_curves", "entropies", "fixed_grid", "gathered", "landscape_norms", "numbers", "totals"]

# Landscape samples held at once: 32 MB of float64.
_BATCH_SAMPLES = 2**22


@dataclass(frozen=True)
class Pairs:
    """The pairs of many diagrams in one array.

    Attributes:
        births, deaths: (pairs,), each diagram's pairs together, diagrams in order.
        owners: (pairs,), the diagram a pair belongs to.
        count: how many diagrams there are, empty ones included.
    """

    births: Floats
    deaths: Floats
    owners: Integers
    count: int


def fixed_grid(maximum: float, bins: int) -> Floats:
    """`bins` evenly spaced filtration values from 0 to `maximum`, both included."""
    return np.linspace(0.0, maximum, bins)


def gathered(diagrams: Sequence[Floats]) -> Pairs:
    """Many diagrams, each (k, 2) of [birth, death], as one `Pairs`."""
    sizes = [len(diagram) for diagram in diagrams]
    joined = np.concatenate([np.empty((0, 2)), *diagrams])
    owners = np.repeat(np.arange(len(diagrams)), sizes)
    return Pairs(joined[:, 0].copy(), joined[:, 1].copy(), owners, len(diagrams))


def numbers(diagrams: Sequence[Sequence[Floats]], grid: Floats, layers: int) -> Floats:
    """The numbers of many clouds, one row each: Betti curves, entropies, totals, landscape norms.

    Args:
        diagrams: per cloud, per homology dimension, (k, 2) of [birth, death].
        grid: filtration values (bins,).
        layers: landscape layers.

    Returns:
        (count, dimensions x (bins + 2 + layers)); each kind of number runs over the dimensions before the next begins.
    """
    by_dimension = [gathered(found) for found in zip(*diagrams, strict=True)]
    return np.concatenate(
        [
            *(betti_curves(pairs, grid) for pairs in by_dimension),
            *(entropies(pairs)[:, None] for pairs in by_dimension),
            *(totals(pairs)[:, None] for pairs in by_dimension),
            *(landscape_norms(pairs, grid, layers) for pairs in by_dimension),
        ],
        axis=1,
    )


def betti_curves(pairs: Pairs, grid: Floats) -> Floats:
    """Betti numbers (count, bins): pairs with birth <= x < death at each grid value x."""
    slots = len(grid) + 1
    opened, closed = (
        np.bincount(pairs.owners * slots + np.searchsorted(grid, ends, side="left"), minlength=pairs.count * slots)
        for ends in (pairs.births, pairs.deaths)
    )
    alive = np.cumsum((opened - closed).reshape(pairs.count, slots), axis=1)
    return np.asarray(alive[:, :-1], dtype=np.float64)


def totals(pairs: Pairs) -> Floats:
    """Total persistence (count,): the sum of death - birth, in units of distance."""
    return _summed(pairs, pairs.deaths - pairs.births)


def entropies(pairs: Pairs) -> Floats:
    """Persistent entropy (count,), in bits: of the lengths as shares of their sum; 0 for an empty diagram."""
    lengths = pairs.deaths - pairs.births
    shares = lengths / totals(pairs)[pairs.owners]
    # A share can underflow to 0 beside a far longer one; its limit p log p is 0.
    terms = -shares * np.log2(np.where(shares > 0, shares, 1.0))
    return _summed(pairs, terms)


def _summed(pairs: Pairs, terms: Floats) -> Floats:
    """The sum over each diagram's own pairs, one after the other (count,)."""
    sums = np.bincount(pairs.owners, weights=terms, minlength=pairs.count)
    return np.asarray(sums, dtype=np.float64) + 0.0  # without pairs bincount gives integers; + 0.0 ends -0.0


def landscape_norms(pairs: Pairs, grid: Floats, layers: int) -> Floats:
    """L2 norms (count, layers) of the first persistence landscape layers (Bubenik 2015).

    Layer k at x is the k-th largest of max(0, min(x - birth, death - x)); the norm is the trapezoid rule's over `grid`.
    """
    bounds = np.searchsorted(pairs.owners, np.arange(pairs.count + 1))
    longest = int(np.diff(bounds).max(initial=0))
    step = max(1, _BATCH_SAMPLES // max(1, longest * len(grid)))
    norms = np.zeros((pairs.count, layers))
    for start in range(0, pairs.count, step):
        stop = min(start + step, pairs.count)
        rows = slice(bounds[start], bounds[stop])
        part = Pairs(pairs.births[rows], pairs.deaths[rows], pairs.owners[rows] - start, stop - start)
        norms[start:stop] = _norms(_landscapes(part, grid, layers), grid)
    return norms


def _landscapes(pairs: Pairs, grid: Floats, layers: int) -> Floats:
    """Landscape samples (count, layers, bins), the largest layer first."""
    sizes = np.bincount(pairs.owners, minlength=pairs.count)
    starts = np.cumsum(sizes) - sizes
    width = max(layers, int(sizes.max(initial=0)))
    ends = np.zeros((2, pairs.count, width))  # places without a pair hold (0, 0): a tent of no height
    ends[:, pairs.owners, np.arange(len(pairs.owners)) - starts[pairs.owners]] = pairs.births, pairs.deaths
    births, deaths = ends[:, :, None, :]
    tents = np.maximum(np.minimum(grid[:, None] - births, deaths - grid[:, None]), 0.0)
    tents.partition(width - layers, axis=2)
    top = np.sort(tents[:, :, width - layers :], axis=2)[:, :, ::-1]
    return np.ascontiguousarray(top.transpose(0, 2, 1))


def _norms(samples: Floats, grid: Floats) -> Floats:
    """Square root of the trapezoid rule's integral of the squared samples along the last axis."""
    squares = samples**2
    areas = 0.5 * (squares[:, :, 1:] + squares[:, :, :-1]) * np.diff(grid)
    return np.asarray(np.sqrt(areas.sum(axis=2)), dtype=np.float64)
