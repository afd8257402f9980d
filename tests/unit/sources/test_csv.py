"""CSV in every dialect that exchanges and terminals export, and a sentence for everything that is not one."""

from __future__ import annotations

import gzip
import io
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import sources
from betti.errors import BadBars, BadInput, BadParam, MissingFile, UnknownName, UnreadableFile
from betti.sources._formats import may_be_a_date
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


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("form", ["{}", "{}.0", '"{}"'])
def test_the_unit_of_epoch_times_is_told_from_their_size(file, scale, form, caplog):
    stamp = pd.Timestamp("2021-07-01 15:42:01", tz="UTC")
    with caplog.at_level("INFO", logger="betti"):
        bars = read("csv", file(HEADER, *at(form.format(int(stamp.timestamp()) * scale))))
    assert bars["timestamp"].iloc[0] == stamp
    unit = {1: "s", 10**3: "ms", 10**6: "us", 10**9: "ns"}[scale]
    assert f"epoch numbers in {unit}" in caplog.text


@settings(max_examples=50, deadline=None)
@given(seconds=st.integers(160_000_000, 4_099_999_999), power=st.integers(0, 3))
def test_no_epoch_time_is_taken_for_another_unit(tmp_path_factory, seconds, power):
    number = str(seconds * 1000**power)
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_text("\n".join([HEADER, *at(number)]))
    if may_be_a_date(number):
        assert "time_format" in refused(path)
    else:
        assert read("csv", path)["timestamp"].iloc[0] == pd.Timestamp(seconds, unit="s", tz="UTC")


def test_another_unit_further_down_is_refused(file):
    said = refused(file(HEADER, *at("1577836800000", "1577923200000000")))
    assert "timestamp '1577923200000000' in line 3 is no time in 'ms'" in said


@pytest.mark.parametrize("number", ["12345", "159999999", "15778368000", "1e30", "-1577836800", "0.5"])
def test_a_number_that_is_no_time_in_any_unit_is_refused(file, number):
    said = refused(file(HEADER, *at(number)))
    assert f"timestamp is a number ({number} in line 2)" in said
    assert "ingest.options.unit" in said


def test_a_date_run_together_is_not_taken_for_an_epoch_number(file):
    path = file(HEADER, *at("202007011200", "202007011215"))
    assert "may be a date or an epoch number" in refused(path)
    bars = read("csv", path, time_format="%Y%m%d%H%M", timezone="UTC")
    assert bars["timestamp"].dt.strftime("%m-%d %H:%M").tolist() == ["07-01 12:00", "07-01 12:15"]
    assert read("csv", path, unit="ms")["timestamp"].dt.year.tolist() == [1976, 1976]


@pytest.mark.parametrize(
    "text",
    [
        "2020-07-01T12:00:00Z",
        "2020-07-01 12:00:00+00:00",
        "2020-07-01 12:00:00+00",
        "2020-07-01T14:00:00+0200",
        "2020-07-01 12:00:00 UTC",
        "2020-07-01 05:00:00.000-07:00",
        "2020.07.01 14:00:00.000 GMT+0200",
        "2020/07/01 12:00 UTC",
        "2020-07-01 12:00:00 GMT",
    ],
)
def test_zoned_times(file, text):
    bars = read("csv", file(HEADER, *at(text)))
    assert bars["timestamp"].iloc[0] == pd.Timestamp("2020-07-01 12:00", tz="UTC")


@pytest.mark.parametrize("offset", ["+00:00", "-00:30", "+05:45", "-0330", "+14", "-12:00", "Z"])
@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%d/%m/%Y %H:%M:%S.%f"])
def test_offsets_are_those_that_python_reads(file, offset, form):
    moment = datetime(2020, 7, 31, 12, 30)
    expected = datetime.fromisoformat(moment.isoformat() + offset)
    bars = read("csv", file(HEADER, *at(moment.strftime(form) + offset, moment.strftime(form) + "+01:00")))
    assert sorted(bars["timestamp"]) == sorted([expected, moment.replace(tzinfo=UTC) - timedelta(hours=1)])


@pytest.mark.parametrize("offset", ["+25:00", "+01:60", "+1", "+001:00"])
def test_an_offset_that_is_none_names_the_line(file, offset):
    assert "line 3" in refused(file(HEADER, *at("2020-07-01 12:00:00+00:00", f"2020-07-01 12:00:00{offset}")))


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
    said = refused(file(HEADER, *at("07/13/2020", "14/07/2020")), timezone="UTC")
    assert "line 2" in said or "line 3" in said


