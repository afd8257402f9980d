"""The relative neighbourhood graph of points in the plane (Toussaint 1980), under the strict order on edges.

{a, b} is an edge when its lune is empty: no c with both {a, c} and {b, c} before {a, b}. The graph holds the minimum
spanning tree, is a plane graph, and has at most six edges at a vertex, 60 degrees apart.

How it is found. Each point's nearest points come from a grid. For b among them, all that can lie in the lune is among
them too. A point is *closed* when they leave no room for an edge to a point farther away, in any direction; so edges
longer than that join two points that are both open, and only those pairs are looked at.

Points are deduplicated and sorted by x, then y. What does not belong here: faces, homology.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from betti.topology._compiled import compiled
from betti.topology.order import precedes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Edges", "lune_is_empty", "relative_neighbourhood_graph"]

# Nearest points per point, and directions in which a point is asked whether they close it: the fastest found on prices.
_NEAREST = 10
_SECTORS = 12
_DIRECTION_X = np.cos(np.linspace(0.0, 2 * np.pi, _SECTORS + 1))
_DIRECTION_Y = np.sin(np.linspace(0.0, 2 * np.pi, _SECTORS + 1))
_SLACK = 1e-9  # far above rounding: errs towards looking once too often


class Edges(NamedTuple):
    """Edges in the strict order: smaller index, larger index, squared length, each (edges,)."""

    i: Integers
    j: Integers
    square: Floats


class _Grid(NamedTuple):
    """Points in square-ish cells: the members of cell (u, v) are members[starts[u * side + v] : starts[... + 1]]."""

    side: int
    left: float
    bottom: float
    width: float
    height: float
    starts: Integers
    members: Integers


@compiled
def relative_neighbourhood_graph(x: Floats, y: Floats) -> Edges:
    """The graph's edges in the strict order, for distinct points sorted by x, then y."""
    n = len(x)
    near, squares = _nearest(x, y, _grid(x, y))
    i, j, square = np.empty(6 * n, np.int64), np.empty(6 * n, np.int64), np.empty(6 * n)
    found = _add_near(x, y, near, squares, i, j, square)
    if near.shape[1] < n - 1:
        found = _add_far(x, y, near, squares, i, j, square, found)
    by_index = np.argsort(i[:found] * n + j[:found])
    order = by_index[np.argsort(square[by_index], kind="mergesort")]
    return Edges(i[order], j[order], square[order])


@compiled
def _grid(x: Floats, y: Floats) -> _Grid:
    """About two points to a cell were they spread evenly."""
    n = len(x)
    side = max(1, min(64, int(1.4 * math.sqrt(n))))
    left, bottom = x[0], y.min()
    width, height = (x[n - 1] - left) / side * (1 + _SLACK), (y.max() - bottom) / side * (1 + _SLACK)
    width, height = width if width > 0 else 1.0, height if height > 0 else 1.0
    cells = np.empty(n, np.int64)
    starts = np.zeros(side * side + 1, np.int64)
    for a in range(n):
        cells[a] = min(side - 1, int((x[a] - left) / width)) * side + min(side - 1, int((y[a] - bottom) / height))
        starts[cells[a] + 1] += 1
    starts = np.cumsum(starts)
    filled = starts[:-1].copy()
    members = np.empty(n, np.int64)
    for a in range(n):
        members[filled[cells[a]]] = a
        filled[cells[a]] += 1
    return _Grid(side, left, bottom, width, height, starts, members)


@compiled
def _nearest(x: Floats, y: Floats, grid: _Grid) -> tuple[Integers, Floats]:
    """Each point's nearest points and their squared distances, nearest first (n, min(_NEAREST, n - 1))."""
    n, side = len(x), grid.side
    wanted = min(_NEAREST, n - 1)
    near, squares = np.empty((n, wanted), np.int64), np.empty((n, wanted))
    for a in range(n):
        u, v = min(side - 1, int((x[a] - grid.left) / grid.width)), min(side - 1, int((y[a] - grid.bottom) / grid.height))
        from_left, from_bottom = x[a] - (grid.left + u * grid.width), y[a] - (grid.bottom + v * grid.height)
        edge_x, edge_y = min(from_left, grid.width - from_left), min(from_bottom, grid.height - from_bottom)
        known = 0
        for ring in range(side):
            for column in range(max(u - ring, 0), min(u + ring, side - 1) + 1):
                whole = column == u - ring or column == u + ring or ring == 0
                for row in range(v - ring, v + ring + 1, 1 if whole else 2 * ring):
                    if 0 <= row < side:
                        cell = column * side + row
                        for m in range(grid.starts[cell], grid.starts[cell + 1]):
                            if grid.members[m] != a:
                                known = _insert(x, y, a, grid.members[m], near[a], squares[a], known)
            # No point outside the rings looked at is nearer than this.
            clear = min(edge_x + ring * grid.width, edge_y + ring * grid.height) * (1 - _SLACK)
            if known == wanted and clear > 0 and squares[a, wanted - 1] <= clear * clear:
                break
    return near, squares


@compiled
def _insert(x: Floats, y: Floats, a: int, c: int, near: Integers, squares: Floats, known: int) -> int:
    """Put c in its place among the nearest of a, if it has one; how many are known then."""
    dx, dy = x[c] - x[a], y[c] - y[a]
    square = dx * dx + dy * dy
    if known < len(near):
        place = known
        known += 1
    elif square < squares[known - 1]:
        place = known - 1
    else:
        return known
    while place > 0 and squares[place - 1] > square:
        squares[place], near[place] = squares[place - 1], near[place - 1]
        place -= 1
    squares[place], near[place] = square, c
    return known


