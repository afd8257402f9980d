"""What a label table must satisfy: spans in order, classes in range, weights that are shares.

What does not belong here: whether spans of training and test rows overlap (`folds.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.expectations._rules import KEY, at_least, at_most, in_bars, known, one_of, positive, true, unique

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd

__all__ = ["prepared", "suite"]


def prepared(labels: pd.DataFrame, *, bars: pd.DataFrame) -> pd.DataFrame:
    """The labels with `is_bar`, `span_seconds` (span_end - span_start) and `ahead_seconds` (span_end - timestamp).

    Args:
        labels: columns as in `betti.schemas.LABELS`.
        bars: the clean bars they were made from.
    """
    return labels.assign(
        is_bar=in_bars(labels, bars),
        span_seconds=(labels["span_end"] - labels["span_start"]).dt.total_seconds(),
        ahead_seconds=(labels["span_end"] - labels["timestamp"]).dt.total_seconds(),
    )


def suite(*, target: str, classes: int) -> gx.ExpectationSuite:
    """The suite for what `prepared` returns.

    Args:
        target: the column that holds the class.
        classes: how many classes there are; they are 0 .. classes - 1.
    """
    import great_expectations as gx

    rules = [
        unique(KEY, "a symbol has one label per time"),
        true("is_bar", "every label belongs to a bar"),
        known("span_seconds", "every label has a span"),
        at_least("span_seconds", 0, "a span does not end before it starts"),
        at_least("ahead_seconds", 0, "a span does not end before its decision bar"),
        known(target, "no label is missing: a bar whose future is unknown has no row"),
        one_of(target, [float(number) for number in range(classes)], "classes lie in range"),
        known("weight", "every label has a weight"),
        positive("weight", "weights lie above 0"),
        at_most("weight", 1.0, "weights are at most 1"),
    ]
    return gx.ExpectationSuite(name="labels", expectations=rules)
