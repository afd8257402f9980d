"""Distinct points of the plane in the cells of a grid: those near a place are found without looking at all of them.

Clouds of delay vectors lie along the diagonal, so columns and rows run along it and across it: a grid along the axes
would have most cells empty. Points are numbered cell by cell: a run of cells is a run of points. What does not belong
here: what is asked of the points found.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from betti.topology._compiled import inner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.uint32]

__all__ = ["Grid", "laid_out", "lune_box", "place"]

_CELLS = 2.0  # per point: the fastest found on prices
_SLACK = 1e-9  # cells are that much larger than they need be, so that rounding puts no point outside
_SQRT2 = math.sqrt(2.0)


class Grid(NamedTuple):
    """Square cells over the points' bounding box in the coordinates x + y (columns) and y - x (rows).

    Attributes:
        columns, rows: how many.
        left, bottom: where the first cell begins.
        cell: the side of a cell, in those coordinates: sqrt(2) times a distance.
        starts: the points of cell (u, v) are those from starts[u * rows + v] up to starts[u * rows + v + 1].
    """

    columns: int
    rows: int
    left: float
    bottom: float
    cell: float
    starts: Indices


@inner
def laid_out(u: Floats, v: Floats) -> tuple[Floats, Floats, Grid]:
    """Coordinates of the n points without repetitions, cell by cell, and the grid of about 2 n cells.

    Indices are unsigned: signed ones are tested for counting from the end, each time.
    """
    n = len(u)
    left, right, bottom, top = np.inf, -np.inf, np.inf, -np.inf
    for a in range(n):
        left, right = min(left, u[a] + v[a]), max(right, u[a] + v[a])
        bottom, top = min(bottom, v[a] - u[a]), max(top, v[a] - u[a])
    width, height = right - left, top - bottom
    cell = max(math.sqrt(width * height / (_CELLS * n)), max(width, height) / (_CELLS * n)) * (1 + _SLACK)
    if cell == 0.0:
        cell = 1.0
    columns, rows = int(width / cell) + 1, int(height / cell) + 1
    cells, filled = np.empty(n, np.uint32), np.zeros(columns * rows + 1, np.uint32)
    for a in range(n):
        cells[a] = place(u[a] + v[a], left, cell, columns) * rows + place(v[a] - u[a], bottom, cell, rows)
        filled[cells[a] + 1] += np.uint32(1)
    for k in range(1, len(filled)):
        filled[k] += filled[k - 1]
    x, y = np.empty(n), np.empty(n)
    for a in range(n):
        m = filled[cells[a]]
        x[m], y[m] = u[a], v[a]
        filled[cells[a]] += np.uint32(1)
    starts = np.zeros(columns * rows + 1, np.uint32)
    count = _compact(x, y, filled, starts)
    return x[:count], y[:count], Grid(columns, rows, left, bottom, cell, starts)


@inner
def _compact(x: Floats, y: Floats, ends: Indices, starts: Indices) -> int:
    """Move the distinct points of each cell to the front and write where each cell then starts; how many there are."""
    count, first = 0, 0
    for k in range(len(starts) - 1):
        starts[k] = count
        for m in range(first, ends[k]):
            known = False
            for c in range(starts[k], count):
                known |= x[c] == x[m] and y[c] == y[m]
            if not known:
                x[count], y[count] = x[m], y[m]
                count += 1
        first = ends[k]
    starts[-1] = count
    return count


@inner
def place(value: float, origin: float, cell: float, most: int) -> int:
    """The column or row at this coordinate, or the nearest one."""
    return min(most - 1, max(0, int((value - origin) / cell)))


@inner
def lune_box(grid: Grid, ax: float, ay: float, bx: float, by: float, length: float) -> tuple[int, int, int, int]:
    """The cells that the lune of points a and b touches, `length` apart: first and last column, first and last row."""
    reach = length * _SQRT2 * (1 + _SLACK)
    pa, pb, qa, qb = ax + ay, bx + by, ay - ax, by - bx
    return (
        place(max(pa, pb) - reach, grid.left, grid.cell, grid.columns),
        place(min(pa, pb) + reach, grid.left, grid.cell, grid.columns),
        place(max(qa, qb) - reach, grid.bottom, grid.cell, grid.rows),
        place(min(qa, qb) + reach, grid.bottom, grid.cell, grid.rows),
    )
