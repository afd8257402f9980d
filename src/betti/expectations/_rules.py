"""The few kinds of rule that suites are made of, each with a sentence that says what is held.

Only expectations that Great Expectations computes on whole columns are used: a million rows take a fraction of a
second each. What does not belong here: which rules an artifact has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["KEY", "at_least", "at_most", "in_bars", "known", "one_of", "positive", "true", "unique"]

KEY = ("timestamp", "symbol")


def in_bars(table: pd.DataFrame, bars: pd.DataFrame) -> NDArray[np.bool_]:
    """(n,) whether each row's symbol has a bar at its time."""
    key = list(KEY)
    there = bars[key].drop_duplicates().assign(is_bar=True)
    found: NDArray[np.bool_] = table[key].merge(there, on=key, how="left")["is_bar"].notna().to_numpy()
    return found


def at_least(column: str, least: float, rule: str) -> Any:
    """Known values are `least` or more."""
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=least, meta={"rule": rule})


def positive(column: str, rule: str) -> Any:
    """Known values lie above zero."""
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=0, strict_min=True, meta={"rule": rule})


def at_most(column: str, most: float, rule: str) -> Any:
    """Known values are `most` or less."""
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeBetween(column=column, max_value=most, meta={"rule": rule})


def known(column: str, rule: str) -> Any:
    """No value is missing."""
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToNotBeNull(column=column, meta={"rule": rule})


def one_of(column: str, values: Sequence[float | str], rule: str) -> Any:
    """Known values are among these."""
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), meta={"rule": rule})


def true(column: str, rule: str) -> Any:
    """Every value is True."""
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=[True], meta={"rule": rule})


def unique(columns: Sequence[str], rule: str) -> Any:
    """No two rows agree in all of these columns."""
    import great_expectations.expectations as gxe

    return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(columns), meta={"rule": rule})
