"""Read and write one artifact, atomically: what touches data/, with `betti.growth` and `betti.coarser` for the bars.

Whatever is written appears whole or not at all (`_place.py`); equal values give equal bytes (`_tables.py`,
`_values.py`). What does not belong here: where an artifact lies (`betti.catalog`), or what a column means
(`betti.schemas`).
"""

from __future__ import annotations

from betti.io._place import place, remove, sweep
from betti.io._tables import (
    copy_parts,
    lay_out,
    midnights,
    part_files,
    period_names,
    periods,
    read_arrow,
    read_part,
    read_parts,
    read_table,
    table_bytes_to,
    write_parts,
    write_table,
)
from betti.io._values import (
    Items,
    Saved,
    read_csv,
    read_json,
    read_note,
    save_into,
    write_csv,
    write_folder,
    write_json,
    write_text,
)

__all__ = [
    "Items",
    "Saved",
    "copy_parts",
    "lay_out",
    "midnights",
    "part_files",
    "period_names",
    "periods",
    "place",
    "read_arrow",
    "read_csv",
    "read_json",
    "read_note",
    "read_part",
    "read_parts",
    "read_table",
    "remove",
    "save_into",
    "sweep",
    "table_bytes_to",
    "write_csv",
    "write_folder",
    "write_json",
    "write_parts",
    "write_table",
    "write_text",
]
