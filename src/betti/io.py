"""Read and write one artifact, atomically: what touches data/, with `betti.growth` and `betti.coarser` for the bars.

Whatever is written appears whole or not at all: a value is written beside its place, under data/.tmp, and renamed
into it. Equal values give equal bytes: the Arrow schema is explicit, there is no pandas metadata, -0.0 is 0.0.
What does not belong here: where an artifact lies (`betti.catalog`), or what a column means (`betti.schemas`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from betti import counts
from betti.catalog import symbol_folder
from betti.errors import BrokenArtifact

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa
    from pydantic import BaseModel

    from betti.schemas import Schema

__all__ = [
    "Items",
    "Saved",
    "copy_parts",
    "periods",
    "place",
    "read_csv",
    "read_json",
    "read_note",
    "read_part",
    "read_table",
    "remove",
    "sweep",
    "table_bytes_to",
    "write_csv",
    "write_folder",
    "write_json",
    "write_parts",
    "write_table",
    "write_text",
]

TABLE_FILE = "table.parquet"
T = TypeVar("T", bound="BaseModel")
V = TypeVar("V")


class Saved(Protocol):
    """A value that knows how to lay itself out in an empty folder, such as a trained run."""

    def save(self, folder: Path) -> None:
        """Write the value's files into `folder`, which exists and is empty."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""


class Items(Mapping[str, V]):
    """A lazy mapping item -> value: names are known, a value is read when it is asked for."""

    def __init__(self, names: tuple[str, ...], read: Callable[[str], V]) -> None:
        self._names, self._read = names, read

    def __getitem__(self, name: str) -> V:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _scratch(path: Path) -> Path:
    """A free place to write, on the same file system as `path` (a sibling would enter a folder's hash)."""
    data = next((p for p in path.parents if p.name == "data"), path.parent)
    scratch = data / ".tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    return scratch / f"{os.getpid()}-{os.urandom(6).hex()}"


@contextmanager
def place(path: Path) -> Iterator[Path]:
    """Give a scratch path to write a file or folder at; on a clean exit it takes the place of `path`.

    A reader sees the old value or the new one, whenever the writer dies. On an error nothing changes.
    """
    new = _scratch(path)
    try:
        yield new
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            _exchange(new, path)  # a folder cannot be renamed over another; what is now at `new` goes below
        else:
            new.replace(path)
    finally:
        if new.is_dir():
            shutil.rmtree(new, ignore_errors=True)
        else:
            new.unlink(missing_ok=True)


def _exchange(new: Path, path: Path) -> None:
    """Let two folders change places: in one step where the system can (Linux), else in two renames."""
    import ctypes

    if not new.exists():
        raise FileNotFoundError(new)
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        if libc.renameat2(here, os.fsencode(new), here, os.fsencode(path), swap) == 0:
            return
    old = _scratch(path)
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def remove(path: Path) -> None:
    """Delete a file or a folder with all it holds."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep(data: Path) -> int:
    """Remove what dead processes left under data/.tmp; returns how many entries went."""
    gone = 0
    for entry in (data / ".tmp").glob("*-*"):
        pid = entry.name.split("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            remove(entry)
            gone += 1
    return gone


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


# Tables ------------------------------------------------------------------------------------------------------------


def _arrow_schema(schema: Schema, columns: list[str]) -> pa.Schema:
    """The exact Arrow schema for these columns; where a schema has further columns, the frame's order stands."""
    import pyarrow as pa

    types = {
        "timestamp[us, tz=UTC]": pa.timestamp("us", tz="UTC"),
        "string": pa.string(),
        "double": pa.float64(),
        "float": pa.float32(),
        "int64": pa.int64(),
    }
    declared = {c.name: pa.field(c.name, types[c.type], nullable=c.nullable) for c in schema.columns}
    extra = [name for name in columns if name not in declared]
    if schema.rest is None:
        if extra:
            raise BrokenArtifact(schema.name, f"columns outside the schema: {', '.join(extra)}")
        return pa.schema([field for name, field in declared.items() if name in columns])
    rest = types[schema.rest]
    return pa.schema([declared.get(name, pa.field(name, rest, nullable=True)) for name in columns])


