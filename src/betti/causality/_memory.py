"""Whether a family remembers more bars than it declares.

A row may depend on `lookback` bars before it. The last value of a slice with exactly that history is compared with
those of longer ones. A value that moves needs more. What does not belong here: values that read the future (`_future`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.causality._computing import WORK, Computing, TooFewBars
from betti.progress import tell

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from betti.context import Context
    from betti.features import FeatureFamily

__all__ = ["HISTORIES", "TOLERANCE", "Drift", "Memory", "memory"]

HISTORIES = (1, 2, 4, 8)  # times the declared look-back
TOLERANCE = 1e-5  # relative drift that counts as forgotten: ten times what an exponential mean leaves out
ENDS = 10  # rows whose memory is measured


@dataclass(frozen=True)
class Drift:
    """How far one column's last value is from what a long history gives.

    Attributes:
        column: its full name.
        drifts: the largest difference over the measured rows, by history, as a share of the column's typical size
            (root mean square); infinite where a value is missing.
    """

    column: str
    drifts: tuple[float, ...]

    @property
    def short(self) -> bool:
        """Whether the declared look-back is too short."""
        return self.drifts[0] > TOLERANCE

    @property
    def settled(self) -> int | None:
        """The first history from which on the drift is small; None where none is long enough."""
        small = [drift <= TOLERANCE for drift in self.drifts]
        return next((k for k in range(len(small)) if all(small[k:])), None)


@dataclass(frozen=True)
class Memory:
    """What measuring a family's memory found.

    Attributes:
        family: its name.
        lookback: what it declares, in bars.
        histories: bars of history that were given, from the declared look-back on.
        reference: bars of the shortest history they were compared with.
        rows: rows at which that was done.
        drifts: every column.
    """

    family: str
    lookback: int
    histories: tuple[int, ...]
    reference: int
    rows: int
    drifts: tuple[Drift, ...]

    @property
    def short(self) -> tuple[Drift, ...]:
        """Columns that need more history than declared."""
        return tuple(drift for drift in self.drifts if drift.short)

    @property
    def inexact(self) -> tuple[Drift, ...]:
        """Columns that the declared look-back gives but for the last digits: a part is not what the whole gives."""
        return tuple(drift for drift in self.drifts if 0 < drift.drifts[0] <= TOLERANCE)


def memory(
    family: FeatureFamily,
    bars: pd.DataFrame,
    *,
    knobs: Mapping[str, Any] | None = None,
    context: Context | None = None,
) -> Memory:
    """Compare the last value of slices with the declared look-back, and with multiples of it, with a long history's.

    Args:
        family: any family, registered or not.
        bars: one symbol's, columns as in `betti.schemas.BARS`, in time order. The longer before the measured rows, the
            better: what a history leaves out must be there to be missed.
        knobs: the family's own; those left out have their defaults.
        context: what surrounds the market. Where it is None, a family that takes one gets one that is made up.

    Returns:
        The drift of every column over up to `ENDS` rows of the last quarter.

    Raises:
        TooFewBars: not one row has more bars before it than the look-back.
        UnknownName, BadParam: a knob does not exist, or a value is out of range.
        NotFinite: the family gave an infinity.
        ProbeFailed: the family raised.
    """
    computing = Computing.of(family, bars, knobs, context)
    back = computing.warm_up
    if len(bars) < back + 2:
        raise TooFewBars(family.name, len(bars), back + 2, back)
    first = max(back + 1, len(bars) * 3 // 4)
    ends = np.unique(np.linspace(first, len(bars) - 1, ENDS).astype(int))
    histories = tuple(sorted({m * back for m in HISTORIES if m == 1 or m * back < first}))
    lengths, last = (*histories, len(bars)), []
    for done, end in enumerate(ends, start=1):
        tables = [
            computing.table(bars.iloc[max(end - length, 0) : end + 1], f"the last {length} bars") for length in lengths
        ]
        last.append([table.to_numpy()[-1] for table in tables])
        tell(done * len(lengths), len(ends) * len(lengths), WORK)
    found = _drifts(np.array(last, dtype="float64"))
    drifts = tuple(
        Drift(name, tuple(map(float, column))) for name, column in zip(tables[0].columns, found.T, strict=True)
    )
    return Memory(family.name, back, histories, int(first), len(ends), drifts)


def _drifts(last: NDArray[np.float64]) -> NDArray[np.float64]:
    """(histories, columns) from last values (ends, histories + 1, columns), the longest history last."""
    short, whole = last[:, :-1], last[:, -1:]
    size = np.sqrt(np.nanmean(np.where(np.isnan(last).all(axis=(0, 1)), 0.0, last) ** 2, axis=(0, 1)))
    distance = np.abs(short - whole) / np.where(size > 0, size, 1.0)
    missing = np.isnan(short), np.isnan(whole)
    distance = np.where(missing[0] & missing[1], 0.0, np.where(missing[0] | missing[1], np.inf, distance))
    largest: NDArray[np.float64] = distance.max(axis=0)
    return largest
