"""How the rows of a text file are laid out: the delimiter, the names of the columns, the line of the first row.

What does not belong here: what a name means (`_columns`), reading rows (`_rows`).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from betti.errors import BadBars, BadInput, BadParam, UnknownName, UnreadableFile
from betti.sources._cells import NUMBER, ORNATE, short
from betti.sources._files import blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from betti.sources._files import Place

__all__ = ["KNOWN", "Layout", "Look", "find_layout"]

# Columns of files that come without a header, in order, by who writes them.
KNOWN: dict[str, tuple[str, ...]] = {
    "binance": (
        "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count",
        "taker_buy_volume", "taker_buy_quote_volume", "ignore",
    ),
    "bitfinex": ("timestamp", "open", "close", "high", "low", "volume"),
    "histdata": ("timestamp", "open", "high", "low", "close", "volume"),
    "kraken": ("timestamp", "open", "high", "low", "close", "volume", "trades"),
    "metatrader": ("date", "time", "open", "high", "low", "close", "tick_volume"),
}  # fmt: skip
DELIMITERS = (",", ";", "\t", "|")
LINES = 100  # looked at to find the delimiter
PRICES = 4  # a row of bars has that many numbers at least, a header fewer


@dataclass(frozen=True)
class Look:
    """What the options say about the rows of a text file. None means: found by looking.

    Attributes:
        delimiter: the character between cells.
        names: the columns in order, or who writes such files; the latter counts where there is no header.
        skip_rows: lines before the header, or before the first row.
        encoding: of the text.
    """

    delimiter: str | None = None
    names: tuple[str, ...] | str | None = None
    skip_rows: int = 0
    encoding: str | None = None


@dataclass(frozen=True)
class Layout:
    """The rows of one text file.

    Attributes:
        delimiter: the character between cells.
        names: of the columns, in order.
        first_line: line of the first row; the file's first line is 1.
        markets: the markets that the header names; empty where it names none.
    """

    delimiter: str
    names: tuple[str, ...]
    first_line: int
    markets: tuple[str, ...] = ()


def find_layout(where: Place, look: Look, market: str) -> Layout:
    """The layout of a text file; columns that its header gives to other markets get that market's name.

    Raises:
        BadBars: the file or all its lines are empty, a header is missing, or a known layout has another width.
        BadParam: names that are not as many as the columns, or a delimiter that cannot be one.
        UnknownName: no such known layout.
        UnreadableFile: no delimiter makes a table of it.
    """
    if isinstance(look.names, str) and look.names not in KNOWN:
        raise UnknownName("layout in ingest.options.names:", look.names, KNOWN)
    lines = _first_lines(where, look)
    delimiter = _delimiter([text for _, text in lines], where) if look.delimiter is None else _checked(look.delimiter)
    rows = [(line, _split(text, delimiter, where, line)) for line, text in lines[:3]]
    line, first = rows[0]
    if look.names is not None and (_is_data(first) or not isinstance(look.names, str)):
        names = KNOWN[look.names] if isinstance(look.names, str) else look.names
        if len(names) != len(first):
            raise _another_width(where, look.names, len(names), len(first))
        return Layout(delimiter, names, line)
    if _is_data(first):
        raise BadBars(
            where,
            f"no header: line {line} is {short(delimiter.join(first))}",
            f"Set ingest.options.names to the columns in order, or to one of {', '.join(KNOWN)}",
        )
    by_market = _header_of_markets([row for _, row in rows])
    if by_market:
        return Layout(delimiter, _of_market(by_market, market), rows[2][0] + 1, tuple(n for _, n in by_market if n))
    return Layout(delimiter, tuple(first), line + 1)


def _another_width(where: Place, names: tuple[str, ...] | str, named: int, found: int) -> BadInput:
    if isinstance(names, str):
        remedy = "Check what the file is; source `csv` takes any columns"
        return BadBars(where, f"{found} columns, where a file of {names} without a header has {named}", remedy)
    return BadParam("ingest.options.names", names, f"{named} names for the {found} columns of {where}")


def _first_lines(where: Place, look: Look) -> list[tuple[int, str]]:
    """The first lines that hold anything, with their numbers."""
    for block in blocks(where, look.skip_rows + 1, look.encoding):
        lines = enumerate(block.text.split("\n", 100 * LINES)[: 100 * LINES], block.line)
        found = [(line, text) for line, text in lines if text.strip()][:LINES]
        if found:
            return found
    found_nothing = "the file is empty" if where.path.stat().st_size == 0 else "no line holds anything"
    raise BadBars(where, found_nothing, "Check that the export is complete")


def _checked(delimiter: str) -> str:
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter.isalnum() or delimiter in '".+-\r\n\0':
        raise BadParam("ingest.options.delimiter", delimiter, "it takes one character such as , ; | or a tab")
    return delimiter


def _delimiter(lines: Sequence[str], where: Place) -> str:
    """The delimiter that cuts most lines into equally many cells."""
    scores = {}
    for delimiter in DELIMITERS:
        widths = Counter(line.count(delimiter) + 1 for line in lines)
        del widths[1]
        if widths:
            width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
            scores[delimiter] = (count, width)
    if not scores:
        raise UnreadableFile(
            where, "is not a table of text columns (no delimiter in its lines)", "Check its type and delimiter"
        )
    best = max(scores.values())
    found = [delimiter for delimiter, score in scores.items() if score == best]
    if len(found) > 1:
        raise BadParam(
            "ingest.options.delimiter", None, f"{' and '.join(map(repr, found))} both cut {where} into cells"
        )
    return found[0]


def _split(text: str, delimiter: str, where: Place, line: int) -> list[str]:
    try:
        (cells,) = csv.reader([text], delimiter=delimiter, skipinitialspace=True, strict=True)
    except csv.Error as cause:
        raise UnreadableFile(
            where, f"is not a table of text columns (line {line}: {cause})", "Check its type and delimiter"
        ) from cause
    return [cell.strip() for cell in cells]


def _is_data(cells: Sequence[str]) -> bool:
    return sum(re.fullmatch(f"{NUMBER}|{ORNATE}", cell) is not None for cell in cells) >= PRICES


def _header_of_markets(rows: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """The name and the market of each column under yfinance's header of three lines; empty under any other."""
    if len(rows) < 3 or len({len(row) for row in rows}) > 1:
        return []
    prices, tickers, index = rows
    if prices[0] != "Price" or tickers[0] != "Ticker" or any(index[1:]) or index[0] not in ("Date", "Datetime"):
        return []
    return [(index[0], ""), *zip(prices[1:], tickers[1:], strict=True)]


def _of_market(columns: Sequence[tuple[str, str]], market: str) -> tuple[str, ...]:
    return tuple(name if of in ("", market) else f"{name} of {of}" for name, of in columns)
