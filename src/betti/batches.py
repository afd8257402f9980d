"""A table on disk, a batch of parts at a time: what need not fit into memory.

What does not belong here: writing, and what is done with a batch.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from betti import io
from betti.stretches import Stretch, stretches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from betti.schemas import Schema

__all__ = ["Batches"]

ROWS = 1_000_000


class Batches:
    """The parts of a table, folder by folder (a symbol's), in batches of about a million rows.

    A batch holds whole parts: several small symbols, or some of the periods of a large one. A large symbol is cut into
    batches of like size, so that the last is no crumb.
    """

    def __init__(self, path: Path, schema: Schema, rows: int | None = None) -> None:
        self._path, self._schema, self._rows = path, schema, rows or ROWS

    def __iter__(self) -> Iterator[pd.DataFrame]:
        for files in self._groups():
            yield self._read(files)

    def __len__(self) -> int:
        return len(self._groups())

    def symbols(self, margin: int) -> Iterator[tuple[str, Iterator[Stretch]]]:
        """Every symbol with its rows, batch by batch, each with `margin` rows more on either side where there are any.

        A symbol's stretches have to be taken before the next symbol is.
        """
        return _by_symbol(self._stretches(margin))

    def _stretches(self, margin: int) -> Iterator[Stretch]:
        waiting: list[list[Path]] = []
        for files in [*self._groups(), []]:
            if waiting and (not files or files[0].parent != waiting[-1][-1].parent):
                yield from self._within(waiting, margin)
                waiting = []
            waiting.append(files)

    def _within(self, groups: list[list[Path]], margin: int) -> Iterator[Stretch]:
        """The stretches of one group of small symbols, or of the groups of a large one."""
        if len(groups) == 1:
            yield from stretches(self._read(groups[0]))
            return
        for number, files in enumerate(groups):
            own = self._read(files)
            back = self._margin([f for group in groups[:number] for f in group][::-1], margin)
            ahead = self._margin([f for group in groups[number + 1 :] for f in group], margin)
            earlier = self._read(back[::-1]).tail(margin) if back else own.iloc[:0]
            later = self._read(ahead).head(margin) if ahead else own.iloc[:0]
            before = later["timestamp"].iloc[0] if len(later) else None
            yield Stretch(_joined([earlier, own, later]), own["timestamp"].iloc[0], before)

    def _margin(self, files: list[Path], margin: int) -> list[Path]:
        """As many of the files, in their order, as hold `margin` rows."""
        import pyarrow.parquet as pq

        held, taken = 0, 0
        while taken < len(files) and held < margin:
            held += pq.read_metadata(files[taken]).num_rows
            taken += 1
        return files[:taken]

    def _read(self, files: list[Path]) -> pd.DataFrame:
        return io.read_parts(files, self._schema)

    def _groups(self) -> list[list[Path]]:
        """The files of each batch."""
        import pyarrow.parquet as pq

        groups: list[list[Path]] = []
        waiting: list[Path] = []
        held = 0
        for folder in sorted(self._path.iterdir()):
            files = [] if folder.name.startswith("_") else sorted(folder.glob("*.parquet"))
            counts = [pq.read_metadata(file).num_rows for file in files]
            if waiting and held + sum(counts) > self._rows:
                groups.append(waiting)
                waiting, held = [], 0
            if sum(counts) > self._rows:
                groups += _cut(files, counts, self._rows)
            elif files:
                waiting, held = waiting + files, held + sum(counts)
        return [*groups, waiting] if waiting else groups


def _by_symbol(found: Iterator[Stretch]) -> Iterator[tuple[str, Iterator[Stretch]]]:
    return groupby(found, key=lambda stretch: str(stretch.rows["symbol"].iloc[0]))


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(frames, ignore_index=True)


def _cut(files: list[Path], counts: list[int], rows: int) -> list[list[Path]]:
    """One symbol's files in as few groups of like size as hold about so many rows each."""
    groups: list[list[Path]] = [[] for _ in range(-(-sum(counts) // rows))]
    done, whole = 0, sum(counts)
    for file, count in zip(files, counts, strict=True):
        groups[int((done + count / 2) / whole * len(groups))].append(file)
        done += count
    return [group for group in groups if group]
