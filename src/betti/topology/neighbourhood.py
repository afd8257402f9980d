"""The relative neighbourhood graph of points in the plane (Toussaint 1980), under the strict order on edges.

{a, b} is an edge when its lune is empty: no c with both {a, c} and {b, c} before {a, b}. The graph holds the minimum
spanning tree, is a plane graph, and has at most six edges at a vertex, 60 degrees apart.

How it is found. Each point's nearest points come from a grid. For b among them, all that can lie in the lune is among
them too. A point is *closed* when they leave no room for an edge to a point farther away, in any direction; so edges
longer than that join two points that are both open, and only those pairs are looked at.

Points are distinct, numbered by the grid. What does not belong here: faces, homology.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from betti.topology._compiled import inlined, inner
from betti.topology.grid import Grid, lune_box
from betti.topology.order import in_buckets, precedes, square

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.uint32]

__all__ = ["Edges", "in_lune", "relative_neighbourhood_graph"]

# Nearest points per point, and directions in which a point is asked whether they close it: the fastest found on prices.
_NEAREST = 8
_SECTORS = 24
_DIRECTION_X = np.cos(np.linspace(0.0, 2 * np.pi, _SECTORS + 1))
_DIRECTION_Y = np.sin(np.linspace(0.0, 2 * np.pi, _SECTORS + 1))
_SLACK = 1e-9  # far above rounding: errs towards looking once too often


class Edges(NamedTuple):
    """Edges in the strict order: smaller index, larger index, squared length, each (edges,)."""

    i: Indices
    j: Indices
    length: Floats


@inlined
def relative_neighbourhood_graph(x: Floats, y: Floats, grid: Grid) -> Edges:
    """The graph's edges in the strict order, for the distinct points of a grid."""
    n = len(x)
    i, j, chosen = (np.empty(6 * n, np.uint32), np.empty(6 * n, np.uint32), np.empty(6 * n))
    near, lengths = _nearest(x, y, grid)
    found = _add_near(x, y, grid, near, lengths, i, j, chosen)
    if near.shape[1] < n - 1:
        found = _add_far(x, y, grid, near, lengths, i, j, chosen, found)
    return _in_order(i[:found], j[:found], chosen[:found])


@inner
def _in_order(i: Indices, j: Indices, lengths: Floats) -> Edges:
    """Edges by length, and by their ends where lengths are equal."""
    order = in_buckets(lengths)
    for p in range(1, len(order)):
        e, q = order[p], p
        while q > 0 and not precedes(lengths[order[q - 1]], i[order[q - 1]], j[order[q - 1]], lengths[e], i[e], j[e]):
            order[q] = order[q - 1]
            q -= 1
        order[q] = e
    edges = Edges(np.empty(len(order), np.uint32), np.empty(len(order), np.uint32), np.empty(len(order)))
    for p in range(len(order)):
        e = order[p]
        edges.i[p], edges.j[p], edges.length[p] = i[e], j[e], lengths[e]
    return edges