@compiled
def _add_near(
    x: Floats, y: Floats, near: Integers, squares: Floats, i: Integers, j: Integers, square: Floats
) -> int:
    """Write the edges between points one of which is among the other's nearest; how many there are."""
    n, wanted = near.shape
    found = 0
    for a in range(n):
        for t in range(wanted):
            b = near[a, t]
            if b < a and _among(near[b], a):
                continue  # seen from b
            if _near_lune_is_empty(x, y, a, b, near[a], squares[a], squares[a, t]):
                i[found], j[found], square[found] = min(a, b), max(a, b), squares[a, t]
                found += 1
    return found


@compiled
def _among(near: Integers, a: int) -> bool:
    for c in near:  # noqa: SIM110 - compiled: any() over a generator is not
        if c == a:
            return True
    return False


@compiled
def _near_lune_is_empty(
    x: Floats, y: Floats, a: int, b: int, near: Integers, squares: Floats, square: float
) -> bool:
    """Whether the lune of a and its near point b is empty: all in it are nearest points of a, but for ties."""
    for s in range(len(near)):
        if squares[s] > square:
            return True
        c = near[s]
        dx, dy = x[c] - x[b], y[c] - y[b]
        other = dx * dx + dy * dy
        if c != b and other <= square and precedes(squares[s], a, c, square, a, b) and precedes(other, b, c, square, a, b):
            return False
    # b is as far as the last of the list: points that tie with it may have found no place.
    return len(near) == len(x) - 1 or lune_is_empty(x, y, min(a, b), max(a, b), square)


@compiled
def lune_is_empty(x: Floats, y: Floats, a: int, b: int, square: float) -> bool:
    """Whether no c has both {a, c} and {b, c} before {a, b}; a < b, and `square` their squared distance."""
    reach = math.sqrt(square) * (1 + _SLACK)
    for step in (1, -1):
        c = a + step
        while 0 <= c < len(x) and x[b] - reach <= x[c] <= x[a] + reach:
            dx, dy = x[c] - x[a], y[c] - y[a]
            one = dx * dx + dy * dy
            dx, dy = x[c] - x[b], y[c] - y[b]
            other = dx * dx + dy * dy
            if c != b and one <= square and other <= square:
                if precedes(one, a, c, square, a, b) and precedes(other, b, c, square, a, b):
                    return False
            c += step
    return True


@compiled
def _add_far(
    x: Floats, y: Floats, near: Integers, squares: Floats, i: Integers, j: Integers, square: Floats, found: int
) -> int:
    """Write the edges between points neither of which is among the other's nearest; how many edges there are then."""
    n = len(x)
    points = np.empty(n, np.int64)
    count = 0
    for a in range(n):
        if not _closed(x, y, a, near[a], squares[a]):
            points[count] = a
            count += 1
    for p in range(count):
        a = points[p]
        last = 0
        for q in range(p + 1, count):
            b = points[q]
            dx, dy = x[b] - x[a], y[b] - y[a]
            length = dx * dx + dy * dy
            if _witness(x, y, b, near[a], squares[a], length, last):
                continue
            last = _first_witness(x, y, b, near[a], squares[a], length)
            if last >= 0:
                continue
            last = 0
            if _first_witness(x, y, a, near[b], squares[b], length) >= 0 or _among(near[a], b) or _among(near[b], a):
                continue
            if lune_is_empty(x, y, a, b, length):
                i[found], j[found], square[found] = a, b, length
                found += 1
    return found


@compiled
def _witness(x: Floats, y: Floats, b: int, near: Integers, squares: Floats, length: float, t: int) -> bool:
    """Whether the t-th nearest point of a lies strictly inside the lune of a and b."""
    dx, dy = x[near[t]] - x[b], y[near[t]] - y[b]
    return squares[t] < length and dx * dx + dy * dy < length


@compiled
def _first_witness(x: Floats, y: Floats, b: int, near: Integers, squares: Floats, length: float) -> int:
    for t in range(len(near)):
        if _witness(x, y, b, near, squares, length, t):
            return t
    return -1


@compiled
def _closed(x: Floats, y: Floats, a: int, near: Integers, squares: Floats) -> bool:
    """Whether in every direction some nearest point lies in the lune of a and any point beyond the nearest.

    With R the distance of the last, b at distance at least R in the unit direction w, and c nearer than R: c is in the
    lune of a and b when (c - a).w > |c - a|^2 / 2R. Directions for which that holds form an arc below 180 degrees, so
    both ends of a sector answer for all of it.
    """
    last = squares[-1]
    radius = math.sqrt(last) * (1 - _SLACK)
    closed = 0
    for t in range(len(near)):
        if squares[t] >= last:
            break
        dx, dy = x[near[t]] - x[a], y[near[t]] - y[a]
        least = squares[t] / (2 * radius) * (1 + _SLACK)
        before = _DIRECTION_X[0] * dx + _DIRECTION_Y[0] * dy > least
        for sector in range(_SECTORS):
            here = _DIRECTION_X[sector + 1] * dx + _DIRECTION_Y[sector + 1] * dy > least
            if before and here:
                closed |= 1 << sector
            before = here
    return closed == (1 << _SECTORS) - 1
