"""From Parquet and Feather to bars, in pieces: what the two share.

What does not belong here: opening files, options of one source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from betti.errors import BadBars
from betti.sources._columns import find_columns
from betti.sources._table import assembled, named, no_rows
from betti.sources._times import find_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    import pyarrow as pa

    from betti.sources._columns import Columns, Given
    from betti.sources._files import Place
    from betti.sources._table import Asked

__all__ = ["ROWS", "ColumnarFile"]

ROWS = 2**18  # of a batch
HEAD = 2000  # rows that tell how times are written


@dataclass(frozen=True)
class ColumnarFile:
    """One file of typed columns.

    Attributes:
        where: the file, and how an error names it.
        names: of all its columns, in order.
        batches: `batches(names)` reads these columns alone, from the beginning, at most `ROWS` rows at a time.
        asked: the market and the bar length wanted.
        given: what its columns and times are.
    """

    where: Place
    names: tuple[str, ...]
    batches: Callable[[list[str]], Iterator[pa.RecordBatch]]
    asked: Asked
    given: Given

    def columns(self) -> Columns:
        """Which column is which.

        Raises:
            BadBars: a column is missing, occurs twice, or may be one of several.
        """
        return find_columns(self.names, self.where, self.given)

    def bars(self) -> Iterator[pd.DataFrame]:
        """The bars of the market asked for, batch by batch.

        Raises:
            UnknownName: the file has a column of markets, and the one asked for is not in it.
            BadBars, BadParam: what was found instead of bars; the row is named as a line, the first is 1.
        """
        seen: set[str] = set()
        found = False
        columns, clock = self.columns(), None
        for rows in self._rows(columns):
            if clock is None:
                clock = find_clock(rows["timestamp"].head(HEAD), self.where, self.given, self._times(columns))
            piece = assembled(rows, self.asked, clock, self.where, closes=columns.closes, seen=seen)
            if len(piece):
                found = True
                yield piece
        if clock is None:
            raise BadBars(self.where, "a header and no rows", "Check that the export is complete")
        if not found:
            raise no_rows(self.where, self.asked, seen)

    def _rows(self, columns: Columns) -> Iterator[pd.DataFrame]:
        """Rows under the names of bars, indexed by their number in the file."""
        import pandas as pd

        wanted = [self.names[position] for position in columns.positions]
        here = find_columns(wanted, self.where, self.given)  # the same columns, where they stand in a batch
        first = 1
        for batch in self.batches(wanted):
            if batch.num_rows:
                raw = batch.to_pandas(ignore_metadata=True)
                yield named(raw.set_axis(pd.RangeIndex(first, first + len(raw))), here)
                first += len(raw)

    def _times(self, columns: Columns) -> Iterator[pd.Series]:
        return (rows["timestamp"] for rows in self._rows(columns))
