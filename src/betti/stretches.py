"""Rows of one symbol with some of their neighbours: how a long history is looked at a piece at a time.

What does not belong here: reading them (`betti.batches`), and how far a stage looks (`betti.slices`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

__all__ = ["Stretch", "stretches"]


@dataclass(frozen=True)
class Stretch:
    """Consecutive rows of one symbol, with some of their neighbours.

    Attributes:
        rows: the stretch between those before it and those after it, in time order.
        since: time of its own first row.
        before: time of the first row after it; None where there is none.
    """

    rows: pd.DataFrame
    since: pd.Timestamp
    before: pd.Timestamp | None

    @property
    def own(self) -> pd.DataFrame:
        """The stretch without its neighbours."""
        times = self.rows["timestamp"]
        mask = times >= self.since
        return self.rows[mask if self.before is None else mask & (times < self.before)]


def stretches(table: pd.DataFrame) -> Iterator[Stretch]:
    """Each symbol's rows as one stretch without neighbours, in the order of the names."""
    for _, rows in table.groupby("symbol", sort=True):
        yield Stretch(rows.reset_index(drop=True), rows["timestamp"].iloc[0], None)
