"""How well an expansion is found: where it starts, how long it is, how many bars until it comes, what came before it.

Detection (the expansion starts inside the window, so that its bars are seen) and anticipation (it starts after the
window's last bar) are judged apart: the first sees the answer's bars. Pure functions over arrays; NaN in what happened
is what was not asked, and counts nowhere. What does not belong here: unfolding labels (`betti.labelling.expansion`),
losses, and turning a network's output into numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from betti.labelling.expansion import Sequences

    Floats = NDArray[Any]
    Flags = NDArray[np.bool_]

__all__ = [
    "TOLERANCE",
    "SpanAnswers",
    "SpanReport",
    "SpanScores",
    "countdown_start",
    "hit_share",
    "interval_overlap",
    "mask_overlap",
    "mean_distance",
    "pointed",
    "span_report",
    "type_scores",
]

TOLERANCE = 3.0  # bars: Hit@+-3
TYPES = 3


@dataclass(frozen=True)
class SpanAnswers:
    """What a model says of n windows.

    Attributes:
        pointers: (n, 2) centre in parts of `window` - 1, length in parts of `window`, as the label has them.
        countdown: (n, window) bars until the expansion starts, at every bar.
        mask: (n, window) probability that the bar belongs to the expansion.
        type: (n,) 0 consolidation, 1 retracement, 2 reversal.
    """

    pointers: Floats
    countdown: Floats
    mask: Floats
    type: NDArray[np.int64]


@dataclass(frozen=True)
class SpanScores:
    """Scores of one kind of window. None where nothing was asked that the score could be made of.

    Attributes:
        rows: windows of this kind.
        hits: share of windows whose start, told by the pointers, lies within the tolerance of the true one.
        countdown_hits: the same with the start that the last bar's countdown tells.
        countdown_mae: mean distance of the countdown, in bars, over all bars of all windows.
        centre_mae: mean distance of the centre, in parts of the window.
        length_mae: mean distance of the length, likewise.
        span_iou: mean over windows of the common part of the two spans, in parts of their union; the spans are those
            of the pointers.
        span_f1: mean over windows of twice the common part, in parts of the sum of both spans.
        mask_iou, mask_f1: the same of the bars whose probability is a half at least.
        type_recall: share of each type's windows that were given this type.
        type_macro_f1: mean F1 over the types that occur or were given.
    """

    rows: int
    hits: float | None
    countdown_hits: float | None
    countdown_mae: float | None
    centre_mae: float | None
    length_mae: float | None
    span_iou: float | None
    span_f1: float | None
    mask_iou: float | None
    mask_f1: float | None
    type_recall: tuple[float | None, ...]
    type_macro_f1: float | None


@dataclass(frozen=True)
class SpanReport:
    """The two settings, which must not be mixed: see the module's first words."""

    detection: SpanScores
    anticipation: SpanScores


def span_report(truth: Sequences, answers: SpanAnswers, tolerance: float = TOLERANCE) -> SpanReport:
    """All scores, apart for windows that hold the start and for those that end before it.

    Windows without an expansion, and those in which it had begun before, have no start to be found: they enter
    neither. In anticipation no pointers are asked, so only the countdown and the type are judged.

    Args:
        truth: what happened in n windows.
        answers: what was said of them.
        tolerance: bars that a start may be off to be a hit.

    Raises:
        ValueError: shapes that do not fit each other.

    >>> from betti.labelling.expansion import sequences
    >>> import pandas as pd
    >>> row = {"start": 50.0, "end": 65.0, "type": 0.0, "begun": 0.0, "ahead": 0.0, "censored": 0.0}
    >>> truth = sequences(pd.DataFrame([row]))
    >>> said = SpanAnswers(truth.pointers + [4 / 104, 0], truth.countdown + 1, truth.mask, np.array([2]))
    >>> found = span_report(truth, said).detection
    >>> found.hits, found.countdown_hits, found.countdown_mae, round(found.centre_mae * 104, 2)  # four bars late
    (0.0, 1.0, 1.0, 4.0)
    >>> round(found.span_iou, 4), round(found.span_f1, 4), found.mask_iou, found.type_recall  # 12 of 20 bars
    (0.6, 0.75, 1.0, (0.0, None, None))
    """
    _refuse(truth, answers)
    return SpanReport(
        _scores(truth, answers, truth.detection, tolerance), _scores(truth, answers, truth.anticipation, tolerance)
    )


