"""From probabilities to decisions: which class is acted on, and the position that follows.

The one place that reads the decision threshold, so that precision and trading speak of the same rows. What does not
belong here: fills, costs and returns (`trading`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NOTHING", "decided", "positions"]

NOTHING = -1


def decided(probabilities: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """(n,) the class that is acted on, or -1.

    Two classes: class 1 where its probability reaches the threshold. More: the single most probable class where its
    probability reaches the threshold and it is not the neutral middle one; a tie for the largest decides nothing.

    >>> decided(np.array([[0.2, 0.2, 0.6], [0.6, 0.4, 0.0], [0.4, 0.2, 0.4], [0.1, 0.8, 0.1]]), 0.5).tolist()
    [2, 0, -1, -1]
    >>> decided(np.array([[0.7, 0.3], [0.5, 0.5]]), 0.3).tolist()
    [1, 1]
    """
    classes = probabilities.shape[1]
    if classes == 2:
        return np.where(probabilities[:, 1] >= threshold, 1, NOTHING)
    largest = probabilities.max(axis=1)
    single = (probabilities == largest[:, None]).sum(axis=1) == 1
    chosen = probabilities.argmax(axis=1)
    neutral = (chosen == classes // 2) & (classes % 2 == 1)
    return np.where(single & ~neutral & (largest >= threshold), chosen, NOTHING)


def positions(
    probabilities: NDArray[np.float64], threshold: float, side: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """(n,) position in units of capital: 1 long, -1 short, 0 neutral.

    Args:
        probabilities: (n, classes). Of more than two, those below the middle are short, those above it long.
        threshold: probability at which a class is acted on, see `decided`.
        side: (n,) 1, -1 or 0: the direction that a trade on class 1 of a two-class target takes. Without it, or where
            it is NaN, nothing is traded: that a thing happens does not say which way. More classes carry their own, and
            where a side is given it turns them: a target may say how the market moves beside its context.

    >>> positions(np.array([[0.2, 0.2, 0.6], [0.6, 0.4, 0.0], [0.1, 0.8, 0.1]]), 0.5).tolist()
    [1.0, -1.0, 0.0]
    """
    chosen, classes = decided(probabilities, threshold), probabilities.shape[1]
    if classes == 2:
        taken = np.zeros(len(chosen)) if side is None else np.nan_to_num(side)
    else:
        taken = np.sign(2.0 * chosen - (classes - 1)) * (1.0 if side is None else np.nan_to_num(side))
    return np.where(chosen == NOTHING, 0.0, taken)
