"""When the hole of a face is filled: its shortest critical chord.

A face of the relative neighbourhood graph holds one hole of the Vietoris-Rips complex: complex and planar shadow have
the same fundamental group (Chambers, de Silva, Erickson & Ghrist 2010). The lune of a chord {a, b} falls into at most
two components, one on each side. The chord is critical when both are there and no pair across comes before {a, b}:
its triangles then close the last gap of the face. That the *shortest* critical chord inside the face is the one is
verified against other engines and not proved.

Most chords are refused by the face's corners alone. *A half of the lune that holds a point holds a corner.* Proof: let
c be the point and no corner. The boundary of the face parts it from the chord, within the triangle abc. A vertex of
that boundary inside the triangle is closer to a and b than they are to each other. Otherwise an edge pq crosses ca
and cb. Its own lune is empty, so c is no closer to p or no closer to q than pq: say cp >= pq. Diagonals of a convex
quadrilateral are longer together than two opposite sides: pq + ca > cp + qa gives qa < ca, and pq + cb > cp + qb gives
qb < cb, so q is in the lune. Points of a lune lie over the chord and no edge crosses it: q is on the side of c.

Long faces are the costly ones. A disc that contains no point, with its centre inside the face, says when to start: a
triangle around the centre has a side seen from it under at least 120 degrees, so longer than sqrt(3) radii.
What does not belong here: faces themselves, pairing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from betti.topology._compiled import inlined, inner
from betti.topology.faces import leads_inside
from betti.topology.grid import lune_box
from betti.topology.neighbourhood import in_lune
from betti.topology.order import in_buckets, precedes, square

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from betti.topology.grid import Grid

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Indices = NDArray[np.uint32]

__all__ = ["filling_chord"]

_GROWTH = 2.0  # of the squared length, from one shell of chords to the next
_DISC_PAYS = 8  # the search for an empty disc pays where corners squared exceed this many times the points
_SLACK = 1e-9


@inlined
def filling_chord(
    x: Floats, y: Floats, grid: Grid, corners: Indices, longest: float, left: Indices, right: Indices
) -> float:
    """Squared length of a face's shortest critical chord; negative when there is none.

    Args:
        x, y, grid: the points.
        corners: the face's corners in order, the face on the left.
        longest: squared length of the face's longest edge; no critical chord is shorter.
        left, right: as long as corners or points, whichever are more; overwritten.
    """
    low, growth = longest, _GROWTH
    if len(corners) ** 2 > _DISC_PAYS * len(x):
        low = max(low, 3.0 * _empty_disc(x, y, corners) * (1 - _SLACK))
        growth = 1.1
    u, v, farther = (np.empty(len(corners)), np.empty(len(corners)), np.empty(len(corners)))
    for k in range(len(corners)):
        u[k], v[k] = x[corners[k]], y[corners[k]]
    while True:
        high = low * growth
        starts, ends, lengths, beyond = _chords(u, v, low, high)
        for t in _ascending(lengths):
            p, q, length = starts[t], ends[t], lengths[t]
            if _is_flanked(u, v, corners, p, q, length, farther, left, right) and _is_critical(
                x, y, grid, corners[p], corners[q], length, left, right
            ):
                return float(length)
        if not beyond:
            return -1.0
        low = high


@inner
def _ascending(values: Floats) -> Indices:
    """The places of positive values in ascending order."""
    order = in_buckets(values)
    for p in range(1, len(order)):
        place, q = order[p], p
        while q > 0 and values[order[q - 1]] > values[place]:
            order[q] = order[q - 1]
            q -= 1
        order[q] = place
    return order


@inner
def _chords(u: Floats, v: Floats, low: float, high: float) -> tuple[Indices, Indices, Floats, bool]:
    """Chords that start and end inside the face with low <= squared length < high; whether there are longer ones.

    Args:
        u, v: coordinates of the face's corners in order.
        low, high: bounds of the squared length.

    Returns:
        Places of the first and the second corner in order, squared lengths, and whether there are longer chords.
    """
    m = len(u)
    room, beyond = 0, False
    for p in range(m - 2):
        pu, pv = u[p], v[p]
        for q in range(p + 2, m):
            length = square(pu, pv, u[q], v[q])
            room += low <= length < high
            beyond |= length >= high
    first, second, lengths = (np.empty(room, np.uint32), np.empty(room, np.uint32), np.empty(room))
    found = 0
    for p in range(m - 2 if room > 0 else 0):
        pu, pv = u[p], v[p]
        for q in range(p + 2, m):
            length = square(pu, pv, u[q], v[q])
            if low <= length < high and leads_inside(u, v, p, q) and leads_inside(u, v, q, p):
                first[found], second[found], lengths[found] = p, q, length
                found += 1
    return first[:found], second[:found], lengths[:found], beyond


@inner
def _is_flanked(
    u: Floats,
    v: Floats,
    corners: Indices,
    p: int,
    q: int,
    length: float,
    farther: Floats,
    left: Indices,
    right: Indices,
) -> bool:
    """Whether both halves of a chord's lune hold corners, no two across closer than its ends.

    Args:
        u, v: coordinates of the face's corners in order.
        corners: the corners.
        p, q: places of the chord's ends among them.
        length: its squared length.
        farther, left, right: overwritten.
    """
    a, b, pu, pv, qu, qv = corners[p], corners[q], u[p], v[p], u[q], v[q]
    for k in range(len(corners)):  # without branches: compiled to vector instructions
        farther[k] = max(square(pu, pv, u[k], v[k]), square(qu, qv, u[k], v[k]))
    on_left, on_right = 0, 0
    for k in range(len(corners)):
        c, ku, kv = corners[k], u[k], v[k]
        if farther[k] > length or c in (a, b):
            continue
        if not in_lune(a, b, length, c, square(pu, pv, ku, kv), square(qu, qv, ku, kv)):
            continue
        if (qu - pu) * (kv - pv) - (qv - pv) * (ku - pu) > 0:
            if _corners_reach(u, v, corners, k, right, on_right, a, b, length):
                return False
            left[on_left] = k
            on_left += 1
        else:
            if _corners_reach(u, v, corners, k, left, on_left, a, b, length):
                return False
            right[on_right] = k
            on_right += 1
    return on_left > 0 and on_right > 0


@inner
def _corners_reach(
    u: Floats, v: Floats, corners: Indices, k: int, others: Indices, count: int, a: int, b: int, length: float
) -> bool:
    """Whether an edge from corner k to one of the first `count` others comes before {a, b}."""
    for t in range(count):
        other = others[t]
        if precedes(square(u[k], v[k], u[other], v[other]), corners[k], corners[other], length, a, b):
            return True
    return False


@inner
def _is_critical(
    x: Floats, y: Floats, grid: Grid, a: int, b: int, length: float, left: Indices, right: Indices
) -> bool:
    """Whether the lune of {a, b} has a component on either side.

    On one side any two points of a lune are closer than a and b; a point of the segment is so to all of it.
    """
    on_left, on_right = 0, 0
    first, last, low, high = lune_box(grid, x[a], y[a], x[b], y[b], math.sqrt(length))
    for w in range(first, last + 1):
        for c in range(grid.starts[w * grid.rows + low], grid.starts[w * grid.rows + high + 1]):
            to_a, to_b = square(x[a], y[a], x[c], y[c]), square(x[b], y[b], x[c], y[c])
            if c in (a, b) or not in_lune(a, b, length, c, to_a, to_b):
                continue
            side = (x[b] - x[a]) * (y[c] - y[a]) - (y[b] - y[a]) * (x[c] - x[a])
            if side > 0:
                if _reaches(x, y, c, right, on_right, a, b, length):
                    return False
                left[on_left] = c
                on_left += 1
            elif side < 0:
                if _reaches(x, y, c, left, on_left, a, b, length):
                    return False
                right[on_right] = c
                on_right += 1
            else:
                return False
    return on_left > 0 and on_right > 0


@inner
def _reaches(x: Floats, y: Floats, c: int, others: Indices, count: int, a: int, b: int, length: float) -> bool:
    """Whether an edge from c to one of the first `count` others comes before {a, b}."""
    for k in range(count):
        other = others[k]
        if precedes(square(x[c], y[c], x[other], y[other]), c, other, length, a, b):
            return True
    return False


@inner
def _empty_disc(x: Floats, y: Floats, corners: Indices) -> float:
    """Squared radius of a disc without points whose centre is inside the face; 0 when none was found.

    Starts at the mean of the corners and steps away from the nearest point, by less and less, while that helps.
    """
    u, v = 0.0, 0.0
    for c in corners:
        u += x[c] / len(corners)
        v += y[c] / len(corners)
    length, nearest = _nearest(x, y, u, v)
    best = length if _contains(x, y, corners, u, v) else 0.0
    step = 0.25 * math.sqrt(length)
    for _ in range(60):
        gap = math.sqrt(length)
        if gap == 0.0:
            break
        to_u, to_v = (u + (u - x[nearest]) / gap * step, v + (v - y[nearest]) / gap * step)
        there, nearest_there = _nearest(x, y, to_u, to_v)
        if there > length:
            u, v, length, nearest = to_u, to_v, there, nearest_there
            if length > best and _contains(x, y, corners, u, v):
                best = length
        else:
            step *= 0.7
    return best


@inner
def _nearest(x: Floats, y: Floats, u: float, v: float) -> tuple[float, int]:
    """Squared distance from (u, v) to the nearest point, and that point."""
    best, nearest = np.inf, 0
    for c in range(len(x)):
        length = square(x[c], y[c], u, v)
        if length < best:
            best, nearest = length, c
    return best, nearest


@inner
def _contains(x: Floats, y: Floats, corners: Indices, u: float, v: float) -> bool:
    """Whether (u, v) is inside the face: a ray crosses its boundary an odd number of times (a dangling edge twice)."""
    inside = False
    for p in range(len(corners)):
        a, b = corners[p - 1], corners[p]
        if (y[a] > v) != (y[b] > v) and u < x[a] + (v - y[a]) * (x[b] - x[a]) / (y[b] - y[a]):
            inside = not inside
    return inside
