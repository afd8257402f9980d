"""Choosing the delay and the dimension of an embedding from a series, once, before anything is trained on it.

The delay is the first minimum of the mutual information between a value and the one `delay` later (Fraser & Swinney
1986); the dimension is the first in which few neighbours are false (Kennel, Brown & Abarbanel 1992). Both are measured
on windows standardised as the features standardise theirs, since those are what is embedded. A whole series is one
window: `series[None]`.

What comes out on markets. A standardised window of a random walk loses information slowly and steadily: there is no
minimum that is the market's own. Standardising itself bends the curve up again at about a quarter of the window, so
delays are tried up to a sixth of it, and the delay is then where the information has fallen to 1 / e: a convention,
not a discovery. No small dimension is free of false neighbours either: the least share stands at 2 to 4, and moves with
the length of the window. Compare with `shuffled`: where the same steps in random order give the same answer, the answer
says nothing about the market.

What does not belong here: which bars may be looked at, and where the choice is written down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import median_low
from typing import TYPE_CHECKING

import numpy as np

from betti.topology.embedding import BadSeries, points_per_window, standardised, takens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = [
    "LONGEST_DELAY",
    "SHORTEST_WINDOW",
    "Choice",
    "DelayRule",
    "DimensionRule",
    "choose",
    "chosen_delay",
    "chosen_dimension",
    "combined",
    "cut",
    "false_neighbours",
    "first_minimum",
    "independence_level",
    "mutual_information",
    "shuffled",
]

LONGEST_DELAY = 256
HIGHEST_DIMENSION = 8
SHORTEST_WINDOW = 24

# Of a window: the longest delay, beyond which standardising makes a minimum of its own.
_DELAY_SHARE = 1 / 6
# Of a window: the points that a dimension must leave to be measured in.
_POINTS_SHARE = 1 / 4

_PAIRS_PER_CELL = 5  # of the histogram, at the least, if all cells were alike (Cellucci, Albano & Rapp 2005)
_RISE = 0.03  # of I(1): what the curve must rise by for a minimum to be no wiggle of the estimate
_DECAY = 1 / math.e

_RATIO = 15.0  # Kennel, Brown & Abarbanel 1992, eq. 4: a false neighbour flies apart by that many distances
_SIZE = 2.0  # eq. 5: or lands that many deviations away
_FEW = 0.05  # share of false neighbours that passes for none
_ROUNDING = 1e-9  # of a deviation: nearer points coincide, and their distance is rounding


class DelayRule(StrEnum):
    """Why a delay was chosen."""

    MINIMUM = "first minimum"
    DECAY = "no minimum: 1/e"
    LONGEST = "neither: longest"
    INDEPENDENT = "no information"


class DimensionRule(StrEnum):
    """Why a dimension was chosen."""

    FEW = "below 5 %"
    LEAST = "least share"


@dataclass(frozen=True)
class Choice:
    """An embedding, and what it was chosen by.

    Attributes:
        delay: steps between coordinates.
        dimension: coordinates of a point, 2 or more.
        delay_rule, dimension_rule: which rule each came by.
        information: mutual information in bits at the delays 1, 2, ...
        false_shares: share of false neighbours in the dimensions 1, 2, ...
    """

    delay: int
    dimension: int
    delay_rule: DelayRule
    dimension_rule: DimensionRule
    information: tuple[float, ...]
    false_shares: tuple[float, ...]


def choose(series: Floats, window: int) -> Choice:
    """The embedding for windows of this length.

    Args:
        series: (n,) in time order, n >= window.
        window: values in a window, `SHORTEST_WINDOW` or more; the length of the series for one window of all.

    Raises:
        BadSeries: not one row of finite numbers, shorter than a window, or constant; or the window is too short.

    >>> wave = np.sin(np.arange(1200) / 7) + np.random.default_rng(0).normal(0, 0.02, 1200)
    >>> choose(wave, 240).delay_rule.value
    'first minimum'
    """
    windows = cut(series, window)
    longest = min(LONGEST_DELAY, int(window * _DELAY_SHARE))
    pairs = windows.shape[0] * (window - longest)
    bins = max(2, math.isqrt(pairs // _PAIRS_PER_CELL))
    information = mutual_information(windows, longest, bins)
    delay, delay_rule = chosen_delay(information, independence_level(pairs, bins))
    shares = false_neighbours(windows, delay)
    dimension, dimension_rule = chosen_dimension(shares)
    return Choice(delay, dimension, delay_rule, dimension_rule, tuple(information.tolist()), tuple(shares.tolist()))


def combined(choices: Sequence[Choice]) -> tuple[int, int]:
    """Delay and dimension for all of several series, one or more: the lower medians.

    A lower median is reached by more than half, so some series reached both: the pair fits a window that its own pair
    fits.
    """
    return median_low(one.delay for one in choices), median_low(one.dimension for one in choices)


def cut(series: Floats, window: int) -> Floats:
    """The series as standardised windows side by side, the last one at its end (count, window).

    Constant windows have no shape and are left out. Windows do not overlap, so that no pair of values counts twice.

    Raises:
        BadSeries: see `choose`.
    """
    if series.ndim != 1 or not np.isfinite(series).all():
        raise BadSeries(f"shape {series.shape} or a value that is not finite", "Give one row of finite numbers")
    if window < SHORTEST_WINDOW:
        raise BadSeries(f"a window of {window} values", f"Choosing an embedding takes {SHORTEST_WINDOW} or more")
    if len(series) < window:
        raise BadSeries(f"{len(series)} values are fewer than a window of {window}", "Give more, or shorten the window")
    count = len(series) // window
    windows = standardised(series[len(series) - count * window :].reshape(count, window))
    shaped: Floats = windows[windows.any(axis=1)]
    if len(shaped) == 0:
        raise BadSeries("every window is constant", "A series that does not move has no embedding")
    return shaped


def shuffled(series: Floats, seed: int) -> Floats:
    """The same steps in random order, from the same start: what a random walk of such steps looks like (n,)."""
    steps = np.random.default_rng(seed).permutation(np.diff(series))
    return np.asarray(series[0] + np.concatenate([[0.0], np.cumsum(steps)]))


def mutual_information(windows: Floats, max_delay: int, bins: int) -> Floats:
    """Mutual information in bits between a value and the one `delay` later, for the delays 1 to max_delay (max_delay,).

    From a histogram of all such pairs inside windows, in `bins` x `bins` cells of equal width over the range of all
    values, the same for every delay: standardised windows have no far outliers, and cells of equal width do not split
    equal prices as the equally filled ones of Fraser & Swinney would. The estimate is too high by about
    (bins - 1)^2 / (2 ln 2 x pairs), which hardly changes with the delay and so moves no minimum.

    Args:
        windows: (count, length), finite, not all equal.
        max_delay: 1 or more, below the length.
        bins: 2 or more.
    """
    low, high = windows.min(), windows.max()
    cells = np.minimum(((windows - low) / (high - low) * bins).astype(np.int64), bins - 1)
    return np.array([_bits(cells[:, :-delay], cells[:, delay:], bins) for delay in range(1, max_delay + 1)])


def _bits(earlier: Integers, later: Integers, bins: int) -> float:
    """Mutual information of two sets of cell numbers, in bits."""
    counts = np.bincount((earlier * bins + later).ravel(), minlength=bins * bins).reshape(bins, bins)
    joint = counts / counts.sum()
    alone = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log2(joint[seen] / alone[seen])))


def independence_level(pairs: int, bins: int) -> float:
    """Bits that a histogram of independent pairs stays below, by three deviations.

    2 ln 2 x pairs x bits is then about chi-squared with (bins - 1)^2 degrees of freedom (Wilks 1938).
    """
    freedom = (bins - 1) ** 2
    return (freedom + 3 * math.sqrt(2 * freedom)) / (2 * math.log(2) * pairs)


def first_minimum(information: Floats) -> int | None:
    """The first delay whose information is the least so far and is followed by a rise of 3 % of I(1); None without one.

    The rise keeps wiggles of the estimate out, which a plain comparison with both neighbours would take for minima.

    >>> first_minimum(np.array([3.0, 2.0, 1.5, 1.51, 1.2, 1.4, 1.0]))
    5
    """
    least = 0
    for k, bits in enumerate(information):
        if bits < information[least]:
            least = k
        elif bits > information[least] + _RISE * information[0]:
            return least + 1
    return None


def chosen_delay(information: Floats, independent: float) -> tuple[int, DelayRule]:
    """The delay for this curve, and by which rule.

    1 where I(1) is no more than independent values show; else the first minimum; else the first delay with less than
    I(1) / e; else the longest. I(1) and not I(0), which is the entropy of the histogram and grows with its cells.

    Args:
        information: bits at the delays 1, 2, ... (delays,), one or more.
        independent: bits that independent values stay below.
    """
    if information[0] <= independent:
        return 1, DelayRule.INDEPENDENT
    minimum = first_minimum(information)
    if minimum is not None:
        return minimum, DelayRule.MINIMUM
    fallen = np.flatnonzero(information < _DECAY * information[0])
    if len(fallen):
        return int(fallen[0]) + 1, DelayRule.DECAY
    return len(information), DelayRule.LONGEST


def false_neighbours(windows: Floats, delay: int) -> Floats:
    """The share of nearest neighbours that are false, in the dimensions 1, 2, ... (dimensions,).

    A neighbour is false when one more coordinate parts it by more than 15 times its distance, or puts it more than 2
    deviations of the window away (Kennel, Brown & Abarbanel 1992, eqs. 4 and 5). It is looked for in the same window,
    more than `delay` steps away in time (Theiler 1986): nearer ones are neighbours because time is continuous.

    Dimensions go up to 8, as long as they leave a quarter of the window's points. Noise and short windows keep the
    shares above zero: in many dimensions all points are far from each other, and the second criterion says so.

    Args:
        windows: (count, length), standardised, none constant.
        delay: 1 to a sixth of the length.
    """
    shares = []
    for dimension in range(1, HIGHEST_DIMENSION + 1):
        points = points_per_window(windows.shape[1], dimension=dimension + 1, delay=delay)
        if points < max(_POINTS_SHARE * windows.shape[1], delay + 2):
            break
        clouds = takens(windows, dimension=dimension, delay=delay)[:, :points]
        judged = [_judged(cloud, row[dimension * delay :], delay) for cloud, row in zip(clouds, windows, strict=True)]
        shares.append(sum(false for false, _ in judged) / sum(count for _, count in judged))
    return np.array(shares)


def _judged(cloud: Floats, further: Floats, theiler: int) -> tuple[int, int]:
    """Points of a cloud whose nearest neighbour is false, and points that have one."""
    points, neighbours, distances = _nearest(cloud, theiler)
    apart = np.abs(further[points] - further[neighbours])
    flies = apart > _RATIO * np.maximum(distances, _ROUNDING)
    lands_far = np.hypot(distances, apart) > _SIZE
    return int(np.count_nonzero(flies | lands_far)), len(points)


def _nearest(cloud: Floats, theiler: int) -> tuple[Integers, Integers, Floats]:
    """Points (k,), the nearest of each more than `theiler` places away, and its distance; points without one left out.

    Most find theirs among a few, so each round asks for more, and only for those that did not.
    """
    from scipy.spatial import cKDTree

    tree, wanted = cKDTree(cloud), min(8, len(cloud))
    neighbours, lengths = np.full(len(cloud), -1), np.zeros(len(cloud))
    waiting = np.arange(len(cloud))
    while True:
        distances, places = tree.query(cloud[waiting], k=wanted)
        apart = np.abs(places - waiting[:, None]) > theiler
        found = np.flatnonzero(apart.any(axis=1))
        first = apart[found].argmax(axis=1)
        neighbours[waiting[found]], lengths[waiting[found]] = places[found, first], distances[found, first]
        waiting = np.delete(waiting, found)
        if wanted == len(cloud) or len(waiting) == 0:
            points = np.flatnonzero(neighbours >= 0)
            return points, neighbours[points], lengths[points]
        wanted = min(4 * wanted, len(cloud))


def chosen_dimension(shares: Floats) -> tuple[int, DimensionRule]:
    """The dimension for these shares of false neighbours, and by which rule.

    The first with less than 5 %; else the one with the least share. From 2 on: a line has no loops.

    Args:
        shares: shares in the dimensions 1, 2, ..., two or more of them.
    """
    few = np.flatnonzero(shares[1:] < _FEW)
    if len(few):
        return int(few[0]) + 2, DimensionRule.FEW
    return int(np.argmin(shares[1:])) + 2, DimensionRule.LEAST
