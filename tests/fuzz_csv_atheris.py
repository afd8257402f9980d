"""CSV files by coverage: `python -m tests.fuzz_csv --atheris SECONDS` looks for bytes that take the reader a new way.

The law is that of `tests.fuzz_csv`, over files of any bytes: the first byte chooses the options, the rest is the file.
A fault ends the run with its traceback, and the bytes are kept in a file whose name is printed; give that name instead
of seconds to see the fault again. Needs atheris (libFuzzer for Python).
"""

# ruff: noqa: T201 - a script that reports what it finds
from __future__ import annotations

import gzip
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd

NEEDS = "atheris is not installed. Install it: pip install 'atheris>=2.3,<4'"
SECONDS_OF_ONE_FILE = 10
LONGEST = 4096  # bytes of a file: room for some forty rows


def watching() -> AbstractContextManager[Any]:
    """Imports inside it are watched by atheris, where this is the program that runs."""
    if __name__ != "__main__":
        return nullcontext()
    try:
        import atheris
    except ModuleNotFoundError:
        sys.exit(NEEDS)
    return atheris.instrument_imports(include=["betti.sources"])


with watching():
    from tests import fuzz_csv
from tests.fuzz_csv import (
    CELLS,
    COLUMNS,
    FORMS,
    ODD,
    STARTS,
    UNITS,
    UTC_ALONE,
    Style,
    cells_of,
    marked_as,
    readings,
    stands_at,
    styles,
    written,
)


@dataclass(frozen=True)
class Case:
    """How a file is read.

    Attributes:
        options: those of the source.
        block: bytes of one block.
        names: the columns, where the options name them.
        skipped: lines before the header.
        timed: whether the judge can read times under these options.
    """

    options: dict[str, Any] = field(default_factory=dict)
    block: int = 8 * 2**20
    names: tuple[str, ...] | None = None
    skipped: int = 0
    timed: bool = True


CASES = (
    Case(),
    Case(UTC_ALONE),
    Case(UTC_ALONE, block=50),
    Case(UTC_ALONE, block=400),
    Case(UTC_ALONE | {"day_first": True}),
    Case(UTC_ALONE | {"delimiter": ","}),
    Case(UTC_ALONE | {"skip_rows": 1}, skipped=1),
    Case(UTC_ALONE | {"names": list(COLUMNS)}, names=COLUMNS),
    Case({"timezone": "America/New_York"}, timed=False),
    Case(UTC_ALONE | {"stamped": "close"}, timed=False),
    Case(UTC_ALONE | {"unit": "ms"}),
    Case(UTC_ALONE | {"time_format": "%d/%m/%Y %H:%M"}),
    Case(UTC_ALONE | {"decimal": ","}),
    Case(UTC_ALONE | {"thousands": ","}),
    Case(UTC_ALONE | {"thousands": "."}),
    Case(UTC_ALONE | {"thousands": " "}),
    Case(UTC_ALONE | {"encoding": "cp1252"}),
)
TOKENS = (
    ",", ";", "\\x09", "|", "\\x0a", "\\x0d", "\\x00", "\\\"", "$", "nan", "null", "inf", "1e400", "-", "e5", "Z",
    "+01:00", " UTC", "GMT+0100", "AM", "Jan", "2020-01-03", "03/01/2020", "20200103", "1577836800", "1577836800000",
    "timestamp", "Date", "Time", "open_time", "close_time", "Close/Last", "symbol", "ticker", "Price", "Ticker",
    "1,5", "1,234", "1.234,5", "1 234", "\\xa0",
    "\\x1f\\x8b", "PK\\x03\\x04", "\\xff\\xfe", "\\xef\\xbb\\xbf", "\\xd9\\xa3",
)  # fmt: skip


def seeds() -> Iterator[bytes]:
    """Good files in every way of writing, and some of other makes: what the search starts from."""
    for number, (form, delimiter) in enumerate(
        (form, delimiter) for form in ("iso", "zoned", *UNITS, *FORMS) for delimiter in ",;\t|"
    ):
        times = [written(STARTS[1] + i * timedelta(hours=7), form) for i in range(4)]
        rows = [[time, "1.5", "2", "0.5", "1.25", str(10 * i)] for i, time in enumerate(times)]
        text = "\n".join(delimiter.join(cells) for cells in [list(COLUMNS), *rows]) + "\n"
        if number % 3 == 0:
            text = "\n".join(
                f'"{line.replace(delimiter, chr(34) + delimiter + chr(34))}"' for line in text.splitlines()
            )
        yield b"\x01" + text.encode()
    row = "2020-01-03T00:00:00Z,1,2,0.5,1.5,10"
    plain = f"timestamp,open,high,low,close,volume\n{row}\n"
    for content in (
        plain.encode("utf-16"),
        plain.encode("utf-8-sig"),
        plain.replace(",", ";").replace(".", ",").encode(),
        gzip.compress(plain.encode()),
        f"timestamp,symbol,open,high,low,close,volume\n{row.replace('Z,', 'Z,X,')}\n".encode(),
        b"Date,Time,O,H,L,C,Vol.\n2020.01.03,00:15,1,2,0.5,1.5,10\n",
        b"<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\n2020.01.03\t00:15:00\t1\t2\t0.5\t1.5\t10\n",
        b"Date,Close/Last,Volume,Open,High,Low\n01/13/2020,$1.5,10,$1,$2,$0.5\n",
        b"close_time,open,high,low,close,volume\n2020-01-03 00:14:59.999Z,1,2,0.5,1.5,10\n",
        b"Price,Close,High,Low,Open,Volume\nTicker,X,X,X,X,X\nDate,,,,,\n2020-01-03,1.5,2,0.5,1,10\n",
    ):
        yield b"\x01" + content


