"""The strict total order on edges that the whole engine rests on, and the union-find of its two filtrations.

An edge {i, j} is placed by (length, smaller index, larger index). Distances repeat (prices sit on ticks), and every
statement of the engine needs one answer to "which edge comes first", the same everywhere: open balls in one place and
closed ones in another lose classes. A finer filtration that breaks ties in any fixed way has the same diagrams, up to
pairs of zero length (Edelsbrunner & Harer 2010, VII.1). What does not belong here: any other
geometry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.topology._compiled import inner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.uint32]
    Integers = NDArray[np.int64]

__all__ = ["in_buckets", "joined", "precedes", "root", "square"]


@inner
def precedes(length: float, i: int, j: int, other: float, k: int, m: int) -> bool:
    """Whether edge {i, j} of this length comes strictly before edge {k, m} of the other."""
    if length != other:
        return length < other
    if i > j:
        i, j = j, i
    if k > m:
        k, m = m, k
    return i < k or (i == k and j < m)


@inner
def square(ax: float, ay: float, bx: float, by: float) -> float:
    """The squared distance of two points of the plane: the length by which edges are ordered, the same from b to a."""
    dx, dy = ax - bx, ay - by
    return dx * dx + dy * dy


@inner
def root(parents: Integers, member: int) -> int:
    """The representative of a member's set; shortens the path it walks."""
    while parents[member] != member:
        parents[member] = parents[parents[member]]
        member = parents[member]
    return member


@inner
def joined(parents: Integers, one: int, other: int) -> bool:
    """Join two members' sets; whether they were apart."""
    i, j = root(parents, one), root(parents, other)
    parents[i] = j
    return i != j


@inner
def in_buckets(values: Floats) -> Indices:
    """The places of positive values, in buckets of ascending value: sorted but for neighbours.

    A bucket holds the values with the same leading bits, as many bits as make about two buckets a value.
    """
    count = len(values)
    order, bits = np.empty(count, np.uint32), values.view(np.int64)
    if count == 0:
        return order
    lowest, highest = bits[0], bits[0]
    for k in range(count):
        lowest, highest = min(lowest, bits[k]), max(highest, bits[k])
    shift = 0
    while (highest - lowest) >> shift > 2 * count:
        shift += 1
    filled = np.zeros(((highest - lowest) >> shift) + 2, np.int64)
    for k in range(count):
        filled[((bits[k] - lowest) >> shift) + 1] += 1
    for k in range(1, len(filled)):
        filled[k] += filled[k - 1]
    for k in range(count):
        bucket = (bits[k] - lowest) >> shift
        order[filled[bucket]] = k
        filled[bucket] += 1
    return order
