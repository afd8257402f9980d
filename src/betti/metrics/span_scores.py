"""From what a model says of windows and what their labels say, to the scores of `span.py`: by fold and over all rows.

A model that finds expansions is known by the names of its outputs (`NEEDED`), whatever it is called, and the target by
its columns. What does not belong here: the scores themselves, and unfolding labels (`betti.labelling.expansion`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from betti.errors import BadModelInput
from betti.labelling._sequences import sequences
from betti.metrics.span import TYPES, SpanAnswers, span_report
from betti.records import SpanMetrics, SpanScore, SpanSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from betti.metrics.span import SpanReport

    Floats = NDArray[np.float64]

__all__ = ["ASKED", "NEEDED", "span_answers", "span_metrics"]

# The label columns that `sequences` unfolds.
ASKED = ("start", "end", "type", "begun", "ahead", "censored")
# What a model says of each window: pointers (n, 2), mask and countdowns (n, window), and a probability for each type.
NEEDED = ("pointers", "mask", "countdowns", *(f"type_{kind}" for kind in range(TYPES)))


def span_answers(model: str, outputs: Mapping[str, Floats], order: NDArray[np.int64]) -> SpanAnswers | None:
    """A model's outputs as answers of where expansions lie; None where it does not say.

    Args:
        model: its name, for the error.
        outputs: name -> (n,) or (n, ...) numbers.
        order: (k,) which of the n rows to take, in order.

    Raises:
        BadModelInput: infinity or NaN, or shapes that do not fit each other.

    >>> said = {"pointers": np.ones((2, 2)), "mask": np.ones((2, 9)), "countdowns": np.ones((2, 9))}
    >>> span_answers("m", said, np.array([1])) is None  # no types
    True
    >>> said |= {f"type_{kind}": np.array([0.2, kind]) for kind in range(3)}
    >>> span_answers("m", said, np.array([1])).type.tolist()
    [2]
    """
    if any(name not in outputs for name in NEEDED):
        return None
    found = {name: np.asarray(outputs[name], dtype="float32")[order] for name in NEEDED}
    rows, window = len(order), np.shape(outputs["mask"])[-1]
    wanted = {"pointers": (rows, 2), "mask": (rows, window), "countdowns": (rows, window)}
    for name, values in found.items():
        if values.shape != wanted.get(name, (rows,)):
            raise BadModelInput(
                model, f"answered with {name} of shape {values.shape}", f"{wanted.get(name, (rows,))} was expected"
            )
        if not np.isfinite(values).all():
            raise BadModelInput(model, f"answered with {name} that are no numbers", "Mend its `predict`")
    types = np.column_stack([found[f"type_{kind}"] for kind in range(TYPES)])
    return SpanAnswers(found["pointers"], found["countdowns"], found["mask"], types.argmax(axis=1).astype("int64"))


def span_metrics(model: str, rows: pd.DataFrame, answers: Sequence[SpanAnswers]) -> SpanMetrics | None:
    """The scores of all windows and of each fold's; None where the labels say nothing of expansions.

    Args:
        model: its name, for the error.
        rows: test rows with `fold` and the label columns, in the order of the answers.
        answers: those of consecutive rows, one for each fold that was judged; none where the model says none.

    Raises:
        BadModelInput: windows of another length than those of the labels, whose expansions then end outside.
    """
    if not answers or not set(ASKED) <= set(rows):
        return None
    whole = _joined(answers)
    window = whole.mask.shape[1]
    last = float(np.nanmax(rows["end"].to_numpy(dtype="float64"), initial=0.0))
    if last >= window:
        found = f"answered for windows of {window} bars, and an expansion ends at bar {last:g} of its window"
        raise BadModelInput(model, found, "Set the model's length to the target's window")
    truth = rows[[*ASKED, "fold"]].reset_index(drop=True)
    folds = truth["fold"].to_numpy()
    return SpanMetrics(
        pooled=_settings(truth, whole),
        folds={
            f"fold_{number}": _settings(truth[folds == number], _taken(whole, np.flatnonzero(folds == number)))
            for number in np.unique(folds)
        },
    )


def _settings(truth: pd.DataFrame, answers: SpanAnswers) -> SpanSettings:
    report: SpanReport = span_report(sequences(truth, answers.mask.shape[1]), answers)
    return SpanSettings(
        detection=SpanScore(**asdict(report.detection)), anticipation=SpanScore(**asdict(report.anticipation))
    )


def _joined(answers: Sequence[SpanAnswers]) -> SpanAnswers:
    parts = {name: np.concatenate([getattr(one, name) for one in answers]) for name in SpanAnswers.__annotations__}
    return SpanAnswers(**parts)


def _taken(answers: SpanAnswers, rows: NDArray[np.int64]) -> SpanAnswers:
    return SpanAnswers(*(getattr(answers, name)[rows] for name in SpanAnswers.__annotations__))
