"""Expansions found by rule: directional legs of price, and what came before each.

A candidate leg runs from the close of its first bar to the close of its last, and no close between lies beyond these.
It has at most `longest` bars; its net move is at least `displacement` x ATR(14) of its first bar, and at least
`efficiency` of its path (the sum of its close-to-close moves: Kaufman 1995). Its score, in price, is

    net - efficiency x path - `drag` x ATR x moves

and the drag makes the bars of a pause around a leg cost more than they bring, so that a leg starts and ends where price
does. Each bar has one candidate, its best. A candidate is a leg if no other one that shares a move with it scores more
(of equal ones the earlier). So whether a leg is there depends on a bounded stretch of bars, and not on where the data
start. Two legs may share a bar, the pivot between them.

What came before is a consolidation where the range of the `pause` bars up to a leg's first is at most `pause_range`
ATR. Otherwise it goes by the leg before, in the same direction: to the farthest close within 2 x `longest` bars before,
from the close before that one which lies farthest the other way. If 38 to 79 % of it were given back, that is a
retracement; if more, a reversal; if less, a consolidation again, since price has stayed where that leg had taken it.

What does not belong here: windows, and what a network is asked about them (`expansion`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.labelling._compiled import compiled
from betti.labelling._spans import average_true_range

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["CONSOLIDATION", "RETRACEMENT", "REVERSAL", "Legs", "Rule", "find_legs"]

CONSOLIDATION, RETRACEMENT, REVERSAL = 0, 1, 2
ATR_WINDOW = 14
SHALLOW, DEEP = 0.38, 0.79  # parts of the leg before that a retracement gives back, the second included


@dataclass(frozen=True)
class Rule:
    """What counts as an expansion; the module says how.

    Attributes:
        displacement: least net move, in ATR of the first bar.
        efficiency: least net move as a part of the path.
        longest: most bars of a leg, first and last included.
        drag: what a move costs in the score, in ATR.
        pause: bars before a leg (its first included) whose range tells a consolidation.
        pause_range: the largest such range, in ATR.
    """

    displacement: float
    efficiency: float
    longest: int
    drag: float
    pause: int
    pause_range: float

    @property
    def back(self) -> int:
        """Bars before a leg's first that say whether it is one, and of which type."""
        return max(self.longest + ATR_WINDOW, self.pause, 2 * self.longest)

    @property
    def ahead(self) -> int:
        """Bars after a leg's first that say whether it is one, and how far it goes."""
        return 2 * self.longest - 3


@dataclass(frozen=True)
class Legs:
    """Expansions in order of their start.

    Attributes:
        start: (k,) position of the first bar, which is the last of what came before.
        end: (k,) position of the last bar.
        type: (k,) 0 consolidation, 1 retracement, 2 reversal.
    """

    start: Integers
    end: Integers
    type: Integers


def find_legs(bars: pd.DataFrame, rule: Rule) -> Legs:
    """The expansions in bars of one symbol in time order; those within `rule.ahead` of the last bar may yet change.

    Args:
        bars: columns as in `betti.schemas.BARS`.
        rule: what counts as one.
    """
    high, low, close = (np.ascontiguousarray(bars[name].to_numpy(dtype="float64")) for name in ("high", "low", "close"))
    atr = average_true_range(high, low, close, ATR_WINDOW)
    end, score = _candidates(close, atr, rule.displacement, rule.efficiency, rule.longest, rule.drag)
    start = _kept(end, score, rule.longest)
    kind = _types(high, low, close, atr, start, end[start], rule.longest, rule.pause, rule.pause_range)
    return Legs(start, end[start], kind)


# Compiled -----------------------------------------------------------------------------------------------------------


@compiled
def _candidates(
    close: Floats, atr: Floats, displacement: float, efficiency: float, longest: int, drag: float
) -> tuple[Integers, Floats]:
    """The best leg from each bar: where it ends (0 where there is none), and its score."""
    bars = len(close)
    ends, scores = np.zeros(bars, np.int64), np.full(bars, -np.inf)
    for first in range(bars):
        unit, path = atr[first], 0.0
        highest = lowest = close[first]
        if not unit > 0.0:
            continue
        for last in range(first + 1, min(first + longest, bars)):
            path += abs(close[last] - close[last - 1])
            highest, lowest = max(highest, close[last]), min(lowest, close[last])
            net = abs(close[last] - close[first])
            if net == highest - lowest and net >= displacement * unit and net >= efficiency * path:
                score = net - efficiency * path - drag * unit * (last - first)
                if score > scores[first]:
                    ends[first], scores[first] = last, score
    return ends, scores


@compiled
def _kept(ends: Integers, scores: Floats, longest: int) -> Integers:
    """First bars of the candidates that no other one sharing a move with them outdoes."""
    kept = np.empty(len(ends), np.int64)
    count = 0
    for first in range(len(ends)):
        if ends[first] == 0:
            continue
        best = True
        for other in range(max(first - longest + 2, 0), ends[first]):
            if ends[other] <= first or other == first:
                continue
            if scores[other] > scores[first] or (scores[other] == scores[first] and other < first):
                best = False
                break
        if best:
            kept[count] = first
            count += 1
    return kept[:count].copy()


@compiled
def _types(
    high: Floats,
    low: Floats,
    close: Floats,
    atr: Floats,
    starts: Integers,
    ends: Integers,
    longest: int,
    pause: int,
    pause_range: float,
) -> Integers:
    """What came before each leg."""
    types = np.full(len(starts), CONSOLIDATION, np.int64)
    for leg in range(len(starts)):
        first = starts[leg]
        highest, lowest = high[first], low[first]
        for bar in range(max(first - pause + 1, 0), first):
            highest, lowest = max(highest, high[bar]), min(lowest, low[bar])
        if highest - lowest <= pause_range * atr[first]:
            continue
        given = _given_back(close, first, max(first - 2 * longest, 0), 1.0 if close[ends[leg]] > close[first] else -1.0)
        types[leg] = REVERSAL if given > DEEP else RETRACEMENT if given >= SHALLOW else CONSOLIDATION
    return types


@compiled
def _given_back(close: Floats, first: int, since: int, side: float) -> float:
    """How much of the leg before, in the same direction, was given back when a leg begins; infinite without one."""
    top = first
    for bar in range(first, since - 1, -1):
        if side * close[bar] > side * close[top]:
            top = bar
    foot = top
    for bar in range(top, since - 1, -1):
        if side * close[bar] < side * close[foot]:
            foot = bar
    gained = side * (close[top] - close[foot])
    return side * (close[top] - close[first]) / gained if gained > 0.0 else np.inf
