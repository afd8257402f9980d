"""What a feature table must satisfy, whatever its family: finite float32, complete after the warm-up, rows of the bars.

A family has hundreds of columns, and a rule for each would take minutes: `prepared` counts per row what the rules
then judge. What does not belong here: whether a feature is any good, or has drifted (`drift.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.expectations._rules import KEY, at_most, in_bars, true, unique

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd

__all__ = ["prepared", "suite"]

MOST_CONSTANT = 0.5  # an empty landscape layer is constant; a family that is mostly so has failed


def prepared(features: pd.DataFrame, *, bars: pd.DataFrame, lookback: int) -> pd.DataFrame:
    """One row per feature row, with what the suite judges.

    Args:
        features: columns as in `betti.schemas.FEATURES`, all rows of each symbol in time order.
        bars: the clean bars they were made from.
        lookback: rows at the start of each symbol that may hold NaN.

    Returns:
        `timestamp`, `symbol`, `infinite` and `missing` (how many of the row's values are), `is_bar`, and two facts of
        the whole table in every row: `not_float32` (columns of another type) and `constant_share` (columns with a
        single value or none). A column without any value for a symbol is a column that symbol has not, such as volume
        in a market without: it is not counted as missing.
    """
    names = [name for name in features.columns if name not in KEY]
    codes = features["symbol"].astype("category").cat.codes.to_numpy()
    warm_up = features.groupby("symbol", sort=False).cumcount().to_numpy() < lookback
    infinite, missing = np.zeros(len(features), dtype="int32"), np.zeros(len(features), dtype="int32")
    constant = other = 0
    for name in names:
        values = features[name].to_numpy()
        other += values.dtype != np.float32
        known = ~np.isnan(values)
        has = np.bincount(codes, weights=known, minlength=1) > 0
        infinite += np.isinf(values)
        missing += ~known & ~warm_up & (has[codes] if len(codes) else known)
        seen = values[known]
        constant += bool(len(seen) == 0 or (seen == seen[0]).all())
    return features[list(KEY)].assign(
        infinite=infinite,
        missing=missing,
        is_bar=in_bars(features, bars),
        not_float32=int(other),
        constant_share=constant / max(len(names), 1),
    )


def suite(*, most_constant: float = MOST_CONSTANT) -> gx.ExpectationSuite:
    """The suite for what `prepared` returns; `most_constant` is the share of columns that may be constant."""
    import great_expectations as gx

    rules = [
        unique(KEY, "a symbol has one row per time"),
        true("is_bar", "every row belongs to a bar"),
        at_most("infinite", 0, "no value is infinite"),
        at_most("missing", 0, "values are missing in warm-up rows alone"),
        at_most("not_float32", 0, "every column is float32"),
        at_most("constant_share", most_constant, "few columns are constant"),
    ]
    return gx.ExpectationSuite(name="features", expectations=rules)