@inner
def _nearest(x: Floats, y: Floats, grid: Grid) -> tuple[Indices, Floats]:
    """Each point's nearest points and their squared distances, nearest first (n, min(_NEAREST, n - 1))."""
    n, columns, rows, starts, cell = (len(x), grid.columns, grid.rows, grid.starts, grid.cell)
    wanted = min(_NEAREST, n - 1)
    near, lengths = np.empty((n, wanted), np.uint32), np.empty((n, wanted))
    who, length = (np.empty(wanted, np.uint32), np.empty(wanted))  # of one point: rows of a table are slower
    for a in range(n):
        along, across = ((x[a] + y[a] - grid.left) / cell, (y[a] - x[a] - grid.bottom) / cell)
        u, v = int(along), int(across)
        free = min(min(along - u, u + 1 - along), min(across - v, v + 1 - across))
        for t in range(wanted):
            length[t] = np.inf
        worst, ring = np.inf, 1
        while True:
            for w in range(max(u - ring, 0), min(u + ring, columns - 1) + 1):
                # The block of three by three whole; of a further ring the outer columns whole, of others the ends.
                whole = ring == 1 or w == u - ring or w == u + ring
                for part in range(1 if whole else 2):
                    low = v + ring if part == 1 else v - ring
                    high = v + ring if whole else low
                    if high < 0 or low >= rows:
                        continue
                    for c in range(starts[w * rows + max(low, 0)], starts[w * rows + min(high, rows - 1) + 1]):
                        candidate = square(x[a], y[a], x[c], y[c])
                        if candidate < worst and c != a:
                            t = wanted - 1
                            while t > 0 and length[t - 1] > candidate:
                                length[t], who[t] = length[t - 1], who[t - 1]
                                t -= 1
                            length[t], who[t] = candidate, c
                            worst = length[wanted - 1]
            # No point outside these rings is nearer than this, in distance times sqrt(2).
            clear = (free + ring) * cell * (1 - _SLACK)
            if 2 * worst <= clear * clear or ring >= columns + rows:
                break
            ring += 1
        for t in range(wanted):
            near[a, t], lengths[a, t] = who[t], length[t]
    return near, lengths


@inner
def _add_near(
    x: Floats, y: Floats, grid: Grid, near: Indices, lengths: Floats, i: Indices, j: Indices, chosen: Floats
) -> int:
    """Write the edges between points one of which is among the other's nearest; how many there are."""
    n, wanted = near.shape
    found = 0
    for a in range(n):
        for t in range(wanted):
            b, length = near[a, t], lengths[a, t]
            if b < a and _among(near, b, a):
                continue  # seen from b
            if not _near_lune_is_empty(x, y, near, lengths, a, t):
                continue
            # Where b is as far as the last of the list, points that tie with it may have found no place there.
            whole = length < lengths[a, wanted - 1] or wanted == n - 1
            if whole or _lune_is_empty(x, y, grid, a, b, length):
                i[found], j[found], chosen[found] = min(a, b), max(a, b), length
                found += 1
    return found


@inner
def _among(near: Indices, a: int, b: int) -> bool:
    """Whether b is among the nearest points of a."""
    for t in range(near.shape[1]):  # noqa: SIM110 - compiled: any() over a generator is not
        if near[a, t] == b:
            return True
    return False


@inner
def _near_lune_is_empty(x: Floats, y: Floats, near: Indices, lengths: Floats, a: int, t: int) -> bool:
    """Whether none of the nearest points of a is in the lune of a and the t-th of them."""
    b, length = near[a, t], lengths[a, t]
    for s in range(near.shape[1]):
        if lengths[a, s] > length:
            break
        c = near[a, s]
        if c != b and in_lune(a, b, length, c, lengths[a, s], square(x[b], y[b], x[c], y[c])):
            return False
    return True


@inner
def in_lune(a: int, b: int, length: float, c: int, to_a: float, to_b: float) -> bool:
    """Whether {a, c} and {b, c}, of squared lengths to_a and to_b, both come before {a, b}."""
    if to_a > length or to_b > length:
        return False
    return precedes(to_a, a, c, length, a, b) and precedes(to_b, b, c, length, a, b)


@inner
def _lune_is_empty(x: Floats, y: Floats, grid: Grid, a: int, b: int, length: float) -> bool:
    first, last, low, high = lune_box(grid, x[a], y[a], x[b], y[b], math.sqrt(length))
    for w in range(first, last + 1):
        for c in range(grid.starts[w * grid.rows + low], grid.starts[w * grid.rows + high + 1]):
            to_a, to_b = square(x[a], y[a], x[c], y[c]), square(x[b], y[b], x[c], y[c])
            if c != a and c != b and in_lune(a, b, length, c, to_a, to_b):
                return False
    return True


