"""Folds inside a training stretch, for models that learn from their own out-of-sample answers.

Stacking, blending and calibration split the rows they were given once more. The wall is the same as between folds
(`betti.splits.purge`): spans as times, never row counts, so that overlapping labels and several symbols are handled
alike. A fold trains on the past alone, so that what overlaps it is what has not ended before it. What does not belong
here: the folds a model is judged by (`betti.splits`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from betti.models._protocol import Spans

    Rows = NDArray[np.int64]

__all__ = ["EMBARGO", "InnerFold", "embargo_ns", "holdout", "in_order", "walk_forward"]

# As the embargo of `betti.splits`: a time, not a number of rows.
EMBARGO = re.compile(r"\d{1,5}(min|h|D)")
_UNITS = {"min": 60_000_000_000, "h": 3_600_000_000_000, "D": 86_400_000_000_000}


@dataclass(frozen=True)
class InnerFold:
    """Which rows teach and which are answered for.

    Attributes:
        train: (k,) row numbers; each span ends more than the embargo before the first test span begins.
        test: (m,) row numbers.
    """

    train: Rows
    test: Rows


def embargo_ns(embargo: str) -> int:
    """Nanoseconds of an embargo such as "30min", "4h" or "1D".

    Raises:
        ValueError: it is written otherwise.

    >>> embargo_ns("2h") // 1_000_000_000
    7200
    """
    if not EMBARGO.fullmatch(embargo):
        raise ValueError(f"'{embargo}' is no time such as 30min, 4h or 1D")
    number, unit = re.findall(r"\d+|\D+", embargo)
    return int(number) * _UNITS[unit]


def in_order(rows: int) -> Spans:
    """Spans for rows of which no span is known: each is an instant of its own, in the order given.

    >>> in_order(3)
    (array([0, 1, 2]), array([0, 1, 2]))
    """
    places = np.arange(rows, dtype="int64")
    return places, places


def walk_forward(spans: Spans, folds: int, embargo: int) -> tuple[InnerFold, ...]:
    """Answer block after block, each from what had ended before it (Lopez de Prado 2018, chapter 7).

    The distinct starts are cut into `folds` + 1 blocks of equally many; fold i answers for block i + 1.

    Args:
        spans: (start, end) of each row, in any order, in nanoseconds since 1970.
        folds: blocks to answer for.
        embargo: further distance between the end of a training span and the block, in nanoseconds.

    Returns:
        At most `folds` folds: one without training rows, or without rows to answer for, is left out.

    >>> [(fold.train.tolist(), fold.test.tolist()) for fold in walk_forward(in_order(6), 2, 0)]
    [([0, 1], [2, 3]), ([0, 1, 2, 3], [4, 5])]
    """
    instants, place = np.unique(spans[0], return_inverse=True)
    edges = np.linspace(0, len(instants), folds + 2).round().astype("int64").tolist()
    planned = [_fold(spans, instants, place, stretch, embargo) for stretch in pairwise(edges[1:])]
    return tuple(fold for fold in planned if len(fold.train) and len(fold.test))


def holdout(spans: Spans, share: float, embargo: int) -> tuple[InnerFold, ...]:
    """The last `share` of the distinct starts is answered for, from what had ended before; none where that is empty.

    >>> [(fold.train.tolist(), fold.test.tolist()) for fold in holdout(in_order(5), 0.4, 0)]
    [([0, 1, 2], [3, 4])]
    """
    instants, place = np.unique(spans[0], return_inverse=True)
    first = round(len(instants) * (1 - share))
    fold = _fold(spans, instants, place, (first, len(instants)), embargo)
    return (fold,) if len(fold.train) and len(fold.test) else ()


def _fold(spans: Spans, instants: Rows, place: Rows, stretch: tuple[int, int], embargo: int) -> InnerFold:
    """The fold that answers for the instants [first, last) of the distinct ones."""
    first, last = stretch
    test = np.flatnonzero((place >= first) & (place < last))
    if first >= last:
        return InnerFold(test, test)
    return InnerFold(np.flatnonzero(spans[1] < instants[first] - embargo), test)
