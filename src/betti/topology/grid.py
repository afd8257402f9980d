"""Points of the plane in the cells of a grid, so that those near a place are found without looking at all of them.

What does not belong here: what is asked of the points found.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from betti.topology._compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Grid", "laid_out", "lune_box", "place"]

_MOST_SIDE = 64
_SLACK = 1e-9  # cells are that much larger than they need be, so that rounding puts no point outside


class Grid(NamedTuple):
    """A square number of cells over the points' bounding box.

    The members of cell (u, v), column and row, are members[starts[u * side + v] : starts[u * side + v + 1]]; cells of
    one column follow each other.
    """

    side: int
    left: float
    bottom: float
    width: float
    height: float
    starts: Integers
    members: Integers


@compiled
def laid_out(x: Floats, y: Floats) -> Grid:
    """The grid of n points, about 2 n cells of it."""
    n = len(x)
    side = max(1, min(_MOST_SIDE, int(1.4 * math.sqrt(n))))
    left, bottom = x.min(), y.min()
    width, height = (x.max() - left) / side * (1 + _SLACK), (y.max() - bottom) / side * (1 + _SLACK)
    width, height = width if width > 0 else 1.0, height if height > 0 else 1.0
    cells = np.empty(n, np.int64)
    starts = np.zeros(side * side + 1, np.int64)
    for a in range(n):
        cells[a] = place(x[a], left, width, side) * side + place(y[a], bottom, height, side)
        starts[cells[a] + 1] += 1
    starts = np.cumsum(starts)
    filled = starts[:-1].copy()
    members = np.empty(n, np.int64)
    for a in range(n):
        members[filled[cells[a]]] = a
        filled[cells[a]] += 1
    return Grid(side, left, bottom, width, height, starts, members)


@compiled
def place(value: float, origin: float, step: float, side: int) -> int:
    """The column or row at this coordinate, or the nearest one."""
    return min(side - 1, max(0, int((value - origin) / step)))


@compiled
def lune_box(grid: Grid, ax: float, ay: float, bx: float, by: float, length: float) -> tuple[int, int, int, int]:
    """The cells that the lune of points a and b touches, `length` apart: first and last column, first and last row."""
    reach = length * (1 + _SLACK)
    return (
        place(max(ax, bx) - reach, grid.left, grid.width, grid.side),
        place(min(ax, bx) + reach, grid.left, grid.width, grid.side),
        place(max(ay, by) - reach, grid.bottom, grid.height, grid.side),
        place(min(ay, by) + reach, grid.bottom, grid.height, grid.side),
    )