@pytest.mark.parametrize(("told", "month"), [("13/02/2020", 2), ("02/13/2020", 1)])
@pytest.mark.parametrize("separator", "/-.")
def test_one_row_tells_the_day_from_the_month_for_all(file, told, month, separator, monkeypatch):
    monkeypatch.setattr("betti.sources._files.BLOCK", 100)  # the row that tells is many blocks away
    dates = ["01/02/2020", *["03/03/2020"] * 30, told]
    bars = read("csv", file(HEADER, *at(*(date.replace("/", separator) for date in dates))), timezone="UTC")
    assert len(bars) == 32
    assert bars["timestamp"].min() == pd.Timestamp(2020, month, 3 - month, tz="UTC")


def test_a_date_with_two_readings_is_not_guessed(file):
    path = file(HEADER, *at("01/02/2020", "01/03/2020"))
    said = refused(path, timezone="UTC")
    assert "'01/02/2020' in line 2 may have the day or the month first" in said
    assert "ingest.options.day_first" in said
    by_day = read("csv", path, timezone="UTC", day_first=True)
    assert by_day["timestamp"].dt.strftime("%m-%d").tolist() == ["02-01", "03-01"]
    by_month = read("csv", path, timezone="UTC", time_format="%m/%d/%Y")
    assert by_month["timestamp"].dt.strftime("%m-%d").tolist() == ["01-02", "01-03"]


def test_an_order_that_the_file_contradicts_names_the_line(file):
    said = refused(file(HEADER, *at("01/02/2020", "13/02/2020")), timezone="UTC", day_first=False)
    assert "'13/02/2020' in line 3" in said


@pytest.mark.parametrize("form", ["%Q", "%"])
def test_a_time_format_that_is_none_is_refused(file, form):
    assert "strptime" in refused(file(HEADER, *at("2020-01-01")), BadParam, timezone="UTC", time_format=form)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20200713 170000", "07-13 17:00:00"),
        ("20200713170005", "07-13 17:00:05"),
        ("2020/7/13 9:30", "07-13 09:30:00"),
        ("7/13/2020 9:30:15 PM", "07-13 21:30:15"),
        ("13.07.2020 00:00:00.000", "07-13 00:00:00"),
        ("13-Jul-2020", "07-13 00:00:00"),
        ('"Jul 13, 2020"', "07-13 00:00:00"),
        ("2020-07-13T09:30:00.5", "07-13 09:30:00"),
    ],
)
def test_common_ways_of_writing_a_local_time(file, text, expected):
    bars = read("csv", file(HEADER, *at(text)), timezone="UTC")
    assert bars["timestamp"].dt.strftime("%m-%d %H:%M:%S").tolist() == [expected]


def test_an_uncommon_way_of_writing_a_time_takes_a_format(file):
    path = file(HEADER, *at("2020-07-13 12-PM"))
    assert "ingest.options.time_format" in refused(path, timezone="UTC")
    bars = read("csv", path, timezone="UTC", time_format="%Y-%m-%d %I-%p")
    assert bars["timestamp"].iloc[0] == pd.Timestamp("2020-07-13 12:00", tz="UTC")


def test_a_zone_in_the_format_needs_no_other(file):
    bars = read("csv", file(HEADER, *at("13.07.20 12:00 +0200")), time_format="%d.%m.%y %H:%M %z")
    assert bars["timestamp"].iloc[0] == pd.Timestamp("2020-07-13 10:00", tz="UTC")


@pytest.mark.parametrize("form", ["garbage", "Y-m-d", "%H:%M", "%%", "ISO8601", "mixed", ""])
@pytest.mark.parametrize("timezone", [None, "UTC"])
def test_a_time_format_without_signs_of_a_date_is_refused(file, form, timezone):
    said = refused(file(HEADER, *at("2020-01-01")), BadParam, timezone=timezone, time_format=form)
    assert f"ingest.options.time_format = {form!r}: it takes the signs of strptime" in said


