"""Rows of a Parquet or text file under our names, a batch at a time; which column is which is found by name or given.

What does not belong here: what cells mean (`_moments` for times, each kind for the rest).
"""

from __future__ import annotations

import csv
import gzip
import io
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pandas as pd

from betti.context._tables import BadContext
from betti.errors import BadBars, MissingFile, UnknownName, UnreadableFile
from betti.sources._cells import numbers as read_numbers
from betti.sources._columns import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Roles", "Shape", "batches", "find", "names", "numbers", "table", "texts"]

ROWS = 1 << 17  # of a batch
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Shape:
    """The columns of one kind.

    Attributes:
        aliases: our name -> other names that files have for it, as `betti.sources._columns.plain` writes them.
        needed: ours that must be there.
        option: where the options of this kind stand in params.yaml.
    """

    aliases: Mapping[str, tuple[str, ...]]
    needed: tuple[str, ...]
    option: str


@dataclass(frozen=True)
class Roles:
    """Our name -> the column's name in the file, for those that are there."""

    columns: Mapping[str, str] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.columns


def names(path: str | Path) -> tuple[Path, list[str]]:
    """The file, and the names of its columns.

    Raises:
        MissingFile: it is not there.
        UnreadableFile, BadContext: it is empty, or neither Parquet nor text.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise MissingFile(file, "Check the path under ingest.context_files in params.yaml")
    if _is_parquet(file):
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return file, [str(name) for name in pq.read_schema(file).names]
        except (pa.ArrowException, OSError) as cause:
            raise _not_whole(file, cause) from cause
    with _text(file) as stream:
        return file, next(_lines(stream, file))[1]


def find(found: Sequence[str], file: Path, shape: Shape, given: Mapping[str, str]) -> Roles:
    """Which column is which: as the options say, by our own name, or by another that files have for it.

    Raises:
        UnknownName: the options name a column of ours that there is none of.
        BadContext: a column is missing, is there twice, or may be one of several.
    """
    for theirs, ours in given.items():
        if ours not in shape.aliases:
            raise UnknownName(f"column in {shape.option}.columns:", ours, shape.aliases)
        if theirs not in found:
            raise BadContext(file, f"no column '{theirs}'", f"Columns found: {', '.join(found)}")
    free = [name for name in found if name not in given]
    columns: dict[str, str] = {}
    for ours, others in shape.aliases.items():
        said = [theirs for theirs, role in given.items() if role == ours]
        own = [name for name in free if plain(name) == plain(ours)]
        candidates = said or own or [name for name in free if plain(name) in others]
        if len(candidates) > 1:
            raise BadContext(
                file,
                f"column {ours} may be {', '.join(candidates)}",
                f"Say which in {shape.option}.columns: {{{candidates[0]}: {ours}}}",
            )
        if candidates:
            columns[ours] = candidates[0]
    missing = [ours for ours in shape.needed if ours not in columns]
    if missing:
        raise BadContext(
            file,
            f"no column {', '.join(missing)} (found: {', '.join(found)})",
            f"Name it in {shape.option}.columns: {{theirs: ours}}",
        )
    return Roles(columns)


def table(path: str | Path, shape: Shape, given: Mapping[str, str]) -> tuple[Path, pd.DataFrame]:
    """The file, and its rows under our names, those columns alone; cells of a text file as text, absent ones empty.

    The index is the row in a Parquet file and the line in a text file, from 1.

    Raises:
        MissingFile, UnreadableFile, UnknownName, BadContext: as `names` and `find`; or there are no rows.
    """
    file, found = names(path)
    roles = find(found, file, shape, given)
    wanted = list(dict.fromkeys(roles.columns.values()))
    pieces = [piece for piece in batches(file, wanted) if len(piece)]
    if not pieces:
        raise BadContext(file, "a header and no rows", "Check that the export is complete")
    whole = pd.concat(pieces)
    return file, pd.DataFrame({ours: whole[theirs] for ours, theirs in roles.columns.items()})


def batches(file: Path, wanted: list[str]) -> Iterator[pd.DataFrame]:
    """These columns of a file, a batch of rows at a time, so that the others never lie in memory."""
    yield from _parquet(file, wanted) if _is_parquet(file) else _csv(file, wanted)


def _parquet(file: Path, wanted: list[str]) -> Iterator[pd.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = 1
    try:
        with pq.ParquetFile(file) as whole:
            for batch in whole.iter_batches(ROWS, columns=wanted):
                frame: pd.DataFrame = batch.to_pandas()
                yield frame.set_axis(pd.RangeIndex(first, first + len(frame)), axis=0)
                first += len(frame)
    except (pa.ArrowException, OSError) as cause:
        raise _not_whole(file, cause) from cause


def _csv(file: Path, wanted: list[str]) -> Iterator[pd.DataFrame]:
    with _text(file) as stream:
        lines = _lines(stream, file)
        header = next(lines)[1]
        places = [header.index(name) for name in wanted]
        while rows := list(islice(lines, ROWS)):
            for line, cells in rows:
                if len(cells) != len(header):
                    found = f"{len(cells)} cells in {len(header)} columns in line {line}"
                    raise UnreadableFile(file, found, "Put quotes around text that holds the delimiter")
            yield pd.DataFrame(
                {name: [cells[place].strip() for _, cells in rows] for name, place in zip(wanted, places, strict=True)},
                index=[line for line, _ in rows],
                dtype="str",
            )


def _lines(stream: IO[str], file: Path) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that has any, the header first, with the number of the line that they end in."""
    try:
        head = stream.readline()
        if not head.strip():
            raise BadContext(file, "no header in the first line", "Give the columns names there")
        delimiter = max(_DELIMITERS, key=head.count)
        yield 1, [cell.strip() for cell in next(csv.reader([head], delimiter=delimiter))]
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num + 1, cells
    except (csv.Error, UnicodeDecodeError, EOFError, OSError) as cause:
        raise UnreadableFile(
            file, f"is not a table of text columns ({cause})", "Check its type and encoding"
        ) from cause


@contextmanager
def _text(file: Path) -> Iterator[IO[str]]:
    """A text file, unpacked where it is gz."""
    with file.open("rb") as plain_bytes:
        packed = plain_bytes.read(2) == b"\x1f\x8b"
        plain_bytes.seek(0)
        raw = gzip.open(plain_bytes, "rb") if packed else plain_bytes  # noqa: SIM115  # closed with the file
        with io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as stream:
            yield stream


def _is_parquet(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def _not_whole(file: Path, cause: Exception) -> UnreadableFile:
    return UnreadableFile(file, f"is not a whole Parquet file ({cause})", "Write or copy it again")


def texts(values: pd.Series) -> pd.Series[str]:
    """Cells as text without space around them; a missing one is empty."""
    return values.astype("str").fillna("").str.strip()


def numbers(values: pd.Series, where: object, name: str) -> pd.Series:
    """Cells as floats; an empty one is NaN. A sign of per cent is left out.

    Raises:
        BadContext: a cell holds other text; its row is named.
    """
    cells = values if pd.api.types.is_numeric_dtype(values) else texts(values).str.removesuffix("%")
    # FRED writes a lone point where it has no value.
    if cells is not values:
        cells = cells.mask(cells == ".", "")
    try:
        return read_numbers(cells, where, name)
    except BadBars as cause:
        raise BadContext(where, cause.found, "It takes a number there") from cause