def mutated(data: bytes, longest: int, seed: int) -> bytes:
    """The file with a cell or a line changed, or, one time in two, whatever libFuzzer does to it.

    Bytes changed anywhere mostly break a header or a date, which is refused at once: cells lead further in.
    """
    import atheris

    chance = random.Random(seed)
    if chance.random() < 0.5:
        changed: bytes = atheris.Mutate(data, longest)
        return changed
    cells = re.split(rb"([,;\t|\n])", data[1:])
    at, other = (2 * chance.randrange(len(cells) // 2 + 1) for _ in range(2))
    way = chance.randrange(4)
    if way == 0:
        cells[at] = chance.choice(CELLS).encode()
    elif way == 1:
        cells[at], cells[other] = cells[other], cells[at]
    elif way == 2:
        cells[at:at] = cells[other : other + 12]
    else:
        cell = cells[at]
        cut = chance.randrange(len(cell) + 1)
        cells[at] = cell[:cut] + chance.choice(ODD).encode() + cell[cut:]
    case = data[:1] if chance.random() < 0.9 else bytes([chance.randrange(len(CASES))])
    return (case + b"".join(cells))[:longest]


def one(data: bytes) -> str:
    """Read one file, whose first byte chooses the case, and judge what came of it."""
    case, content = CASES[data[0] % len(CASES) if data else 0], data[1:]
    bars = fuzz_csv.came_of(content, case.block, case.options)
    if isinstance(bars, str):
        return bars
    judge(bars, content, case)
    return "bars"


def judge(bars: pd.DataFrame, content: bytes, case: Case) -> None:
    """Some delimiter explains all bars by the lines of the file."""
    if content[:2] == b"PK":
        return  # unpacking a zip is the library's own affair
    rows = lines(content, case.skipped, case.options.get("encoding"))
    if [row[:6].lower() for row in rows[:2]] == ["price,", "ticker"]:
        return  # three lines of header, whose columns are several markets'
    faults = []
    for delimiter in case.options.get("delimiter", ",;\t|"):
        names, body = (case.names, rows) if case.names else (cells_of(rows[0], delimiter), rows[1:])
        cells, plain = [cells_of(row, delimiter) for row in body], [plainly(name) for name in names]
        for style in styles(case.options, delimiter, [cell for row in cells for cell in row if "." not in cell]):
            try:
                explained(bars, cells, plain, case.timed, style)
            except AssertionError as fault:
                faults.append(f"{delimiter!r} {style}: {fault}")
            else:
                return
    raise AssertionError("\n".join([f"no delimiter explains\n{bars}", *faults]))


def lines(content: bytes, skipped: int, encoding: str | None = None) -> list[str]:
    """The lines behind those skipped that hold more than delimiters, quotes and space."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    text = content.decode(encoding or marked_as(content))
    found = re.split("\r\n|\r|\n", text)[skipped:]
    return [line for line in found if re.search(r'[^\s,;|"]', line)]


def plainly(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name.strip("<> ")).strip().casefold()


def explained(bars: pd.DataFrame, rows: list[list[str]], names: list[str], timed: bool, style: Style) -> None:
    """One bar for every row of this market, each of its values in a cell of that row, all times read in one way."""
    nameless = "volume" not in names and bars["volume"].isna().all()
    markets = [i for i, name in enumerate(names) if name in ("symbol", "ticker", "tic", "instrument", "pair")]
    if markets:
        rows = [cells for cells in rows if markets[0] < len(cells) and cells[markets[0]] == "X"]
    assert len(bars) == len(rows), f"{len(bars)} bars of {len(rows)} lines"
    strange = [i for i, name in enumerate(names) if name not in COLUMNS]
    ways: set[str] | None = None
    for (_, bar), cells in zip(bars.iterrows(), rows, strict=True):
        for name in COLUMNS[1:-1] if nameless else COLUMNS[1:]:
            places = [names.index(name)] if name in names else strange
            stands = any(stands_at(bar[name], cells, place, len(names), style) for place in places)
            assert stands, (name, bar[name], cells)
        if timed and "timestamp" in names:
            found = readings(cells[names.index("timestamp")], bar["timestamp"])
            ways = found if ways is None else ways & found
            assert ways, f"the time {bar['timestamp']} does not stand in {cells}, read as the rows above it"


def main(seconds: str = "600") -> None:
    """Search for so many seconds, or show the fault of a file that an earlier search has kept."""
    import atheris

    fuzz_csv.be_quiet()
    folder = Path(tempfile.mkdtemp(prefix="fuzz_csv-"))
    corpus, words = folder / "corpus", folder / "words"
    corpus.mkdir()
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    words.write_text("".join(f'"{token}"\n' for token in TOKENS))
    search = [f"-max_total_time={seconds}", str(corpus)] if seconds.isdigit() else [seconds]
    print(f"faults go to {folder}", flush=True)
    atheris.Setup(
        [
            sys.argv[0], f"-timeout={SECONDS_OF_ONE_FILE}", f"-max_len={LONGEST}", f"-dict={words}",
            f"-artifact_prefix={folder}/", "-rss_limit_mb=4096", "-print_final_stats=1", *search,
        ],
        one,
        custom_mutator=mutated,
    )  # fmt: skip
    atheris.Fuzz()  # does not come back


if __name__ == "__main__":
    main(*sys.argv[1:])
