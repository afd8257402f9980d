"""The strict total order on edges that the whole engine rests on, and the union-find of its two filtrations.

An edge {i, j} is placed by (length, smaller index, larger index). Distances repeat (prices sit on ticks), and every
statement of the engine needs one answer to "which edge comes first", the same everywhere: open balls in one place and
closed ones in another lose classes. A finer filtration that breaks ties in any fixed way has the same diagrams, up to
pairs of zero length (Edelsbrunner & Harer 2010, VII.1). What does not belong here: any other
geometry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.topology._compiled import compiled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

__all__ = ["joined", "precedes", "root", "square"]


@compiled
def precedes(length: float, i: int, j: int, other: float, k: int, m: int) -> bool:
    """Whether edge {i, j} of this length comes strictly before edge {k, m} of the other."""
    if length != other:
        return length < other
    if i > j:
        i, j = j, i
    if k > m:
        k, m = m, k
    return i < k or (i == k and j < m)


@compiled
def square(ax: float, ay: float, bx: float, by: float) -> float:
    """The squared distance of two points of the plane: the length by which edges are ordered, the same from b to a."""
    dx, dy = ax - bx, ay - by
    return dx * dx + dy * dy


@compiled
def root(parents: Integers, member: int) -> int:
    """The representative of a member's set; shortens the path it walks."""
    while parents[member] != member:
        parents[member] = parents[parents[member]]
        member = parents[member]
    return member


@compiled
def joined(parents: Integers, one: int, other: int) -> bool:
    """Join two members' sets; whether they were apart."""
    i, j = root(parents, one), root(parents, other)
    parents[i] = j
    return i != j
