"""Chords of faces by brute force: the lemma that corners answer for a lune, and the shortest critical chord."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numba
import numpy as np
import pytest

from betti.topology import chords, faces
from betti.topology.grid import Grid, laid_out
from betti.topology.neighbourhood import Edges, relative_neighbourhood_graph
from tests.unit.topology.clouds import MAKERS, circle, closes, cloud, delayed

BLOCK = 23  # kinds of clouds


class Face(NamedTuple):
    """A bounded face of the relative neighbourhood graph, with all points of its cloud."""

    x: np.ndarray
    y: np.ndarray
    grid: Grid
    corners: np.ndarray
    longest: float


class Chord(NamedTuple):
    """Points a and b, the squared length, and which points are in the lune on the left and on the right."""

    a: int
    b: int
    length: float
    on_left: np.ndarray
    on_right: np.ndarray
    on_the_line: np.ndarray


# Doors into compiled code that has none of its own.


@numba.njit
def grid_of(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, Grid]:
    return laid_out(u, v)


@numba.njit
def graph_of(x: np.ndarray, y: np.ndarray, grid: Grid) -> tuple[Edges, faces.Faces]:
    edges = relative_neighbourhood_graph(x, y, grid)
    return edges, faces.trace(x, y, edges)


@numba.njit
def walk(edges: Edges, found: faces.Faces, face: int, corners: np.ndarray) -> int:
    return faces.walk(edges, found, face, corners)


@numba.njit
def leads_inside(u: np.ndarray, v: np.ndarray, at: int, towards: int) -> bool:
    return faces.leads_inside(u, v, at, towards)


@numba.njit
def filling_chord(
    x: np.ndarray,
    y: np.ndarray,
    grid: Grid,
    corners: np.ndarray,
    longest: float,
    left: np.ndarray,
    right: np.ndarray,
) -> float:
    return chords.filling_chord(x, y, grid, corners, longest, left, right)


def faces_of(points: np.ndarray) -> Iterator[Face]:
    x, y, grid = grid_of(points[:, 0].copy(), points[:, 1].copy())
    if len(x) < 3:
        return
    edges, found = graph_of(x, y, grid)
    room = np.empty(len(found.left), np.uint32)
    for face in range(len(found.first)):
        if face != found.outer:
            corners = room[: walk(edges, found, face, room)].copy()
            longest = np.repeat(edges.length, 2)[found.left == face].max()
            yield Face(x, y, grid, corners, float(longest))


def before(lengths: np.ndarray, i: np.ndarray, j: np.ndarray, length: float, a: int, b: int) -> np.ndarray:
    """Which edges {i, j} come before {a, b} in the strict order."""
    low, high = np.minimum(i, j), np.maximum(i, j)
    ties = (lengths == length) & ((low < min(a, b)) | ((low == min(a, b)) & (high < max(a, b))))
    return (lengths < length) | ties


def squares(face: Face, to: int) -> np.ndarray:
    dx, dy = face.x - face.x[to], face.y - face.y[to]
    return dx * dx + dy * dy


def chord(face: Face, a: int, b: int) -> Chord:
    every = np.arange(len(face.x))
    to_a, to_b = squares(face, a), squares(face, b)
    length = float(to_a[b])
    lune = before(to_a, every, a, length, a, b) & before(to_b, every, b, length, a, b) & (every != a) & (every != b)
    side = (face.x[b] - face.x[a]) * (face.y - face.y[a]) - (face.y[b] - face.y[a]) * (face.x - face.x[a])
    return Chord(a, b, length, lune & (side > 0), lune & (side < 0), lune & (side == 0))


def chords_of(face: Face) -> Iterator[Chord]:
    u, v = face.x[face.corners], face.y[face.corners]
    for p in range(len(u)):
        for q in range(p + 2, len(u)):
            if leads_inside(u, v, p, q) and leads_inside(u, v, q, p):
                yield chord(face, int(face.corners[p]), int(face.corners[q]))


def halves_without_a_corner(face: Face, found: Chord, corners: np.ndarray) -> int:
    """How many halves of a lune hold a point and none of these corners."""
    among = np.isin(np.arange(len(face.x)), corners)
    return sum(bool(half.any() and not (half & among).any()) for half in (found.on_left, found.on_right))


def is_critical(face: Face, found: Chord) -> bool:
    """Both halves are occupied, no point lies between the ends, and no edge across comes before the chord."""
    if not found.on_left.any() or not found.on_right.any() or found.on_the_line.any():
        return False
    others = np.flatnonzero(found.on_right)
    return not any(
        before(squares(face, int(c))[others], np.full(len(others), c), others, found.length, found.a, found.b).any()
        for c in np.flatnonzero(found.on_left)
    )


def windows() -> list[np.ndarray]:
    """Delay clouds of real closes, as they are and on a coarse tick: many points on few places."""
    found = []
    for symbol, start, delay, tick in [("NASDAQ", 0, 5, 0), ("NASDAQ", 2500, 12, 20), ("SP500", 900, 5, 5)]:
        piece = closes(symbol)[start : start + 180]
        found.append(delayed(np.round(piece / tick) * tick if tick else piece, delay))
    return found


# --- the lemma


@pytest.mark.parametrize("block", range(5))
def test_a_half_of_a_lune_that_holds_a_point_holds_a_corner(block: int) -> None:
    assert len(MAKERS) == BLOCK
    occupied = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        kind, points = cloud(seed)
        for face in faces_of(points):
            for found in chords_of(face):
                occupied += found.on_left.any() + found.on_right.any()
                assert halves_without_a_corner(face, found, face.corners) == 0, f"cloud({seed}), {kind}: {found}"
    assert occupied > 2000


@pytest.mark.parametrize("which", range(3))
def test_the_lemma_holds_for_windows_of_real_closes(which: int) -> None:
    occupied = 0
    for face in faces_of(windows()[which]):
        for found in chords_of(face):
            occupied += found.on_left.any() + found.on_right.any()
            assert halves_without_a_corner(face, found, face.corners) == 0, found
    assert occupied > 300


def test_the_check_sees_a_half_without_a_corner() -> None:
    """With every other corner forgotten the lemma fails, and the check says so."""
    missed = 0
    for seed in range(BLOCK):
        for face in faces_of(cloud(seed)[1]):
            missed += sum(halves_without_a_corner(face, found, face.corners[::2]) for found in chords_of(face))
    assert missed > 100


# --- the shortest critical chord


def filled(face: Face) -> float:
    room = max(len(face.corners), len(face.x))
    left, right = np.empty(room, np.uint32), np.empty(room, np.uint32)
    return float(filling_chord(face.x, face.y, face.grid, face.corners, face.longest, left, right))


def shortest(face: Face) -> float:
    return min(found.length for found in chords_of(face) if is_critical(face, found))


@pytest.mark.parametrize("block", range(5))
def test_a_face_is_filled_at_its_shortest_critical_chord(block: int) -> None:
    """Of all chords by brute force: also of those that are shorter than the face's longest edge."""
    count = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        kind, points = cloud(seed)
        for face in faces_of(points):
            count += 1
            assert filled(face) == shortest(face), f"cloud({seed}), {kind}"
    assert count > 50


@pytest.mark.parametrize("noise", [0.0, 1e-9, 0.02])
def test_a_long_face_is_filled_at_its_shortest_critical_chord(noise: float) -> None:
    """A face of more corners than the root of eight times the points: its search starts from an empty disc."""
    (face,) = (found for found in faces_of(circle(90, noise)) if len(found.corners) > 60)
    assert len(face.corners) ** 2 > 8 * len(face.x)
    assert filled(face) == shortest(face)


def test_a_face_without_a_critical_chord_says_so() -> None:
    """Three corners are no face of such a graph: no chord is left to ask."""
    x, y, grid = grid_of(np.array([0.0, 1.0, 0.5]), np.array([0.0, 0.0, 0.9]))
    assert filled(Face(x, y, grid, np.arange(3, dtype=np.uint32), 1.0)) == -1.0
