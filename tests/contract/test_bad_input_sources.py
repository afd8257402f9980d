"""Bad input, third part: servers that misbehave, files too large for memory, and what the command line says of it all."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from betti import sources
from betti.errors import BadInput, BettiError, PartUnavailable, UnreadableFile
from betti.sources import _files, _paging, parquet
from betti.sources._http import BadAnswer, RequestRefused, SourceUnreachable
from tests.contract._faults import PRICES, ROWS, STEP, Workspace, as_lines, at, laid_out, matches, sound
from tests.unit.sources import server
from tests.unit.sources.server import Fault, KlinesServer, Waits

# Servers --------------------------------------------------------------------------------------------------------------

LIMIT = 40  # bars of a page
TRIES = 7
ASKED = "GET http://127.0.0.1:*/api/v3/klines?symbol=BBB&interval=15m&*&limit=1000 (BBB 15m, *2024-* UTC): "
GAVE_UP = "; gave up after 7 tries in * s. "
LIMITED = "The server limits how often it is asked: run again later, or fetch fewer markets at once"
LATER = "The server is in trouble or in maintenance: run again later"
ADDRESS = f"{LATER}; if it stays, check ingest.options.base_url"


@dataclass(frozen=True)
class Misbehaviour:
    """A server that misbehaves for good.

    Attributes:
        case: its name, which begins with one of `tests.contract._faults.NAMED`.
        fault: what it answers.
        error: the class of the error, exactly.
        said: what it says behind the request, where * stands for other words.
        tries: how often it is asked before that.
    """

    case: str
    fault: Fault
    error: type[BettiError]
    said: str
    tries: int = TRIES


FOR_GOOD = [
    Misbehaviour("a source that answers 429", server.status(429), SourceUnreachable, f"status 429: *{GAVE_UP}{LIMITED}"),
    Misbehaviour("a source that answers 429: come back tomorrow", server.status(429, Retry_After="86400"), SourceUnreachable,
                 f"status 429: * (it asks to wait 86400 s); gave up after 1 tries in 0 s. {LIMITED}", 1),
    Misbehaviour("a source that answers 500", server.status(500), SourceUnreachable, f"status 500: *{GAVE_UP}{LATER}"),
    Misbehaviour("a source that answers 500: or that it is elsewhere", server.status(403), RequestRefused,
                 "refused with status 403: *. Check the key in the environment, and whether the server lets you in from here", 1),
    Misbehaviour("a source that answers HTML", server.html, SourceUnreachable, f"the answer is HTML: '<!DOCTYPE html>*'{GAVE_UP}{ADDRESS}"),
    Misbehaviour("a source that answers half a page", server.truncated, SourceUnreachable,
                 f"the answer is no whole JSON (* characters): *{GAVE_UP}{ADDRESS}"),
    Misbehaviour("a source that answers half a page: the connection ends", server.cut, SourceUnreachable,
                 f"the connection failed (*){GAVE_UP}Check the network, a proxy and ingest.options.base_url, and run again"),
    Misbehaviour("milliseconds read as seconds: by a server", lambda rows: server.as_json([[row[0] // 1000, *row[1:]] for row in rows]),
                 BadAnswer, "the answer is no list of klines with times in milliseconds: [1704067200, *. Check ingest.options.base_url", 1),
    Misbehaviour("text in a number: by a server", lambda rows: server.as_json([[*row[:4], "cheap", *row[5:]] for row in rows]),
                 BadAnswer, f"close is 'cheap' at {at(0)} and no number. Run again later", 1),
]  # fmt: skip
# ruff: noqa: E501 - a case is read as one row of a table

ONCE: dict[str, Fault] = {
    "a source that answers 429: once": server.status(429, Retry_After="7"),
    "a source that answers 500: once": server.status(500),
    "a source that answers HTML: once": server.html,
    "a source that answers half a page: once": server.truncated,
    "a source that answers half a page: the connection ends once": server.cut,
    "a source that answers half a page: of fewer bars": server.short(LIMIT // 2),
    "a source that answers half a page: with a hole": server.without(10, 5),
}


def names() -> list[str]:
    return [case.case for case in FOR_GOOD] + list(ONCE) + ["a 10 GB file"]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    monkeypatch.delenv("BETTI_BINANCE_KEY", raising=False)
    return Waits(monkeypatch)


def traded(rows: int = ROWS) -> pd.DataFrame:
    """Sound bars with the eight decimals that the server sends."""
    return sound(rows).round(dict.fromkeys([*PRICES, "volume"], 8))


def exchange(rows: int = ROWS, script: list[Fault] | None = None) -> KlinesServer:
    return KlinesServer({"BBB": server.klines(traded(rows), STEP)}, script, LIMIT)


def served(root: Path, there: KlinesServer) -> Workspace:
    return laid_out(root, "binance", ["BBB"], at(10 * ROWS), base_url=there.url, start="2024-01-01")


@pytest.mark.parametrize("case", FOR_GOOD, ids=lambda case: case.case)
def test_a_server_that_misbehaves_for_good(tmp_path: Path, waits: Waits, case: Misbehaviour) -> None:
    with exchange(script=[case.fault] * 20) as there:
        workspace = served(tmp_path, there)
        said = workspace.refused("ingest", case.error)
        assert len(there.asked()) == case.tries
    assert matches(said, ASKED + case.said, tmp_path), said
    assert workspace.written() == {}


@pytest.mark.parametrize("fault", ONCE.values(), ids=ONCE)
def test_a_server_that_misbehaves_once(tmp_path: Path, waits: Waits, fault: Fault) -> None:
    """All bars come, none twice: validation, which would see it, has nothing to do."""
    with exchange(script=[server.plain, fault]) as there:
        workspace = served(tmp_path, there)
        workspace.run("ingest")
    pd.testing.assert_frame_equal(workspace.table("bars", "BBB"), traded())


def test_a_server_that_fails_in_the_middle_leaves_earlier_bars(tmp_path: Path, waits: Waits) -> None:
    with exchange() as there:
        workspace = served(tmp_path, there)
        workspace.run("ingest")
        there.markets["BBB"] = server.klines(traded(2 * ROWS), STEP)
        there.script = [server.plain] + [server.status(500)] * TRIES
        workspace.refused("ingest", SourceUnreachable)
    pd.testing.assert_frame_equal(workspace.table("bars", "BBB"), traded())


def test_a_bar_that_the_server_has_open_is_left_out(
    tmp_path: Path, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_paging, "clock", lambda: (at(ROWS - 1) + STEP / 2).to_pydatetime())
    with exchange() as there:
        workspace = served(tmp_path, there)
        workspace.run("ingest")
    pd.testing.assert_frame_equal(workspace.table("bars", "BBB"), traded().head(ROWS - 1))


def test_what_a_person_must_mend_is_bad_input_and_what_may_pass_is_not() -> None:
    """The flow tries again what is no `BadInput`, and the command line ends with 1 instead of 2."""
    assert issubclass(RequestRefused, BadInput)
    assert issubclass(PartUnavailable, BadInput)
    assert not issubclass(SourceUnreachable, BadInput)


def test_a_source_whose_library_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yfinance", None)
    workspace = laid_out(tmp_path, "yahoo", ["BBB"], at(ROWS), "1d")
    assert workspace.refused("ingest", PartUnavailable) == (
        "source 'yahoo' cannot be imported: ModuleNotFoundError: it needs the library 'yfinance'. "
        "Install it: pip install 'betti[sources]'"
    )
    assert workspace.written() == {}


# Size -----------------------------------------------------------------------------------------------------------------

MEGABYTE = 2**20


def peak(read: Callable[[], int]) -> tuple[int, int]:
    """Rows read, and the most bytes that Python, numpy and pandas held at a time."""
    tracemalloc.start()
    try:
        return read(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def streamed(source: str, file: Path) -> int:
    stream = sources.stream(source, ("BBB",), "15m", at(10**9), {"path": str(file)})
    return sum(len(piece) for piece in stream)


@pytest.fixture
def lines() -> list[str]:
    return as_lines(sound(5000))


def test_a_10_gb_csv_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
    """Eight times the file, the same memory: it depends on the block."""
    monkeypatch.setattr(_files, "BLOCK", 2**16)
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    small.write_text("\n".join([*lines, ""]))
    large.write_text("\n".join([lines[0], *lines[1:] * 8, ""]))
    assert large.stat().st_size > 4 * MEGABYTE
    rows, little = peak(lambda: streamed("csv", small))
    many, much = peak(lambda: streamed("csv", large))
    assert (rows, many) == (5000, 40_000)
    assert much < 1.3 * little
    assert much < 3 * MEGABYTE


@pytest.mark.parametrize("group", [2**13, 10**6], ids=["many row groups", "one row group"])
def test_a_10_gb_parquet_is_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int) -> None:
    """Arrow holds the columns of a batch and what it unpacks them with: not the file."""
    monkeypatch.setattr(parquet, "ROWS", 2**12)
    file, bars = tmp_path / "x.parquet", sound(500_000).drop(columns="symbol")
    pq.write_table(pa.Table.from_pandas(bars, preserve_index=False), file, row_group_size=group)
    before, held, rows = pa.total_allocated_bytes(), 0, 0
    for piece in sources.stream("parquet", ("BBB",), "15m", at(10**9), {"path": str(file)}):
        rows, held = rows + len(piece), max(held, pa.total_allocated_bytes() - before)
        assert len(piece) <= 2**12
    assert rows == len(bars)
    assert held < 0.6 * file.stat().st_size


def test_a_10_gb_file_that_is_no_table_is_refused_at_its_first_block(tmp_path: Path, lines: list[str]) -> None:
    """A hole behind the last bar: it has 10 GB to read and takes no space."""
    file = tmp_path / "BBB"
    with file.open("w") as hole:
        hole.write("\n".join([*lines[:100], ""]))
        hole.truncate(10 * 1024 * MEGABYTE)
    workspace = laid_out(tmp_path, "csv", ["BBB"], at(ROWS), path=str(file))

    def refused() -> int:
        said = workspace.refused("ingest", UnreadableFile)
        assert said == (
            f"BBB in {file}: is not a table of text columns (a zero byte in line 101). Check its type and encoding; "
            "source csv takes ingest.options.encoding, e.g. cp1252 or utf-16-le"
        )
        return 0

    assert peak(refused)[1] < 100 * MEGABYTE
    assert workspace.written() == {}


# The command line -----------------------------------------------------------------------------------------------------


def renamed(file: Path) -> None:
    file.write_text("\n".join(as_lines(sound())).replace("close", "settle", 1))


def truncated(file: Path) -> None:
    renamed(file)
    file.write_bytes(b"PAR1" + file.read_bytes())


def too_bad(file: Path) -> None:
    bars = sound()
    bars.loc[:9, "low"] = 0.0
    file.write_text("\n".join(as_lines(bars)))


@pytest.mark.parametrize(
    ("source", "spoil", "stages", "said"),
    [
        ("csv", renamed, ["ingest"], "bars from BBB in {file}: no column close (found: *). Name them in *"),
        ("parquet", truncated, ["ingest"], "BBB in {file}: is not a whole Parquet file (*). Write or copy it again"),
        (
            "csv",
            too_bad,
            ["ingest", "validate"],
            "BBB: 10 of 300 bars are bad (3.33% > 1.00% allowed): *. Mend the source, *",
        ),
    ],
    ids=["a renamed column", "a truncated Parquet", "too many bad rows"],
)
def test_the_command_line_says_one_sentence_and_ends_with_2(
    tmp_path: Path, source: str, spoil: Callable[[Path], None], stages: list[str], said: str
) -> None:
    file = tmp_path / "BBB"
    spoil(file)
    workspace = laid_out(tmp_path, source, ["BBB"], at(ROWS), path=str(file))
    workspace.run(*stages[:-1])
    before = workspace.written()
    command = [sys.executable, "-m", "betti", stages[-1]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = [one for one in done.stderr.splitlines() if not one.startswith("progress ")]
    assert matches(line, said, file), line
    assert workspace.written() == before
