"""From Parquet and Feather to bars, in pieces: what the two share.

What does not belong here: opening files, options of one source.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from betti.sources._columns import find_columns, tell_of_volume
from betti.sources._files import Place
from betti.sources._table import Reading, assembled, by_file, check_found, named, one_file_each
from betti.sources._times import find_clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from betti.sources._columns import Columns, Given
    from betti.sources._table import Asked

__all__ = ["ROWS", "ColumnarFile", "Format", "fetched"]

ROWS = 2**18  # of a batch
HEAD = 2000  # rows that tell how times are written


class Format(Protocol):
    """A file format: how one of its files is opened. Both raise UnreadableFile where it is not whole."""

    def names(self, where: Place) -> tuple[str, ...]:
        """All columns of the file, in order."""

    def batches(self, where: Place, wanted: list[str]) -> Iterator[pa.RecordBatch]:
        """These columns alone, from the beginning, at most `ROWS` rows at a time."""


def fetched(
    kind: Format, path: str, symbols: tuple[str, ...], interval: str, markets: Mapping[str, str] | None, given: Given
) -> Iterator[pd.DataFrame]:
    """The bars of these symbols; a file that holds several is read once.

    Args:
        kind: how a file is opened.
        path: pattern of the files' names.
        symbols: markets wanted.
        interval: their bar length.
        markets: our symbol -> the file's name for it.
        given: what its columns and times are.

    Raises:
        MissingFile, UnreadableFile, UnknownName, BadBars, BadParam: what was found instead of bars.
    """
    for file, asked in by_file(path, symbols, interval, markets).items():
        table = ColumnarFile(file, kind, asked, given)
        if table.columns.symbol is None:
            one_file_each(path, symbols)
        yield from table.bars()


@dataclass(frozen=True)
class ColumnarFile:
    """One file of typed columns.

    Attributes:
        path: the file.
        kind: how it is opened.
        asked: the markets and the bar length wanted; several where the file has a column of them.
        given: what its columns and times are.
    """

    path: Path
    kind: Format
    asked: tuple[Asked, ...]
    given: Given

    @property
    def where(self) -> Place:
        """How an error names it."""
        return Place(self.path, self.asked[0].symbol)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Its columns in order."""
        return self.kind.names(self.where)

    @cached_property
    def columns(self) -> Columns:
        """Which column is which.

        Raises:
            BadBars: a column other than volume is missing, occurs twice, or may be one of several.
        """
        return find_columns(self.names, self.where, self.given)

    def bars(self) -> Iterator[pd.DataFrame]:
        """The bars of the markets asked for, batch by batch, each piece of one market.

        Raises:
            UnknownName: the file has a column of markets, and one asked for is not in it.
            BadBars, BadParam: what was found instead of bars; the row is named as a line, the first is 1.
        """
        seen: set[str] = set()
        found: set[str] = set()
        reading = None
        tell_of_volume(self.columns, self.names, self.where)
        for rows in self._rows():
            if reading is None:
                clock = find_clock(rows["timestamp"].head(HEAD), self.where, self.given, self._times())
                reading = Reading(clock, self.columns.closes)
            for piece in assembled(rows, self.asked, reading, self.path, seen):
                found.add(str(piece["symbol"].iloc[0]))
                yield piece
        check_found(self.path, self.asked, found, seen)

    def _rows(self) -> Iterator[pd.DataFrame]:
        """Rows under the names of bars, indexed by their number in the file."""
        import pandas as pd

        wanted = [self.names[position] for position in self.columns.positions]
        here = find_columns(wanted, self.where, self.given)  # the same columns, where they stand in a batch
        first = 1
        for batch in self.kind.batches(self.where, wanted):
            if batch.num_rows:
                raw = batch.to_pandas(ignore_metadata=True)
                yield named(raw.set_axis(pd.RangeIndex(first, first + len(raw))), here)
                first += len(raw)

    def _times(self) -> Iterator[pd.Series]:
        return (rows["timestamp"] for rows in self._rows())
