"""Exact H0 and H1 of the Vietoris-Rips filtration of points in the plane, without its complex.

1. An edge glues in a cone over the suspension of its lune. An empty lune merges two components or gives birth to a
   class of H1, and only then: births are the edges of the relative neighbourhood graph outside the spanning tree.
2. That graph is a plane graph, and each bounded face holds one hole, filled at the face's shortest critical chord
   (`betti.topology.chords`).
3. Taken away from the youngest to the oldest, each birth edge joins the faces on its sides, and of their two holes
   the one filled first belongs to it. The outer face is never filled. This is the elder rule seen from the dual side.

What does not belong here: clouds that are not finite, of another dimension, or out of range (`betti.topology.native`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from betti.topology._compiled import compiled
from betti.topology.chords import filling_chord
from betti.topology.faces import trace, walk
from betti.topology.grid import laid_out
from betti.topology.neighbourhood import relative_neighbourhood_graph
from betti.topology.order import joined, root

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from betti.topology.faces import Faces
    from betti.topology.grid import Grid
    from betti.topology.neighbourhood import Edges

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["planar_persistence"]


@compiled
def planar_persistence(u: Floats, v: Floats) -> tuple[Floats, Floats, bool]:
    """H0 deaths and H1 pairs of points in the plane.

    Args:
        u, v: coordinates (n,), finite, n >= 1, of an extent whose square is a normal float.

    Returns:
        Deaths of H0 (k,), ascending and positive; pairs of H1 (m, 2), by birth and death, of positive length; and
        whether all checks held: one component left, Euler's formula, a filling chord for every face, a face for every
        birth. Where they did not, the diagrams mean nothing.
    """
    x, y, grid = laid_out(u, v)
    if len(x) == 1:
        return np.empty(0), np.empty((0, 2)), True
    edges = relative_neighbourhood_graph(x, y, grid)
    merges, births = _spanning_tree(len(x), edges)
    if len(merges) != len(x) - 1:
        return merges, np.empty((0, 2)), False
    if len(births) == 0:
        return np.sqrt(merges), np.empty((0, 2)), True
    faces = trace(x, y, edges)
    if not faces.plane:
        return merges, np.empty((0, 2)), False
    filled, found = _fillings(x, y, grid, edges, faces)
    pairs, paired = _paired(births, edges, faces, filled)
    return np.sqrt(merges), pairs, found and paired


@compiled
def _spanning_tree(n: int, edges: Edges) -> tuple[Floats, Integers]:
    """Kruskal's: squared lengths of the edges that merge components, and the other edges, both in order."""
    parents = np.arange(n)
    merges, births = np.empty(n - 1), np.empty(len(edges.i), np.int64)
    merged, born = 0, 0
    for e in range(len(edges.i)):
        if joined(parents, edges.i[e], edges.j[e]):
            merges[merged] = edges.length[e]
            merged += 1
        else:
            births[born] = e
            born += 1
    return merges[:merged], births[:born]


@compiled
def _fillings(x: Floats, y: Floats, grid: Grid, edges: Edges, faces: Faces) -> tuple[Floats, bool]:
    """Squared length at which each face is filled, infinite for the outer one; whether each had a filling chord."""
    longest = np.zeros(len(faces.first))
    for half in range(len(faces.left)):
        longest[faces.left[half]] = max(longest[faces.left[half]], edges.length[half >> 1])
    filled = np.full(len(faces.first), np.inf)
    halves = len(faces.left)
    corners, left, right = np.empty(halves, np.uint32), np.empty(halves, np.uint32), np.empty(halves, np.uint32)
    for face in range(len(filled)):
        if face != faces.outer:
            count = walk(edges, faces, face, corners)
            filled[face] = filling_chord(x, y, grid, corners[:count], longest[face], left, right)
            if filled[face] < 0:
                return filled, False
    return filled, True


@compiled
def _paired(births: Integers, edges: Edges, faces: Faces, filled: Floats) -> tuple[Floats, bool]:
    """Births and deaths of H1 (k, 2), in order and of positive length; whether each birth found a face of its own."""
    parents = np.arange(len(filled))
    pairs = np.empty((len(births), 2))
    first = len(births)
    for e in births[::-1]:
        one, other = root(parents, faces.left[2 * e]), root(parents, faces.left[2 * e + 1])
        if one == other:
            return pairs[first:], False
        if filled[one] > filled[other]:
            one, other = other, one
        parents[one] = other
        birth, death = math.sqrt(edges.length[e]), math.sqrt(filled[one])
        if death > birth:
            first -= 1
            pairs[first] = birth, death
    _order_ties(pairs[first:])
    return pairs[first:], True


@compiled
def _order_ties(pairs: Floats) -> None:
    """Put pairs in the order of their births into that of their deaths where births are equal."""
    for k in range(1, len(pairs)):
        birth, death, t = pairs[k, 0], pairs[k, 1], k
        while t > 0 and pairs[t - 1, 0] == birth and pairs[t - 1, 1] > death:
            pairs[t] = pairs[t - 1]
            t -= 1
        pairs[t] = birth, death
