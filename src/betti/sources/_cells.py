"""Cells as text and as numbers. The index of every series here is the line (or row) its cells stand in.

One file writes its numbers in one way (`Style`): a cell written otherwise is an error with its line, and never another
reading. 1,234 is a thousand to some and little more than one to others, so it takes an option.

What does not belong here: times (`_times`), which column is which (`_columns`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from betti.errors import BadBars

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

__all__ = [
    "MISSING",
    "NUMBER",
    "ORNATE",
    "PLAIN",
    "USUAL",
    "Style",
    "fault",
    "find_decimal",
    "numbers",
    "short",
    "texts",
]

LONGEST = 300  # characters of a file's own text in an error

MISSING = ("", "nan", "null")
PLAIN = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
# A dollar sign is what Nasdaq's own export puts before its prices.
NUMBER = rf"\$?{PLAIN}"
_INFINITE = r"[+-]?[iI][nN][fF](?:[iI][nN][iI][tT][yY])?"
# Signs that are one separator: a space and those that do not break a line, an apostrophe and a typographer's.
_SAME = {" ": " \u00a0\u202f", "'": "'\u2019"}
# What some write their numbers with.
ORNATE = rf"\$?[+-]?[0-9.,][0-9.,{''.join(_SAME.values())}]*(?:[eE][+-]?[0-9]+)?"
_ONE_COMMA = r"\$?[+-]?[0-9]*,[0-9]*"
# A comma that parts no thousands: other than three digits behind it, or nothing but zeros before.
_DECIMAL_COMMA = r"\$?[+-]?(?:0*,[0-9]+|[0-9]+,(?:[0-9]{1,2}|[0-9]{4,}))"


@dataclass(frozen=True)
class Style:
    """How one file writes its numbers.

    Attributes:
        decimal: the sign before the fraction.
        thousands: the sign between groups of three digits, which need not be there; None where there is none.
    """

    decimal: str = "."
    thousands: str | None = None

    @cached_property
    def pattern(self) -> str:
        """What a number must match in full."""
        sign, point = r"[+-]?", re.escape(self.decimal)
        whole = f"[0-9]+{point}?[0-9]*|{point}[0-9]+"
        if self.thousands is not None:
            whole += f"|[1-9][0-9]{{0,2}}(?:{self._separator}[0-9]{{3}})+(?:{point}[0-9]*)?"
        return rf"\$?{sign}(?:{whole})(?:[eE][+-]?[0-9]+)?"

    @property
    def _separator(self) -> str:
        return f"[{_SAME.get(self.thousands or '', self.thousands)}]"

    def plain(self, written: pd.Series[str]) -> pd.Series[str]:
        """Numbers that match the pattern, as Python writes them."""
        if self.thousands is not None:
            written = written.str.replace(self._separator, "", regex=True)
        return written if self.decimal == "." else written.str.replace(self.decimal, ".", regex=False)

    def __str__(self) -> str:
        """In words, for the log."""
        parted = "" if self.thousands is None else f", thousands parted by {self.thousands!r}"
        return f"numbers with a decimal {'comma' if self.decimal == ',' else 'point'}{parted}"


USUAL = Style()


def texts(values: pd.Series) -> pd.Series[str]:
    """Every cell as text without space around it; a missing one is empty."""
    return values.astype("str").fillna("").str.strip()


def find_decimal(columns: Iterable[pd.Series], thousands: str | None = None) -> str:
    """The decimal sign of columns of numbers, as text: a comma where the file can mean nothing else, or else a point.

    It can mean nothing else where no number has a point, half the cells of some column have one comma, and a comma of
    these parts no thousands: another sign does, or it stands as in 1,5 or 1,2345 or 0,125.

    >>> import pandas as pd
    >>> [find_decimal([pd.Series(cells)]) for cells in (["1,5", "2"], ["1,234", "1,235"], ["1,5", "2.5"])]
    [',', '.', '.']
    """
    found, telling = ".", _DECIMAL_COMMA if thousands is None else _ONE_COMMA
    for column in columns:
        written = Style(thousands=thousands).plain(texts(column))
        if written[written.str.fullmatch(ORNATE)].str.contains(".", regex=False).any():
            return "."
        filled = written[~written.str.lower().isin(MISSING)]
        if 2 * filled.str.fullmatch(_ONE_COMMA).sum() >= len(filled) and filled.str.fullmatch(telling).any():
            found = ","
    return found


def numbers(values: pd.Series, where: object, name: str, style: Style = USUAL) -> pd.Series:
    """Floats, each the nearest to what is written; empty cells are NaN (validation quarantines them).

    Raises:
        BadBars: a cell holds other text; the line is named.
    """
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        exact: pd.Series = values.astype("float64")
        return exact
    written = texts(values)
    missing = written.str.lower().isin(MISSING)
    bad = ~(missing | written.str.fullmatch(f"{style.pattern}|{_INFINITE}"))
    if bad.any():
        raise BadBars(where, f"{name} is {fault(values, bad)}", _remedy(written[bad].iloc[0]))
    floats = [float(text) for text in style.plain(written.mask(missing, "nan").str.lstrip("$"))]
    return pd.Series(floats, index=values.index, dtype="float64")


def _remedy(cell: str) -> str:
    if re.fullmatch(ORNATE, cell) and re.search("[0-9]", cell):
        return "Mend it, or set ingest.options.decimal or ingest.options.thousands (source csv)"
    return "It takes a number there"


def fault(values: pd.Series, bad: pd.Series) -> str:
    """The first bad cell and its line."""
    row = int(bad.to_numpy().argmax())
    value = values.iloc[row]
    return f"{short(repr(value) if isinstance(value, str) else str(value))} in line {values.index[row]}"


def short(text: str) -> str:
    """The text, or its beginning where it is too long for a sentence."""
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