@pytest.mark.parametrize("timezone", [None, "UTC"])
@pytest.mark.parametrize("form", ["%d/%m/%Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S%z"])
@pytest.mark.parametrize("text", ["2020-07-13T09:30:00+00:00", "2020-07-13 09:30"])
def test_a_time_format_that_does_not_fit_is_named_with_what_was_read(file, form, text, timezone):
    said = refused(file(HEADER, *at(text)), timezone=timezone, time_format=form)
    assert f"the time is '{text}' in line 2, which is not written as the time_format '{form}' says" in said
    assert "ingest.options.time_format" in said


def test_a_line_that_the_time_format_does_not_fit_is_named(file):
    path = file(HEADER, *at("13/07/2020", "2020-07-14"))
    said = refused(path, timezone="UTC", time_format="%d/%m/%Y")
    assert "'2020-07-14' in line 3, which is not written as the time_format '%d/%m/%Y' says" in said


@pytest.mark.parametrize("year", ["0001", "0024", "1699", "2265", "9999"])
@pytest.mark.parametrize(
    ("form", "options"), [("{}-07-13", {}), ("{}-07-13T00:00:00Z", {}), ("13.7.{}", {"time_format": "%d.%m.%Y"})]
)
def test_a_year_without_markets_is_no_year(file, year, form, options):
    good, bad = form.format("2020"), form.format(year)
    said = refused(file(HEADER, *at(good, bad)), timezone="UTC", **options)
    assert f"'{bad}' in line 3, before 1700 or after 2264" in said


def test_old_prices_are_read(file):
    bars = read("csv", file(HEADER, *at("1791-12-14", "1928-01-03")), timezone="UTC")
    assert bars["timestamp"].dt.year.tolist() == [1791, 1928]


def test_a_date_with_a_digit_missing_is_no_date(file):
    assert "'2020071' in line 3" in refused(file(HEADER, *at("20200701", "2020071")), timezone="UTC")


# --- close times


@pytest.mark.parametrize("close", ["2020-01-01 00:14:59.999Z", "2020-01-01 00:14:59Z", "2020-01-01 00:15:00Z"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("close_time", {}),
        ("Close time", {}),
        ("close_datetime", {}),
        ("timestamp", {"stamped": "close"}),
        ("when", {"columns": {"when": "close_time"}}),
        ("close_time", {"columns": {"close_time": "timestamp"}}),
    ],
)
def test_close_times_become_open_times(file, close, name, options):
    path = file(HEADER.replace("timestamp", name), *at(close))
    bars = read("csv", path, interval="15m", **options)
    assert bars["timestamp"].tolist() == [pd.Timestamp("2020-01-01", tz="UTC")]


def test_a_close_time_beside_an_open_time_is_not_read(file):
    path = file("open_time,close_time,open,high,low,close,volume", "1577836800000,1577836859999,1,2,0.5,1.5,10")
    assert read("csv", path, interval="1m")["timestamp"].iloc[0] == pd.Timestamp("2020-01-01", tz="UTC")
    by_close = read("csv", path, interval="1m", stamped="close")
    assert by_close["timestamp"].iloc[0] == pd.Timestamp("2020-01-01", tz="UTC")


def test_who_says_that_a_close_time_is_an_open_time_is_believed(file):
    path = file(HEADER.replace("timestamp", "close_time"), *at("2020-01-01 00:15:00Z"))
    bars = read("csv", path, interval="15m", columns={"close_time": "timestamp"}, stamped="open")
    assert bars["timestamp"].iloc[0] == pd.Timestamp("2020-01-01 00:15", tz="UTC")
    assert "no column timestamp" in refused(path, stamped="open")


# --- clock changes and zones


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
    assert "no column close (found: timestamp, open, high, low, last)" in said
    assert "ingest.options.columns" in said


NO_VOLUME = ("timestamp,open,high,low,close", "2020-01-01T00:00:00Z,1,2,0.5,1.5", "2020-01-02T00:00:00Z,2,3,1,2.5")


def test_a_file_without_volume_is_a_market_without_volume_and_says_so_once(file, caplog, monkeypatch):
    monkeypatch.setattr("betti.sources._files.BLOCK", 60)
    bars = read("csv", file(*NO_VOLUME))
    assert_bars(bars, "X", 2)
    assert bars["volume"].isna().all()
    assert bars["close"].tolist() == [1.5, 2.5]
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "has no column of volume (found: timestamp, open, high, low, close)" in said
    assert "ingest.options.columns: {theirs: volume}" in said


