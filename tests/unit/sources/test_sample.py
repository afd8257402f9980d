"""The built-in sample: real bars, no network."""

from __future__ import annotations

import pandas as pd
import pytest

from betti import sources
from betti.errors import BadParam, UnknownName
from tests.unit.sources.files import END, assert_bars


def sample(*symbols: str, until: pd.Timestamp = END, interval: str = "1d", **options: object) -> pd.DataFrame:
    return sources.fetch("sample", symbols, interval, until, options)


@pytest.mark.parametrize("symbol", ["SP500", "NASDAQ"])
def test_each_market_has_twenty_years_of_days(symbol):
    bars = sample(symbol)
    assert_bars(bars, symbol, 5031)
    assert bars["timestamp"].iloc[0] == pd.Timestamp("1999-01-04", tz="UTC")
    assert bars["timestamp"].iloc[-1] == pd.Timestamp("2018-12-31", tz="UTC")
    assert not bars["timestamp"].duplicated().any()


def test_the_rows_are_the_recorded_ones():
    bars = sample("SP500", "NASDAQ").set_index(["symbol", "timestamp"])
    crash = pd.Timestamp("2008-10-13", tz="UTC")
    assert bars.loc[("SP500", crash), "close"] == pytest.approx(1003.349976)
    assert bars.loc[("NASDAQ", pd.Timestamp("2000-03-10", tz="UTC")), "close"] == pytest.approx(5048.620117)
    assert bars.groupby("symbol").size().to_dict() == {"NASDAQ": 5031, "SP500": 5031}


def test_no_bar_is_later_than_until():
    until = pd.Timestamp("2005-06-15", tz="UTC")
    bars = sample("SP500", until=until)
    assert bars["timestamp"].max() == until
    pd.testing.assert_frame_equal(bars, sample("SP500").iloc[: len(bars)])


def test_an_unknown_market_names_those_there_are():
    with pytest.raises(UnknownName, match="'SP50'; did you mean 'SP500'"):
        sample("SP50")


@pytest.mark.parametrize("interval", ["1h", "15m", "2d"])
def test_another_interval_is_refused(interval):
    with pytest.raises(BadParam, match="daily bars alone"):
        sample("SP500", interval=interval)


def test_it_has_no_options():
    with pytest.raises(UnknownName, match="'path'"):
        sample("SP500", path="x")
