"""How far the diagrams moved since the window one stride earlier: 1-Wasserstein distances, a detector of change.

Every pair of one diagram is matched with a pair of the other, at the larger of the differences in birth and in death,
or with the diagonal, at half its length; the distance is the least sum of costs. The convention is giotto-tda's
(`PairwiseDistance`, exponent 1), which approximates; here it is exact. Exponent 1, because sums of small moves count,
and because H0 then needs no matching. What does not belong here: which window is the earlier one.

**H1** is an assignment problem (`_by_assignment`).

**H0** has up to a pair per point, all born at 0. A pair is a death x > 0; two cost |x - y|, the diagonal x / 2. By
Kantorovich's duality for partial transport (Figalli and Gigli 2010; Divol and Lacombe 2021) the distance is the
maximum of sum f(x) over the one diagram less sum f(y) over the other, over f with slopes within [-1, 1] and
|f(x)| <= x / 2. Go through all deaths in ascending order. Let V(v) be the largest sum so far with f = v at the present
death: a concave function on [-x/2, x/2] with integer slopes.

* From a death to the next, d higher, V becomes its maximum over [v - d, v + d]: breakpoints left of its peak move left
  by d, those right of it move right by d, and the peak keeps its height.
* The domain grows by d / 2 a side, more slowly: a breakpoint that it overtakes acts from then on at its end, where
  the slope changes as often as is needed.
* A death of the one diagram adds v: the first breakpoint to the right of the peak becomes the first to its left, and
  the height grows by that breakpoint. A death of the other diagram mirrors this.

So only the ends of two stacks are touched (`_by_stacks`): n log n for the sort, and n steps. Read as a matching: a
death x pays the diagonal x / 2, or takes the partner y that was added last on the other side, pays x - y, and has
refunded what y's step had cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from betti.topology.descriptors._diagrams import HOMOLOGY, of_dimension, rows

if TYPE_CHECKING:
    from betti.topology.descriptors._diagrams import Diagrams, Floats

__all__ = ["LOOKS_BACK", "columns", "numbers"]

LOOKS_BACK = True


def columns(_bins: int) -> tuple[str, ...]:
    """One distance per homology dimension; the same on every grid."""
    return tuple(f"h{h}" for h in HOMOLOGY)


def numbers(diagrams: Diagrams, before: Diagrams, _grid: Floats) -> Floats:
    """1-Wasserstein distances (count, 2) in units of distance; 0 between equal diagrams, empty ones among them."""
    components = zip(of_dimension(diagrams, 0), of_dimension(before, 0), strict=True)
    holes = zip(of_dimension(diagrams, 1), of_dimension(before, 1), strict=True)
    return np.concatenate(
        [
            rows([np.array([_by_stacks(now[:, 1], then[:, 1])]) for now, then in components], 1),
            rows([np.array([_by_assignment(now, then)]) for now, then in holes], 1),
        ],
        axis=1,
    )


def _by_stacks(ours: Floats, theirs: Floats) -> float:
    """The distance of two diagrams that are born at 0, from their deaths (n,) and (m,).

    The stacks hold the breakpoints right and left of the peak, innermost last, the left ones mirrored. A breakpoint's
    place is its entry plus the present death, but not beyond the end of the domain, half the present death.
    """
    deaths, signs = _surplus(ours, theirs)
    right: list[float] = []
    left: list[float] = []
    height = 0.0
    for death, sign in zip(deaths.tolist(), signs.tolist(), strict=True):
        source, target = (right, left) if sign > 0 else (left, right)
        place = min(source.pop() + death, death / 2) if source else death / 2
        target.append(-place - death)
        height += place
    return max(height, 0.0)  # rounding alone goes below


def _surplus(ours: Floats, theirs: Floats) -> tuple[Floats, Floats]:
    """Deaths in ascending order with the sign of their diagram, less those that both have.

    The duality sees only the difference of the two, so equal deaths cancel, and equal diagrams are at distance 0.
    """
    values, which = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
    sides = np.repeat([1.0, -1.0], [len(ours), len(theirs)])
    balance = np.bincount(which, weights=sides, minlength=len(values))
    times = np.abs(balance).astype(np.int64)
    return np.repeat(values, times), np.repeat(balance, times)


def _by_assignment(ours: Floats, theirs: Floats) -> float:
    """The distance of two diagrams (n, 2) and (m, 2).

    Each pair of the smaller diagram gets its own partner in the larger; the two are matched, or both go to the
    diagonal, whichever costs less. What a partner saves its own way to the diagonal is taken off, and the pairs
    without a partner pay theirs. This loses no matching, because a pair that goes to the diagonal always finds a
    partner left that does so too, and is half the size of the usual square problem a side.
    """
    few, many = sorted((ours, theirs), key=len)
    alone_few, alone_many = ((side[:, 1] - side[:, 0]) / 2 for side in (few, many))
    matched = np.abs(few[:, None] - many[None]).max(axis=2)
    costs = np.minimum(matched, alone_few[:, None] + alone_many)
    chosen_few, chosen_many = linear_sum_assignment(costs - alone_many)
    left_over = np.ones(len(many), dtype=bool)
    left_over[chosen_many] = False
    # Summed from the costs themselves: those handed to the solver have lost digits to the subtraction.
    return float(costs[chosen_few, chosen_many].sum() + alone_many[left_over].sum())
