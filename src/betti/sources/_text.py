"""From a text file to bars, in pieces: what the text sources share.

What does not belong here: where files lie, options of one source.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from betti.errors import BadBars, BadInput, BadParam
from betti.sources._cells import Style, find_decimal
from betti.sources._columns import find_columns, tell_of_volume
from betti.sources._files import Block, Place, blocks
from betti.sources._layout import find_layout
from betti.sources._rows import careful, fast
from betti.sources._table import Reading, assembled, check_found, no_rows
from betti.sources._times import find_clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from betti.sources._columns import Columns, Given
    from betti.sources._layout import Layout, Look
    from betti.sources._table import Asked

__all__ = ["TextFile"]

HEAD = 2000  # lines read with care to find how times and numbers are written

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TextFile:
    """One text file and what the options say about it; what they do not say is found when it is needed.

    Attributes:
        path: the file.
        asked: the markets and the bar length wanted; several where the file has a column of them.
        look: how its rows are laid out.
        given: what its columns and times are.
    """

    path: Path
    asked: tuple[Asked, ...]
    look: Look
    given: Given

    @property
    def where(self) -> Place:
        """How an error names it."""
        return Place(self.path, self.asked[0].symbol)

    @cached_property
    def layout(self) -> Layout:
        """The delimiter, the columns' names, the line of the first row."""
        return find_layout(self.where, self.look, self.asked[0].market)

    @cached_property
    def columns(self) -> Columns:
        """Which column is which."""
        return find_columns(self.layout.names, self.where, self.given)

    @cached_property
    def reading(self) -> Reading:
        """How times and numbers are written, from the options or from the first rows."""
        head = self._head()
        style = self._style(head)
        clock = find_clock(head["timestamp"], self.where, self.given, self._times(style))
        return Reading(clock, self.columns.closes, style)

    def _head(self) -> pd.DataFrame:
        """The first rows, as text."""
        for block in self._blocks():
            head = "\n".join(block.text.split("\n", HEAD)[:HEAD])
            rows = careful(Block(head, block.line), self.layout, self.columns, self.where)
            if len(rows):
                return rows
        raise BadBars(self.where, "a header and no rows", "Check that the export is complete")

    def _style(self, head: pd.DataFrame) -> Style:
        """How numbers are written. Where commas part cells, or thousands, none is looked at as a decimal one."""
        decimal, thousands = self.given.decimal, self.given.thousands
        if decimal is None and thousands == ".":
            decimal = ","
        if decimal is None and "," not in (self.layout.delimiter, thousands):
            decimal = find_decimal((head[name] for name in self.columns.values), thousands)
        style = Style(decimal or ".", thousands)
        if style.decimal == style.thousands:
            raise BadParam("ingest.options.thousands", thousands, "it is the decimal sign too: they differ")
        return style

    @property
    def names_markets(self) -> bool:
        """Whether the file itself says which rows or columns belong to which market."""
        return bool(self.layout.markets) or self.columns.symbol is not None

    def bars(self) -> Iterator[pd.DataFrame]:
        """The bars of the markets asked for, block by block, each piece of one market.

        Raises:
            UnknownName: the file names its markets, and one asked for is not among them.
            BadBars, UnreadableFile, BadParam: what was found instead of bars; file, line and value are named.
        """
        if self.layout.markets and self.asked[0].market not in self.layout.markets:
            raise no_rows(self.where, self.asked[0], self.layout.markets)
        seen: set[str] = set()
        found: set[str] = set()
        self.reading  # noqa: B018 - asked for here, so that its fault is not taken for one of a block
        log.info("%s", self)
        tell_of_volume(self.columns, self.layout.names, self.where)
        for block in self._blocks():
            for piece in self._pieces(block, seen):
                found.add(str(piece["symbol"].iloc[0]))
                yield piece
        check_found(self.path, self.asked, found, seen)

    def _pieces(self, block: Block, seen: set[str]) -> list[pd.DataFrame]:
        rows = fast(block, self.layout, self.columns, self.reading.style)
        if rows is not None:
            try:
                return self._assembled(rows, seen)
            except BadInput:  # the careful reader knows the line of what is wrong, if it is
                pass
        return self._assembled(careful(block, self.layout, self.columns, self.where), seen)

    def _assembled(self, rows: pd.DataFrame, seen: set[str]) -> list[pd.DataFrame]:
        return assembled(rows, self.asked, self.reading, self.path, seen)

    def _blocks(self) -> Iterator[Block]:
        return blocks(self.where, self.layout.first_line, self.look.encoding)

    def _times(self, style: Style) -> Iterator[pd.Series]:
        """The times of all rows; those of the first block come again."""
        for block in self._blocks():
            rows = fast(block, self.layout, self.columns, style)
            if rows is None:
                rows = careful(block, self.layout, self.columns, self.where)
            yield rows["timestamp"]

    def __str__(self) -> str:
        """What was found by looking, for the log."""
        names, columns = self.layout.names, self.columns
        time = " and ".join(f"'{names[position]}'" for position in columns.time)
        taken = ", ".join(f"{ours} from '{names[position]}'" for ours, position in columns.values.items())
        return (
            f"{self.path}: cells end at {self.layout.delimiter!r}, the first row is line {self.layout.first_line}, the "
            f"{'close' if columns.closes else 'open'} time is {time} ({self.reading.clock}), {self.reading.style}; "
            f"{taken}"
        )
