"""How a table's columns are distributed since a bar, beside equally long stretches before it.

Features keep their level for weeks: two months of volatility never look like twenty years of it, and no test that takes
rows for independent can say whether that is much. So the table's own history is the measure. The newest bars, and
stretches of the earlier bars that are as long, are all compared with those earlier bars, and a limit counts only where
the newest go further than any of them. Of k stretches and one more like them, the last is the farthest once in k + 1
times; neighbours share their look-back, so that k counts too much, and the newest must go further by a tenth. That
leaves about one column in twenty at most, and more where a market is as it never was.

What does not belong here: the measures (`drift.py`), and bars, whose moves are close to independent (`moves.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from betti.expectations.drift import FLOOR, KEY, LEAST, profile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from betti.expectations.moves import Limits
    from betti.records import ColumnProfile

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

__all__ = ["COLUMNS", "since"]

COLUMNS = ("column", "known", "psi", "ks", "psi_before", "ks_before", "level", "finding")
BARS = 60  # compared at least; where fewer are new, those before them make up for it
STRETCHES = 40  # of the history; new bars that are more than such a part of it are compared by their newest
FURTHER = 1.1  # times the farthest stretch of the history
FEWEST = 19  # stretches with values: with fewer, chance would speak of more than one column in twenty
MOST = 100  # stretches compared, evenly spaced over the history
ROWS = 100_000  # of the history, evenly spaced
KEPT = 2_000  # rows of a stretch, likewise


def since(table: pd.DataFrame, accepted: pd.Timestamp, limits: Limits) -> pd.DataFrame | None:
    """How each column is distributed in the newest bars.

    What the bars up to the accepted one showed already, where they make up for new ones, was accepted with them, and is
    not told again.

    Args:
        table: `timestamp`, `symbol`, and numbers in every other column; symbols are taken together.
        accepted: time of the last bar that was accepted.
        limits: of the index and of the distance; each counts only where it is a tenth larger than in any before.

    Returns:
        A table of `COLUMNS`; `psi_before` and `ks_before` are the largest of the earlier stretches, measures are NaN
        where fewer than 20 values are known. `level` is "stop", "warn" or empty, `finding` says why. None where no bar
        is new or the history is shorter than 19 stretches of 60 bars.
    """
    opens = table["timestamp"].dt.as_unit("us").astype("int64").to_numpy()
    times, at = np.unique(opens, return_inverse=True)
    known = int(np.searchsorted(times, int(accepted.as_unit("us").asm8.astype("int64")), side="right"))
    new = len(times) - known
    if not new:
        return None
    length = max(BARS, min(new, known // STRETCHES))
    found = _newest(table, at, len(times), length, min(known, len(times) - length), limits)
    if found is None or new >= length:
        return found
    stood = _newest(table, at, known, length, known - length, limits)
    if stood is not None:
        again = found["level"] == stood["level"]
        found.loc[again, ["level", "finding"]] = ""
    return found


def _newest(table: pd.DataFrame, at: Ints, end: int, length: int, before: int, limits: Limits) -> pd.DataFrame | None:
    """The `length` bars before bar `end`, beside stretches of those before bar `before`; `at` is each row's bar."""
    count = before // length
    if count < FEWEST:
        return None
    # Whole stretches, counted back from the end of the history; the newest bars are the last one.
    which = np.where(at < before, count - 1 - (before - 1 - at) // length, -1)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST)).astype("int64"))
    place = np.full(count + 1, -1)
    place[chosen] = np.arange(len(chosen))
    number = np.where(which >= 0, place[which], -1)
    number[(at >= end - length) & (at < end)] = len(chosen)
    rows = np.flatnonzero(number >= 0)
    rows = rows[:: max(1, int((number == len(chosen)).sum()) // KEPT)]
    history = np.flatnonzero(at < before)
    earlier = profile("history", table.iloc[history[:: max(1, len(history) // ROWS)]])
    found = [
        _column(one, table[one.column].to_numpy(dtype="float64", na_value=np.nan)[rows], number[rows], len(chosen) + 1)
        for one in earlier.columns
        if one.column not in KEY
    ]
    return _judged(pd.DataFrame(found, columns=COLUMNS[:6]), limits)


def _column(before: ColumnProfile, values: Floats, number: Ints, stretches: int) -> tuple[object, ...]:
    """One row: the newest stretch's values and measures, and the largest measures of the others."""
    finite = np.isfinite(values)
    values, number = values[finite], number[finite]
    sizes = np.bincount(number, minlength=stretches)
    enough = sizes >= LEAST
    if not before.points or enough[:-1].sum() < FEWEST or not enough[-1]:
        return before.column, int(sizes[-1]), *[float("nan")] * 4
    psi, ks = _index(before, values, number, sizes), _distance(before, values, number, sizes)
    psi_before, ks_before = (float(measure[:-1][enough[:-1]].max()) for measure in (psi, ks))
    return before.column, int(sizes[-1]), float(psi[-1]), float(ks[-1]), psi_before, ks_before


def _index(before: ColumnProfile, values: Floats, number: Ints, sizes: Ints) -> Floats:
    """(k,) population stability index of every stretch, as `drift.drift` has it."""
    cells = _counts(np.searchsorted(before.edges, values, side="left"), number, len(sizes), len(before.shares))
    q = np.maximum(cells / np.maximum(sizes, 1)[:, None], FLOOR)
    p = np.maximum(np.array(before.shares), FLOOR)
    index: Floats = ((q - p) * np.log(q / p)).sum(axis=1)
    return index


def _distance(before: ColumnProfile, values: Floats, number: Ints, sizes: Ints) -> Floats:
    """(k,) Kolmogorov-Smirnov distance of every stretch over the points kept, from above and from below each."""
    largest = np.zeros(len(sizes))
    sides: tuple[tuple[Literal["left", "right"], list[float]], ...] = (
        ("left", before.at_most),
        ("right", before.below),
    )
    for side, shares in sides:
        cells = _counts(np.searchsorted(before.points, values, side=side), number, len(sizes), len(shares) + 1)
        reached = np.cumsum(cells[:, :-1], axis=1) / np.maximum(sizes, 1)[:, None]
        largest = np.maximum(largest, np.abs(reached - np.array(shares)).max(axis=1))
    return largest


def _counts(cell: Ints, number: Ints, stretches: int, cells: int) -> Ints:
    """(stretches, cells) how many values of a stretch lie in a cell."""
    flat: Ints = np.bincount(number * cells + cell, minlength=stretches * cells)
    return flat.reshape(stretches, cells)


def _judged(found: pd.DataFrame, limits: Limits) -> pd.DataFrame:
    """With `level` and `finding`."""
    found["level"], found["finding"] = "", ""
    for word, limit in (
        ("warn", (("psi", limits.psi_warn), ("ks", limits.ks_warn))),
        ("stop", (("psi", limits.psi_stop), ("ks", limits.ks_stop))),
    ):
        for measure, least in limit:
            if least is not None:
                over = (found[measure] >= least) & (found[measure] > FURTHER * found[f"{measure}_before"])
                found.loc[over, "level"] = word
                found.loc[over, "finding"] = f"{measure} is {least} or more, and more than in any stretch before"
    return found
