"""CSV in every dialect that exchanges and terminals export, and a sentence for everything that is not one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import sources
from betti.errors import BadBars, BadInput, BadParam, MissingFile, UnknownName, UnreadableFile
from tests.unit.sources.files import END, MARKET, assert_bars, read, with_market_data

HEADER = "timestamp,open,high,low,close,volume"
ROWS = ("2020-01-01T00:00:00Z,1,2,0.5,1.5,10", "2020-01-02T00:00:00Z,1.5,3,1,2.5,20")


@pytest.fixture
def file(tmp_path: Path):
    """Write lines (or bytes) to a file and give its path."""

    def write(*lines: str | bytes, name: str = "x.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        whole = b"".join(lines) if lines and isinstance(lines[0], bytes) else "\n".join(lines).encode(encoding)
        path.write_bytes(whole)
        return path

    return write


def at(*times: str) -> list[str]:
    """One row per time, the time in front."""
    return [f"{time},1,2,0.5,1.5,10" for time in times]


def refused(path: Path, kind: type[Exception] = BadBars, **options: object) -> str:
    with pytest.raises(kind) as caught:
        read("csv", path, **options)
    return str(caught.value)


# --- dialects


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("said", [True, False])
def test_any_delimiter_is_found_or_told(file, delimiter, said):
    path = file(*(line.replace(",", delimiter) for line in (HEADER, *ROWS)))
    bars = read("csv", path, **({"delimiter": delimiter} if said else {}))
    assert_bars(bars, "X", 2)
    assert bars["close"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    "lines",
    [
        (HEADER.upper(), *ROWS),
        (HEADER.replace(",", ", "), *(row.replace(",", ", ") for row in ROWS)),
        (f"id,{HEADER},ignore", *(f"7,{row},x" for row in ROWS)),
        (HEADER, "", ROWS[0], "", ROWS[1], "", ""),
        ("\ufeff" + HEADER, *ROWS),
        ('\ufeff"' + HEADER.replace(",", '","') + '"', *ROWS),
        (f"{HEADER}\r", f"{ROWS[0]}\r", f"{ROWS[1]}\r"),
        (HEADER, *reversed(ROWS)),
    ],
    ids=["upper case", "spaces", "other columns", "empty lines", "byte order mark", "quotes", "crlf", "newest first"],
)
def test_the_same_bars_in_another_dress(file, lines):
    expected = read("csv", file(HEADER, *ROWS, name="plain.csv"))
    pd.testing.assert_frame_equal(read("csv", file(*lines)), expected)


def test_renamed_columns(file):
    path = file("Open time,O,H,L,Close,Volume,Taker buy", "2020-01-01T00:00:00Z,1,2,0.5,1.5,10,4")
    names = {"Open time": "timestamp", "O": "open", "H": "high", "L": "low", "Taker buy": "buy_volume"}
    bars = read("csv", path, columns=names)
    assert bars[["open", "high", "low", "buy_volume"]].iloc[0].tolist() == [1, 2, 0.5, 4]


def test_a_file_without_a_header_takes_names_in_its_own_order(file):
    path = file("1577836800,1,1.5,2,0.5,10", "1577923200,2,2.5,3,1,20")
    bars = read("csv", path, names=["timestamp", "open", "close", "high", "low", "volume"], unit="s")
    assert_bars(bars, "X", 2)
    assert bars["close"].tolist() == [1.5, 2.5]
    assert bars["high"].tolist() == [2, 3]


@pytest.mark.parametrize("count", [5, 7])
def test_names_that_are_not_as_many_as_the_columns_are_refused(file, count):
    path = file("1577836800,1,2,0.5,1.5,10")
    names = ["timestamp", "open", "high", "low", "close", "volume", "trades"][:count]
    assert f"{count} names for the 6 columns" in refused(path, BadParam, names=names, unit="s")


def test_lines_before_the_header_are_skipped(file):
    bars = read("csv", file("https://www.exchange.example", "", HEADER, *ROWS), skip_rows=2)
    assert_bars(bars, "X", 2)


def test_each_symbol_has_its_own_file(file, tmp_path):
    file(HEADER, ROWS[0], name="BBB_1d.csv")
    file(HEADER, *ROWS, name="AAA_1d.csv")
    bars = sources.fetch("csv", ("BBB", "AAA"), "1d", END, {"path": str(tmp_path / "{symbol}_{interval}.csv")})
    assert bars["symbol"].tolist() == ["AAA", "AAA", "BBB"]


def test_bars_after_until_are_left_out(file):
    until = pd.Timestamp("2020-01-01", tz="UTC")
    bars = sources.fetch("csv", ("X",), "1d", until, {"path": str(file(HEADER, *ROWS))})
    assert bars["timestamp"].tolist() == [until]


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=10))
def test_numbers_are_read_to_their_last_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    rows = [f"{1577836800 + 86400 * i},1,2,0.5,{value!r},1" for i, value in enumerate(values)]
    path.write_text("\n".join([HEADER, *rows]))
    assert read("csv", path, unit="s")["close"].tolist() == values


@pytest.mark.parametrize("empty", ["", " ", "nan", "NaN", "null", "NULL"])
def test_an_empty_cell_is_left_to_validation(file, empty):
    bars = read("csv", file(HEADER, ROWS[0], f"2020-01-02T00:00:00Z,1,2,0.5,{empty},10"))
    assert np.isnan(bars["close"].iloc[1])


def test_infinities_are_left_to_validation(file):
    assert np.isinf(read("csv", file(HEADER, "2020-01-01T00:00:00Z,1,inf,0.5,1.5,10"))["high"].iloc[0])


def test_repeated_times_are_left_to_validation(file):
    assert len(read("csv", file(HEADER, ROWS[0], ROWS[0]))) == 2


# --- times


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_epoch_times(file, unit, scale):
    stamp = pd.Timestamp("2021-07-01 15:42:01", tz="UTC")
    path = file(HEADER, *at(str(int(stamp.timestamp()) * scale)))
    assert read("csv", path, unit=unit)["timestamp"].iloc[0] == stamp


def test_microseconds_survive(file):
    bars = read("csv", file(HEADER, *at("1625154121123457", "1625154121.123456e6")), unit="us")
    assert bars["timestamp"].dt.microsecond.tolist() == [123456, 123457]


@pytest.mark.parametrize(("unit", "value"), [("s", 1577836800000), ("ms", 1577836800), ("ms", 1577836800 * 10**6)])
def test_another_unit_than_said_is_refused(file, unit, value):
    said = refused(file(HEADER, *at(str(value))), unit=unit)
    assert "line 2" in said
    assert f"no time in '{unit}'" in said
    assert "ingest.options.unit" in said


def test_a_unit_that_does_not_exist_is_refused(file):
    assert "s, ms, us, ns" in refused(file(HEADER, *at("1577836800")), BadParam, unit="minutes")


@pytest.mark.parametrize("options", [{}, {"timezone": "UTC"}])
def test_epoch_times_without_a_unit_name_the_remedy(file, options):
    said = refused(file(HEADER, *at("1577836800000")), **options)
    assert "timestamp is a number (1577836800000)" in said
    assert "ingest.options.unit" in said


@pytest.mark.parametrize(
    "text",
    [
        "2020-07-01T12:00:00Z",
        "2020-07-01 12:00:00+00:00",
        "2020-07-01 12:00:00+00",
        "2020-07-01T14:00:00+0200",
        "2020-07-01 12:00:00 UTC",
        "2020-07-01 05:00:00.000-07:00",
    ],
)
def test_zoned_times(file, text):
    bars = read("csv", file(HEADER, *at(text)))
    assert bars["timestamp"].iloc[0] == pd.Timestamp("2020-07-01 12:00", tz="UTC")


def test_offsets_that_change_with_the_season(file):
    bars = read("csv", file(HEADER, *at("2020-01-01 01:00:00+01:00", "2020-07-01 02:00:00+02:00")))
    assert bars["timestamp"].dt.hour.tolist() == [0, 0]


@pytest.mark.parametrize(
    "text",
    ["2020-07-01", "2020-07-01 12:00:00", "2020-07-01T12:00", "07/01/2020", "01-07-2020", "2020.07.01 12:00:00"],
)
def test_local_times_without_a_zone_name_the_remedy(file, text):
    said = refused(file(HEADER, *at(text)))
    assert f"times carry no zone ({text})" in said
    assert "ingest.options.timezone" in said


@pytest.mark.parametrize(
    ("texts", "timezone", "expected"),
    [
        (["2020-07-01 09:30:00", "2020-12-01 09:30:00"], "America/New_York", ["07-01 13:30", "12-01 14:30"]),
        (["2020-07-01", "2020-07-02 00:05"], "UTC", ["07-01 00:00", "07-02 00:05"]),
        (["2020.07.01 01:00:00", "2020.07.01 01:15:00"], "Europe/Athens", ["06-30 22:00", "06-30 22:15"]),
        (["20200701", "20200702"], "UTC", ["07-01 00:00", "07-02 00:00"]),
        (["07/01/2020", "07/13/2020"], "UTC", ["07-01 00:00", "07-13 00:00"]),
        (["13/07/2020", "14/07/2020"], "UTC", ["07-13 00:00", "07-14 00:00"]),
    ],
)
def test_a_zone_makes_local_times_utc(file, texts, timezone, expected):
    bars = read("csv", file(HEADER, *at(*texts)), timezone=timezone)
    assert bars["timestamp"].dt.strftime("%m-%d %H:%M").tolist() == expected


def test_day_and_month_never_change_places_within_a_file(file):
    said = refused(file(HEADER, *at("01/07/2020", "13/07/2020")), timezone="UTC")
    assert "'13/07/2020' in line 3" in said


@pytest.mark.parametrize(
    ("text", "timezone"),
    [
        ("2020-03-29 02:30:00", "Europe/Berlin"),
        ("2020-10-25 02:30:00", "Europe/Berlin"),
        ("2020-03-08 02:00:00", "America/New_York"),
        ("2020-11-01 01:59:00", "America/New_York"),
    ],
)
def test_an_hour_that_a_clock_change_skips_or_repeats_is_not_guessed(file, text, timezone):
    said = refused(file(HEADER, *at("2020-03-01 00:00:00", text)), timezone=timezone)
    assert "line 3" in said
    assert "clock change" in said
    assert "UTC" in said


def test_mixed_zoned_and_local_times_name_the_line(file):
    said = refused(file(HEADER, *at("2020-07-01 12:00:00Z", "2020-07-02 12:00:00", "2020-07-03 12:00:00Z")))
    assert "'2020-07-02 12:00:00' in line 3" in said
    assert "without a zone" in said


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "../etc/passwd", ""])
def test_a_zone_that_does_not_exist_is_refused(file, timezone):
    assert "IANA" in refused(file(HEADER, *at("2020-07-01")), BadParam, timezone=timezone)


@pytest.mark.parametrize("options", [{}, {"timezone": "UTC"}, {"unit": "s"}])
@pytest.mark.parametrize("bad", ["", "yesterday", "2020-13-45"])
def test_a_time_that_is_none_names_the_line(file, bad, options):
    good = {"unit": "1577836800", "timezone": "2020-07-01"}.get(next(iter(options), ""), "2020-07-01 12:00:00Z")
    assert "line 3" in refused(file(HEADER, *at(good, bad, good)), **options)


# --- what is no bar file


@pytest.mark.parametrize("text", ["twelve", "1,5", "1.2.3", "0x10", "True", "--"])
def test_text_in_a_number_names_the_line_and_the_column(file, text):
    said = refused(file(HEADER, ROWS[0], f'2020-01-02T00:00:00Z,1,2,0.5,"{text}",10'))
    assert f"close is '{text}' in line 3" in said


def test_the_line_counts_empty_and_skipped_lines(file):
    path = file("exported today", HEADER, "", ROWS[0], "", "2020-01-02T00:00:00Z,1,2,x,1,10")
    assert "low is 'x' in line 6" in refused(path, skip_rows=1)


def test_the_line_of_a_file_without_a_header(file):
    path = file("1577836800,1,2,0.5,1.5,10", "1577923200,1,2,0.5,cheap,10")
    assert "close is 'cheap' in line 2" in refused(path, names=HEADER.split(","), unit="s")


def test_missing_columns_are_named_with_those_found(file):
    said = refused(file("timestamp,open,high,low,last", "2020-01-01T00:00:00Z,1,2,0.5,1.5"))
    assert "no column close, volume" in said
    assert "last" in said
    assert "ingest.options.columns" in said


def test_a_renamed_column_that_is_absent_is_named(file):
    said = refused(file(HEADER, *ROWS), columns={"Last": "close"})
    assert "no column 'Last'" in said


@pytest.mark.parametrize(
    ("header", "options"),
    [
        (HEADER + ",close", {}),
        (HEADER + ",Close", {}),
        (HEADER + ",last", {"columns": {"last": "close"}}),
    ],
)
def test_a_column_that_occurs_twice_is_refused(file, header, options):
    said = refused(file(header, *(f"{row},9" for row in ROWS)), **options)
    assert "column close occurs twice" in said


def test_a_repeated_column_that_is_not_read_does_no_harm(file):
    assert_bars(read("csv", file(HEADER + ",x,x", *(f"{row},1,2" for row in ROWS))), "X", 2)


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"", BadBars, "empty"),
        (b"\n\n \n", BadInput, ""),
        (HEADER.encode(), BadBars, "a header and no rows"),
        (HEADER.encode() + b"\n\n", BadBars, "a header and no rows"),
        (b"<html><body>429 Too Many Requests</body></html>", BadInput, ""),
        (b"word\n", BadInput, ""),
        (b"PAR1" + bytes(range(256)) * 4, UnreadableFile, "not a table of text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(255, -1, -1)), UnreadableFile, "not a table of text"),
        (b"\x00" * 300, BadInput, ""),
        ((HEADER + "\n" + ROWS[0]).encode("utf-16"), UnreadableFile, "not a table of text"),
        ((HEADER + "\n" + ROWS[0] + ",8,9").encode(), UnreadableFile, "line 2"),
    ],
    ids=["empty", "blank", "header", "header line", "html", "word", "parquet", "png", "zeros", "utf-16", "wide row"],
)
@pytest.mark.parametrize("delimiter", [None, ","])
def test_a_file_of_another_kind_is_refused_by_name(file, content, kind, said, delimiter):
    path = file(content)
    message = refused(path, kind, delimiter=delimiter)
    assert str(path) in message
    assert said in message


def test_a_row_cut_off_is_left_to_validation(file):
    bars = read("csv", file(HEADER, ROWS[0], "2020-01-02T00:00:00Z,1,2"))
    assert bars.iloc[1][["low", "close", "volume"]].isna().all()


# --- the path


def test_an_absent_file_says_what_to_check(tmp_path):
    said = refused(tmp_path / "{symbol}.csv", MissingFile)
    assert str(tmp_path / "X.csv") in said
    assert "ingest.options.path" in said


def test_a_folder_is_no_file(tmp_path):
    refused(tmp_path, MissingFile)


@pytest.mark.parametrize("pattern", ["{market}.csv", "{}.csv", "{symbol.csv", "{symbol.name}.csv", "{0}.csv"])
def test_another_placeholder_is_refused(pattern):
    assert "only {symbol} and {interval}" in refused(Path(pattern), BadParam)


def test_one_file_is_not_read_as_two_markets(file):
    with pytest.raises(BadParam, match="one file for 2 symbols"):
        sources.fetch("csv", ("AAA", "BBB"), "1d", END, {"path": str(file(HEADER, *ROWS))})


def test_a_path_is_asked_for():
    with pytest.raises(BadParam, match=r"ingest\.options\.path"):
        sources.fetch("csv", ("X",), "1d", END, {})


def test_a_misspelt_option_names_the_nearest(file):
    said = refused(file(HEADER, *ROWS), UnknownName, time_zone="UTC")
    assert "did you mean 'timezone'" in said


# --- recorded files


@with_market_data
def test_bitfinex_candles():
    names = ["timestamp", "open", "close", "high", "low", "volume"]
    bars = read("csv", MARKET / "raw" / "bitfinex_LTCUSD_1m_2013.csv", "LTCUSD", "1m", names=names, unit="ms")
    lines = (MARKET / "raw" / "bitfinex_LTCUSD_1m_2013.csv").read_text().strip().splitlines()
    assert_bars(bars, "LTCUSD", len(lines))
    assert bars["timestamp"].iloc[0] == pd.Timestamp(1368976980000, unit="ms", tz="UTC")
    assert (bars["high"] >= bars[["open", "close", "low"]].max(axis=1)).all()


@with_market_data
def test_binance_klines_with_long_names_and_local_times():
    names = {"Open time": "timestamp", "Taker buy base asset volume": "buy_volume", "Number of trades": "trades"}
    path = MARKET / "raw" / "in0-0_BTCUSDT_5m.csv"
    bars = read("csv", path, "BTCUSDT", "5m", columns=names, timezone="UTC")
    assert_bars(bars, "BTCUSDT", 9118)
    assert bars["buy_volume"].isna().sum() == 9
    with pytest.raises(BadBars, match=r"ingest\.options\.timezone"):
        read("csv", path, "BTCUSDT", "5m", columns=names)
