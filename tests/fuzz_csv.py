"""CSV files with bytes out of place: `python -m tests.fuzz_csv [MINUTES]`. A short run is part of the unit tests.
`make fuzz` runs it, and the one guided by coverage where atheris is installed.

The law: a file gives a `BadInput`, or bars of which every value stands literally in its own line of the file, one bar
for every line that holds anything. No other exception, no hang, no bar that is wrong without a word. Hypothesis makes
the files; what judges them here shares no code with the reader. `python -m tests.fuzz_csv --atheris SECONDS` looks
for files by coverage instead: `tests/fuzz_csv_atheris.py`.
"""

# ruff: noqa: T201 - a script that reports what it finds
from __future__ import annotations

import csv
import gzip
import logging
import math
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from betti.errors import BadInput
from betti.sources import csv as source

SECONDS_OF_ONE_FILE = 5  # of processor time, with its judging
END = pd.Timestamp("2100-01-01", tz="UTC")
COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")
STARTS = (datetime(2020, 1, 3, tzinfo=UTC), datetime(2020, 1, 28, tzinfo=UTC))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = {"s": 10**6, "ms": 10**3, "us": 1}
FORMS = ("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%Y.%m.%d %H:%M:%S", "%Y%m%d %H%M%S")
ODD = (
    '"',
    "'",
    ",",
    ";",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\0",
    " ",
    "-",
    ".",
    "e",
    "_",
    "$",
    "0",
    "9",
    "/",
    "é",
    "٣",
    "\ufeff",
)
CELLS = (
    "", " ", "nan", "NULL", "inf", "-inf", "1e400", "1e-400", "-0", "9" * 400, "1_000", "0x1F", "1,5", "$7.25", "+3",
    "٣", "1,234", "1.234,5", "1,234.5", "1 234", "1'234", "0,125",
    "1.5.2", "True", "None", '""', '"1', '"2"', '1"2"', "2020-01-01", "1577836800000", "=1+1", "\ufeff1",
)  # fmt: skip
JUDGED = (
    *FORMS, "%d-%m-%Y %H:%M", "%m-%d-%Y %H:%M", "%d.%m.%Y %H:%M", "%m.%d.%Y %H:%M", "%d/%m/%Y", "%m/%d/%Y", "%Y%m%d",
    "%Y%m%d%H%M%S", "%Y%m%d %H%M", "%Y.%m.%d", "%Y.%m.%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M:%S",
)  # fmt: skip


# How numbers are written: the sign before the fraction, and that between thousands.
Style = tuple[str, str | None]
POINT, COMMA = (".", None), (",", None)


# --- files


def number(value: float, style: Style) -> str:
    """A number as a file of this style has it."""
    decimal, thousands = style
    text = repr(value) if thousands is None else f"{value:,.5f}"
    return text.translate(str.maketrans({".": decimal, ",": thousands or ""}))


def written(moment: datetime, form: str) -> str:
    """A time as a file of this form has it."""
    if form in UNITS:
        return str((moment - EPOCH) // timedelta(microseconds=UNITS[form]))
    if form == "iso":
        return moment.strftime("%Y-%m-%d %H:%M:%S")
    return moment.isoformat() if form == "zoned" else moment.strftime(form)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file of bars, mostly with something wrong in it."""
    form = draw(st.sampled_from(["iso", "zoned", *UNITS, *FORMS]))
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    step = draw(st.sampled_from([timedelta(minutes=1), timedelta(hours=7), timedelta(days=1)]))
    start, quoted = draw(st.sampled_from(STARTS)), draw(st.booleans())
    style = draw(st.sampled_from([*[POINT] * 5, COMMA, COMMA, (".", ","), (",", ".")]))
    quoted = quoted or delimiter in style
    lines = [list(COLUMNS)]
    for i in range(draw(st.integers(1, 15))):
        price = draw(st.floats(0.001, 1e6))
        values = [*(price + move for move in (0, 1, -1, 0.5)), i * 1.25]
        lines.append([written(start + i * step, form), *(number(value, style) for value in values)])
    if quoted:
        lines = [[f'"{cell}"' for cell in line] for line in lines]
    if draw(st.booleans()):
        line = draw(st.sampled_from(lines))
        line[draw(st.integers(0, len(COLUMNS) - 1))] = draw(st.sampled_from(CELLS))
    text = draw(st.sampled_from(["\n", "\r\n", "\r"])).join(delimiter.join(line) for line in lines)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        text = draw(st.sampled_from([odd, cut, twice, swapped, ended]))(text, draw)
    return draw(st.sampled_from([*[plain] * 6, marked, wide, packed, latin, broken]))(text, draw)


def odd(text: str, draw: st.DrawFn) -> str:
    """A character put in, or in the place of another."""
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.sampled_from(ODD)) + text[at + draw(st.integers(0, 1)) :]


def cut(text: str, draw: st.DrawFn) -> str:
    """A stretch left out: a line truncated, lines run together, a file broken off."""
    at = draw(st.integers(0, len(text)))
    return text[:at] + text[at + draw(st.sampled_from([1, 2, 5, 20, 10**6])) :]


def twice(text: str, draw: st.DrawFn) -> str:
    """A stretch repeated."""
    at, length = draw(st.integers(0, len(text))), draw(st.integers(1, 80))
    return text[: at + length] + text[at:]


def swapped(text: str, draw: st.DrawFn) -> str:
    """Two lines in each other's place."""
    lines = text.split("\n")
    i, j = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    lines[i], lines[j] = lines[j], lines[i]
    return "\n".join(lines)


def ended(text: str, draw: st.DrawFn) -> str:
    """Something behind the last line."""
    return text + draw(st.sampled_from(["\n", "\n\n", ",", "\nTotal", "\n;;;;;", '\n"', "\x1a"]))


def plain(text: str, draw: st.DrawFn) -> bytes:
    return text.encode()


def marked(text: str, draw: st.DrawFn) -> bytes:
    return text.encode("utf-8-sig")


def wide(text: str, draw: st.DrawFn) -> bytes:
    return text.encode("utf-16")


def packed(text: str, draw: st.DrawFn) -> bytes:
    return broken_off(gzip.compress(text.encode()), draw)


def latin(text: str, draw: st.DrawFn) -> bytes:
    return text.encode("latin-1", "replace")


def broken(text: str, draw: st.DrawFn) -> bytes:
    """A byte that is another."""
    content = bytearray(text.encode())
    if content:
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content)


