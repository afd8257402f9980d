"""Bars by symbol and day, with a digest of each day: what part keys are made of, without reading the bars again.

Bars lie in files of a month or a year, and a night changes the last of them. What is known of a file is remembered
while the process lives, and its bars are read when something has to be computed from them.

What does not belong here: what a key is made of besides (`betti.parts`), and writing.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import numpy as np

from betti import io
from betti.errors import BettiError
from betti.schemas import BARS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

__all__ = ["BarsChanged", "History", "Past", "forget"]

DAY = 86_400_000_000  # microseconds
HELD_ROWS = 2_000_000  # of bars that were read, in memory for the next stage that asks
NUMBERS = BARS.names[2:]


class BarsChanged(BettiError):
    """A file of bars is another one, or gone, since its days were counted: keys would name bars that nobody read."""

    def __init__(self, file: Path) -> None:
        self.file = file
        super().__init__(f"{file} changed while it was read; nothing of it was kept. Run it again")


class _Bars(Protocol):
    """Where a symbol's bars are, by their place in it."""

    def rows(self, low: int, high: int, columns: Sequence[str]) -> pd.DataFrame: ...


@dataclass(frozen=True)
class Past:
    """All bars of one symbol.

    Attributes:
        symbol: its name.
        columns: of the table that it is a part of, in order.
        times: (n,) opens, microseconds since 1970, ascending.
        nights: (d,) how many bars there were at the end of each day that has some.
        digests: a hash of each of these days' bars, optional columns that they lack as NaN.
        bars: where to read them.
    """

    symbol: str
    columns: tuple[str, ...]
    times: Integers
    nights: Integers
    digests: tuple[bytes, ...]
    bars: _Bars

    def rows(self, low: int, high: int) -> pd.DataFrame:
        """The bars from one place up to another, index 0 .. high - low - 1."""
        return self.bars.rows(low, high, self.columns)

    def cuts(self, last: int) -> Iterator[tuple[int, bytes]]:
        """Places inside the last days, the latest first, each with the digest of its day up to there.

        A history that ended at such a place had this digest for its last day: nights end when they end, not when a
        day does.

        Args:
            last: how many days.
        """
        first = max(len(self.nights) - last, 0)
        begins = [0, *self.nights.tolist()]
        for day in range(len(self.nights) - 1, first - 1, -1):
            start, end = begins[day], begins[day + 1]
            rows = _matrix_of(self.rows(start, end))
            running, found = hashlib.blake2b(digest_size=16), []
            for place in range(start + 1, end):
                running.update(rows[place - start - 1].data)
                found.append((place, running.copy().digest()))
            yield from reversed(found)

    def days(self, low: int, high: int) -> tuple[int, int]:
        """The days, from the first up to but without the last, that hold the bars from one place up to another."""
        first = int(np.searchsorted(self.nights, low, side="right"))
        return first, int(np.searchsorted(self.nights, high, side="left")) + 1


class History:
    """The bars of several symbols."""

    def __init__(self, pasts: Sequence[Past]) -> None:
        self.pasts = tuple(pasts)

    def __iter__(self) -> Iterator[Past]:
        return iter(self.pasts)

    @classmethod
    def of(cls, bars: pd.DataFrame) -> History:
        """The bars of a table: columns as in `schemas.BARS`, ascending in time within a symbol."""
        import pyarrow as pa

        columns, found = tuple(str(name) for name in bars.columns), []
        for symbol, rows in bars.groupby("symbol", sort=True):
            one = rows.reset_index(drop=True)
            facts = _facts(pa.Table.from_pandas(one, preserve_index=False))
            found.append(Past(str(symbol), columns, facts.times, facts.nights, facts.digests, _Table(one)))
        return cls(found)

    @classmethod
    def at(cls, folder: Path) -> History:
        """The bars under a folder, by symbol and period.

        Raises:
            BrokenArtifact: a file is not Parquet, or its columns do not follow the schema.
        """
        pieces: dict[str, list[_Piece]] = {}
        for file in io.part_files(folder):
            piece = _piece(file)
            pieces.setdefault(piece.symbol, []).append(piece)
        present = {name for group in pieces.values() for piece in group for name in piece.columns}
        columns = tuple(name for name in BARS.names if name in present)
        return cls([_past(symbol, pieces[symbol], columns) for symbol in sorted(pieces)])


def forget() -> None:
    """Let go of what is remembered of files: for measuring what a process pays that has seen none."""
    with _lock:
        _pieces.clear()
        _held.clear()


# A table in memory ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Facts:
    times: Integers
    nights: Integers
    digests: tuple[bytes, ...]


