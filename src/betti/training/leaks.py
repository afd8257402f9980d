"""The last look before training: does any row to learn from see into the rows to be tested on?

Splitting already purges (`betti.splits`); this check stands apart from it and shares no code, so that a fault there
cannot pass unseen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.errors import LeakError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["overlapping", "refuse_leaks"]


def overlapping(
    starts: NDArray[np.int64], ends: NDArray[np.int64], test_starts: NDArray[np.int64], test_ends: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which intervals [start, end] share an instant with any test interval, both ends included.

    Every test interval that begins by a row's end either overlaps the row or has ended before it; what is left after
    subtracting the second kind is the number of overlaps.

    >>> overlapping(np.array([0, 3]), np.array([2, 4]), np.array([4]), np.array([9])).tolist()
    [False, True]
    """
    begun = np.searchsorted(np.sort(test_starts), ends, side="right")
    over = np.searchsorted(np.sort(test_ends), starts, side="left")
    found: NDArray[np.bool_] = begun > over
    return found


def refuse_leaks(fold: int, rows: pd.DataFrame) -> None:
    """Refuse a fold in which a train or valid row's span overlaps a test row's, whatever their symbols.

    Symbols move together, so that another symbol's label tells of this one's.

    Args:
        fold: its number, for the message.
        rows: `timestamp`, `symbol`, `span_start`, `span_end`, `role` of the fold's rows.

    Raises:
        LeakError: how many rows, and which is the first.
    """
    test = rows[rows["role"] == "test"]
    learnt = rows[rows["role"].isin(["train", "valid"])]
    spans = [_instants(table[name]) for table in (learnt, test) for name in ("span_start", "span_end")]
    leaks = learnt[overlapping(*spans)]
    if len(leaks):
        first = leaks.sort_values(["timestamp", "symbol"], kind="stable").iloc[0]
        raise LeakError(fold, len(leaks), f"{first['symbol']} {first['timestamp'].isoformat()}")


def _instants(times: pd.Series) -> NDArray[np.int64]:
    """Nanoseconds since 1970."""
    instants: NDArray[np.int64] = times.dt.as_unit("ns").astype("int64").to_numpy()
    return instants
