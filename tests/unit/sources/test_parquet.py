"""Parquet files, whole ones."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest

from betti import sources
from betti.errors import BadBars, BadParam, MissingFile, UnknownName, UnreadableFile
from tests.conftest import random_bars
from tests.unit.sources.files import END, MARKET, assert_bars, read, with_market_data


@pytest.fixture
def file(tmp_path):
    def write(frame: pd.DataFrame, name: str = "x.parquet", **how: object):
        frame.to_parquet(tmp_path / name, **how)
        return tmp_path / name

    return write


def plain(rows: int = 20) -> pd.DataFrame:
    return random_bars(rows).drop(columns="symbol")


def test_bars_come_back_as_they_were(file):
    pd.testing.assert_frame_equal(read("parquet", file(random_bars(20)), "AAA"), random_bars(20))
    pd.testing.assert_frame_equal(read("parquet", file(plain()), "AAA"), random_bars(20))


def test_times_in_the_index_are_a_column(file):
    path = file(plain().set_index("timestamp"))
    pd.testing.assert_frame_equal(read("parquet", path, "AAA"), random_bars(20))


def test_one_file_may_hold_several_symbols(file):
    path = file(pd.concat([random_bars(30, 1, "AAA"), random_bars(20, 2, "BBB")]))
    both = sources.fetch("parquet", ("BBB", "AAA"), "1d", END, {"path": str(path)})
    assert both.groupby("symbol").size().to_dict() == {"AAA": 30, "BBB": 20}
    pd.testing.assert_frame_equal(read("parquet", path, "BBB"), random_bars(20, 2, "BBB"))


def test_a_symbol_without_rows_is_named(file):
    with pytest.raises(UnknownName, match="'CCC'; Available: AAA"):
        read("parquet", file(random_bars(5)), "CCC")


def test_one_file_without_symbols_is_not_read_as_two_markets(file):
    with pytest.raises(BadParam, match="one file for 2 symbols"):
        sources.fetch("parquet", ("AAA", "BBB"), "1d", END, {"path": str(file(plain()))})


def test_epoch_and_local_times(file):
    frame = plain()
    epoch = frame.assign(timestamp=frame["timestamp"].astype("int64") // 1000)
    pd.testing.assert_frame_equal(read("parquet", file(epoch), "AAA", unit="ms"), random_bars(20))
    for dtype in ("int64", "float64", "str"):
        pd.testing.assert_frame_equal(read("parquet", file(epoch.astype({"timestamp": dtype})), "AAA"), random_bars(20))
    with pytest.raises(BadBars, match=r"timestamp is a number .*ingest\.options\.unit"):
        read("parquet", file(epoch.assign(timestamp=range(20))), "AAA")
    local = frame.assign(timestamp=frame["timestamp"].dt.tz_localize(None))
    pd.testing.assert_frame_equal(read("parquet", file(local), "AAA", timezone="UTC"), random_bars(20))
    with pytest.raises(BadBars, match=r"ingest\.options\.timezone"):
        read("parquet", file(local), "AAA")


def test_renamed_columns(file):
    path = file(plain().rename(columns={"timestamp": "Date", "close": "Adj"}))
    columns = {"Date": "timestamp", "Adj": "close"}
    pd.testing.assert_frame_equal(read("parquet", path, "AAA", columns=columns), random_bars(20))


def test_text_in_a_number_names_the_row_of_the_file(file):
    frame = pd.concat([random_bars(30, 1, "AAA"), random_bars(20, 2, "BBB")], ignore_index=True)
    frame["close"] = frame["close"].map(str)
    frame.loc[33, "close"] = "cheap"
    with pytest.raises(BadBars, match="close is 'cheap' in line 34"):
        read("parquet", file(frame), "BBB")


def test_a_file_without_volume_is_a_market_without_volume_and_says_so_once(file, caplog, monkeypatch):
    monkeypatch.setattr("betti.sources.parquet.ROWS", 5)
    path = file(plain().drop(columns="volume"))
    expected = random_bars(20).assign(volume=float("nan"))
    pd.testing.assert_frame_equal(read("parquet", path, "AAA"), expected)
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == (
        f"AAA in {path} has no column of volume (found: timestamp, open, high, low, close), and its bars have none. If "
        "one of them is it, name it in ingest.options.columns: {theirs: volume}"
    )
    with pytest.raises(BadBars, match="no column 'Turnover'"):
        read("parquet", path, columns={"Turnover": "volume"})


@pytest.mark.parametrize("year", [1, 24, 1699, 2265])
def test_a_year_without_markets_is_no_year(file, year):
    times = plain()["timestamp"].dt.tz_localize(None).astype("datetime64[s]")
    times[7] = pd.Timestamp(times[7]).as_unit("s").replace(year=year)
    with pytest.raises(BadBars, match="in line 8, before 1700 or after 2264"):
        read("parquet", file(plain().assign(timestamp=times)), timezone="UTC")


def test_missing_columns_and_no_rows(file):
    with pytest.raises(BadBars, match="no column low"):
        read("parquet", file(plain().drop(columns="low")))
    with pytest.raises(BadBars, match="no rows"):
        read("parquet", file(plain().iloc[:0]))


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b[:-3], lambda b: b"", lambda b: b"a,b\n1,2\n"]
)
def test_a_truncated_or_foreign_file_is_refused_by_name(file, damage):
    path = file(plain())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UnreadableFile, match="not a whole Parquet file") as caught:
        read("parquet", path)
    assert str(path) in str(caught.value)


def test_an_absent_file_says_what_to_check(tmp_path):
    with pytest.raises(MissingFile, match=r"X_1d\.parquet.*ingest\.options\.path"):
        read("parquet", tmp_path / "{symbol}_{interval}.parquet")


def test_row_groups_are_pieces_and_rows_keep_their_numbers(file, monkeypatch):
    frame = pd.concat([random_bars(30, 1, "AAA"), random_bars(20, 2, "BBB")], ignore_index=True)
    path = file(frame, row_group_size=7)
    monkeypatch.setattr("betti.sources.parquet.ROWS", 5)
    pieces = list(sources.stream("parquet", ("BBB",), "1d", END, {"path": str(path)}))
    assert max(map(len, pieces)) <= 5
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), random_bars(20, 2, "BBB"))


@pytest.mark.parametrize("name", ["date", "datetime", "Open time", "open_time"])
def test_common_names_are_found(file, name):
    pd.testing.assert_frame_equal(
        read("parquet", file(plain().rename(columns={"timestamp": name})), "AAA"), random_bars(20)
    )


def test_close_times_become_open_times(file):
    frame = plain().rename(columns={"timestamp": "close_time"})
    frame["close_time"] += pd.Timedelta("1D") - pd.Timedelta("1ms")
    pd.testing.assert_frame_equal(read("parquet", file(frame), "AAA"), random_bars(20))


def test_dates_and_decimals_are_read(file):
    frame = plain(3)
    frame["timestamp"] = frame["timestamp"].dt.date
    frame["close"] = [Decimal("1.10"), Decimal("2.25"), None]
    bars = read("parquet", file(frame), "AAA", timezone="UTC")
    assert bars["close"].tolist()[:2] == [1.1, 2.25]
    assert bars["close"].isna().tolist() == [False, False, True]
    assert bars["timestamp"].tolist() == random_bars(3)["timestamp"].tolist()


@with_market_data
@pytest.mark.parametrize(
    ("symbol", "interval", "rows"), [("AAPL", "1d", 6428), ("BTCUSDT", "15m", 34945), ("SPY", "1d", 8395)]
)
def test_recorded_markets(symbol, interval, rows):
    bars = read("parquet", MARKET / "{symbol}_{interval}.parquet", symbol, interval)
    assert_bars(bars, symbol, rows)
    assert not bars["timestamp"].duplicated().any()