def _facts(table: pa.Table) -> _Facts:
    """Times, days and their digests, of the bars of one symbol."""
    import pyarrow as pa

    times = table.column("timestamp").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    days = times // DAY
    nights = np.append(np.flatnonzero(days[1:] != days[:-1]) + 1, len(days))
    rows = _matrix(table, times)
    starts = [0, *nights[:-1].tolist()]
    digests = tuple(
        hashlib.blake2b(rows[low:high].data, digest_size=16).digest()
        for low, high in zip(starts, nights.tolist(), strict=True)
    )
    return _Facts(times, nights.astype("int64"), digests)


def _matrix(table: pa.Table, times: Integers) -> NDArray[np.float64]:
    """(n, 1 + numbers): a bar in one stretch of memory, its time copied bit by bit, what it lacks as NaN."""
    import pyarrow as pa

    rows = np.full((len(times), 1 + len(NUMBERS)), np.nan)
    rows[:, 0] = times.view("float64")
    for place, name in enumerate(NUMBERS, start=1):
        if name in table.column_names:
            rows[:, place] = table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return rows


def _matrix_of(bars: pd.DataFrame) -> NDArray[np.float64]:
    import pyarrow as pa

    times = bars["timestamp"].dt.as_unit("us").astype("int64").to_numpy()
    return _matrix(pa.Table.from_pandas(bars, preserve_index=False), times)


@dataclass(frozen=True)
class _Table:
    """Bars in memory."""

    frame: pd.DataFrame

    def rows(self, low: int, high: int, columns: Sequence[str]) -> pd.DataFrame:
        return self.frame[list(columns)].iloc[low:high].reset_index(drop=True)


# Files ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Piece:
    """What is known of one file; the bars of a symbol and a period."""

    file: Path
    seen: _Seen
    symbol: str
    columns: tuple[str, ...]
    facts: _Facts


_Seen = tuple[str, int, int, int]
_lock = Lock()
_pieces: dict[_Seen, _Piece] = {}
_held: OrderedDict[_Seen, pd.DataFrame] = OrderedDict()


def _seen(file: Path) -> _Seen:
    """What tells a file from the one that takes its place: files of bars are replaced, never written into."""
    try:
        found = file.stat()
    except FileNotFoundError as cause:
        raise BarsChanged(file) from cause
    return str(file), found.st_ino, found.st_size, found.st_mtime_ns


def _piece(file: Path) -> _Piece:
    seen = _seen(file)
    with _lock:
        known = _pieces.get(seen)
    if known is None:
        table = io.read_arrow(file, BARS)
        symbol = str(table.column("symbol")[0])
        known = _Piece(file, seen, symbol, tuple(table.column_names), _facts(table))
        if _seen(file) != seen:
            raise BarsChanged(file)
        with _lock:
            for other in [one for one in _pieces if one[0] == seen[0]]:
                del _pieces[other]  # what stood there before
            _pieces[seen] = known
    return known


def _past(symbol: str, pieces: list[_Piece], columns: tuple[str, ...]) -> Past:
    counts = [len(piece.facts.times) for piece in pieces]
    starts = np.cumsum([0, *counts])
    return Past(
        symbol,
        columns,
        np.concatenate([piece.facts.times for piece in pieces]),
        np.concatenate([piece.facts.nights + start for piece, start in zip(pieces, starts[:-1], strict=True)]),
        tuple(digest for piece in pieces for digest in piece.facts.digests),
        _Files(tuple(pieces), starts),
    )


@dataclass(frozen=True)
class _Files:
    """Bars on disk.

    Attributes:
        pieces: the files, in the order of time.
        starts: (files + 1,) place of the first bar of each, and of the one after the last.
    """

    pieces: tuple[_Piece, ...]
    starts: Integers

    def rows(self, low: int, high: int, columns: Sequence[str]) -> pd.DataFrame:
        import pandas as pd

        first = int(np.searchsorted(self.starts, low, side="right")) - 1
        last = max(int(np.searchsorted(self.starts, high, side="left")), first + 1)
        whole = pd.concat([_bars(piece) for piece in self.pieces[first:last]], ignore_index=True)
        base = int(self.starts[first])
        return whole.reindex(columns=list(columns)).iloc[low - base : high - base].reset_index(drop=True)


def _bars(piece: _Piece) -> pd.DataFrame:
    """The bars of a file; the last ones that were asked for are still in memory.

    Raises:
        BarsChanged: it is another file by now than the one whose days were counted.
    """
    seen = piece.seen
    with _lock:
        frame = _held.get(seen)
        if frame is not None:
            _held.move_to_end(seen)
    if frame is None:
        _refuse_another(piece)
        frame = io.read_part(piece.file, BARS)
        _refuse_another(piece)
        with _lock:
            _held[seen] = frame
            held = sum(len(one) for one in _held.values())
            while held > HELD_ROWS and len(_held) > 1:
                held -= len(_held.popitem(last=False)[1])
    return frame


def _refuse_another(piece: _Piece) -> None:
    if _seen(piece.file) != piece.seen:
        raise BarsChanged(piece.file)
