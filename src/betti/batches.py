"""A table on disk, a batch of parts at a time: what need not fit into memory.

What does not belong here: writing, and what is done with a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti import io

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

    def __init__(self, path: Path, schema: Schema, rows: int = ROWS) -> None:
        self._path, self._schema, self._rows = path, schema, rows

    def __iter__(self) -> Iterator[pd.DataFrame]:
        import pandas as pd

        for files in self._groups():
            yield pd.concat([io.read_part(file, self._schema) for file in files], ignore_index=True)

    def __len__(self) -> int:
        return len(self._groups())

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


def _cut(files: list[Path], counts: list[int], rows: int) -> list[list[Path]]:
    """One symbol's files in as few groups of like size as hold about so many rows each."""
    groups: list[list[Path]] = [[] for _ in range(-(-sum(counts) // rows))]
    done, whole = 0, sum(counts)
    for file, count in zip(files, counts, strict=True):
        groups[int((done + count / 2) / whole * len(groups))].append(file)
        done += count
    return [group for group in groups if group]