@inner
def _add_far(
    x: Floats, y: Floats, grid: Grid, near: Indices, lengths: Floats, i: Indices, j: Indices, chosen: Floats, found: int
) -> int:
    """Write the edges between points neither of which is among the other's nearest; how many edges there are then."""
    open_points, openings = _open_points(x, y, near, lengths)
    count = len(open_points)
    u, v, inside = np.empty(count), np.empty(count), np.empty(count)
    for p in range(count):
        u[p], v[p] = x[open_points[p]], y[open_points[p]]
    for p in range(count):
        _look(u, v, openings, p, inside)
        for q in range(p + 1, count):
            if inside[q] >= 0 and _is_far_edge(x, y, grid, near, lengths, open_points[p], open_points[q]):
                i[found], j[found] = open_points[p], open_points[q]
                chosen[found] = square(u[p], v[p], u[q], v[q])
                found += 1
    return found


@inner
def _open_points(x: Floats, y: Floats, near: Indices, lengths: Floats) -> tuple[Indices, Floats]:
    """The points that are not closed, and between which directions: x and y of the first and of the last (4, count)."""
    points, openings, count = np.empty(len(x), np.uint32), np.empty((4, len(x))), 0
    for a in range(len(x)):
        first, last = _opening(_closed(x, y, near, lengths, a))
        if first < last:
            points[count] = a
            # Beyond a half-turn cross products do not tell: zero vectors let every direction pass.
            size = 1.0 if last - first <= _SECTORS // 2 else 0.0
            openings[0, count], openings[1, count] = (size * _DIRECTION_X[first], size * _DIRECTION_Y[first])
            openings[2, count] = size * _DIRECTION_X[last % _SECTORS]
            openings[3, count] = size * _DIRECTION_Y[last % _SECTORS]
            count += 1
    return points[:count], openings


@inner
def _look(u: Floats, v: Floats, openings: Floats, p: int, inside: Floats) -> None:
    """For each later point q: not negative where p and q lie in each other's openings.

    Without branches, so that it is compiled to vector instructions: nearly all pairs end here.
    """
    pu, pv = u[p], v[p]
    au, av, bu, bv = openings[0, p], openings[1, p], openings[2, p], openings[3, p]
    qu, qv, out = u[p + 1 :], v[p + 1 :], inside[p + 1 :]
    for q in range(len(out)):
        dx, dy = qu[q] - pu, qv[q] - pv
        out[q] = min(au * dy - av * dx, dx * bv - dy * bu)
    cu, cv, du, dv = (openings[0, p + 1 :], openings[1, p + 1 :], openings[2, p + 1 :], openings[3, p + 1 :])
    for q in range(len(out)):
        dx, dy = qu[q] - pu, qv[q] - pv
        out[q] = min(out[q], min(cv[q] * dx - cu[q] * dy, dy * du[q] - dx * dv[q]))


@inner
def _is_far_edge(x: Floats, y: Floats, grid: Grid, near: Indices, lengths: Floats, a: int, b: int) -> bool:
    """Whether {a, b} is an edge between points neither of which is among the other's nearest."""
    length = square(x[a], y[a], x[b], y[b])
    if length < lengths[a, -1] or length < lengths[b, -1] or _among(near, a, b) or _among(near, b, a):
        return False
    if _witness(x, y, near, lengths, a, b, length) or _witness(x, y, near, lengths, b, a, length):
        return False
    return _lune_is_empty(x, y, grid, a, b, length)


@inner
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


@inner
def _witness(x: Floats, y: Floats, near: Indices, lengths: Floats, a: int, b: int, length: float) -> bool:
    """Whether a nearest point of a lies strictly inside the lune of a and b."""
    for t in range(near.shape[1]):
        c = near[a, t]
        if lengths[a, t] < length and square(x[c], y[c], x[b], y[b]) < length:
            return True
    return False


@inner
def _closed(x: Floats, y: Floats, near: Indices, lengths: Floats, a: int) -> int:
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
