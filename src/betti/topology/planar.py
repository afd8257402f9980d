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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from betti.topology._compiled import entry, inlined, inner
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

    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Batch", "planar_persistence"]


class Batch(NamedTuple):
    """The diagrams of many clouds, one after the other.

    Attributes:
        deaths: of H0, positive, ascending within a cloud (all deaths,).
        death_ends: where each cloud's deaths end (count,).
        pairs: of H1, of positive length, by birth and death within a cloud (all pairs, 2).
        pair_ends: where each cloud's pairs end (count,).
        declined: clouds that failed a check: one component left, Euler's formula, a filling chord for every face, a
            face for every birth. They have neither deaths nor pairs (count,).
    """

    deaths: Floats
    death_ends: Integers
    pairs: Floats
    pair_ends: Integers
    declined: Flags


@entry
def planar_persistence(u: Floats, v: Floats) -> Batch:
    """H0 and H1 of clouds in the plane.

    Args:
        u, v: coordinates (count, n), finite, n >= 1, each cloud of an extent whose square is a normal float.
    """
    count, n = u.shape
    deaths, pairs = (np.empty(count * n), np.empty((count * 2 * n, 2)))  # a plane graph has fewer than 3 n edges
    death_ends, pair_ends, declined = (np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.bool_))
    dead, paired = 0, 0
    for k in range(count):
        components, holes, sound = _diagrams(u[k], v[k], deaths[dead:], pairs[paired:])
        if sound:
            dead, paired = dead + components, paired + holes
        death_ends[k], pair_ends[k], declined[k] = dead, paired, not sound
    return Batch(deaths[:dead], death_ends, pairs[:paired], pair_ends, declined)


@inlined
def _diagrams(u: Floats, v: Floats, deaths: Floats, pairs: Floats) -> tuple[int, int, bool]:
    """Write the deaths and the pairs of one cloud; how many of each, and whether all checks held."""
    x, y, grid = laid_out(u, v)
    if len(x) == 1:
        return 0, 0, True
    edges = relative_neighbourhood_graph(x, y, grid)
    births = _spanning_tree(len(x), edges, deaths)
    merged = len(edges.i) - len(births)
    if merged != len(x) - 1:
        return 0, 0, False
    if len(births) == 0:
        return merged, 0, True
    faces = trace(x, y, edges)
    if not faces.plane:
        return 0, 0, False
    filled, found = _fillings(x, y, grid, edges, faces)
    holes = _pair(births, edges, faces, filled, pairs) if found else -1
    return merged, holes, holes >= 0


@inner
def _spanning_tree(n: int, edges: Edges, deaths: Floats) -> Integers:
    """Kruskal's: write the lengths of the edges that merge components; the other edges, in order."""
    parents, births = np.arange(n), np.empty(len(edges.i), np.int64)
    merged, born = 0, 0
    for e in range(len(edges.i)):
        if joined(parents, edges.i[e], edges.j[e]):
            deaths[merged] = math.sqrt(edges.length[e])
            merged += 1
        else:
            births[born] = e
            born += 1
    return births[:born]


@inlined
def _fillings(x: Floats, y: Floats, grid: Grid, edges: Edges, faces: Faces) -> tuple[Floats, bool]:
    """Squared length at which each face is filled, infinite for the outer one; whether each had a filling chord."""
    longest, filled = np.zeros(len(faces.first)), np.empty(len(faces.first))
    halves = len(faces.left)
    for half in range(halves):
        longest[faces.left[half]] = max(longest[faces.left[half]], edges.length[half >> 1])
    corners, left, right = (np.empty(halves, np.uint32), np.empty(halves, np.uint32), np.empty(halves, np.uint32))
    for face in range(len(filled)):
        filled[face] = np.inf
        if face != faces.outer:
            count = walk(edges, faces, face, corners)
            filled[face] = filling_chord(x, y, grid, corners[:count], longest[face], left, right)
            if filled[face] < 0:
                return filled, False
    return filled, True


@inner
def _pair(births: Integers, edges: Edges, faces: Faces, filled: Floats, pairs: Floats) -> int:
    """Write births and deaths of H1, in order and of positive length; how many, -1 where a birth found no face."""
    parents, free = np.arange(len(filled)), len(births)
    for k in range(len(births) - 1, -1, -1):
        e = births[k]
        one, other = (root(parents, faces.left[2 * e]), root(parents, faces.left[2 * e + 1]))
        if one == other:
            return -1
        if filled[one] > filled[other]:
            one, other = other, one
        parents[one] = other
        birth, death = math.sqrt(edges.length[e]), math.sqrt(filled[one])
        if death > birth:
            free -= 1
            pairs[free, 0], pairs[free, 1] = birth, death
    for k in range(free, len(births)):
        birth, death, t = pairs[k, 0], pairs[k, 1], k - free
        while t > 0 and pairs[t - 1, 0] == birth and pairs[t - 1, 1] > death:
            pairs[t, 1] = pairs[t - 1, 1]
            t -= 1
        pairs[t, 0], pairs[t, 1] = birth, death
        if t < k - free:
            pairs[k - free, 0] = birth
    return len(births) - free
