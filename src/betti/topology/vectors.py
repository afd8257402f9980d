"""The numbers of many diagrams in compiled code: what `betti.topology.vectorisation` says, many times faster.

Equal to it up to the order of sums (Betti numbers exactly). What does not belong here: a number that the readable
module does not define.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from betti.topology._compiled import entry, inner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from betti.topology.planar import Batch

    Floats = NDArray[np.float64]

__all__ = ["described"]


@entry
def described(batch: Batch, grid: Floats, layers: int) -> Floats:
    """The numbers of clouds: Betti curves, entropies, totals, landscape norms, each of H0 and then of H1.

    Args:
        batch: their diagrams.
        grid: filtration values (bins,), evenly spaced from 0.
        layers: landscape layers.

    Returns:
        (count, 2 x (bins + 2 + layers)).
    """
    bins, count = len(grid), len(batch.death_ends)
    rows = np.empty((count, 2 * (bins + 2 + layers)))
    top = np.empty((bins, layers))
    for k in range(count):
        first = batch.death_ends[k - 1] if k > 0 else 0
        deaths = batch.deaths[first : batch.death_ends[k]]
        _describe(np.zeros(len(deaths)), deaths, grid, top, rows[k], 0)
        first = batch.pair_ends[k - 1] if k > 0 else 0
        pairs = batch.pairs[first : batch.pair_ends[k]]
        _describe(pairs[:, 0].copy(), pairs[:, 1].copy(), grid, top, rows[k], 1)
    return rows


@inner
def _describe(births: Floats, deaths: Floats, grid: Floats, top: Floats, row: Floats, h: int) -> None:
    """Write the numbers of one diagram where a row has those of H0 or of H1."""
    bins, layers = top.shape
    _betti_curve(births, deaths, grid, row[h * bins : (h + 1) * bins])
    total = 0.0
    for k in range(len(births)):
        total += deaths[k] - births[k]
    row[2 * bins + h] = _entropy(births, deaths, total)
    row[2 * bins + 2 + h] = total
    start = 2 * bins + 4 + h * layers
    _landscape_norms(births, deaths, grid, top, row[start : start + layers])


@inner
def _place(grid: Floats, value: float) -> int:
    """The first place of the grid at or after a value that is not negative; its length when there is none."""
    if value > grid[-1]:
        return len(grid)
    k = min(len(grid) - 1, int(value / grid[1]))
    while k > 0 and grid[k - 1] >= value:
        k -= 1
    while grid[k] < value:
        k += 1
    return k


@inner
def _betti_curve(births: Floats, deaths: Floats, grid: Floats, curve: Floats) -> None:
    change = np.zeros(len(grid) + 1, np.int64)
    for k in range(len(births)):
        change[_place(grid, births[k])] += 1
        change[_place(grid, deaths[k])] -= 1
    alive = 0
    for k in range(len(grid)):
        alive += change[k]
        curve[k] = alive


@inner
def _entropy(births: Floats, deaths: Floats, total: float) -> float:
    entropy = 0.0
    for k in range(len(births)):
        share = (deaths[k] - births[k]) / total
        if share > 0:
            entropy -= share * math.log2(share)
    return entropy + 0.0


@inner
def _landscape_norms(births: Floats, deaths: Floats, grid: Floats, top: Floats, norms: Floats) -> None:
    """Keeps the largest tents at each grid value in `top` (bins, layers) while pairs pass by, in descending order."""
    bins, layers = top.shape
    for x in range(bins):
        for layer in range(layers):
            top[x, layer] = 0.0
    for k in range(len(births)):
        for x in range(_place(grid, births[k]), _place(grid, deaths[k])):
            height = min(grid[x] - births[k], deaths[k] - grid[x])
            if height > top[x, layers - 1]:
                layer = layers - 1
                while layer > 0 and top[x, layer - 1] < height:
                    top[x, layer] = top[x, layer - 1]
                    layer -= 1
                top[x, layer] = height
    for layer in range(layers):
        area = 0.0
        for x in range(bins - 1):
            one, other = top[x, layer], top[x + 1, layer]
            area += 0.5 * (one * one + other * other) * (grid[x + 1] - grid[x])
        norms[layer] = math.sqrt(area)
