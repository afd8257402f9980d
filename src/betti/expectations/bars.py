"""What a bar must satisfy. Each row-level expectation carries the reason its failing rows are quarantined for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.schemas import PRICE_COLUMNS, ROUNDING

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd

__all__ = ["prepared", "suite"]

LARGEST = sys.float_info.max


ORDER = (
    ("high", "low", "high_below_low"),
    ("high", "open", "open_outside_range"),
    ("open", "low", "open_outside_range"),
    ("high", "close", "close_outside_range"),
    ("close", "low", "close_outside_range"),
)


def prepared(bars: pd.DataFrame) -> pd.DataFrame:
    """The bars with `step_seconds`, seconds since the symbol's bar before (NaN at its first), and for each pair of
    prices whose order is known `high_over_low` and so on: their difference as a share of the larger (NaN where one is
    not a number).
    """
    steps = bars.groupby("symbol")["timestamp"].diff().dt.total_seconds()
    added = {"step_seconds": steps}
    with np.errstate(invalid="ignore", divide="ignore"):
        for larger, smaller, _ in ORDER:
            size = np.maximum(bars[larger].abs(), bars[smaller].abs())
            added[f"{larger}_over_{smaller}"] = (bars[larger] - bars[smaller]) / size
    return bars.assign(**added)


def suite(*, until: pd.Timestamp) -> gx.ExpectationSuite:
    """The suite for what `prepared` returns, for bars known up to `until`."""
    import great_expectations as gx
    import great_expectations.expectations as gxe

    rules: list[Any] = [
        gxe.ExpectColumnValuesToBeBetween(column="timestamp", max_value=until, meta={"reason": "future"}),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["symbol", "timestamp"], meta={"reason": None}),
        # Seconds since the symbol's bar before: a negative step is a row out of order.
        gxe.ExpectColumnValuesToBeBetween(column="step_seconds", min_value=0, meta={"reason": None}),
    ]
    for price in PRICE_COLUMNS:
        rules += [
            gxe.ExpectColumnValuesToBeOfType(column=price, type_="float64"),
            gxe.ExpectColumnValuesToNotBeNull(column=price, meta={"reason": "missing_value"}),
            gxe.ExpectColumnValuesToBeBetween(column=price, max_value=LARGEST, meta={"reason": "infinite"}),
            gxe.ExpectColumnValuesToBeBetween(
                column=price, min_value=0, strict_min=True, meta={"reason": "non_positive_price"}
            ),
        ]
    rules += [
        *(_at_least(larger, smaller, reason) for larger, smaller, reason in ORDER),
        gxe.ExpectColumnValuesToBeOfType(column="volume", type_="float64"),
        gxe.ExpectColumnValuesToBeBetween(column="volume", min_value=0, meta={"reason": "negative_volume"}),
        gxe.ExpectColumnValuesToBeBetween(column="volume", max_value=LARGEST, meta={"reason": "infinite"}),
    ]
    return gx.ExpectationSuite(name="bars", expectations=rules)


def _at_least(larger: str, smaller: str, reason: str) -> Any:
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeBetween(
        column=f"{larger}_over_{smaller}",
        min_value=-ROUNDING,
        meta={"reason": reason, "rule": f"{larger} is not below {smaller}, but for rounding"},
    )
