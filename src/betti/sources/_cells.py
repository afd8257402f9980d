"""Cells as text and as numbers. The index of every series here is the line (or row) its cells stand in.

What does not belong here: times (`_times`), which column is which (`_columns`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.errors import BadBars

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MISSING", "NUMBER", "PLAIN", "fault", "numbers", "short", "texts"]

LONGEST = 300  # characters of a file's own text in an error

MISSING = ("", "nan", "null")
PLAIN = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
# A dollar sign is what Nasdaq's own export puts before its prices.
NUMBER = rf"\$?{PLAIN}"
_INFINITE = r"[+-]?[iI][nN][fF](?:[iI][nN][iI][tT][yY])?"


def texts(values: pd.Series) -> pd.Series[str]:
    """Every cell as text without space around it; a missing one is empty."""
    return values.astype("str").fillna("").str.strip()


def numbers(values: pd.Series, where: object, name: str) -> pd.Series:
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
    bad = ~(missing | written.str.fullmatch(f"{NUMBER}|{_INFINITE}"))
    if bad.any():
        raise BadBars(where, f"{name} is {fault(values, bad)}", "It takes a number there")
    floats = [float(text) for text in written.mask(missing, "nan").str.lstrip("$")]
    return pd.Series(floats, index=values.index, dtype="float64")


def fault(values: pd.Series, bad: pd.Series) -> str:
    """The first bad cell and its line."""
    row = int(bad.to_numpy().argmax())
    value = values.iloc[row]
    return f"{short(repr(value) if isinstance(value, str) else str(value))} in line {values.index[row]}"


def short(text: str) -> str:
    """The text, or its beginning where it is too long for a sentence."""
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
