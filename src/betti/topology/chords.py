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
from betti.topology.order import precedes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["filling_chord"]

_GROWTH = 1.5  # of the squared length, from one shell of chords to the next
_MANY_CORNERS = 24  # from here on an empty disc pays for its search
_SLACK = 1e-9


@compiled
def filling_chord(x: Floats, y: Floats, corners: Integers, longest: float, scratch: Integers) -> float:
    """Squared length of a face's shortest critical chord; negative when there is none.

    Args:
        x, y: the points, sorted by x, then y.
        corners: the face's corners in order, the face on the left.
        longest: squared length of the face's longest edge; no critical chord is shorter.
        scratch: (2, n), overwritten.
    """
    low, growth = longest, _GROWTH
    if len(corners) >= _MANY_CORNERS:
        low = max(low, 3.0 * _empty_disc(x, y, corners) * (1 - _SLACK))
        growth = 1.1
    while True:
        high = low * growth
        a, b, squares, beyond = _chords(x, y, corners, low, high)
        for t in np.argsort(squares, kind="mergesort"):
            if _is_critical(x, y, a[t], b[t], squares[t], scratch):
                return squares[t]
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
            dx, dy = x[corners[q]] - x[a], y[corners[q]] - y[a]
            square = dx * dx + dy * dy
            if square >= high:
                beyond = True
            elif square >= low:
                room += 1
    first, second, squares = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    found = 0
    for p in range(m - 2 if room > 0 else 0):
        a, before_a, after_a = corners[p], corners[p - 1], corners[p + 1]
        for q in range(p + 2, m):
            b = corners[q]
            dx, dy = x[b] - x[a], y[b] - y[a]
            square = dx * dx + dy * dy
            if low <= square < high and lies_in_corner(x, y, before_a, a, after_a, b):
                if lies_in_corner(x, y, corners[q - 1], b, corners[q + 1 if q + 1 < m else 0], a):
                    first[found], second[found], squares[found] = min(a, b), max(a, b), square
                    found += 1
    return first[:found], second[:found], squares[:found], beyond


@compiled
def _is_critical(x: Floats, y: Floats, a: int, b: int, square: float, scratch: Integers) -> bool:
    """Whether the lune of {a, b}, a < b, has a component on either side.

    On one side any two points of a lune are closer than a and b; a point of the segment is so to all of it.
    """
    left, right = scratch[0], scratch[1]
    on_left, on_right = 0, 0
    reach = math.sqrt(square) * (1 + _SLACK)
    for step in (1, -1):
        c = a + step
        while 0 <= c < len(x) and x[b] - reach <= x[c] <= x[a] + reach:
            ax, ay = x[c] - x[a], y[c] - y[a]
            bx, by = x[c] - x[b], y[c] - y[b]
            one, other = ax * ax + ay * ay, bx * bx + by * by
            if one <= square and other <= square and c != b:
                if precedes(one, a, c, square, a, b) and precedes(other, b, c, square, a, b):
                    side = (x[b] - x[a]) * ay - (y[b] - y[a]) * ax
                    if side > 0:
                        if _reaches(x, y, c, right[:on_right], a, b, square):
                            return False
                        left[on_left] = c
                        on_left += 1
                    elif side < 0:
                        if _reaches(x, y, c, left[:on_left], a, b, square):
                            return False
                        right[on_right] = c
                        on_right += 1
                    else:
                        return False
            c += step
    return on_left > 0 and on_right > 0


@compiled
def _reaches(x: Floats, y: Floats, c: int, others: Integers, a: int, b: int, square: float) -> bool:
    """Whether an edge from c to one of the others comes before {a, b}."""
    for other in others:
        dx, dy = x[other] - x[c], y[other] - y[c]
        if precedes(dx * dx + dy * dy, c, other, square, a, b):
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
    square, nearest = _nearest(x, y, u, v)
    best = square if _contains(x, y, corners, u, v) else 0.0
    step = 0.25 * math.sqrt(square)
    for _ in range(60):
        gap = math.sqrt(square)
        if gap == 0.0:
            break
        to_u, to_v = u + (u - x[nearest]) / gap * step, v + (v - y[nearest]) / gap * step
        there, nearest_there = _nearest(x, y, to_u, to_v)
        if there > square:
            u, v, square, nearest = to_u, to_v, there, nearest_there
            if square > best and _contains(x, y, corners, u, v):
                best = square
        else:
            step *= 0.7
    return best


@compiled
def _nearest(x: Floats, y: Floats, u: float, v: float) -> tuple[float, int]:
    """Squared distance from (u, v) to the nearest point, and that point."""
    best, nearest = np.inf, 0
    for c in range(len(x)):
        dx, dy = x[c] - u, y[c] - v
        square = dx * dx + dy * dy
        if square < best:
            best, nearest = square, c
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
