"""What predictions must satisfy: probabilities that add up, for test rows alone.

What does not belong here: how good they are (`betti.metrics`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.expectations._rules import KEY, at_least, at_most, known, one_of, true, unique

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd

__all__ = ["prepared", "suite"]

FOLD_KEY = ["fold", *KEY]
TOLERANCE = 1e-6  # probabilities may come from float32


def prepared(predictions: pd.DataFrame, *, folds: pd.DataFrame, classes: int) -> pd.DataFrame:
    """The predictions with what the suite judges.

    Args:
        predictions: columns as in `betti.schemas.PREDICTIONS`, `p_0` ... and `prediction`.
        folds: the folds they were made for.
        classes: how many classes there are.

    Returns:
        The key and `prediction`, with `lowest`, `highest` and `off` (how far from 1 the sum lies) of the row's
        probabilities, NaN where one is missing, and `tested`: whether the row is a test row of its fold.
    """
    chances = predictions[[f"p_{number}" for number in range(classes)]]
    test = folds.loc[folds["role"] == "test", FOLD_KEY].drop_duplicates()
    found = predictions[FOLD_KEY].merge(test.assign(tested=True), on=FOLD_KEY, how="left")
    return predictions[[*FOLD_KEY, "prediction"]].assign(
        lowest=chances.min(axis=1, skipna=False),
        highest=chances.max(axis=1, skipna=False),
        off=(chances.sum(axis=1, skipna=False) - 1).abs(),
        tested=found["tested"].notna().to_numpy(),
    )


def suite(*, classes: int) -> gx.ExpectationSuite:
    """The suite for what `prepared` returns; classes are 0 .. classes - 1."""
    import great_expectations as gx

    rules = [
        unique(FOLD_KEY, "a row is predicted once in a fold"),
        true("tested", "every row is a test row of its fold"),
        known("off", "no probability is missing"),
        at_least("lowest", 0.0, "probabilities are at least 0"),
        at_most("highest", 1.0, "probabilities are at most 1"),
        at_most("off", TOLERANCE, "probabilities add up to 1"),
        known("prediction", "no prediction is missing"),
        one_of("prediction", [float(number) for number in range(classes)], "predictions are classes"),
    ]
    return gx.ExpectationSuite(name="predictions", expectations=rules)
