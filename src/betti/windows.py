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

__all__ = ["NamedInputs", "Rows", "Steps", "Windows", "breaks", "complete", "usual_steps"]

MINUTE = 60_000_000
HOUR = MINUTE * 60
DAY = HOUR * 24
MONTH = DAY * 30
REST = HOUR * 6  # a shorter one, such as lunch, is the same in summer and winter


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


@dataclass(frozen=True)
class Steps:
    """Which steps from one bar of a market to its next are no gap.

    They belong to the model that was trained with them: a table of a few live bars knows no weekends, and must be cut
    by the same rule. Usual is what occurs at least once in 30 days on average; in a shorter history, everything.

    Attributes:
        bar: the step that occurs most often, in microseconds.
        most: a step of up to so many bars is no gap: twice the k for which steps of 1, 2, ... k bars are all usual.
            That is 2 where a bar is hardly ever missing, and more in a thin market.
        usual: longer steps that are usual, in bars, ascending: nights, weekends, lunch.

    >>> Steps(bar=15 * MINUTE, most=2, usual=(70, 262)).follow(np.array([15, 30, 300, 1050, 2490, 5370]) * MINUTE)
    array([ True,  True, False,  True,  True,  True])
    """

    bar: int
    most: int
    usual: tuple[int, ...]

    @classmethod
    def of(cls, times: Positions) -> Steps:
        """The usual steps of one market, from its times in microseconds since 1970, ascending."""
        steps = np.diff(times)
        if not len(steps):
            return cls(0, 2, ())
        found, often = np.unique(steps, return_counts=True)
        bar = int(found[often.argmax()])
        bars, often = np.unique(-(-steps // bar), return_counts=True)
        usual = bars[often >= max(int(times[-1] - times[0]) // MONTH, 1)]
        thin = int((usual == np.arange(1, len(usual) + 1)).sum())
        return cls(bar, 2 * max(thin, 1), tuple(usual[usual > 2 * max(thin, 1)].tolist()))

    def follow(self, steps: Positions) -> NDArray[np.bool_]:
        """(n,) which steps are no gap: of few bars, or usual, or like a usual rest.

        A rest begins and ends at the hours of the day at which a usual one does, within the hour that clocks are put
        forward or back, and is no longer than twice the longest: a holiday, and not half of a session that is missing.
        """
        if not self.bar:
            return np.ones(len(steps), dtype="bool")
        bars = -(-steps // self.bar)
        fine: NDArray[np.bool_] = (bars <= self.most) | np.isin(bars, self.usual)
        rests = [self.bar * count for count in self.usual if self.bar * count >= REST]
        like = (steps >= REST) & (steps <= 2 * max(rests, default=0))
        for rest in rests if like.any() else ():
            away = (steps - rest) % DAY
            fine |= like & (np.minimum(away, DAY - away) <= HOUR)
        return fine


def breaks(symbols: NDArray[np.object_], times: Positions, steps: Mapping[str, Steps]) -> NDArray[np.bool_]:
    """Which rows do not follow on from the one before: the first of a symbol, and those after a gap.

    Args:
        symbols: (rows,) the symbol of each row, rows of one symbol adjacent.
        times: (rows,) microseconds since 1970, ascending within a symbol.
        steps: what is no gap, by symbol (`usual_steps`). In a market that is not among them nothing is a gap but what
            is one in each of these.

    >>> always = Steps(bar=5, most=2, usual=())
    >>> breaks(np.array(["A", "A", "A", "B"]), np.array([0, 5, 16, 17]), {"A": always}).tolist()
    [True, False, True, True]
    """
    found: NDArray[np.bool_] = _fresh(symbols)
    for symbol, first, end in _stretches(symbols):
        known = [steps[symbol]] if symbol in steps else steps.values()
        between = np.diff(times[first:end])
        if known:
            found[first + 1 : end] |= ~np.logical_or.reduce([one.follow(between) for one in known])
    return found


def usual_steps(symbols: NDArray[np.object_], times: Positions) -> dict[str, Steps]:
    """The usual steps of each market.

    Args:
        symbols: (rows,) the symbol of each row, rows of one symbol adjacent.
        times: (rows,) microseconds since 1970, ascending within a symbol.

    >>> daily = np.cumsum([0, *[1, 1, 1, 1, 3] * 30, 10]) * DAY
    >>> usual_steps(np.full(len(daily), "A"), daily)["A"] == Steps(bar=DAY, most=2, usual=(3,))
    True
    """
    return {symbol: Steps.of(times[first:end]) for symbol, first, end in _stretches(symbols)}


def _stretches(symbols: NDArray[np.object_]) -> Iterator[tuple[str, int, int]]:
    """Each symbol with its first row and the one after its last."""
    for first, end in pairwise([*np.flatnonzero(_fresh(symbols)).tolist(), len(symbols)]):
        yield str(symbols[first]), first, end


def _fresh(symbols: NDArray[np.object_]) -> NDArray[np.bool_]:
    """(rows,) whether a row is the first of its symbol."""
    first = np.ones(len(symbols), dtype="bool")
    first[1:] = symbols[1:] != symbols[:-1]
    return first
