"""The role of every row in every fold, a byte each: what training and evaluation ask of a folds table.

A combinatorial split of a long history has tens of millions of rows, and joining each fold with its labels by key once
more for every question takes minutes. Here each fold is joined once, and folds that list the same rows in the same
order, as all schemes do, share one join. What does not belong here: giving roles (`betti.splits`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np

from betti.errors import BrokenArtifact
from betti.schemas import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]

__all__ = ["NO_ROLE", "FoldRoles"]

NO_ROLE = -1


@dataclass(frozen=True)
class FoldRoles:
    """Roles of n rows in each of a split's folds.

    Attributes:
        numbers: the folds' numbers, ascending.
        codes: (folds, n) int8 place of each row's role in `betti.schemas.ROLES`; -1 where the fold has none for it.
        counts: (folds, roles) rows of each role in the folds table, whether or not they are among these rows.
    """

    numbers: tuple[int, ...]
    codes: NDArray[np.int8]
    counts: Positions

    @classmethod
    def of(cls, rows: pd.DataFrame, folds: pd.DataFrame) -> Self:
        """Join rows with their roles.

        Args:
            rows: `timestamp`, `symbol`, each pair once, in any order: labels, or those of them that have an input.
            folds: columns as in `betti.schemas.FOLDS`, in any order; quickest in that of the splits.

        Raises:
            BrokenArtifact: a (timestamp, symbol) occurs twice among the rows, or twice in one fold.
        """
        keys = _Keys.of(rows)
        numbers: list[int] = []
        codes, counts = [], []
        known: _Listed | None = None
        for number, table in _by_fold(folds):
            known = keys.find(number, table, known)
            role = _coded(table["role"], ROLES)
            mine = np.full(len(rows), NO_ROLE, dtype="int8")
            mine[known.at[known.found]] = role[known.found]
            numbers.append(number)
            codes.append(mine)
            counts.append(np.bincount(role[role >= 0], minlength=len(ROLES)))
        empty = np.empty((0, len(rows)), dtype="int8"), np.empty((0, len(ROLES)), dtype="int64")
        return cls(tuple(numbers), *((np.stack(codes), np.stack(counts)) if numbers else empty))

    def where(self, fold: int, role: str) -> Positions:
        """Positions of the rows that have this role in this fold, ascending."""
        return np.flatnonzero(self.codes[self.numbers.index(fold)] == ROLES.index(role))

    def listed(self, fold: int, role: str) -> int:
        """How many rows of this role the folds table has in this fold."""
        return int(self.counts[self.numbers.index(fold), ROLES.index(role)])


def _by_fold(folds: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """Each fold's rows in their order; views where the table is in order of folds, as the splits write it."""
    number = folds["fold"].to_numpy()
    if (np.diff(number) < 0).any():
        order = np.argsort(number, kind="stable")
        folds, number = folds.iloc[order], number[order]
    every, first = np.unique(number, return_index=True)
    for fold, (begin, end) in zip(every, pairwise([*first, len(number)] if len(every) else []), strict=True):
        yield int(fold), folds.iloc[begin:end]


def _coded(values: pd.Series, names: tuple[str, ...]) -> Positions:
    """(n,) place of each text among the names; -1 for others. Each distinct text is looked up once."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        codes, texts = values.cat.codes.to_numpy(), values.cat.categories
    else:
        codes, texts = pd.factorize(values)
    places = {name: place for place, name in enumerate(names)}
    # What has no value has the code -1, which is the last of these.
    found: Positions = np.array([*(places.get(str(text), NO_ROLE) for text in texts), NO_ROLE])[codes]
    return found


def _micros(times: pd.Series) -> Positions:
    whole: Positions = times.dt.as_unit("us").astype("int64").to_numpy()
    return whole


@dataclass(frozen=True)
class _Listed:
    """The keys that one fold lists, and where they are among the rows: `at`, where `found`."""

    symbol: Positions
    time: Positions
    at: Positions
    found: NDArray[np.bool_]


@dataclass(frozen=True)
class _Keys:
    """The keys of the rows as ascending numbers, and whose they are."""

    symbols: tuple[str, ...]
    times: Positions
    keys: Positions
    order: Positions

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Self:
        symbols = tuple(sorted(str(symbol) for symbol in rows["symbol"].unique()))
        moments = _micros(rows["timestamp"])
        times = np.unique(moments)
        keys = _coded(rows["symbol"], symbols) * len(times) + np.searchsorted(times, moments)
        order = np.argsort(keys, kind="stable")
        twice = np.flatnonzero(np.diff(keys[order]) == 0)
        if len(twice):
            first = rows.iloc[int(order[twice[0]])]
            raise BrokenArtifact("labels", f"the row {first['symbol']} {first['timestamp']} occurs twice")
        return cls(symbols, times, keys[order], order)

    def find(self, fold: int, table: pd.DataFrame, before: _Listed | None) -> _Listed:
        """Where one fold's rows are; what was found for the fold before, if both list the same keys."""
        symbol, time = _coded(table["symbol"], self.symbols), _micros(table["timestamp"])
        if before is not None and np.array_equal(time, before.time) and np.array_equal(symbol, before.symbol):
            return before
        if not len(self.keys):
            return _Listed(symbol, time, np.zeros(len(table), dtype="int64"), np.zeros(len(table), dtype="bool"))
        place = np.minimum(np.searchsorted(self.times, time), len(self.times) - 1)
        key = symbol * len(self.times) + place
        at = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        found = (symbol >= 0) & (self.times[place] == time) & (self.keys[at] == key)
        if len(np.unique(at[found])) < found.sum():
            raise BrokenArtifact("folds", f"fold {fold} lists a (timestamp, symbol) twice")
        return _Listed(symbol, time, self.order[at], found)
