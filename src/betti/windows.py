"""Bars to model inputs as views: a sequence is gathered when a batch asks for it, never materialised for all rows.

A window holds consecutive rows of one symbol that end at its decision row, and crosses no gap. What does not belong
here: scaling and choosing rows, and gathering on a device (`betti.training`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from betti.errors import BadModelInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]
    # A slice, row numbers, or a mask.
    Choice = Positions | NDArray[np.bool_] | slice

__all__ = ["NamedInputs", "Rows", "Windows", "breaks", "complete", "usual_step"]

DAY = 86_400_000_000
MONTH = DAY * 30


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
    ends: Positions
    length: int

    def __post_init__(self) -> None:
        if self.length < 1:
            raise BadModelInput("windows", f"a length of {self.length}", "A window has one row at least")
        if len(self.ends) and (self.ends.min() < self.length - 1 or self.ends.max() >= len(self.values)):
            raise BadModelInput("windows", "a window reaches outside its matrix", "Use `complete` to choose the ends")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, length, features)."""
        return len(self.ends), self.length, self.values.shape[1]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, rows: Choice) -> NDArray[np.float32]:
        """The windows of these rows as an array (k, length, features)."""
        # Every window of the matrix as a view; a window is one stretch of memory, so copying it is one copy.
        places, (row, column) = max(len(self.values) - self.length + 1, 0), self.values.strides
        shape = (places, self.length, self.values.shape[1])
        every = np.lib.stride_tricks.as_strided(self.values, shape, (row, row, column), writeable=False)
        gathered: NDArray[np.float32] = every[np.asarray(self.ends[rows]) - (self.length - 1)]
        return gathered

    def take(self, rows: Choice) -> Windows:
        """The same windows, fewer of them; the matrix is shared."""
        return Windows(self.values, self.ends[rows], self.length)


@dataclass(frozen=True)
class Rows:
    """n single rows of one resident matrix; indexes like an (n, features) array.

    Beside `Windows` in a model of several inputs: a wide table is not copied for each role of each fold.

    Attributes:
        values: (rows, features) float32.
        at: (n,) position of each row.

    >>> Rows(np.arange(6, dtype="float32").reshape(3, 2), at=np.array([2, 0]))[:].tolist()
    [[4.0, 5.0], [0.0, 1.0]]
    """

    values: NDArray[np.float32]
    at: Positions

    def __post_init__(self) -> None:
        if len(self.at) and (self.at.min() < 0 or self.at.max() >= len(self.values)):
            raise BadModelInput("rows", "a row lies outside its matrix", f"There are {len(self.values)} rows")

    @property
    def shape(self) -> tuple[int, int]:
        """(n, features)."""
        return len(self.at), self.values.shape[1]

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, rows: Choice) -> NDArray[np.float32]:
        """These rows as an array (k, features)."""
        gathered: NDArray[np.float32] = self.values[self.at[rows]]
        return gathered

    def take(self, rows: Choice) -> Rows:
        """The same rows, fewer of them; the matrix is shared."""
        return Rows(self.values, self.at[rows])


class NamedInputs(Mapping[str, "Windows | Rows | NDArray[np.float32]"]):
    """The inputs of a model that takes several, by name; row i of each belongs to the same decision.

    >>> table = np.zeros((9, 5), dtype="float32")
    >>> ends = np.array([6, 8])
    >>> inputs = NamedInputs({"bars": Windows(table[:, :3], ends, 4), "topology": Rows(table[:, 3:], ends)})
    >>> inputs.rows, {name: part.shape for name, part in inputs.take(np.array([1])).items()}
    (2, {'bars': (1, 4, 3), 'topology': (1, 2)})
    """

    def __init__(self, parts: Mapping[str, Windows | Rows | NDArray[np.float32]]) -> None:
        """Take inputs of equally many rows.

        Raises:
            BadModelInput: there is none, or their numbers of rows differ.
        """
        counts = {name: len(part) for name, part in parts.items()}
        if len(set(counts.values())) != 1:
            found = ", ".join(f"{name} {count}" for name, count in counts.items()) or "no inputs"
            raise BadModelInput("named inputs", f"rows by name: {found}", "Give inputs for the same decision rows")
        self._parts = dict(parts)
        self.rows = next(iter(counts.values()))

    def __getitem__(self, name: str) -> Windows | Rows | NDArray[np.float32]:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        """How many inputs there are; `rows` says how many decisions."""
        return len(self._parts)

    def take(self, rows: Choice) -> NamedInputs:
        """The same inputs for fewer decisions; matrices are shared."""
        return NamedInputs(
            {
                name: part[rows] if isinstance(part, np.ndarray) else part.take(rows)
                for name, part in self._parts.items()
            }
        )


