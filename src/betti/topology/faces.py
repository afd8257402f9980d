"""The faces of a plane graph drawn with straight edges, and Euler's formula as its proof of planarity.

Edge e is two half-edges, 2e from its smaller to its larger end and 2e + 1 back. A half-edge bounds the face on its
left; the next one round that face is the first clockwise from its twin, at its head. What does not belong here: how
the graph came to be, homology.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from betti.topology._compiled import inner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from betti.topology.neighbourhood import Edges

    Floats = NDArray[np.float64]
    Indices = NDArray[np.uint32]
    Integers = NDArray[np.int64]

__all__ = ["Faces", "leads_inside", "trace", "walk"]


class Faces(NamedTuple):
    """The faces of a graph.

    Attributes:
        first: a half-edge of each face (faces,).
        following: the next half-edge round the same face (half-edges,).
        left: the face on the left of each half-edge (half-edges,).
        outer: the unbounded face.
        plane: whether V - E + F = 2, as for a connected graph that is drawn without crossings.
    """

    first: Integers
    following: Integers
    left: Integers
    outer: int
    plane: bool


@inner
def trace(x: Floats, y: Floats, edges: Edges) -> Faces:
    """The faces of a connected graph with no two edges in one direction at a vertex."""
    starts, leaving, place = _star(x, y, edges)
    halves = len(leaving)
    following = np.empty(halves, np.int64)
    for half in range(halves):
        twin = half ^ 1
        v = edges.i[twin >> 1] if twin % 2 == 0 else edges.j[twin >> 1]
        clockwise = place[twin] - 1
        following[half] = leaving[clockwise if clockwise >= starts[v] else starts[v + 1] - 1]
    left, first = np.empty(halves, np.int64), np.empty(halves, np.int64)
    for half in range(halves):
        left[half] = -1
    count = 0
    for half in range(halves):
        if left[half] < 0:
            first[count] = half
            while left[half] < 0:
                left[half] = count
                half = following[half]
            count += 1
    # All others lie to the right of the leftmost point, above it at the same x: beyond its steepest edge is nothing.
    most = 0
    for v in range(1, len(x)):
        if x[v] < x[most] or (x[v] == x[most] and y[v] < y[most]):
            most = v
    outer = left[leaving[starts[most + 1] - 1]]
    return Faces(first[:count], following, left, outer, len(x) - len(edges.i) + count == 2)


@inner
def _star(x: Floats, y: Floats, edges: Edges) -> tuple[Integers, Integers, Integers]:
    """Half-edges leaving each vertex, counterclockwise from the left: leaving[starts[v] : starts[v + 1]] at vertex v.

    The third array is a half-edge's place in `leaving`.
    """
    count = len(edges.i)
    starts = np.zeros(len(x) + 1, np.int64)
    for e in range(count):
        starts[edges.i[e] + 1] += 1
        starts[edges.j[e] + 1] += 1
    filled = np.empty(len(x), np.int64)
    for v in range(len(x)):
        filled[v] = starts[v]
        starts[v + 1] += starts[v]
    leaving, angles, place = (np.empty(2 * count, np.int64), np.empty(2 * count), np.empty(2 * count, np.int64))
    for half in range(2 * count):
        e = half >> 1
        tail, head = (edges.i[e], edges.j[e]) if half % 2 == 0 else (edges.j[e], edges.i[e])
        angle = _turn(x[head] - x[tail], y[head] - y[tail])
        p = filled[tail]
        filled[tail] += 1
        while p > starts[tail] and angles[p - 1] > angle:
            angles[p], leaving[p] = angles[p - 1], leaving[p - 1]
            p -= 1
        angles[p], leaving[p] = angle, half
    for p in range(2 * count):
        place[leaving[p]] = p
    return starts, leaving, place


@inner
def _turn(dx: float, dy: float) -> float:
    """Grows with the angle of (dx, dy) over (-pi, pi], from -2 to 2, without trigonometry."""
    share = dy / (abs(dx) + abs(dy))
    if dx >= 0:
        return share
    return 2.0 - share if dy >= 0 else -2.0 - share


@inner
def walk(edges: Edges, faces: Faces, face: int, corners: Indices) -> int:
    """Write the vertices round a face into `corners`, in order; how many corners it has.

    A vertex comes once for each of its corners: twice where the boundary passes it twice, as at a dangling edge.
    """
    half = faces.first[face]
    count = 0
    while True:
        corners[count] = edges.i[half >> 1] if half % 2 == 0 else edges.j[half >> 1]
        count += 1
        half = faces.following[half]
        if half == faces.first[face]:
            return count


@inner
def leads_inside(u: Floats, v: Floats, at: int, towards: int) -> bool:
    """Whether the direction from one corner of a face towards another leads into the face, on the left of its corners.

    Args:
        u, v: coordinates of the corners in order: the angle at one runs counterclockwise from the next to the last.
        at, towards: places of corners.
    """
    before, after = (at if at > 0 else len(u)) - 1, at + 1 if at + 1 < len(u) else 0
    ax, ay = u[after] - u[at], v[after] - v[at]
    bx, by = u[before] - u[at], v[before] - v[at]
    tx, ty = u[towards] - u[at], v[towards] - v[at]
    opening = ax * by - ay * bx
    from_after, to_before = ax * ty - ay * tx, tx * by - ty * bx
    if opening > 0:
        return bool(from_after > 0 and to_before > 0)
    if opening < 0:
        return bool(from_after > 0 or to_before > 0)
    if ax * bx + ay * by < 0:  # a straight angle
        return bool(from_after > 0)
    return not (from_after == 0 and ax * tx + ay * ty > 0)  # the tip of a dangling edge
