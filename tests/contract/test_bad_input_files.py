"""Bad input, first part: files that are refused as a whole. One sentence with file, symbol, line and remedy."""

from __future__ import annotations

import gzip
import io
import zipfile
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.feather as pf
import pyarrow.parquet as pq
import pytest

from betti.errors import BadBars, BadParam, MissingFile, UnreadableFile
from tests.contract._faults import ROWS, START, STEP, Refusal, as_lines, at, laid_out, matches, sound, stamp

FROM = "bars from BBB in {file}: "
COMPLETE = "Check that the export is complete"
COLUMNS = "timestamp, open, high, low, close, volume"
NAME_THEM = "Name them in ingest.options.columns: {theirs: ours}"
NEW_YORK = (("timezone", "America/New_York"),)
IN_SECONDS = (("unit", "s"),)
MEND = "Mend it, or set ingest.options.decimal or ingest.options.thousands (source csv)"
ENCODING = "Check its type and encoding; source csv takes ingest.options.encoding, e.g. cp1252 or utf-16-le"
BY_FORMAT = (("time_format", "%d/%m/%Y %H:%M"), ("timezone", "UTC"))
BY_CLOSE = (("stamped", "close"),)
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01"


def joined(lines: list[str]) -> bytes:
    return "\n".join([*lines, ""]).encode()


def with_header(old: str, new: str):
    """The file with another header."""
    return lambda lines: joined([lines[0].replace(old, new), *lines[1:]])


def without(column: int):
    return lambda lines: joined([",".join(c for i, c in enumerate(line.split(",")) if i != column) for line in lines])


def with_cell(line: int, column: int, text: str):
    """The file with one cell changed; its first line is 1."""

    def changed(lines: list[str]) -> bytes:
        cells = lines[line - 1].split(",")
        cells[column] = text
        return joined([*lines[: line - 1], ",".join(cells), *lines[line:]])

    return changed


def with_times(written):
    """The file with its times written otherwise: `written` takes a time in UTC."""

    def changed(lines: list[str]) -> bytes:
        return joined([lines[0], *(f"{written(at(i))},{line.partition(',')[2]}" for i, line in enumerate(lines[1:]))])

    return changed


