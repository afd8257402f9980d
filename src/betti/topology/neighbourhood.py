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
from betti.topology.grid import Grid, lune_box, place
from betti.topology.order import precedes, square

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Edges", "in_lune", "relative_neighbourhood_graph"]

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
    length: Floats


@compiled
def relative_neighbourhood_graph(x: Floats, y: Floats, grid: Grid) -> Edges:
    """The graph's edges in the strict order, for distinct points sorted by x, then y."""
    n = len(x)
    near, lengths = _nearest(x, y, grid)
    i, j, chosen = np.empty(6 * n, np.int64), np.empty(6 * n, np.int64), np.empty(6 * n)
    found = _add_near(x, y, grid, near, lengths, i, j, chosen)
    if near.shape[1] < n - 1:
        found = _add_far(x, y, grid, near, lengths, i, j, chosen, found)
    by_index = np.argsort(i[:found] * n + j[:found])
    order = by_index[np.argsort(chosen[by_index], kind="mergesort")]
    return Edges(i[order], j[order], chosen[order])


@compiled
def _nearest(x: Floats, y: Floats, grid: Grid) -> tuple[Integers, Floats]:
    """Each point's nearest points and their squared distances, nearest first (n, min(_NEAREST, n - 1))."""
    n, side, starts, members = len(x), grid.side, grid.starts, grid.members
    last = min(_NEAREST, n - 1) - 1
    near, lengths = np.empty((n, last + 1), np.int64), np.empty((n, last + 1))
    who, length = np.empty(last + 1, np.int64), np.empty(last + 1)  # of one point: rows of a table are slower
    for a in range(n):
        length[:] = np.inf
        u, v = place(x[a], grid.left, grid.width, side), place(y[a], grid.bottom, grid.height, side)
        free_x, free_y = x[a] - (grid.left + u * grid.width), y[a] - (grid.bottom + v * grid.height)
        free_x, free_y = min(free_x, grid.width - free_x), min(free_y, grid.height - free_y)
        for ring in range(side):
            for w in range(max(u - ring, 0), min(u + ring, side - 1) + 1):
                # Outer columns of a ring whole, of the others their ends.
                outer = w in (u - ring, u + ring)
                for part in range(1 if outer else 2):
                    z = v - ring if part == 0 else v + ring
                    low, high = (max(z, 0), min(v + ring, side - 1)) if outer else (z, z)
                    if low < 0 or high >= side:
                        continue
                    for m in range(starts[w * side + low], starts[w * side + high + 1]):
                        c = members[m]
                        candidate = square(x[a], y[a], x[c], y[c])
                        if candidate < length[last] and c != a:
                            t = last
                            while t > 0 and length[t - 1] > candidate:
                                length[t], who[t] = length[t - 1], who[t - 1]
                                t -= 1
                            length[t], who[t] = candidate, c
            # No point outside these rings is nearer than this.
            clear = max(0.0, min(free_x + ring * grid.width, free_y + ring * grid.height) * (1 - _SLACK))
            if length[last] <= clear * clear:
                break
        near[a], lengths[a] = who, length
    return near, lengths


@compiled
def _add_near(
    x: Floats, y: Floats, grid: Grid, near: Integers, lengths: Floats, i: Integers, j: Integers, chosen: Floats
) -> int:
    """Write the edges between points one of which is among the other's nearest; how many there are."""
    n, wanted = near.shape
    found = 0
    for a in range(n):
        for t in range(wanted):
            b = near[a, t]
            if b < a and (lengths[a, t] < lengths[b, -1] or _among(near, b, a)):
                continue  # seen from b
            if _near_lune_is_empty(x, y, grid, near, lengths, a, t):
                i[found], j[found], chosen[found] = min(a, b), max(a, b), lengths[a, t]
                found += 1
    return found


@compiled
def _among(near: Integers, a: int, b: int) -> bool:
    """Whether b is among the nearest points of a."""
    for t in range(near.shape[1]):  # noqa: SIM110 - compiled: any() over a generator is not
        if near[a, t] == b:
            return True
    return False


@compiled
def _near_lune_is_empty(x: Floats, y: Floats, grid: Grid, near: Integers, lengths: Floats, a: int, t: int) -> bool:
    """Whether the lune of a and its t-th nearest point b is empty: all in it are nearest points of a, but for ties."""
    b, length = near[a, t], lengths[a, t]
    for s in range(near.shape[1]):
        if lengths[a, s] > length:
            return True
        c = near[a, s]
        if c != b and in_lune(a, b, length, c, lengths[a, s], square(x[b], y[b], x[c], y[c])):
            return False
    # b is as far as the last of the list: points that tie with it may have found no place.
    return near.shape[1] == len(x) - 1 or _lune_is_empty(x, y, grid, a, b, length)


