"""What a bar must satisfy. Each row-level expectation carries the reason its failing rows are quarantined for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from betti.schemas import PRICE_COLUMNS

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd

__all__ = ["prepared", "suite"]

LARGEST = sys.float_info.max


def prepared(bars: pd.DataFrame) -> pd.DataFrame:
    """The bars with `step_seconds`: seconds since the symbol's bar before, NaN at its first."""
    steps = bars.groupby("symbol")["timestamp"].diff().dt.total_seconds()
    return bars.assign(step_seconds=steps)


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
        _at_least("high", "low", "high_below_low"),
        _at_least("high", "open", "open_outside_range"),
        _at_least("open", "low", "open_outside_range"),
        _at_least("high", "close", "close_outside_range"),
        _at_least("close", "low", "close_outside_range"),
        gxe.ExpectColumnValuesToBeOfType(column="volume", type_="float64"),
        gxe.ExpectColumnValuesToBeBetween(column="volume", min_value=0, meta={"reason": "negative_volume"}),
        gxe.ExpectColumnValuesToBeBetween(column="volume", max_value=LARGEST, meta={"reason": "infinite"}),
    ]
    return gx.ExpectationSuite(name="bars", expectations=rules)


def _at_least(larger: str, smaller: str, reason: str) -> Any:
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=larger,
        column_B=smaller,
        or_equal=True,
        ignore_row_if="either_value_is_missing",
        meta={"reason": reason},
    )
