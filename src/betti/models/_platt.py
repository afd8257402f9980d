"""Two numbers that make a probability of a score: sigmoid(slope x score + intercept), fitted on rows with classes.

Plain numpy, so that it works where a torch model trains. What does not belong here: which scores and rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Classes = NDArray[np.int64]

__all__ = ["LEAST_SLOPE", "Platt", "independent_share"]

# A score that says nothing, or the opposite, keeps its order and little else: its probabilities are all but equal.
LEAST_SLOPE = 1e-3
STEPS, ENOUGH = 100, 1e-10


@dataclass(frozen=True)
class Platt:
    """The calibration of Platt 1999, "Probabilistic outputs for support vector machines", of scores that are log odds.

    Attributes:
        slope: of the log odds over the score, at least `LEAST_SLOPE`, so that the order of rows stays.
        intercept: log odds at a score of 0.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def chance(self, scores: Floats) -> Floats:
        """(n,) probabilities of class 1 for (n,) scores.

        >>> Platt(2.0, 0.0).chance(np.array([0.0, 1.0])).round(3).tolist()
        [0.5, 0.881]
        """
        # By the logarithm: exp of a large score overflows.
        found: Floats = np.exp(-np.logaddexp(0, -(self.slope * scores + self.intercept)))
        return found

    @classmethod
    def fitted(cls, scores: Floats, happened: Classes) -> Platt:
        """The least log loss against Platt's targets, (N+ + 1) / (N+ + 2) and 1 / (N- + 2): no row is quite sure.

        Labels of neighbouring rows overlap, so that a thousand rows may be worth a handful. They count as that many,
        in the loss and in the targets (`independent_share`), and both numbers are drawn from a normal distribution of
        deviation 1 around the scores as they are: without that, a stretch that holds two events gives a slope of 5.
        Newton's method with halved steps (Lin, Lin and Weng 2007, "A note on Platt's probabilistic outputs").

        Args:
            scores: (n,) finite log odds, rows of a market in time order.
            happened: (n,) classes 0 or 1.

        >>> rng = np.random.default_rng(0)
        >>> scores = rng.normal(0, 3, 9000)  # twice as sure as they should be
        >>> found = Platt.fitted(scores, (rng.random(9000) < 1 / (1 + np.exp(-scores / 2 - 1))).astype("int64"))
        >>> round(found.slope, 1), round(found.intercept, 1)
        (0.5, 1.0)
        """
        share = independent_share(happened)
        ones, zeros = share * happened.sum(), share * (1 - happened).sum()
        targets = np.where(happened > 0, (ones + 1) / (ones + 2), 1 / (zeros + 2))
        both = np.column_stack([scores, np.ones(len(scores))])
        slope, intercept = _least(both, targets, share, np.array([1.0, 0.0]))
        if slope >= LEAST_SLOPE:
            return cls(float(slope), float(intercept))
        (intercept,) = _least(both[:, 1:], targets, share, np.zeros(1), LEAST_SLOPE * scores)
        return cls(LEAST_SLOPE, float(intercept))


def independent_share(happened: Classes) -> float:
    """What part of n rows in order are as good as independent: (1 - r) / (1 + r), r the correlation of neighbours.

    As of a first-order autoregression (Bayley and Hammersley 1946). Rows of one class are worth one.

    >>> independent_share(np.zeros(50, dtype="int64")), round(independent_share(np.repeat([0, 1, 0, 1], 50)), 2)
    (0.02, 0.02)
    """
    one, other = happened[1:], happened[:-1]
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 1 / len(happened)
    near = max(float(np.corrcoef(one, other)[0, 1]), 0.0)
    return max((1 - near) / (1 + near), 1 / len(happened))


def _least(columns: Floats, targets: Floats, share: float, center: Floats, fixed: Floats | float = 0.0) -> Floats:
    """The (k,) weights of (n, k) columns with the least log loss against (n,) targets, each row counting `share`, and
    half the squared distance to their center.
    """

    def loss(weights: Floats) -> float:
        odds = columns @ weights + fixed
        return (
            share * float((np.logaddexp(0, odds) - targets * odds).sum()) + float(((weights - center) ** 2).sum()) / 2
        )

    weights = center
    for _ in range(STEPS):
        chance = np.exp(-np.logaddexp(0, -(columns @ weights + fixed)))
        gradient = share * columns.T @ (chance - targets) + weights - center
        if np.abs(gradient).max() < ENOUGH * len(targets):
            break
        curvature = share * (columns * (chance * (1 - chance))[:, None]).T @ columns + np.eye(len(center))
        step, part = np.linalg.solve(curvature, gradient), 1.0
        while loss(weights - part * step) > loss(weights) and part > ENOUGH:
            part /= 2
        weights = weights - part * step
    return weights
