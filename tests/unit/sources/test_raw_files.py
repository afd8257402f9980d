"""Recorded market data as they were found, ingested by configuration alone.

What each file holds, and what is wrong with it, stands in the folder's own README; its table is what is held against.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from betti.errors import BadBars, BadInput
from tests.unit.sources.files import MARKET, assert_bars, read, with_market_data

pytestmark = with_market_data


@dataclass(frozen=True)
class Raw:
    """A file, its configuration, and its first and last bar: time, open, high, low, close, volume."""

    file: str
    source: str
    symbol: str
    interval: str
    rows: int
    first: tuple[Any, ...]
    last: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)

    def read(self) -> pd.DataFrame:
        return read(self.source, MARKET / "raw" / self.file, self.symbol, self.interval, **self.options)


CLOSE_TIMES = Raw(
    "privet1x_BTCUSDT_15m.csv", "csv", "BTCUSDT", "15m", 34945,
    ("2023-12-31 23:00", 42257.89, 42345.65, 42196.61, 42230.13, 637.99923),
    ("2024-12-29 23:00", 93135.32, 93315.72, 93009.52, 93055.81, 406.24904),
)  # fmt: skip
LONG_NAMES = Raw(
    "in0-0_BTCUSDT_5m.csv", "csv", "BTCUSDT", "5m", 9118,
    ("2025-08-19 15:10", 113782.3, 113831.64, 113633.69, 113652.0, 181.00846),
    ("2025-09-21 01:30", 115575.36, 115575.36, 115574.92, 115574.93, 6.93276),
    {"timezone": "UTC"},
)  # fmt: skip
BROKER_CLOCK = Raw(
    "budimanlai_XAUUSD_M15.csv", "metatrader", "XAUUSD", "15m", 19418,
    ("2025-01-01 23:00", 2624.81, 2625.63, 2624.19, 2624.65, 460),
    ("2025-10-27 20:45", 3987.69, 3987.90, 3979.13, 3982.42, 3069),
    {"timezone": "Europe/Athens"},
)  # fmt: skip
NO_HEADER = Raw(
    "bitfinex_LTCUSD_1m_2013.csv", "csv", "LTCUSD", "1m", 18645,
    ("2013-05-19 15:23", 3.1491, 3.1491, 3.1491, 3.1491, 10),
    ("2013-12-31 23:51", 23.799, 23.8, 23.799, 23.8, 32.22),
    {"names": "bitfinex"},
)  # fmt: skip
THREE_HEADERS = Raw(
    "yfinance_MSFT_1d.csv", "csv", "MSFT", "1d", 6428,
    ("2000-01-03", 35.975744649360394, 36.358872920386595, 34.32829308394772, 35.72671127319336, 53228400),
    ("2025-07-24", 508.7699890136719, 513.219970703125, 507.29998779296875, 510.8800048828125, 16041656),
    {"timezone": "UTC"},
)  # fmt: skip
FEATHER = Raw(
    "freqtrade_ETH_BTC-5m.feather", "feather", "ETH/BTC", "5m", 5760,
    ("2018-01-10 04:55", 0.0984, 0.0994766, 0.09828605, 0.0994766, 1820.54447418),
    ("2018-01-30 04:50", 0.10440995, 0.10441058, 0.10400025, 0.10441057, 31.94851561),
)  # fmt: skip
ALL = (CLOSE_TIMES, LONG_NAMES, BROKER_CLOCK, NO_HEADER, THREE_HEADERS, FEATHER)


@pytest.mark.parametrize("raw", ALL, ids=lambda raw: raw.file)
def test_each_file_as_found_is_bars_by_configuration_alone(raw):
    bars = raw.read()
    assert_bars(bars, raw.symbol, raw.rows)
    for row, expected in ((0, raw.first), (-1, raw.last)):
        assert bars["timestamp"].iloc[row] == pd.Timestamp(expected[0], tz="UTC")
        assert bars.iloc[row][["open", "high", "low", "close", "volume"]].tolist() == pytest.approx(expected[1:])
    prices = bars[["open", "high", "low", "close"]].to_numpy()
    rounding = 1e-12 * prices.max()  # adjusted prices carry it
    assert (prices[:, 1] >= prices.max(axis=1) - rounding).all()
    assert (prices[:, 2] <= prices.min(axis=1) + rounding).all()


def test_no_file_as_found_is_left_out():
    assert {raw.file for raw in ALL} == {file.name for file in (MARKET / "raw").iterdir()}


@pytest.mark.parametrize("raw", [raw for raw in ALL if "timezone" in raw.options], ids=lambda raw: raw.file)
def test_without_a_zone_local_times_are_refused(raw):
    options = {name: value for name, value in raw.options.items() if name != "timezone"}
    with pytest.raises(BadInput, match=r"ingest\.options\.timezone"):
        read(raw.source, MARKET / "raw" / raw.file, raw.symbol, raw.interval, **options)


def test_without_names_a_headerless_file_is_refused():
    with pytest.raises(BadBars, match=r"no header: line 1 is 1368976980000,.*ingest\.options\.names.*bitfinex"):
        read("csv", MARKET / "raw" / NO_HEADER.file, "LTCUSD", "1m")


def test_close_times_with_changing_offsets_are_the_bars_recorded_elsewhere():
    expected = read("parquet", MARKET / "BTCUSDT_15m.parquet", "BTCUSDT", "15m")
    pd.testing.assert_frame_equal(CLOSE_TIMES.read(), expected)


def test_prices_under_three_header_lines_are_the_bars_recorded_elsewhere():
    expected = read("parquet", MARKET / "MSFT_1d.parquet", "MSFT", "1d")
    pd.testing.assert_frame_equal(THREE_HEADERS.read(), expected)


def test_the_defects_of_files_as_found_are_still_there():
    rows = LONG_NAMES.read()
    assert rows["buy_volume"].isna().sum() == rows["trades"].isna().sum() == 9
    assert rows["buy_volume"].isna().to_numpy().nonzero()[0].min() == len(rows) - 9, "the last rows"
    assert gaps(rows["timestamp"], "5m") == (1, 223)
    minutes = NO_HEADER.read()
    assert gaps(minutes["timestamp"], "1m")[0] > 1000, "minutes without trades are absent"
    weeks = BROKER_CLOCK.read()["timestamp"].dt.tz_convert("Europe/Athens")
    assert set(weeks.dt.dayofweek) == set(range(5)), "the broker's clock has no bar on its weekend"


def gaps(times: pd.Series, interval: str) -> tuple[int, int]:
    """Stretches without a bar, and bars missing in all of them."""
    steps = times.drop_duplicates().diff().dropna() / pd.Timedelta(interval)
    return int((steps > 1).sum()), int((steps[steps > 1].round() - 1).sum())


# --- bars recorded as Parquet


def table_of_bars() -> list[tuple[str, str, str, pd.Timestamp, pd.Timestamp, int, str]]:
    """File, symbol, interval, first, last, bars, defects: the rows of the README's first table."""
    readme = MARKET / "README.md"
    lines = readme.read_text(encoding="utf-8").splitlines() if readme.is_file() else []
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if "_" in line and "| " in line]
    return [
        (row[0], row[1], row[2], pd.Timestamp(row[3], tz="UTC"), pd.Timestamp(row[4], tz="UTC"), int(row[5]), row[7])
        for row in rows
        if len(row) == 10 and row[0].endswith(".parquet")
    ]