def every(step: str):
    """Times that far apart, from the first one on."""
    return lambda time: (START + (time - START) // STEP * pd.Timedelta(step)).isoformat()


def semicolons(lines: list[str]) -> bytes:
    """Prices such as 1,234, which are a thousand or little more than one."""
    return joined([lines[0].replace(",", ";"), *(f"{stamp(i)};1,234;1,236;1,230;1,235;10" for i in range(ROWS))])


def milliseconds(time: pd.Timestamp) -> int:
    return time.value // 10**6


def turning(time: pd.Timestamp) -> int:
    """Seconds, and milliseconds from the hundredth row on."""
    return time.value // (10**9 if time < at(99) else 10**6)


def in_autumn(time: pd.Timestamp) -> str:
    """New York's clocks in the night in which they go back: 01:00 to 01:59 comes twice."""
    night = pd.Timestamp("2024-11-03 04:00", tz="UTC") + (time - START)
    return night.tz_convert("America/New_York").strftime("%Y-%m-%d %H:%M:%S")


def zip_of(*names: str):
    def packed(lines: list[str]) -> bytes:
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w") as archive:
            for name in names:
                archive.writestr(name, joined(lines))
        return whole.getvalue()

    return packed


def table(**columns: object) -> pa.Table:
    """The sound bars as Arrow has them, with these columns instead; None leaves one out."""
    bars = sound().drop(columns="symbol").assign(**{k: v for k, v in columns.items() if v is not None})
    return pa.Table.from_pandas(bars[[name for name in bars if columns.get(name, 0) is not None]], preserve_index=False)


def stored(write, content: pa.Table, cut: int | None = None):
    """A file in a columnar format, up to so many bytes (from the end, if negative)."""

    def file(_: list[str]) -> bytes:
        whole = io.BytesIO()
        write(content, whole)
        return whole.getvalue()[:cut]

    return file


parquet, feather = partial(stored, pq.write_table), partial(stored, pf.write_feather)

TEXT = [
    Refusal("missing column", without(4), BadBars, f"{FROM}no column close (found: timestamp, open, high, low, volume). {NAME_THEM}"),
    Refusal("missing column: the time", without(0), BadBars, f"{FROM}no column timestamp (found: open, high, low, close, volume). {NAME_THEM}"),
    Refusal("missing column: no header at all", lambda lines: joined(lines[1:]), BadBars,
            f"{FROM}no header: line 1 is {stamp(0)},*. Set ingest.options.names to the columns in order, or to one of binance, *"),
    Refusal("renamed column", with_header("close", "settle"), BadBars,
            f"{FROM}no column close (found: timestamp, open, high, low, settle, volume). {NAME_THEM}"),
    Refusal("renamed column: as the options do not say", with_header("x", "x"), BadBars,
            f"{FROM}no column 'last'. Columns found: {COLUMNS}", (("columns", {"last": "close"}),)),
    Refusal("renamed column: to two that it may be", with_header("close,volume", "c,close price"), BadBars,
            FROM + "column close may be 'c', 'close price'. Say which in ingest.options.columns: {c: close}"),
    Refusal("duplicated column", with_header("volume", "close"), BadBars, f"{FROM}column close occurs twice. Keep one of them"),
    Refusal("empty file", lambda lines: b"", BadBars, f"{FROM}the file is empty. {COMPLETE}"),
    Refusal("empty file: blank lines alone", lambda lines: b"\n \n\n", BadBars, f"{FROM}no line holds anything. {COMPLETE}"),
    Refusal("empty file: packed", lambda lines: gzip.compress(b""), BadBars, f"{FROM}no line holds anything. {COMPLETE}"),
    Refusal("header only", lambda lines: joined(lines[:1]), BadBars, f"{FROM}a header and no rows. {COMPLETE}"),
    Refusal("text in a number", with_cell(103, 4, "cheap"), BadBars, f"{FROM}close is 'cheap' in line 103. It takes a number there"),
    Refusal("text in a number: a unit", with_cell(103, 5, "3.2K"), BadBars, f"{FROM}volume is '3.2K' in line 103. It takes a number there"),
    Refusal("text in a number: a decimal comma", lambda lines: with_cell(103, 2, '"1,5"')(lines), BadBars,
            f"{FROM}high is '1,5' in line 103. {MEND}"),
    Refusal("a number with two readings: 1,234 between semicolons", semicolons, BadBars, f"{FROM}open is '1,234' in line 2. {MEND}"),
    Refusal("a number with two readings: thousands in quotes", with_cell(103, 2, '"1,234.50"'), BadBars,
            f"{FROM}high is '1,234.50' in line 103. {MEND}"),
    Refusal("text in a number: a time that is none", with_cell(103, 0, "2024-02-30T00:00:00Z"), BadBars,
            f"{FROM}the time is '2024-02-30T00:00:00Z' in line 103. Mend or remove that line"),
    Refusal("text in a number: no time at all", with_cell(103, 0, ""), BadBars,
            f"{FROM}the time is '' in line 103. Mend or remove that line"),
    Refusal("local time without a zone", with_times(lambda t: f"{t:%Y-%m-%d %H:%M:%S}"), BadBars,
            f"{FROM}times carry no zone (2024-01-01 00:00:00). Set ingest.options.timezone, e.g. UTC or America/New_York"),
    Refusal("a time format that does not fit", joined, BadBars,
            f"{FROM}the time is '{stamp(0)}' in line 2, which is not written as the time_format '%d/%m/%Y %H:%M' says. "
            "Mend that line, or ingest.options.time_format; without it common forms are found", BY_FORMAT),
    Refusal("a time format that does not fit: no format at all", joined, BadParam,
            "params.yaml: ingest.options.time_format = 'garbage': it takes the signs of strptime, such as '%d/%m/%Y %H:%M'",
            (("time_format", "garbage"),)),
    Refusal("a year without markets", with_cell(103, 0, "0024-01-02T01:15:00Z"), BadBars,
            f"{FROM}the time is '0024-01-02T01:15:00Z' in line 103, before 1700 or after 2264. Mend or remove that line"),
    Refusal("bars of another length than declared: shorter", with_times(every("5min")), BadBars,
            f"{FROM}299 of the 299 steps from bar to bar are 5m, and ingest.interval is 15m. "
            "Set ingest.interval to 5m; ingest.resample: [15m] makes bars of 15m of them"),
    Refusal("bars of another length than declared: longer", with_times(every("1h")), BadBars,
            f"{FROM}75 of the 75 steps from bar to bar are 1h, and ingest.interval is 15m. "
            "Set ingest.interval to 1h, or give bars of 15m"),
    Refusal("bars of another length than declared: by their close", with_times(every("5min")), BadBars,
            f"{FROM}299 of the 299 steps from bar to bar are 5m, and ingest.interval is 15m. "
            "Set ingest.interval to 5m; ingest.resample: [15m] makes bars of 15m of them", BY_CLOSE),
    Refusal("mixed offsets: a line without any", with_cell(103, 0, "2024-01-02 01:15:00"), BadBars,
            f"{FROM}the time is '2024-01-02 01:15:00' in line 103, without a zone where others have one. Mend that line"),
    Refusal("a daylight-saving hour twice", with_times(in_autumn), BadBars,
            f"{FROM}the time is 2024-11-03 01:00:00 in line 6: a clock change in America/New_York skips or repeats it. "
            "Export the file in UTC", NEW_YORK),
    Refusal("milliseconds read as seconds", with_times(milliseconds), BadBars,
            f"{FROM}timestamp '1704067200000' in line 2 is no time in 's'. Check ingest.options.unit: s, ms, us or ns", IN_SECONDS),
    Refusal("milliseconds read as seconds: from a line on", with_times(turning), BadBars,
            f"{FROM}timestamp '{milliseconds(at(99))}' in line 101 is no time in 's'. Check ingest.options.unit: s, ms, us or ns"),
    Refusal("another file type: a picture", lambda lines: PNG, UnreadableFile,
            f"BBB in {{file}}: is not a table of text columns (*, after line 1). {ENCODING}"),
    Refusal("another file type: a page", lambda lines: b"<html><body>Log in</body></html>\n", UnreadableFile,
            "BBB in {file}: is not a table of text columns (no delimiter in its lines). Check its type and delimiter"),
    Refusal("another file type: Parquet", parquet(table()), UnreadableFile,
            f"BBB in {{file}}: is not a table of text columns (*). {ENCODING}"),
    Refusal("another encoding: of a desktop", lambda lines: joined([f"{lines[0]},Kürzel", *lines[1:]]).decode().encode("cp1252"), UnreadableFile,
            f"BBB in {{file}}: is not a table of text columns (invalid start byte for utf-8, after line 1). {ENCODING}"),
    Refusal("another encoding: without a mark", lambda lines: joined(lines).decode().encode("utf-16-le"), UnreadableFile,
            f"BBB in {{file}}: is not a table of text columns (a zero byte in line 1). {ENCODING}"),
    Refusal("another file type: a spreadsheet", zip_of("xl/workbook.xml", "xl/sheet1.xml"), UnreadableFile,
            "BBB in {file}: a zip of 2 files (xl/workbook.xml, xl/sheet1.xml). Keep the one that holds the bars"),
    Refusal("another file type: half an archive", lambda lines: gzip.compress(joined(lines))[:-900], UnreadableFile,
            "BBB in {file}: cannot be unpacked (*). Write or copy it again"),
]  # fmt: skip
# ruff: noqa: E501 - a case is read as one row of a table

COLUMNAR = [
    ("parquet", Refusal("a truncated Parquet", parquet(table(), -200), UnreadableFile,
                        "BBB in {file}: is not a whole Parquet file (*). Write or copy it again")),
    ("parquet", Refusal("a truncated Parquet: half of it", parquet(table(), 4000), UnreadableFile,
                        "BBB in {file}: is not a whole Parquet file (*). Write or copy it again")),
    ("feather", Refusal("a truncated Parquet: or Feather", feather(table(), -200), UnreadableFile,
                        "BBB in {file}: is not a whole Feather file of version 2 (*). Write or copy it again")),
    ("parquet", Refusal("another file type: CSV", joined, UnreadableFile,
                        "BBB in {file}: is not a whole Parquet file (*). Write or copy it again")),
    ("feather", Refusal("another file type: Parquet as Feather", parquet(table()), UnreadableFile,
                        "BBB in {file}: is not a whole Feather file of version 2 (*). Write or copy it again")),
    ("parquet", Refusal("empty file: Parquet", lambda lines: b"", UnreadableFile,
                        "BBB in {file}: is not a whole Parquet file (*). Write or copy it again")),
    ("parquet", Refusal("header only: Parquet", parquet(table().slice(0, 0)), BadBars,
                        f"{FROM}a header and no rows. {COMPLETE}")),
    ("feather", Refusal("header only: Feather", feather(table().slice(0, 0)), BadBars,
                        f"{FROM}a header and no rows. {COMPLETE}")),
    ("parquet", Refusal("missing column: Parquet", parquet(table(close=None)), BadBars,
                        f"{FROM}no column close (found: timestamp, open, high, low, volume). {NAME_THEM}")),
    ("parquet", Refusal("bars of another length than declared: Parquet", parquet(table(timestamp=sound()["timestamp"][0] + (sound()["timestamp"] - START) / 3)),
                        BadBars, f"{FROM}299 of the 299 steps from bar to bar are 5m, and ingest.interval is 15m. "
                        "Set ingest.interval to 5m; ingest.resample: [15m] makes bars of 15m of them")),
    ("parquet", Refusal("text in a number: Parquet", parquet(table(close=["1.5"] * 7 + ["cheap"] + ["1.5"] * (ROWS - 8))),
                        BadBars, f"{FROM}close is 'cheap' in line 8. It takes a number there")),
    ("parquet", Refusal("local time without a zone: Parquet", parquet(table(timestamp=sound()["timestamp"].dt.tz_localize(None))),
                        BadBars, f"{FROM}times carry no zone (2024-01-01 00:00:00). Set ingest.options.timezone, "
                        "e.g. UTC or America/New_York")),
    ("parquet", Refusal("milliseconds read as seconds: Parquet", parquet(table(timestamp=[milliseconds(at(i)) for i in range(ROWS)])),
                        BadBars, f"{FROM}timestamp 1704067200000 in line 1 is no time in 's'. Check ingest.options.unit: "
                        "s, ms, us or ns", IN_SECONDS)),
]  # fmt: skip
SOUND = {"csv": joined, "parquet": parquet(table()), "feather": feather(table())}
CASES = [("csv", case) for case in TEXT] + COLUMNAR


def names() -> list[str]:
    return [case.case for _, case in CASES]


@pytest.mark.parametrize(("source", "case"), CASES, ids=names())
def test_a_file_that_is_refused(tmp_path: Path, source: str, case: Refusal) -> None:
    """Another market's sound file is not written either."""
    file, options = tmp_path / "BBB", dict(case.options)
    workspace = laid_out(tmp_path, source, ["AAA", "BBB"], at(ROWS), path=str(tmp_path / "{symbol}"), **options)
    (tmp_path / "AAA").write_bytes(SOUND[source](as_lines(sound(seed=1))))
    if options:  # they would make a sound file unreadable
        workspace = laid_out(tmp_path, source, ["BBB"], at(ROWS), path=str(file), **options)
    file.write_bytes(case.content(as_lines(sound())))
    said = workspace.refused("ingest", case.error)
    assert matches(said, case.said, file), said
    assert workspace.written() == {}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    workspace = laid_out(tmp_path, "csv", ["BBB"], at(ROWS), path=str(tmp_path / "{symbol}.csv"))
    said = workspace.refused("ingest", MissingFile)
    file = tmp_path / "BBB.csv"
    assert said == (
        f"no such file: {file}. It should hold BBB: check ingest.options.path and ingest.symbols in params.yaml"
    )


def test_a_fault_in_a_later_fetch_leaves_earlier_bars(tmp_path: Path) -> None:
    file = tmp_path / "BBB"
    workspace = laid_out(tmp_path, "csv", ["BBB"], at(ROWS), path=str(file))
    file.write_bytes(joined(as_lines(sound())))
    workspace.run("ingest")
    file.write_bytes(with_cell(103, 4, "cheap")(as_lines(sound())))
    assert "line 103" in workspace.refused("ingest", BadBars)
    pd.testing.assert_frame_equal(workspace.table("bars", "BBB"), sound())