# Which windows are whole --------------------------------------------------------------------------------------------


def complete(
    symbols: NDArray[np.object_],
    finite: NDArray[np.bool_],
    length: int,
    broken: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Which rows end a full window: `length` rows of one symbol, all of them finite, without a gap between them.

    Args:
        symbols: (rows,) the symbol of each row, rows of one symbol adjacent.
        finite: (rows,) whether every feature of the row is finite.
        length: rows in a window.
        broken: (rows,) whether the row does not follow on from the one before (`breaks`); None: only symbols do that.

    >>> complete(np.array(["A", "A", "A", "B", "B"]), np.array([True, True, True, True, True]), 2).tolist()
    [False, True, True, False, True]
    """
    rows = np.arange(len(symbols))
    fresh = _fresh(symbols) if broken is None else _fresh(symbols) | broken
    # The row that the last reset leaves uncounted: itself where it is not finite, the one before where it is the first.
    reset = np.where(finite, np.where(fresh, rows - 1, -1), rows)
    whole: NDArray[np.bool_] = rows - np.maximum.accumulate(reset) >= length
    return whole


def breaks(symbols: NDArray[np.object_], times: Positions, longest: int) -> NDArray[np.bool_]:
    """Which rows do not follow on from the one before: the first of a symbol, and those after a gap.

    Args:
        symbols: (rows,) the symbol of each row, rows of one symbol adjacent.
        times: (rows,) microseconds since 1970, ascending within a symbol.
        longest: the longest step in microseconds that is no gap, such as twice `usual_step`.

    >>> breaks(np.array(["A", "A", "A", "B"]), np.array([0, 5, 16, 17]), longest=10).tolist()
    [True, False, True, True]
    """
    found: NDArray[np.bool_] = _fresh(symbols)
    found[1:] |= np.diff(times) > longest
    return found


def usual_step(symbols: NDArray[np.object_], times: Positions) -> int:
    """The longest step in microseconds that some market makes at least once in 30 days on average.

    That is the bar itself where trade never stops, the night or the weekend where it does; closures longer than twice
    of it are gaps. What is found here belongs to the model that was trained with it: a table of a few live bars
    knows no weekends, and must be cut by the same rule. Histories shorter than 30 days give their longest step.

    Args:
        symbols: (rows,) the symbol of each row, rows of one symbol adjacent.
        times: (rows,) microseconds since 1970, ascending within a symbol.

    >>> daily = np.cumsum([0, *[1, 1, 1, 1, 3] * 30, 10]) * DAY
    >>> usual_step(np.full(len(daily), "A"), daily) // DAY
    3
    """
    usual = 0
    for first, end in pairwise([*np.flatnonzero(_fresh(symbols)), len(times)]):
        steps = np.sort(np.diff(times[first:end]))
        if len(steps):
            months = max(int(times[end - 1] - times[first]) // MONTH, 1)
            usual = max(usual, int(steps[max(len(steps) - months, 0)]))
    return usual


def _fresh(symbols: NDArray[np.object_]) -> NDArray[np.bool_]:
    """(rows,) whether a row is the first of its symbol."""
    first = np.ones(len(symbols), dtype="bool")
    first[1:] = symbols[1:] != symbols[:-1]
    return first