def broken_off(content: bytes, draw: st.DrawFn) -> bytes:
    return content[: draw(st.sampled_from([len(content), len(content) // 2, len(content) - 5]))]


# --- the law


def came_of(content: bytes, block: int, options: dict[str, Any]) -> pd.DataFrame | str:
    """Read a file: its bars in its own order, or the name of the error."""
    with tempfile.TemporaryDirectory() as folder, mock.patch("betti.sources._files.BLOCK", block):
        path = Path(folder) / "x.csv"
        path.write_bytes(content)
        try:
            pieces = list(source.fetch(("X",), "1h", END, path=str(path), **options))
        except BadInput as error:
            return type(error).__name__
    return pd.concat(pieces, ignore_index=True)


def check(content: bytes, block: int, options: dict[str, Any]) -> str:
    """Read a file and hold the bars against its lines; gives what came of it: "bars" or the error's name."""
    bars = came_of(content, block, options)
    if isinstance(bars, str):
        return bars
    header, *rows = lines_of(content, options.get("encoding"))
    assert len(bars) == len(rows), "a line is lost, or a bar is from nowhere"
    delimiter = options.get("delimiter") or max(
        ",;\t|", key=lambda sign: (sum(sign in row for row in (header, *rows)), rows[0].count(sign))
    )
    names = [name.strip().lower() for name in cells_of(header, delimiter)]
    cells = [cells_of(row, delimiter) for row in rows]
    numbers = [line[place(name, names)] for line in cells for name in COLUMNS[1:] if place(name, names) < len(line)]
    faults = [fault_of(bars, names, cells, style) for style in styles(options, delimiter, numbers)]
    assert None in faults, faults
    ways: set[str] | None = None
    for (_, bar), line in zip(bars.iterrows(), cells, strict=True):
        found = readings(line[place("timestamp", names)], bar["timestamp"])
        ways = found if ways is None else ways & found
        assert ways, f"the time {bar['timestamp']} does not stand in {line!r}, read as the rows above it"
    return "bars"


def styles(options: dict[str, Any], delimiter: str, numbers: list[str]) -> list[Style]:
    """The ways in which all numbers of a file may be read: as the options say, or with a comma that tells itself."""
    thousands = options.get("thousands")
    if "decimal" in options or thousands in (",", "."):
        return [(options.get("decimal") or ("," if thousands == "." else "."), thousands)]
    if thousands:
        return [(".", thousands), (",", thousands)]
    parts = [cell.lstrip("$+-").split(",") for cell in numbers if set(cell) <= set("$+-0123456789,.")]
    telling = any(len(p) == 2 and p[1] and (len(p[1]) != 3 or not p[0].strip("0")) for p in parts)
    pointed = any("." in part for p in parts for part in p)
    return [POINT, COMMA] if telling and not pointed and delimiter != "," else [POINT]


def lines_of(content: bytes, encoding: str | None = None) -> list[str]:
    """The lines that hold more than delimiters, quotes and space."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    text = content.decode(encoding or marked_as(content))
    return [line for line in re.split("\r\n|\r|\n", text) if line.strip(' ,;\t|"\ufeff\x1a')]


def marked_as(content: bytes) -> str:
    """The encoding that a byte order mark names."""
    return "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def cells_of(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]


def place(name: str, names: list[str]) -> int:
    """Where a column stands: under its name, or where it was before something happened to its name."""
    return names.index(name) if name in names else COLUMNS.index(name)


def fault_of(bars: pd.DataFrame, names: list[str], rows: list[list[str]], style: Style) -> str | None:
    """The first value that does not stand in its line; one that is missing is missing there, or the line breaks off.

    Where no column is called volume, bars may have none.
    """
    nameless = "volume" not in names and bars["volume"].isna().all()
    for (_, bar), cells in zip(bars.iterrows(), rows, strict=True):
        for name in COLUMNS[1:-1] if nameless else COLUMNS[1:]:
            if not stands_at(bar[name], cells, place(name, names), len(names), style):
                return f"{name} {bar[name]} of {cells} in {style}"
    return None


def stands_at(value: float, cells: list[str], position: int, width: int, style: Style = POINT) -> bool:
    """Whether this value is what that cell says, in a file of so many columns."""
    if math.isnan(value):
        broken_off_here = len(cells) < width and position >= len(cells) - 1
        return broken_off_here or cells[position].lower() in ("", "nan", "null")
    if position >= len(cells):
        return False
    literal = unstyled(cells[position].lstrip("$"), style)
    number = re.fullmatch(r"(?a:[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?inf(inity)?)", literal, re.IGNORECASE)
    return number is not None and float(literal) == value


def unstyled(cell: str, style: Style) -> str:
    """A number of this style as Python writes it; of another style, something that is no number."""
    decimal, thousands = style
    if decimal == "," and "." in cell and thousands != ".":
        return "no number"
    whole, point, rest = cell.partition(decimal)
    first, *groups = whole.split(thousands) if thousands else [whole]
    if groups and (not 1 <= len(first.lstrip("+-")) <= 3 or any(len(group) != 3 for group in groups)):
        return "no number"
    return "".join([first, *groups]) + ("." if point else "") + rest


def readings(cell: str, moment: pd.Timestamp) -> set[str]:
    """The ways in which this cell is this time."""
    found = set()
    instant = moment.to_pydatetime()
    for unit, scale in UNITS.items():
        if re.fullmatch(r"(?a:\+?\d+\.?\d*(e\+?\d+)?)", cell.lower()):
            seconds = float(cell) * scale / 1e6
            if abs(seconds - instant.timestamp()) < 1e-5:
                found.add(unit)
    if float_of(cell) and abs(float_of(cell) / 1e9 - instant.timestamp()) < 1e-5:
        found.add("ns")
    for form in JUDGED:
        try:
            if datetime.strptime(cell, form).replace(tzinfo=UTC) == instant:
                found.add(form)
        except ValueError:
            continue
    try:
        iso = datetime.fromisoformat(re.sub(r"\s*(UTC|GMT)$", "Z", cell))
        if iso.replace(tzinfo=iso.tzinfo or UTC) == instant:
            found.add("zoned" if iso.tzinfo else "iso")
    except ValueError:
        pass
    return found


def float_of(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return 0.0


UTC_ALONE = {"timezone": "UTC"}
FILES = st.one_of(*[files()] * 9, st.binary(max_size=200))
SAID = ({"decimal": ","}, {"thousands": ","}, {"thousands": "."}, {"encoding": "cp1252"}, {"delimiter": ","})
OPTIONS = st.sampled_from([{}, *[UTC_ALONE] * 8, UTC_ALONE | {"day_first": True}, *(UTC_ALONE | said for said in SAID)])


def law(examples: int, seen: dict[str, int]) -> Any:
    """The law as a test over that many files."""

    @settings(
        max_examples=examples,
        deadline=None,  # by the wall clock, which a busy machine stretches: processor time is held below
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        content=FILES,
        block=st.sampled_from([50, 400, 8 * 2**20, 8 * 2**20]),
        options=OPTIONS,
    )
    def holds(content: bytes, block: int, options: dict[str, Any]) -> None:
        begun = time.process_time()
        outcome = check(content, block, options)
        assert time.process_time() - begun < SECONDS_OF_ONE_FILE, "a small file takes long"
        seen[outcome] = seen.get(outcome, 0) + 1

    return holds


def be_quiet() -> None:
    """What is said of each file is not of interest."""
    logging.getLogger("betti").setLevel(logging.ERROR)


def main(minutes: float = 10) -> None:
    """Files for that many minutes; the first fault is shrunk and raised."""
    be_quiet()
    end, seen = time.monotonic() + 60 * minutes, dict[str, int]()
    while time.monotonic() < end:
        law(2000, seen)()
        print(f"{sum(seen.values())} files, no fault: {dict(sorted(seen.items()))}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--atheris"]:
        # A process of its own: what atheris watches must be imported under its eyes.
        sys.exit(subprocess.call([sys.executable, "-m", "tests.fuzz_csv_atheris", *sys.argv[2:]]))
    main(*map(float, sys.argv[1:]))