def test_a_file_with_volume_is_not_warned_of(file, caplog):
    read("csv", file(HEADER, *ROWS))
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_volume_that_is_named_and_not_there_is_refused(file):
    assert "no column 'Turnover'" in refused(file(*NO_VOLUME), columns={"Turnover": "volume"})


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
        ((HEADER + "\n" + ROWS[0]).encode("utf-16")[2:], UnreadableFile, "zero byte in line 1"),
        ((HEADER + "\n" + ROWS[0] + "\xe9").encode("latin-1"), UnreadableFile, "not a table of text"),
        ((HEADER + "\n" + ROWS[0] + ",8,9").encode(), UnreadableFile, "line 2"),
    ],
    ids=[
        "empty",
        "blank",
        "header",
        "header line",
        "html",
        "word",
        "parquet",
        "png",
        "zeros",
        "utf-16 unmarked",
        "latin-1",
        "wide row",
    ],
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


def test_a_cell_that_may_be_cut_off_is_not_trusted(file):
    bars = read("csv", file(HEADER, ROWS[0], "2020-01-02T00:00:00Z,1,2,0.5,1.", ROWS[1]))
    assert bars["low"].tolist() == [0.5, 0.5, 1.0]
    assert np.isnan(bars["close"].iloc[1]), "1. may have been 1.5"


@pytest.mark.parametrize("row", ["2020-01-02", "END"])
def test_a_row_cut_off_before_its_time_names_the_line(file, row):
    assert f"line 3 breaks off ('{row}')" in refused(file(HEADER, ROWS[0], row))


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


# --- files that name their markets

TWO = (
    "Symbol,Date,Open,High,Low,Close,Volume",
    "AAA,2020-01-01,1,2,0.5,1.5,10",
    "BBB,2020-01-01,11,12,10.5,11.5,110",
    "AAA,2020-01-02,2,3,1.5,2.5,20",
)


def test_a_symbol_column_selects_rows(file):
    path = file(*TWO)
    both = sources.fetch("csv", ("AAA", "BBB"), "1d", END, {"path": str(path), "timezone": "UTC"})
    assert both.groupby("symbol")["close"].apply(list).to_dict() == {"AAA": [1.5, 2.5], "BBB": [11.5]}


def test_another_market_s_faults_are_its_own(file):
    path = file(*TWO, "BBB,2020-01-02,12,13,x,12.5,120")
    assert read("csv", path, "AAA", timezone="UTC")["close"].tolist() == [1.5, 2.5]
    assert "low is 'x' in line 5" in refused(path, timezone="UTC", markets={"X": "BBB"})


def test_a_symbol_that_the_file_does_not_have_is_named_with_those_it_has(file):
    said = refused(file(*TWO), UnknownName, timezone="UTC")
    assert "'X'" in said and "AAA, BBB" in said and "ingest.options.markets" in said


def test_a_market_may_have_another_name_in_the_file(file):
    bars = read("csv", file(*TWO), "A/A", timezone="UTC", markets={"A/A": "AAA"})
    assert_bars(bars, "A/A", 2)


YFINANCE = (
    "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume",
    "Ticker,AAA,BBB,AAA,BBB,AAA,BBB,AAA,BBB,AAA,BBB",
    "Date,,,,,,,,,,",
    "2020-01-01,1.5,11.5,2,12,0.5,10.5,1,11,10,110",
)


def test_three_header_lines_name_markets_by_column(file):
    path = file(*YFINANCE)
    both = sources.fetch("csv", ("AAA", "BBB"), "1d", END, {"path": str(path), "timezone": "UTC"})
    assert both[["open", "high", "low", "close", "volume"]].to_numpy().tolist() == [
        [1, 2, 0.5, 1.5, 10],
        [11, 12, 10.5, 11.5, 110],
    ]
    assert "AAA, BBB" in refused(path, UnknownName, timezone="UTC")


def test_a_fault_under_three_header_lines_is_counted_from_the_top(file):
    path = file(*YFINANCE, YFINANCE[-1].replace("1.5,11.5", "1.5,cheap"))
    assert "close is 'cheap' in line 5" in refused(path, timezone="UTC", markets={"X": "BBB"})


# --- packed, and in another encoding


def packed(kind: str, content: bytes) -> bytes:
    if kind == "gz":
        return gzip.compress(content)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bars.csv", content)
        if kind == "zip of two":
            archive.writestr("more.csv", content)
    return whole.getvalue()