def _to_arrow(frame: pd.DataFrame, schema: Schema) -> pa.Table:
    """A table of the schema's exact types without pandas metadata; -0.0 becomes 0.0.

    Raises:
        BrokenArtifact: a required column is missing, one is too many, or a value does not fit its type.
    """
    import pyarrow as pa

    missing = [name for name in schema.required if name not in frame.columns]
    if missing:
        raise BrokenArtifact(schema.name, f"columns missing: {', '.join(missing)}")
    arrow = _arrow_schema(schema, list(frame.columns))
    columns = []
    for field in arrow:
        series = frame[field.name]
        if pa.types.is_floating(field.type):
            # NaN stays NaN and is not turned into null; adding zero turns -0.0 into 0.0.
            columns.append(pa.array(series.to_numpy(dtype="float64", na_value=float("nan")) + 0.0).cast(field.type))
        else:
            try:
                columns.append(pa.Array.from_pandas(series, type=field.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError) as cause:
                raise BrokenArtifact(schema.name, f"column {field.name} is not {field.type}: {cause}") from cause
        if not field.nullable and columns[-1].null_count:
            raise BrokenArtifact(schema.name, f"column {field.name} has {columns[-1].null_count} nulls")
    metadata = counts.metadata(frame)  # where it is empty it is not given: it would be written all the same
    return pa.Table.from_arrays(columns, schema=arrow.with_metadata(metadata) if metadata else arrow)


def table_bytes_to(path: Path, frame: pd.DataFrame, schema: Schema) -> None:
    """Write one Parquet file at exactly `path` (which the caller renames into place)."""
    import pyarrow.parquet as pq

    pq.write_table(_to_arrow(frame, schema), path, compression="zstd", version="2.6", store_schema=True)


def periods(timestamps: pd.Series) -> pd.Series:
    """The part each bar belongs to: its year where all bars are stamped midnight (daily), else its month.

    >>> import pandas as pd
    >>> list(periods(pd.Series(pd.to_datetime(["2018-12-31", "2019-01-02"], utc=True))))
    ['2018', '2019']
    >>> list(periods(pd.Series(pd.to_datetime(["2018-12-31 09:30", "2019-01-02 09:30"], utc=True))))
    ['2018-12', '2019-01']
    """
    daily = (timestamps == timestamps.dt.normalize()).all()
    # Text of each period once: for every bar it takes a third of a second in 75,000.
    whole = timestamps.dt.tz_localize(None).dt.to_period("Y" if daily else "M")
    names: pd.Series = whole.map({period: str(period) for period in whole.unique()})
    return names


def write_table(path: Path, frame: pd.DataFrame, schema: Schema) -> None:
    """Write a whole table as one Parquet file inside the folder `path`."""
    with place(path) as new:
        new.mkdir(parents=True)
        table_bytes_to(new / TABLE_FILE, frame, schema)


def write_parts(
    path: Path,
    frame: pd.DataFrame,
    schema: Schema,
    beside: Mapping[str, tuple[pd.DataFrame, Schema]] | None = None,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write one Parquet file per symbol and period under the folder `path`.

    `beside` holds further tables for folders inside `path` (the quarantine inside the clean bars), `notes` the texts of
    small files there, so that all of them appear together.
    """
    with place(path) as new:
        new.mkdir(parents=True)
        _lay_out(new, frame, schema)
        for folder, (other, other_schema) in (beside or {}).items():
            _lay_out(new / folder, other, other_schema)
        for name, text in (notes or {}).items():
            (new / name).write_text(text, encoding="utf-8")


def _lay_out(folder: Path, frame: pd.DataFrame, schema: Schema) -> None:
    counted = counts.of(frame)
    for symbol, rows in frame.groupby("symbol", sort=True, observed=True):
        target = folder / symbol_folder(str(symbol))
        target.mkdir(parents=True)
        ordered = rows.sort_values("timestamp", kind="stable")
        for period, part in ordered.groupby(periods(ordered["timestamp"]), sort=True):
            table_bytes_to(target / f"{period}.parquet", counts.attach(part, counted), schema)
            counted = {}  # told once: a reader adds up all parts


def copy_parts(path: Path, files: Mapping[tuple[str, str], Path]) -> None:
    """Fill the folder `path` with copies of cached part files, keyed (symbol, period).

    Copies, never hard links: a part, its out and DVC's cache object would share one inode.
    """
    with place(path) as new:
        new.mkdir(parents=True)
        for (symbol, period), source in files.items():
            target = new / symbol_folder(symbol)
            target.mkdir(exist_ok=True)
            shutil.copyfile(source, target / f"{period}.parquet")


def read_note(path: Path) -> str:
    """The text file `path`, or nothing where there is none."""
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def read_table(path: Path, schema: Schema) -> pd.DataFrame:
    """Read every part under `path` (folders whose name starts with an underscore excepted), sorted by file name.

    Raises:
        BrokenArtifact: a file is not Parquet, or its columns do not follow the schema.
    """
    files = sorted(path.rglob("*.parquet"))
    shown = [file for file in files if not any(p.startswith("_") for p in file.relative_to(path).parts[:-1])]
    tables = [_read(file, schema) for file in shown]
    if not tables:
        empty: pd.DataFrame = _arrow_schema(schema, list(schema.required)).empty_table().to_pandas()
        return empty
    return _to_frame(tables)


def read_part(file: Path, schema: Schema) -> pd.DataFrame:
    """Read one Parquet file.

    Raises:
        BrokenArtifact: as `read_table`.
    """
    return _to_frame([_read(file, schema)])


def _read(file: Path, schema: Schema) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (pa.ArrowInvalid, OSError) as cause:
        raise BrokenArtifact(file, f"is not a readable Parquet file ({cause})") from cause
    _check_read(file, table.schema, schema)
    return table


def _to_frame(parts: list[pa.Table]) -> pd.DataFrame:
    """The frame of all parts, with what was counted while they were made."""
    import pyarrow as pa

    frame = pa.concat_tables(parts, promote_options="default").to_pandas()
    return counts.attach(frame, counts.total(counts.of_metadata(part.schema.metadata) for part in parts))


def _check_read(file: Path, found: pa.Schema, schema: Schema) -> None:
    """Refuse a file whose columns are missing, too many or of another type than the schema's."""
    missing = [name for name in schema.required if name not in found.names]
    if missing:
        raise BrokenArtifact(file, f"columns missing: {', '.join(missing)}")
    declared = set(schema.names)
    extra = [name for name in found.names if name not in declared] if schema.rest is None else []
    if extra:
        raise BrokenArtifact(file, f"columns outside the schema: {', '.join(extra)}")
    for field in _arrow_schema(schema, found.names):
        if found.field(field.name).type != field.type:
            raise BrokenArtifact(file, f"column {field.name} is {found.field(field.name).type}, not {field.type}")


# Everything else ---------------------------------------------------------------------------------------------------


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    with place(path) as new:
        new.write_text(text, encoding="utf-8")


def write_json(path: Path, value: BaseModel) -> None:
    """Write a typed value as indented JSON with a stable key order."""
    write_text(path, value.model_dump_json(indent=2) + "\n")


def read_json(path: Path, kind: type[T]) -> T:
    """Read what `write_json` wrote.

    Raises:
        BrokenArtifact: it does not hold a `kind`.
    """
    from pydantic import ValidationError

    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as cause:
        raise BrokenArtifact(path, f"is not a {kind.__name__}: {cause.error_count()} fields do not fit") from cause


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a CSV that `dvc plots` reads: ISO times, shortest floats that round-trip."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def read_csv(path: Path) -> pd.DataFrame:
    """Read what `write_csv` wrote."""
    import pandas as pd

    frame = pd.read_csv(path, float_precision="round_trip")
    return frame.assign(timestamp=pd.to_datetime(frame["timestamp"])) if "timestamp" in frame.columns else frame


def write_folder(path: Path, value: Saved) -> None:
    """Let a value lay itself out in the folder `path`."""
    with place(path) as new:
        new.mkdir(parents=True)
        value.save(new)