RECORDED = table_of_bars()


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded[0])
def test_recorded_bars_and_their_named_defects(recorded):
    file, symbol, interval, first, last, rows, said = recorded
    bars = read("parquet", MARKET / file, symbol, interval)
    assert_bars(bars, symbol, rows)
    assert (bars["timestamp"].iloc[0], bars["timestamp"].iloc[-1]) == (first, last)
    found = defects(bars, interval)
    for pattern, count in found.items():
        named = re.search(pattern, said)
        assert (int(named[1]) if named else 0) == count, (pattern, said)
    if "no gaps" in said:
        assert gaps(bars["timestamp"], interval) == (0, 0)


def defects(bars: pd.DataFrame, interval: str) -> dict[str, int]:
    """How the README writes a defect -> how many there are."""
    times, prices = bars["timestamp"], bars[["open", "high", "low", "close"]].to_numpy()
    flat = prices.max(axis=1) == prices.min(axis=1)
    with np.errstate(divide="ignore"):
        jumps = np.abs(np.diff(np.log(bars["close"].to_numpy()))) > 0.5
    return {
        r"zero volume: (\d+)": int((bars["volume"] == 0).sum()),
        r"null volume: (\d+)": int(bars["volume"].isna().sum()),
        r"null buy_volume: (\d+)": int(bars["buy_volume"].isna().sum()) if "buy_volume" in bars else 0,
        r"flat bars O=H=L=C: (\d+)": int(flat.sum()),
        r"(\d+) repeated timestamps": int(times.duplicated().sum()),
        r"off the \w+ grid: (\d+)": int((times.dt.floor(interval.replace("m", "min")) != times).sum()),
        r"(\d+) close-to-close jumps over 50% log": int(jumps.sum()),
    }


def test_every_recorded_file_is_in_the_table():
    assert {row[0] for row in RECORDED} == {file.name for file in MARKET.glob("*.parquet")}


@pytest.mark.parametrize("file", sorted((MARKET / "context").glob("*.parquet")), ids=lambda file: file.name)
def test_series_that_are_no_bars_are_refused_in_words(file):
    with pytest.raises(BadBars, match=r"no column .*ingest\.options\.columns"):
        read("parquet", file, "X")