@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_packed_files_are_unpacked_on_the_way(file, kind):
    plain = "\n".join((HEADER, *ROWS)).encode()
    expected = read("csv", file(plain, name="plain.csv"))
    pd.testing.assert_frame_equal(read("csv", file(packed(kind, plain), name="x.csv")), expected)


@pytest.mark.parametrize("kind", ["gz", "zip"])
@pytest.mark.parametrize("damage", [lambda b: b[:-12], lambda b: b[:40], lambda b: b[:30] + bytes(4) + b[34:]])
def test_a_damaged_archive_is_refused(file, kind, damage):
    plain = "\n".join((HEADER, *ROWS)).encode()
    assert "x.csv" in refused(file(damage(packed(kind, plain))), BadInput)


def test_a_zip_of_two_files_is_refused_by_their_names(file):
    said = refused(file(packed("zip of two", HEADER.encode())), UnreadableFile)
    assert "bars.csv, more.csv" in said


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_tells_the_encoding(file, encoding):
    assert_bars(read("csv", file(HEADER, *ROWS, encoding=encoding)), "X", 2)


@pytest.mark.parametrize(
    "encoding", ["cp1252", "latin-1", "cp1251", "utf-16-le", "utf-16-be", "utf-16", "utf-32", "utf-8"]
)
@pytest.mark.parametrize("block", [37, 2**20])
def test_an_encoding_may_be_said(file, monkeypatch, encoding, block):
    monkeypatch.setattr("betti.sources._files.BLOCK", block)
    names = {"Höchst" if encoding != "cp1251" else "Макс": "high"}
    path = file(HEADER.replace("high", next(iter(names))), *ROWS, encoding=encoding)
    assert read("csv", path, columns=names, encoding=encoding)["high"].tolist() == [2, 3]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-8"])
def test_a_mark_of_an_encoding_that_was_said_is_no_letter(file, encoding):
    assert_bars(read("csv", file("\ufeff" + HEADER, *ROWS, encoding=encoding), encoding=encoding), "X", 2)


@pytest.mark.parametrize("content", [b"\xe9", (HEADER + "\n" + ROWS[0]).encode("utf-16-le")])
def test_a_file_in_another_encoding_names_the_option(file, content):
    assert "ingest.options.encoding, e.g. cp1252 or utf-16-le" in refused(file(content), UnreadableFile)


@pytest.mark.parametrize("encoding", ["latin-99", "base64", "rot13", "undefined", "", "a\0b"])
def test_an_encoding_that_does_not_exist_is_refused(file, encoding):
    assert "ingest.options.encoding = " in refused(file(HEADER, *ROWS), BadParam, encoding=encoding)


@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\n"])
def test_any_line_end(file, end):
    content = end.join(line.encode() for line in (HEADER, *ROWS, "2020-01-03T00:00:00Z,1,2,x,1,10"))
    assert "low is 'x' in line 4" in refused(file(content))


# --- large files


def test_blocks_of_any_size_give_the_same_bars(file, monkeypatch):
    times = pd.date_range("2020-01-01", periods=300, freq="h").strftime("%Y-%m-%d %H:%M:%S")
    rows = [f"{time},{i},{i + 1}.25,{i}.125,{i + 1},{i}e3" for i, time in enumerate(times)]
    path = file(HEADER, *rows[:100], "", *rows[100:])
    whole = read("csv", path, timezone="UTC")
    assert_bars(whole, "X", 300)
    for size in (60, 1000):
        monkeypatch.setattr("betti.sources._files.BLOCK", size)
        pieces = list(sources.stream("csv", ("X",), "1h", END, {"path": str(path), "timezone": "UTC"}))
        assert len(pieces) > 1
        pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), whole)
    bad = file(HEADER, *rows[:100], "", *rows[100:200], rows[200].replace("e3", "x"), name="bad.csv")
    assert "volume is '200x' in line 203" in refused(bad, timezone="UTC")


def test_no_piece_has_more_than_a_million_rows(file):
    path = file(HEADER, *["20200101,,,,,"] * 1_300_000)
    sizes = [len(piece) for piece in sources.stream("csv", ("X",), "1d", END, {"path": str(path), "timezone": "UTC"})]
    assert sum(sizes) == 1_300_000
    assert max(sizes) <= 1_000_000


def test_one_endless_line_is_refused(file):
    assert "more than a million characters" in refused(file(HEADER, "1" * 3_000_000), UnreadableFile)


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
