"""Exact H0 and H1 of a Vietoris-Rips filtration from distances alone: any dimension, any symmetric dissimilarity.

Edges enter one by one in the strict order; the lune of {a, b} is what both ends already have in common.

1. An empty lune: the edge merges two components, or gives birth to a class of H1.
2. Otherwise the edge is homologous to the path over any *apex* c of its lune, so every edge is, over its apex, then
   over theirs, a sum of births modulo the spanning tree: its *coordinates*, a set of births.
3. Each further component of the lune, with a member d, makes the cycle a-c-b-d a boundary: a relation, the sum of the
   coordinates of its four edges. Relations are reduced as they come; the youngest birth left in one dies there.

Edges enter in shells of growing length, and no more shells are needed once the last birth has entered (the longest
edge of the relative neighbourhood graph) and no class is alive. What does not belong here: points, and the plane,
where faces replace all of this (`betti.topology.planar`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from betti.topology._compiled import entry, inner
from betti.topology.bits import flip, has, highest, lowest_bit, words
from betti.topology.order import joined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Places = NDArray[np.int32]
    Words = NDArray[np.uint64]

__all__ = ["general_persistence", "squared_distances"]

# What `apex` says of an edge that has none; births are numbered down from _BIRTH.
_UNSEEN, _TREE, _BIRTH = -1, -2, -3
_GROWTH = 1.3  # of distance, from one shell to the next


class _State(NamedTuple):
    """All that edges leave behind as they enter.

    Attributes:
        common: a set of neighbours per vertex (n, words).
        apex: per pair of vertices, a vertex of its lune or one of the marks above (n, n).
        recent: the apex that each vertex's last edge had: likely to do again (n,).
        parents: components, as a union-find (n,).
    """

    common: Words
    apex: Places
    recent: Integers
    parents: Integers


class _Shell(NamedTuple):
    """What the edges of one shell brought, in the strict order.

    Attributes:
        merges: lengths of edges that joined components.
        births: lengths of edges that gave birth to a class.
        relations: a, b, c, d of boundaries a-c-b-d (relations, 4).
        closed: length of the edge {a, b} of each relation.
    """

    merges: Floats
    births: Floats
    relations: Integers
    closed: Floats


@entry
def squared_distances(points: Floats) -> Floats:
    """Squared Euclidean distances (n, n) of points (n, d), exactly symmetric."""
    n, dimension = points.shape
    lengths = np.zeros((n, n))
    for a in range(n):
        for b in range(a):
            total = 0.0
            for k in range(dimension):
                step = points[a, k] - points[b, k]
                total += step * step
            lengths[a, b], lengths[b, a] = total, total
    return lengths


@entry
def general_persistence(lengths: Floats, growth: float) -> tuple[Floats, Floats]:
    """H0 deaths and H1 pairs of n vertices, in units of `lengths`.

    Args:
        lengths: (n, n) symmetric, finite, zero on the diagonal, n >= 1: distances, or their squares.
        growth: above 1: a shell's greatest length over that of the shell before.

    Returns:
        Deaths of H0 (n - 1,), ascending; pairs of H1 (k, 2), pairs of zero length among them.
    """
    n = len(lengths)
    low, high, most = -1.0, _longest_neighbourhood_edge(lengths) * growth, lengths.max()
    common, apex = np.zeros((n, words(n)), np.uint64), np.full((n, n), _UNSEEN, np.int32)
    state = _State(common, apex, np.zeros(n, np.int64), np.arange(n))
    shell = _entered(lengths, low, high, state)
    merges, births = shell.merges, shell.births
    width = words(len(births))
    coordinates, place, known = np.zeros((256, width), np.uint64), np.full((n, n), -1, np.int32), 0
    reduced, row_of = np.zeros((len(births), width), np.uint64), np.full(len(births), -1, np.int64)
    pairs, found = np.empty((len(births), 2)), 0
    relation = np.zeros(width, np.uint64)
    while True:
        for r in range(len(shell.closed)):
            if found == len(births):
                break
            a, b, c, d = shell.relations[r]
            relation[:] = 0
            for p, q in ((a, c), (c, b), (b, d), (d, a)):
                coordinates, known = _resolved(apex, place, coordinates, known, p, q)
                _add(relation, apex, place, coordinates, p, q)
            youngest = _reduce(relation, reduced, row_of)
            if youngest >= 0:
                row_of[youngest] = found
                reduced[found] = relation
                pairs[found] = births[youngest], shell.closed[r]
                found += 1
        if found == len(births) or high >= most:
            return merges, pairs[:found]
        low, high = high, high * growth
        shell = _entered(lengths, low, high, state)


@inner
def _longest_neighbourhood_edge(lengths: Floats) -> float:
    """The longest edge with nothing strictly nearer to both its ends: no birth and no merge comes later."""
    n = len(lengths)
    if n == 1:
        return 0.0
    near = _nearest(lengths)
    longest = 0.0
    for a in range(n):
        longest = max(longest, lengths[a, near[a, 0]])
    for a in range(n):
        for b in range(a):
            if lengths[a, b] > longest and not _parted(lengths, near, a, b) and not _parted(lengths, near, b, a):
                for c in range(n):
                    if lengths[a, c] < lengths[a, b] and lengths[b, c] < lengths[a, b]:
                        break
                else:
                    longest = lengths[a, b]
    return longest


@inner
def _nearest(lengths: Floats) -> Integers:
    """A few nearest vertices of each, nearest first."""
    n = len(lengths)
    wanted = min(12, n - 1)
    near, best = np.empty((n, wanted), np.int64), np.full((n, wanted), np.inf)
    for a in range(n):
        for c in range(n):
            if lengths[a, c] < best[a, wanted - 1] and c != a:
                t = wanted - 1
                while t > 0 and best[a, t - 1] > lengths[a, c]:
                    best[a, t], near[a, t] = best[a, t - 1], near[a, t - 1]
                    t -= 1
                best[a, t], near[a, t] = lengths[a, c], c
    return near


@inner
def _parted(lengths: Floats, near: Integers, a: int, b: int) -> bool:
    """Whether one of the nearest vertices of a is nearer to both a and b than they are to each other."""
    for t in range(near.shape[1]):
        c = near[a, t]
        if lengths[a, c] < lengths[a, b] and lengths[b, c] < lengths[a, b]:
            return True
    return False


@inner
def _edges(lengths: Floats, low: float, high: float) -> tuple[Integers, Integers]:
    """Edges with low < length <= high, in the strict order: smaller indices, larger indices."""
    n, count = len(lengths), 0
    for i in range(n):
        for j in range(i + 1, n):
            count += low < lengths[i, j] <= high
    first, second, length = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count)
    count = 0
    for i in range(n):
        for j in range(i + 1, n):
            if low < lengths[i, j] <= high:
                first[count], second[count], length[count] = i, j, lengths[i, j]
                count += 1
    order = np.argsort(length, kind="mergesort")  # stable: ties stay in the order of their indices
    return first[order], second[order]


@inner
def _entered(lengths: Floats, low: float, high: float, state: _State) -> _Shell:
    """Let the edges with low < length <= high enter."""
    n = len(lengths)
    common, apex, recent = state.common, state.apex, state.recent
    first, second = _edges(lengths, low, high)
    merges, births = np.empty(min(n - 1, len(first))), np.empty(len(first))
    relations, closed = np.empty((64, 4), np.int64), np.empty(64)
    merged, born, related = 0, 0, 0
    lune, reached = np.zeros(common.shape[1], np.uint64), np.zeros(common.shape[1], np.uint64)
    for e in range(len(first)):
        a, b = first[e], second[e]
        if not _fill_lune(common, a, b, lune):
            if joined(state.parents, a, b):
                mark, merges[merged] = _TREE, lengths[a, b]
                merged += 1
            else:
                mark, births[born] = _BIRTH - born, lengths[a, b]
                born += 1
        else:
            mark = recent[a]
            if not has(lune, mark) or not _spans(common, lune, mark):
                mark = _nearest_in(lune, lengths, a, b)
                recent[a], recent[b] = mark, mark
                other = _leave_component(common, lune, reached, mark)
                while other >= 0:
                    if related == len(closed):
                        relations, closed = _doubled(relations), np.concatenate((closed, closed))
                    relations[related, 0], relations[related, 1] = a, b
                    relations[related, 2], relations[related, 3] = mark, other
                    closed[related] = lengths[a, b]
                    related += 1
                    other = _leave_component(common, lune, reached, other)
        apex[a, b], apex[b, a] = mark, mark
        flip(common[a], b)
        flip(common[b], a)
    return _Shell(merges[:merged], births[:born], relations[:related], closed[:related])


@inner
def _doubled(rows: Integers) -> Integers:
    """The same rows with as many free ones after them."""
    return np.concatenate((rows, rows))


@inner
def _fill_lune(common: Words, a: int, b: int, lune: Words) -> bool:
    """The common neighbours of a and b; whether there are any."""
    anything = np.uint64(0)
    for w in range(len(lune)):
        word = common[a, w] & common[b, w]
        lune[w] = word
        anything |= word
    return bool(anything != 0)


@inner
def _spans(common: Words, lune: Words, c: int) -> bool:
    """Whether every other member of the lune is a neighbour of its member c: it is connected then."""
    missed = np.uint64(0)
    for w in range(len(lune)):
        missed |= lune[w] & ~common[c, w] & ~(np.uint64(w == c >> 6) << np.uint64(c & 63))
    return bool(missed == 0)


@inner
def _nearest_in(lune: Words, lengths: Floats, a: int, b: int) -> int:
    """The member with the smallest sum of lengths to a and b: short apexes make for short recursions."""
    best, nearest = np.inf, -1
    for w in range(len(lune)):
        word = lune[w]
        while word != 0:
            c = w * 64 + lowest_bit(word)
            word &= word - np.uint64(1)
            if lengths[a, c] + lengths[b, c] < best:
                best, nearest = lengths[a, c] + lengths[b, c], c
    return nearest


@inner
def _leave_component(common: Words, lune: Words, reached: Words, c: int) -> int:
    """Take the component of c out of the lune; a member of what is left, -1 when nothing is."""
    reached[:] = 0
    flip(lune, c)
    while True:
        left = -1
        for w in range(len(lune)):
            near = lune[w] & common[c, w]
            reached[w] |= near
            lune[w] ^= near
            if lune[w] != 0:
                left = w
        c = -1
        if left >= 0:
            for w in range(len(lune)):
                if reached[w] != 0:
                    c = w * 64 + lowest_bit(reached[w])
                    break
        if c < 0:
            return -1 if left < 0 else left * 64 + lowest_bit(lune[left])
        flip(reached, c)


@inner
def _resolved(apex: Places, place: Places, coordinates: Words, known: int, a: int, b: int) -> tuple[Words, int]:
    """Give edge {a, b} its row of coordinates, and whatever edges it rests on: the rows, and how many are in use."""
    stack, depth = np.empty((64, 2), np.int64), 1
    stack[0] = a, b
    while depth > 0:
        a, b = stack[depth - 1]
        if _is_known(apex, place, a, b):
            depth -= 1
            continue
        c = apex[a, b]
        if depth + 2 > len(stack):
            stack = _doubled(stack)
        waiting = depth
        for p in (a, b):
            if not _is_known(apex, place, p, c):
                stack[depth, 0], stack[depth, 1] = p, c
                depth += 1
        if depth == waiting:
            if known == len(coordinates):
                coordinates = np.concatenate((coordinates, np.zeros_like(coordinates)))
            _add(coordinates[known], apex, place, coordinates, a, c)
            _add(coordinates[known], apex, place, coordinates, b, c)
            place[a, b], place[b, a] = known, known
            known += 1
            depth -= 1
    return coordinates, known


@inner
def _is_known(apex: Places, place: Places, a: int, b: int) -> bool:
    return bool(apex[a, b] < 0 or place[a, b] >= 0)


@inner
def _add(row: Words, apex: Places, place: Places, coordinates: Words, a: int, b: int) -> None:
    """Add the coordinates of edge {a, b} to a row: none for the tree, one for a birth, else the edge's own row."""
    mark = apex[a, b]
    if mark <= _BIRTH:
        flip(row, _BIRTH - mark)
    elif mark >= 0:
        for w in range(len(row)):
            row[w] ^= coordinates[place[a, b], w]


@inner
def _reduce(relation: Words, reduced: Words, row_of: Integers) -> int:
    """Reduce a relation by those before it; the youngest birth left in it, -1 when nothing is."""
    youngest = highest(relation, len(relation) - 1)
    while youngest >= 0 and row_of[youngest] >= 0:
        for w in range((youngest >> 6) + 1):
            relation[w] ^= reduced[row_of[youngest], w]
        youngest = highest(relation, youngest >> 6)
    return youngest
