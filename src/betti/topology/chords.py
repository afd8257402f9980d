"""When the hole of a face is filled: its shortest critical chord.

A face of the relative neighbourhood graph holds one hole of the Vietoris-Rips complex: complex and planar shadow have
the same fundamental group (Chambers, de Silva, Erickson & Ghrist 2010). The lune of a chord {a, b} falls into at most
two components, one on each side. The chord is critical when both are there and no pair across comes before {a, b}:
its triangles then close the last gap of the face. That the *shortest* critical chord inside the face is the one is
verified against other engines and not proved.

Long faces are the costly ones. A disc that contains no point, with its centre inside the face, says when to start: a
triangle around the centre has a side seen from it under at least 120 degrees, so longer than sqrt(3) radii.
What does not belong here: faces themselves, pairing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from betti.topology._compiled import compiled
from betti.topology.faces import lies_in_corner
from betti.topology.grid import lune_box
from betti.topology.neighbourhood import in_lune
from betti.topology.order import precedes, square

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from betti.topology.grid import Grid

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["filling_chord"]

_GROWTH = 2.0  # of the squared length, from one shell of chords to the next
_DISC_PAYS = 8  # the search for an empty disc pays where corners squared exceed this many times the points
_SLACK = 1e-9


@compiled
def filling_chord(
    x: Floats, y: Floats, grid: Grid, corners: Integers, longest: float, left: Integers, right: Integers
) -> float:
    """Squared length of a face's shortest critical chord; negative when there is none.

    Args:
        x, y, grid: the points.
        corners: the face's corners in order, the face on the left.
        longest: squared length of the face's longest edge; no critical chord is shorter.
        left, right: (n,), overwritten.
    """
    low, growth = longest, _GROWTH
    if len(corners) ** 2 > _DISC_PAYS * len(x):
        low = max(low, 3.0 * _empty_disc(x, y, corners) * (1 - _SLACK))
        growth = 1.1
    while True:
        high = low * growth
        a, b, lengths, beyond = _chords(x, y, corners, low, high)
        for t in np.argsort(lengths, kind="mergesort"):
            if _is_critical(x, y, grid, a[t], b[t], lengths[t], left, right):
                return float(lengths[t])
        if not beyond:
            return -1.0
        low = high


@compiled
def _chords(
    x: Floats, y: Floats, corners: Integers, low: float, high: float
) -> tuple[Integers, Integers, Floats, bool]:
    """Chords that start and end inside the face with low <= squared length < high; whether there are longer ones."""
    m = len(corners)
    room, beyond = 0, False
    for p in range(m - 2):
        a = corners[p]
        for q in range(p + 2, m):
            length = square(x[a], y[a], x[corners[q]], y[corners[q]])
            if length >= high:
                beyond = True
            elif length >= low:
                room += 1
    first, second, lengths = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    found = 0
    for p in range(m - 2 if room > 0 else 0):
        a, before_a, after_a = corners[p], corners[p - 1], corners[p + 1]
        for q in range(p + 2, m):
            b = corners[q]
            length = square(x[a], y[a], x[b], y[b])
            if not low <= length < high or not lies_in_corner(x, y, before_a, a, after_a, b):
                continue
            if lies_in_corner(x, y, corners[q - 1], b, corners[q + 1 if q + 1 < m else 0], a):
                first[found], second[found], lengths[found] = min(a, b), max(a, b), length
                found += 1
    return first[:found], second[:found], lengths[:found], beyond


@compiled
def _is_critical(
    x: Floats, y: Floats, grid: Grid, a: int, b: int, length: float, left: Integers, right: Integers
) -> bool:
    """Whether the lune of {a, b} has a component on either side.

    On one side any two points of a lune are closer than a and b; a point of the segment is so to all of it.
    """
    on_left, on_right = 0, 0
    first, last, low, high = lune_box(grid, x[a], y[a], x[b], y[b], math.sqrt(length))
    for w in range(first, last + 1):
        for m in range(grid.starts[w * grid.side + low], grid.starts[w * grid.side + high + 1]):
            c = grid.members[m]
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


@compiled
def _reaches(x: Floats, y: Floats, c: int, others: Integers, count: int, a: int, b: int, length: float) -> bool:
    """Whether an edge from c to one of the first `count` others comes before {a, b}."""
    for k in range(count):
        other = others[k]
        if precedes(square(x[c], y[c], x[other], y[other]), c, other, length, a, b):
            return True
    return False


@compiled
def _empty_disc(x: Floats, y: Floats, corners: Integers) -> float:
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
        to_u, to_v = u + (u - x[nearest]) / gap * step, v + (v - y[nearest]) / gap * step
        there, nearest_there = _nearest(x, y, to_u, to_v)
        if there > length:
            u, v, length, nearest = to_u, to_v, there, nearest_there
            if length > best and _contains(x, y, corners, u, v):
                best = length
        else:
            step *= 0.7
    return best


@compiled
def _nearest(x: Floats, y: Floats, u: float, v: float) -> tuple[float, int]:
    """Squared distance from (u, v) to the nearest point, and that point."""
    best, nearest = np.inf, 0
    for c in range(len(x)):
        length = square(x[c], y[c], u, v)
        if length < best:
            best, nearest = length, c
    return best, nearest


@compiled
def _contains(x: Floats, y: Floats, corners: Integers, u: float, v: float) -> bool:
    """Whether (u, v) is inside the face: a ray crosses its boundary an odd number of times (a dangling edge twice)."""
    inside = False
    for p in range(len(corners)):
        a, b = corners[p - 1], corners[p]
        if (y[a] > v) != (y[b] > v) and u < x[a] + (v - y[a]) * (x[b] - x[a]) / (y[b] - y[a]):
            inside = not inside
    return inside
