"""The columns of the three tables, their one order, what of them was known when, and their bytes for a hash.

What does not belong here: files, and how they write times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.errors import BadInput
from betti.schemas import FLOAT64, STRING, TIMESTAMP, Column, Schema

if TYPE_CHECKING:
    from hashlib import blake2b
    from pathlib import Path

__all__ = ["HEADLINES", "MACRO", "POLICY", "SCHEMAS", "BadContext", "feed", "known", "ordered", "read", "write"]

HEADLINES = Schema(
    "headlines",
    (
        Column("released", TIMESTAMP, "since when it was known"),
        Column("symbol", STRING, "the market it is about; empty for all"),
        Column("headline", STRING, "text"),
    ),
)
POLICY = Schema(
    "policy",
    (
        Column("released", TIMESTAMP, "since when its outcome was known; null while it lies ahead", nullable=True),
        Column("at", TIMESTAMP, "when it takes place"),
        Column("scheduled_since", TIMESTAMP, "since when its date was known; null: never ahead of it", nullable=True),
        Column("symbol", STRING, "the market it is about; empty for all"),
        Column("kind", STRING, "what kind of event"),
        Column("stance", FLOAT64, "-1 restrains .. 1 supports", nullable=True),
        Column("urgency", FLOAT64, "0 routine .. 1 emergency", nullable=True),
        Column("impact", FLOAT64, "on the market's sector, -1 harms .. 1 helps", nullable=True),
    ),
)
MACRO = Schema(
    "macro",
    (
        Column("released", TIMESTAMP, "since when this value was known"),
        Column("series", STRING, "name of the series"),
        Column("observed", TIMESTAMP, "the day, or the first day of the period, that it is about"),
        Column("value", FLOAT64, "unit of the series"),
        Column("forecast", FLOAT64, "what was expected, unit of the series", nullable=True),
        Column("previous", FLOAT64, "the value before, as published with it, unit of the series", nullable=True),
    ),
)
SCHEMAS = {schema.name: schema for schema in (HEADLINES, POLICY, MACRO)}

# Rows that agree in these must agree in all.
_KEYS = {"macro": ["series", "observed", "released"], "policy": ["symbol", "kind", "at", "released"]}
_RANGES = {"stance": (-1.0, 1.0), "urgency": (0.0, 1.0), "impact": (-1.0, 1.0)}


class BadContext(BadInput):
    """A context table or its file that cannot be taken: what, where, and what to do."""

    def __init__(self, where: object, found: str, remedy: str) -> None:
        self.where, self.found = where, found
        super().__init__(f"context from {where}: {found}. {remedy}")


def ordered(table: pd.DataFrame, schema: Schema, where: object) -> pd.DataFrame:
    """The schema's columns in its types, sorted by all of them, equal rows once.

    Args:
        table: any order of rows and columns; its index names rows in errors.
        schema: one of this module's.
        where: what to call the table in an error.

    Raises:
        BadContext: a column is missing, a type is wrong, a value is missing, out of range or contradicts another row.
    """
    missing = [name for name in schema.names if name not in table.columns]
    if missing:
        raise BadContext(where, f"no column {', '.join(missing)}", f"It takes {', '.join(schema.names)}")
    typed = pd.DataFrame({column.name: _typed(table[column.name], column, where) for column in schema.columns})
    unique = typed.drop_duplicates()
    keys = _KEYS.get(schema.name)
    again = unique.duplicated(keys, keep=False) if keys else None
    if keys and again is not None and again.any():
        _contradiction(unique[again], keys, where)
    return unique.sort_values(list(schema.names), kind="stable").reset_index(drop=True)


def _typed(values: pd.Series, column: Column, where: object) -> pd.Series:
    """One column in its type."""
    if column.type == TIMESTAMP:
        if not isinstance(values.dtype, pd.DatetimeTZDtype):
            raise BadContext(where, f"{column.name} is {values.dtype}", "It takes times with a zone")
        found: pd.Series = values.dt.tz_convert("UTC").dt.as_unit("us")
    elif column.type == STRING:
        found = values.astype("str")
    else:
        if not pd.api.types.is_numeric_dtype(values):
            raise BadContext(where, f"{column.name} is {values.dtype}", "It takes numbers")
        found = values.astype("float64") + 0.0
        low, high = _RANGES.get(column.name, (-np.finfo(np.float64).max, np.finfo(np.float64).max))
        _refuse(found, (found < low) | (found > high), column, where, f"It takes {low:g} to {high:g} there")
    if not column.nullable:
        _refuse(found, found.isna(), column, where, "Give it a value, or remove the row")
    return found


def _refuse(values: pd.Series, bad: pd.Series, column: Column, where: object, remedy: str) -> None:
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise BadContext(where, f"{column.name} is {values.iloc[row]} in row {values.index[row]}", remedy)


def _contradiction(rows: pd.DataFrame, keys: list[str], where: object) -> None:
    pair = rows[rows.groupby(keys, dropna=False).ngroup() == rows.groupby(keys, dropna=False).ngroup().iloc[0]]
    (_, first), (_, second) = list(pair.iterrows())[:2]
    name = next(name for name in rows.columns if first[name] != second[name] and not _both_missing(first, second, name))
    said = ", ".join(f"{key} {first[key] if first[key] != '' else 'all'}" for key in keys)
    values = f"{first[name]} and {second[name]}"
    raise BadContext(
        where,
        f"rows {pair.index[0]} and {pair.index[1]} give two values of {name} ({values}) for {said}",
        "Keep one of them; a revision needs its own release time, and another source another name",
    )


def _both_missing(first: pd.Series, second: pd.Series, name: str) -> bool:
    return bool(pd.isna(first[name]) and pd.isna(second[name]))


def known(table: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    """The rows released before a moment; of events still ahead that were scheduled by then, the schedule."""
    out = table["released"] < moment
    if "scheduled_since" not in table:
        return table[out].reset_index(drop=True)
    ahead = ~out & (table["scheduled_since"] < moment)
    open_ = {name: table[name].mask(ahead) for name in ("released", "stance", "urgency", "impact")}
    cut = table.assign(**open_)[out | ahead]
    # Events ahead may differ by what is not known of them yet.
    return cut.drop_duplicates().sort_values(list(POLICY.names), kind="stable").reset_index(drop=True)


def feed(hashed: blake2b, table: pd.DataFrame, schema: Schema) -> None:
    """Add a table's content to a hash."""
    for column in schema.columns:
        values = table[column.name]
        if column.type == STRING:
            texts = [text.encode() for text in values]
            hashed.update(np.array([len(text) for text in texts], dtype="<i8").tobytes())
            hashed.update(b"".join(texts))
        elif column.type == TIMESTAMP:
            hashed.update(values.dt.tz_localize(None).to_numpy(dtype="datetime64[us]").astype("<i8").tobytes())
        else:
            numbers = values.to_numpy(dtype="<f8")
            hashed.update(np.where(np.isnan(numbers), np.nan, numbers).tobytes())


def write(file: Path, table: pd.DataFrame, schema: Schema) -> None:
    """Write a table that `ordered` made as Parquet without pandas metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {TIMESTAMP: pa.timestamp("us", tz="UTC"), STRING: pa.string(), FLOAT64: pa.float64()}
    fields = [pa.field(column.name, types[column.type], nullable=column.nullable) for column in schema.columns]
    arrays = [pa.Array.from_pandas(table[field.name], type=field.type) for field in fields]
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), file, compression="zstd", version="2.6")


def read(file: Path) -> pd.DataFrame:
    """What `write` wrote.

    Raises:
        BadContext: it is no whole Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found: pd.DataFrame = pq.read_table(file).to_pandas()
    except (pa.ArrowException, OSError) as cause:
        raise BadContext(
            file, f"is no whole Parquet file ({cause})", "Run `betti run --stages ingest --force`"
        ) from cause
    return found
