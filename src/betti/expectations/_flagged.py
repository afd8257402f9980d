"""What rules found, from one stretch of bars or several. What does not belong here: the rules (`flags.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["COLUMNS", "Flagged", "between", "combined", "nothing", "stacked"]

COLUMNS = ("timestamp", "symbol", "rule", "value", "usual")
CALM = 0.25  # of all bars: the years that hold them and repeat closes least tell a market's habit
FEWEST = 20  # bars of a year that is told


@dataclass(frozen=True)
class Flagged:
    """What the rules found.

    Attributes:
        rows: `COLUMNS`, by rule and time, at most `ROWS_KEPT` per rule and frame.
        found: rule -> how many, whether kept in `rows` or not.
        years: `symbol`, `year`, `bars`, `stale`: opens that repeat the close before, per calendar year.
        stale_open_share: from which share above the market's habit a year is flagged.
    """

    rows: pd.DataFrame
    found: dict[str, int]
    years: pd.DataFrame
    stale_open_share: float

    @property
    def counts(self) -> dict[str, int]:
        """Rule -> how often, years with stale opens included; rules that found nothing are left out."""
        counts = {"years_with_stale_opens": _stale_years(self.years, self.stale_open_share), **self.found}
        return {rule: n for rule, n in sorted(counts.items()) if n}


def _stale_years(years: pd.DataFrame, above: float) -> int:
    """How many years of one symbol repeat closes as opens more than is its habit, by this share of their bars.

    The habit is the share of its calmest years, which hold a quarter of all bars: where the market never closes, an
    open repeats the close before in every year, and that is no fault. One year alone is its own habit.
    """
    if years.empty:
        return 0
    bars = years["bars"].to_numpy(dtype="float64")
    shares = years["stale"].to_numpy(dtype="float64") / bars
    order = np.argsort(shares, kind="stable")
    calm = np.searchsorted(np.cumsum(bars[order]), CALM * bars.sum())
    return int(((shares >= shares[order[calm]] + above) & (bars >= FEWEST)).sum())


def between(table: pd.DataFrame, since: pd.Timestamp | None, before: pd.Timestamp | None) -> pd.DataFrame:
    """The rows from `since` on and before `before`."""
    if since is not None:
        table = table[table["timestamp"] >= since]
    return table if before is None else table[table["timestamp"] < before]


def combined(parts: Iterable[Flagged]) -> Flagged:
    """The flags of several frames as one: rows and counts are added, years that lie in two frames are joined.

    Give every frame 200 bars more on either side, outside `since` and `before`: the rules that look at single bars and
    steps then find what they would in the whole. Of a stretch each frame sees its own part; what is usual for stretches
    is told from the frame, and a block repeated from another frame is not seen.

    Raises:
        ValueError: there are no parts.
    """
    listed = list(parts)
    if not listed:
        raise ValueError("no flags to combine")
    if len(listed) == 1:
        return listed[0]
    found: dict[str, int] = {}
    for part in listed:
        for rule, n in part.found.items():
            found[rule] = found.get(rule, 0) + n
    years = pd.concat([part.years for part in listed], ignore_index=True)
    years = years.groupby(["symbol", "year"], as_index=False, sort=True)[["bars", "stale"]].sum()
    return Flagged(stacked([part.rows for part in listed]), found, years, listed[0].stale_open_share)


def stacked(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """One table of several; those without rows are left out, for their columns have no types."""
    filled = [table for table in tables if len(table)]
    if not filled:
        return nothing()
    return (
        pd.concat(filled, ignore_index=True)
        .sort_values(["rule", "symbol", "timestamp"], kind="stable")
        .reset_index(drop=True)
    )


def nothing() -> pd.DataFrame:
    """A table without rows; whoever gets it may change it."""
    return _nothing().copy(deep=False)


@cache
def _nothing() -> pd.DataFrame:
    # Most rules find nothing, and with hundreds of markets making it anew would take long.
    types = {"timestamp": "datetime64[us, UTC]", "symbol": "str", "rule": "str", "value": "float64", "usual": "float64"}
    return pd.DataFrame({name: pd.Series(dtype=type_) for name, type_ in types.items()})