def _refuse(truth: Sequences, answers: SpanAnswers) -> None:
    rows, window = truth.mask.shape
    wanted = {"pointers": (rows, 2), "countdown": (rows, window), "mask": (rows, window), "type": (rows,)}
    for name, shape in wanted.items():
        found = getattr(answers, name).shape
        if found != shape:
            raise ValueError(f"{name} of shape {found} against {rows} windows of {window} bars: {shape} was expected")


def _scores(truth: Sequences, answers: SpanAnswers, rows: Flags, tolerance: float) -> SpanScores:
    window = truth.mask.shape[1]
    pointers, countdown = truth.pointers[rows], truth.countdown[rows]
    start, end = pointed(pointers, window)
    said_start, said_end = pointed(answers.pointers[rows], window)
    iou, f1 = interval_overlap(said_start, said_end, start, end)
    bars_iou, bars_f1 = mask_overlap(answers.mask[rows], truth.mask[rows])
    recall, macro = type_scores(answers.type[rows], truth.type[rows])
    told, happened = (countdown_start(one) for one in (answers.countdown[rows], countdown))
    return SpanScores(
        rows=int(rows.sum()),
        hits=hit_share(said_start, start, tolerance),
        countdown_hits=hit_share(told, happened, tolerance),
        countdown_mae=mean_distance(answers.countdown[rows], countdown),
        centre_mae=mean_distance(answers.pointers[rows][:, 0], pointers[:, 0]),
        length_mae=mean_distance(answers.pointers[rows][:, 1], pointers[:, 1]),
        span_iou=iou,
        span_f1=f1,
        mask_iou=bars_iou,
        mask_f1=bars_f1,
        type_recall=recall,
        type_macro_f1=macro,
    )


# Starts -------------------------------------------------------------------------------------------------------------