@compiled
def in_lune(a: int, b: int, length: float, c: int, to_a: float, to_b: float) -> bool:
    """Whether {a, c} and {b, c}, of squared lengths to_a and to_b, both come before {a, b}."""
    if to_a > length or to_b > length:
        return False
    return precedes(to_a, a, c, length, a, b) and precedes(to_b, b, c, length, a, b)


@compiled
def _lune_is_empty(x: Floats, y: Floats, grid: Grid, a: int, b: int, length: float) -> bool:
    first, last, low, high = lune_box(grid, x[a], y[a], x[b], y[b], math.sqrt(length))
    for w in range(first, last + 1):
        for m in range(grid.starts[w * grid.side + low], grid.starts[w * grid.side + high + 1]):
            c = grid.members[m]
            to_a, to_b = square(x[a], y[a], x[c], y[c]), square(x[b], y[b], x[c], y[c])
            if c != a and c != b and in_lune(a, b, length, c, to_a, to_b):
                return False
    return True


@compiled
def _add_far(
    x: Floats,
    y: Floats,
    grid: Grid,
    near: Integers,
    lengths: Floats,
    i: Integers,
    j: Integers,
    chosen: Floats,
    found: int,
) -> int:
    """Write the edges between points neither of which is among the other's nearest; how many edges there are then."""
    n = len(near)
    points, u, v = np.empty(n, np.int64), np.empty((n, 2)), np.empty((n, 2))
    count = 0
    for a in range(n):
        first, last = _opening(_closed(x, y, near, lengths, a))
        if first < last:
            points[count] = a
            # Beyond a half-turn cross products do not tell: zero vectors let every direction pass.
            size = 1.0 if last - first <= _SECTORS // 2 else 0.0
            u[count, 0], u[count, 1] = size * _DIRECTION_X[first], size * _DIRECTION_Y[first]
            v[count, 0], v[count, 1] = size * _DIRECTION_X[last % _SECTORS], size * _DIRECTION_Y[last % _SECTORS]
            count += 1
    for p in range(count):
        a = points[p]
        for q in range(p + 1, count):
            b = points[q]
            dx, dy = x[b] - x[a], y[b] - y[a]
            if u[p, 0] * dy < u[p, 1] * dx or dx * v[p, 1] < dy * v[p, 0]:
                continue  # not in the opening of a
            if u[q, 0] * dy > u[q, 1] * dx or dx * v[q, 1] > dy * v[q, 0]:
                continue  # nor a in that of b
            length = square(x[a], y[a], x[b], y[b])
            if length < lengths[a, -1] or length < lengths[b, -1] or _among(near, a, b) or _among(near, b, a):
                continue
            if _witness(x, y, near, lengths, a, b, length) or _witness(x, y, near, lengths, b, a, length):
                continue
            if _lune_is_empty(x, y, grid, a, b, length):
                i[found], j[found], chosen[found] = a, b, length
                found += 1
    return found


@compiled
def _opening(closed: int) -> tuple[int, int]:
    """The directions between which all sectors that are not closed lie, counterclockwise from the first to the last.

    Equal when all are closed. The gap left out is the longest run of closed sectors; the last may exceed _SECTORS.
    """
    if closed == (1 << _SECTORS) - 1:
        return 0, 0
    longest, end, run = 0, 0, 0
    for sector in range(2 * _SECTORS):
        run = run + 1 if closed >> (sector % _SECTORS) & 1 else 0
        if run > longest:
            longest, end = run, sector + 1
    return end % _SECTORS, end % _SECTORS + _SECTORS - longest


@compiled
def _witness(x: Floats, y: Floats, near: Integers, lengths: Floats, a: int, b: int, length: float) -> bool:
    """Whether a nearest point of a lies strictly inside the lune of a and b."""
    for t in range(near.shape[1]):
        c = near[a, t]
        if lengths[a, t] < length and square(x[c], y[c], x[b], y[b]) < length:
            return True
    return False


@compiled
def _closed(x: Floats, y: Floats, near: Integers, lengths: Floats, a: int) -> int:
    """The sectors, as bits, in which some nearest point lies in the lune of a and any point beyond its nearest.

    With R the distance of the last, b at distance at least R in the unit direction w, and c nearer than R: c is in the
    lune of a and b when (c - a).w > |c - a|^2 / 2R. Directions for which that holds form an arc below 180 degrees, so
    both ends of a sector answer for all of it.
    """
    last = lengths[a, -1]
    radius = math.sqrt(last) * (1 - _SLACK)
    closed = 0
    for t in range(near.shape[1]):
        if lengths[a, t] >= last:
            break
        dx, dy = x[near[a, t]] - x[a], y[near[a, t]] - y[a]
        least = lengths[a, t] / (2 * radius) * (1 + _SLACK)
        before = _DIRECTION_X[0] * dx + _DIRECTION_Y[0] * dy > least
        for sector in range(_SECTORS):
            here = _DIRECTION_X[sector + 1] * dx + _DIRECTION_Y[sector + 1] * dy > least
            if before and here:
                closed |= 1 << sector
            before = here
    return closed
