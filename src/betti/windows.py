"""Bars to model inputs as views: a sequence is gathered when a batch asks for it, never materialised for all rows.

A window holds consecutive rows of one symbol that end at its decision row. What does not belong here: scaling and
choosing rows (`betti.training`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.errors import BadModelInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Windows", "complete"]


@dataclass(frozen=True)
class Windows:
    """n windows over one resident matrix; indexes like an (n, length, features) array.

    Attributes:
        values: (rows, features) float32, rows of one symbol adjacent and in time order.
        ends: (n,) position of each window's last row.
        length: rows in a window.

    >>> rows = np.arange(10, dtype="float32").reshape(5, 2)
    >>> windows = Windows(rows, ends=np.array([2, 4]), length=3)
    >>> windows.shape, windows[np.array([1])].tolist()
    ((2, 3, 2), [[[4.0, 5.0], [6.0, 7.0], [8.0, 9.0]]])
    """

    values: NDArray[np.float32]
    ends: NDArray[np.int64]
    length: int

    def __post_init__(self) -> None:
        if len(self.ends) and (self.ends.min() < self.length - 1 or self.ends.max() >= len(self.values)):
            raise BadModelInput("windows", "a window reaches outside its matrix", "Use `complete` to choose the ends")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, length, features)."""
        return len(self.ends), self.length, self.values.shape[1]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """The windows of these rows as an array (k, length, features)."""
        offsets = np.arange(1 - self.length, 1)
        gathered: NDArray[np.float32] = self.values[self.ends[rows][:, None] + offsets]
        return gathered

    def take(self, rows: NDArray[np.int64]) -> Windows:
        """The same windows, fewer of them; the matrix is shared."""
        return Windows(self.values, self.ends[rows], self.length)


def complete(symbols: NDArray[np.object_], finite: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """Which rows end a full window: `length` rows of one symbol, all of them finite.

    Args:
        symbols: (rows,) the symbol of each row, rows of one symbol adjacent.
        finite: (rows,) whether every feature of the row is finite.
        length: rows in a window.

    >>> complete(np.array(["A", "A", "A", "B", "B"]), np.array([True, True, True, True, True]), 2).tolist()
    [False, True, True, False, True]
    """
    run = np.zeros(len(symbols), dtype="int64")
    for row in range(len(symbols)):
        same = row > 0 and symbols[row] == symbols[row - 1]
        run[row] = (run[row - 1] if same else 0) + 1 if finite[row] else 0
    return run >= length