def pointed(pointers: Floats, window: int = 105) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last bar that pointers mean, as places in the window that need not be whole.

    The start is centre - length / 2: the edge before the first bar, half a bar before the bar's own place. That half
    is added, so that the label's own pointers give the label's own start and end.

    Args:
        pointers: (n, 2) centre = (start + end) / 2 / (window - 1), length = (end - start + 1) / window.
        window: bars in a window.

    >>> start, end = pointed(np.array([[57.5 / 104, 16 / 105]]))
    >>> round(float(start[0]), 6), round(float(end[0]), 6)
    (50.0, 65.0)
    """
    centre = pointers[:, 0].astype("float64") * (window - 1)
    half = (pointers[:, 1].astype("float64") * window - 1) / 2
    return centre - half, centre + half


def countdown_start(countdown: Floats) -> NDArray[np.float64]:
    """(n,) the place of the start that the last bar of each (n, window) countdown tells.

    >>> countdown_start(np.array([[7.0, 6.0, 5.0]])).tolist()  # bar 2 says: five more
    [7.0]
    """
    last = countdown.shape[1] - 1
    return np.asarray(countdown[:, last] + float(last), dtype="float64")


def hit_share(predicted: Floats, actual: Floats, tolerance: float = TOLERANCE) -> float | None:
    """Share of starts within `tolerance` bars, both ends included; None where none is asked.

    A prediction that is no number is a miss.

    >>> hit_share(np.array([47.0, 54.0, 9.0]), np.array([50.0, 50.0, np.nan]))
    0.5
    """
    asked = ~np.isnan(actual)
    # Pointers are single precision numbers: a start three bars off may come out as 3.00001.
    near = np.abs(predicted - actual)[asked] <= tolerance + 1e-4
    return float(near.mean()) if asked.any() else None


def mean_distance(predicted: Floats, actual: Floats) -> float | None:
    """Mean absolute difference where something is asked; None where nothing is.

    >>> mean_distance(np.array([[5.0, 3.0]]), np.array([[4.0, np.nan]]))
    1.0
    """
    asked = ~np.isnan(actual)
    return float(np.abs(predicted[asked].astype("float64") - actual[asked]).mean()) if asked.any() else None


# Overlap ------------------------------------------------------------------------------------------------------------


def interval_overlap(
    predicted_start: Floats, predicted_end: Floats, start: Floats, end: Floats
) -> tuple[float | None, float | None]:
    """Mean IoU (Jaccard 1901) and mean F1 (Dice 1945) of n spans with their first and last bar, both included.

    A prediction that is no number, or that ends before it starts, shares nothing. None where no span is asked.

    >>> interval_overlap(np.array([54.0]), np.array([69.0]), np.array([50.0]), np.array([65.0]))
    (0.6, 0.75)
    """
    predicted = np.maximum(np.nan_to_num(predicted_end - predicted_start + 1), 0.0)
    both = np.nan_to_num(np.minimum(predicted_end, end) - np.maximum(predicted_start, start) + 1)
    return _overlap(np.clip(both, 0.0, predicted), predicted, end - start + 1)


def mask_overlap(probability: Floats, mask: Floats) -> tuple[float | None, float | None]:
    """The same of the bars whose probability is a half at least; a mask without any bar asks nothing.

    Args:
        probability: (n, window).
        mask: (n, window) 1 or 0.

    >>> mask_overlap(np.array([[0.9, 0.5, 0.1, 0.2], [0.9, 0.9, 0.9, 0.9]]), np.array([[1, 1, 1, 0], [0, 0, 0, 0]]))
    (0.6666666666666666, 0.8)
    """
    predicted, actual = probability >= 0.5, mask > 0
    asked = np.where(actual.any(axis=1), 1.0, np.nan)
    return _overlap((predicted & actual).sum(axis=1), predicted.sum(axis=1), actual.sum(axis=1) * asked)


def _overlap(both: Floats, predicted: Floats, actual: Floats) -> tuple[float | None, float | None]:
    """From how many bars both spans, the predicted and the actual one have; NaN in the last where none is asked."""
    asked = ~np.isnan(actual)
    if not asked.any():
        return None, None
    shared, sizes = both[asked], (predicted + actual)[asked]
    return float((shared / (sizes - shared)).mean()), float((2 * shared / sizes).mean())


# Types --------------------------------------------------------------------------------------------------------------


def type_scores(
    predicted: NDArray[np.int64], actual: Floats, types: int = TYPES
) -> tuple[tuple[float | None, ...], float | None]:
    """Recall of each type, and F1 averaged over the types that occur or are given.

    Args:
        predicted: (n,) types from 0.
        actual: (n,) likewise, NaN where none is asked.
        types: how many there are.

    Returns:
        (types,) recall, None for a type that does not occur; and macro F1, None where none is asked.

    >>> type_scores(np.array([0, 0, 2, 1]), np.array([0.0, 2.0, 2.0, np.nan]))
    ((1.0, None, 0.5), 0.6666666666666666)
    """
    from sklearn.metrics import f1_score, recall_score

    asked = ~np.isnan(actual)
    if not asked.any():
        return (None,) * types, None
    happened, said = actual[asked].astype("int64"), predicted[asked]
    every = list(range(types))
    recalls = recall_score(happened, said, labels=every, average=None, zero_division=0)
    occurs = np.bincount(happened, minlength=types) > 0
    recall = tuple(float(one) if there else None for one, there in zip(recalls, occurs, strict=True))
    return recall, float(f1_score(happened, said, average="macro", zero_division=0))
