"""The rows of a block of text, as columns of bars: a fast reader, and a careful one that says what a cell means.

The fast reader (pyarrow) takes plain rows alone and declines the rest. The careful one takes every row one by one,
knows its line, and is what decides: where both read a block, they read the same. What does not belong here: times, and
which rows are wanted.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from betti.errors import BadBars, UnreadableFile
from betti.sources._cells import MISSING, USUAL, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from betti.sources._cells import Style
    from betti.sources._columns import Columns
    from betti.sources._files import Block
    from betti.sources._layout import Layout

__all__ = ["careful", "fast"]


def fast(block: Block, layout: Layout, columns: Columns, style: Style = USUAL) -> pd.DataFrame | None:
    """`timestamp` (text), `symbol` (text, if the file has it) and numbers, a row per line; None for rows not plain.

    Plain means: as many cells in every row as there are columns, numbers without ornament or signs between thousands,
    quotes around whole cells.
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv as arrow

    if style.thousands is not None:
        return None
    text = _unquoted(block.text, layout.delimiter)
    if text is None:
        return None
    names = [str(position) for position in range(len(layout.names))]
    words = [*columns.time, *([] if columns.symbol is None else [columns.symbol])]
    types = {str(i): pa.string() for i in words} | {str(i): pa.float64() for i in columns.values.values()}
    try:
        table = arrow.read_csv(
            pa.BufferReader(text.encode()),
            read_options=arrow.ReadOptions(column_names=names),
            parse_options=arrow.ParseOptions(delimiter=layout.delimiter, quote_char=False),
            convert_options=arrow.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=list(MISSING),
                strings_can_be_null=False,
                decimal_point=style.decimal,
            ),
        )
    except pa.ArrowInvalid:
        return None
    frame = table.to_pandas()
    for position in columns.values.values():
        column = table[str(position)]
        if column.null_count + np.isfinite(frame[str(position)].to_numpy()).sum() < len(column):
            return None  # written otherwise than as a number or as nothing
    return _as_bars(frame, columns)


def careful(block: Block, layout: Layout, columns: Columns, where: object) -> pd.DataFrame:
    """As `fast`, with every cell as text, and each row's line as index; empty lines are left out.

    Where a line breaks off, its last cell may be a part of what it was: it is taken for missing, as those behind it.

    Raises:
        UnreadableFile: a line has more cells than there are columns, or its quotes do not match.
        BadBars: a line breaks off before its time.
    """
    import pandas as pd

    width, needed = len(layout.names), max(columns.time)
    rows: list[list[str]] = []
    lines: list[int] = []
    for line, cells in _split(block, layout.delimiter, where):
        if any(cells[width:]):
            raise _no_table(where, line, f"{len(cells)} cells in {width} columns")
        if len(cells) < width and needed >= len(cells) - 1:
            raise BadBars(
                where, f"line {line} breaks off ({short(repr(layout.delimiter.join(cells)))})", "Mend or remove it"
            )
        if len(cells) < width:
            cells = [*cells[:-1], *[""] * (width - len(cells) + 1)]
        rows.append(cells[:width])
        lines.append(line)
    frame = pd.DataFrame(rows, columns=[str(i) for i in range(width)], index=lines, dtype="str")
    return _as_bars(frame, columns)


def _split(block: Block, delimiter: str, where: object) -> list[tuple[int, list[str]]]:
    """The stripped cells of each line that holds any, with the line's number."""
    found = []
    reader = csv.reader(block.text.split("\n"), delimiter=delimiter, skipinitialspace=True, strict=True)
    read = 0
    try:
        for row in reader:
            read += 1
            if reader.line_num > read:
                raise _no_table(where, block.line + read - 1, "a quoted cell goes on in the next line")
            cells = [cell.strip() for cell in row]
            if any(cells):
                found.append((block.line + read - 1, cells))
    except csv.Error as cause:
        raise _no_table(where, block.line + read, str(cause)) from cause
    return found


def _no_table(where: object, line: int, found: str) -> UnreadableFile:
    return UnreadableFile(
        where, f"is not a table of text columns (line {line}: {found})", "Check its type and delimiter"
    )


def _unquoted(text: str, delimiter: str) -> str | None:
    """The text without quotes around whole cells; None where a quote means something."""
    quotes = text.count('"')
    if quotes == 0:
        return text
    lines, cuts = text.count("\n"), text.count(delimiter)
    # Where every delimiter and line end has a quote on both sides, and there are no more, they are around whole cells.
    if (
        text.startswith('"')
        and quotes == 2 * (cuts + lines)
        and text.count(f'"{delimiter}"') == cuts
        and text.count('"\n') == lines == text.count('\n"') + 1
    ):
        return text.replace('"', "")
    sign = re.escape(delimiter)
    text = re.sub(f'"(?<![^{sign}\n]")([^"{sign}\n]*)"(?![^{sign}\n])', r"\1", text)
    return None if '"' in text else text


def _as_bars(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Columns by position, under the names of bars."""
    table = {"timestamp": _joined(frame, columns.time)}
    if columns.symbol is not None:
        table["symbol"] = frame[str(columns.symbol)]
    table |= {name: frame[str(position)] for name, position in columns.values.items()}
    import pandas as pd

    return pd.DataFrame(table)


def _joined(frame: pd.DataFrame, positions: Sequence[int]) -> pd.Series:
    """The time, or a date and a time of day with a space between them."""
    whole = frame[str(positions[0])]
    for position in positions[1:]:
        whole = whole.str.strip() + " " + frame[str(position)].str.strip()
    return whole
