"""Tables as Parquet: exact types, equal bytes for equal values.

The Arrow schema is explicit, there is no pandas metadata, -0.0 is 0.0. What does not belong here: files that are no
tables (`_values.py`), and what a column means (`betti.schemas`).
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from betti import counts
from betti.catalog import symbol_folder
from betti.errors import BrokenArtifact
from betti.io._place import place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from betti.schemas import Schema

__all__ = [
    "copy_parts",
    "lay_out",
    "midnights",
    "part_files",
    "period_names",
    "periods",
    "read_arrow",
    "read_part",
    "read_table",
    "table_bytes_to",
    "write_parts",
    "write_table",
]

TABLE_FILE = "table.parquet"
DAY = 86_400_000_000  # microseconds


def _arrow_schema(schema: Schema, columns: list[str]) -> pa.Schema:
    """The exact Arrow schema for these columns; where a schema has further columns, the frame's order stands."""
    import pyarrow as pa

    types = {
        "timestamp[us, tz=UTC]": pa.timestamp("us", tz="UTC"),
        "string": pa.string(),
        "double": pa.float64(),
        "float": pa.float32(),
        "int64": pa.int64(),
        "int16": pa.int16(),
        "text of few": pa.dictionary(pa.int16(), pa.string()),
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
    import pandas as pd

    times = timestamps.dt.as_unit("us").astype("int64").to_numpy()
    return pd.Series(period_names(times, daily=midnights(times)), index=timestamps.index)


def midnights(times: NDArray[np.int64]) -> bool:
    """Whether all bars are stamped midnight, which makes them daily; microseconds since 1970."""
    return bool((times % DAY == 0).all())


def period_names(times: NDArray[np.int64], *, daily: bool) -> NDArray[np.object_]:
    """The year of each time in a history of days, else its month; microseconds since 1970."""
    import numpy as np

    # Text of each period once: for every bar it takes a third of a second in 75,000.
    whole, at = np.unique(
        times.view("datetime64[us]").astype(f"datetime64[{'Y' if daily else 'M'}]"), return_inverse=True
    )
    names: NDArray[np.object_] = whole.astype(str).astype(object)[at]
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
        lay_out(new, frame, schema)
        for folder, (other, other_schema) in (beside or {}).items():
            lay_out(new / folder, other, other_schema)
        for name, text in (notes or {}).items():
            (new / name).write_text(text, encoding="utf-8")


def lay_out(folder: Path, frame: pd.DataFrame, schema: Schema) -> None:
    """Write one Parquet file per symbol and period into `folder`, which somebody puts into place."""
    counted = counts.of(frame)
    for symbol, rows in frame.groupby("symbol", sort=True, observed=True):
        target = folder / symbol_folder(str(symbol))
        target.mkdir(parents=True, exist_ok=True)
        ordered = rows.sort_values("timestamp", kind="stable")
        for period, part in ordered.groupby(periods(ordered["timestamp"]), sort=True):
            file, rows = target / f"{period}.parquet", counts.attach(part, counted)
            if file.exists():  # of an earlier batch of the symbol: rows at midnight alone are named after their year
                rows = _after(read_part(file, schema), rows)
            table_bytes_to(file, rows, schema)
            counted = {}  # told once: a reader adds up all parts


def _after(earlier: pd.DataFrame, later: pd.DataFrame) -> pd.DataFrame:
    """Both tables in time order, with what was counted for either."""
    import pandas as pd

    both = pd.concat([earlier, later]).sort_values("timestamp", kind="stable")
    return counts.attach(both, counts.total([counts.of(earlier), counts.of(later)]))


def copy_parts(path: Path, files: Mapping[tuple[str, str], Path]) -> None:
    """Fill the folder `path` with copies of cached part files, keyed (symbol, period).

    Copies, never hard links: a part, its out and DVC's cache object would share one inode.
    """
    with place(path) as new:
        new.mkdir(parents=True)
        for (symbol, period), source in files.items():
            target = new / symbol_folder(symbol)
            target.mkdir(exist_ok=True)
            try:
                shutil.copyfile(source, target / f"{period}.parquet")
            except FileNotFoundError as cause:
                raise BrokenArtifact(
                    source, "was deleted from the part cache while it was copied; run it again"
                ) from cause


def part_files(path: Path) -> list[Path]:
    """The Parquet files under `path`, by name; folders whose name starts with an underscore hold other tables."""
    files = sorted(path.rglob("*.parquet"))
    return [file for file in files if not any(p.startswith("_") for p in file.relative_to(path).parts[:-1])]


def read_table(path: Path, schema: Schema) -> pd.DataFrame:
    """Read every part under `path`, sorted by file name.

    Raises:
        BrokenArtifact: a file is not Parquet, or its columns do not follow the schema.
    """
    tables = [read_arrow(file, schema) for file in part_files(path)]
    if not tables:
        empty: pd.DataFrame = _arrow_schema(schema, list(schema.required)).empty_table().to_pandas()
        return empty
    return _to_frame(tables)


def read_part(file: Path, schema: Schema) -> pd.DataFrame:
    """Read one Parquet file.

    Raises:
        BrokenArtifact: as `read_table`.
    """
    return read_parts([file], schema)


def read_parts(files: Sequence[Path], schema: Schema) -> pd.DataFrame:
    """Read some Parquet files as one table, in their order.

    Raises:
        BrokenArtifact: as `read_table`.
    """
    return _to_frame([read_arrow(file, schema) for file in files])


def read_arrow(file: Path, schema: Schema) -> pa.Table:
    """One Parquet file as it is.

    Raises:
        BrokenArtifact: as `read_table`.
    """
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
