"""Exports of MetaTrader: the server's clock, its two volumes, with and without a header."""

from __future__ import annotations

import pandas as pd
import pytest

from betti.errors import BadBars, BadParam
from tests.unit.sources.files import assert_bars, read

VERSION_5 = (
    "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
    "2025.01.02\t01:00:00\t2624.81\t2625.63\t2624.19\t2624.65\t460\t12\t43",
    "2025.07.02\t01:15:00\t2624.67\t2625.01\t2623.35\t2623.60\t454\t13\t22",
)
VERSION_4 = (
    "2025.01.02,01:00,2624.81,2625.63,2624.19,2624.65,460",
    "2025.07.02,01:15,2624.67,2625.01,2623.35,2623.60,454",
)


@pytest.fixture
def file(tmp_path):
    def write(lines: tuple[str, ...], encoding: str = "utf-8"):
        (tmp_path / "x.csv").write_bytes("\r\n".join(lines).encode(encoding))
        return tmp_path / "x.csv"

    return write


def utc(*times: str) -> list[pd.Timestamp]:
    return [pd.Timestamp(time, tz="UTC") for time in times]


@pytest.mark.parametrize("lines", [VERSION_5, VERSION_4], ids=["5", "4"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_the_clock_of_a_server_in_eastern_europe(file, lines, encoding):
    bars = read("metatrader", file(lines, encoding), "X", "15m", timezone="Europe/Athens")
    assert_bars(bars, "X", 2)
    assert bars["timestamp"].tolist() == utc("2025-01-01 23:00", "2025-07-01 22:15")
    assert bars.iloc[0, 2:].tolist() == [2624.81, 2625.63, 2624.19, 2624.65, 460]


def test_a_clock_seven_hours_ahead_of_new_york(file):
    lines = (VERSION_4[0], "2025.03.20,01:15,2624.67,2625.01,2623.35,2623.60,454")
    bars = read("metatrader", file(lines), "X", "15m", timezone="America/New_York", hours_ahead=7)
    # On 20 March summer time has begun in New York and not in Athens: the server is three hours ahead of UTC.
    assert bars["timestamp"].tolist() == utc("2025-01-01 23:00", "2025-03-19 22:15")


def test_the_volume_is_the_one_asked_for(file):
    path = file(VERSION_5)
    assert read("metatrader", path, timezone="UTC")["volume"].tolist() == [460, 454]
    assert read("metatrader", path, timezone="UTC", volume="real")["volume"].tolist() == [12, 13]


def test_a_volume_that_is_not_there_is_not_replaced(file):
    with pytest.raises(BadBars, match=r"only volume is 'tick_volume'.*ingest\.options\.volume to ticks"):
        read("metatrader", file(VERSION_4), timezone="UTC", volume="real")
    only_real = tuple(line.replace("\t<TICKVOL>", "").replace("\t460", "").replace("\t454", "") for line in VERSION_5)
    with pytest.raises(BadBars, match="only volume is '<VOL>'"):
        read("metatrader", file(only_real), timezone="UTC")


def test_an_export_without_volume_is_none_of_its_own(file):
    lines = ("<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>", "2025.01.02\t1\t2\t0.5\t1.5")
    with pytest.raises(BadBars, match="no column of volume"):
        read("metatrader", file(lines), timezone="UTC")


def test_days_begin_at_midnight_of_the_server(file):
    lines = ("<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>", "2025.01.02\t1\t2\t0.5\t1.5\t10\t0")
    bars = read("metatrader", file(lines), timezone="Europe/Athens")
    assert bars["timestamp"].tolist() == utc("2025-01-01 22:00")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, r"ingest\.options\.timezone"),
        ({"timezone": "Broker/Time"}, "IANA"),
        ({"timezone": "UTC", "hours_ahead": 30}, "hours_ahead"),
        ({"timezone": "UTC", "volume": "both"}, "ticks"),
    ],
)
def test_the_clock_must_be_said_and_be_one(file, options, said):
    with pytest.raises(BadParam, match=said):
        read("metatrader", file(VERSION_5), **options)


def test_an_hour_that_a_clock_change_repeats_names_the_line(file):
    with pytest.raises(BadBars, match="line 3: a clock change in Europe/Athens"):
        read(
            "metatrader",
            file((*VERSION_5[:2], VERSION_5[2].replace("07.02\t01", "10.26\t03"))),
            timezone="Europe/Athens",
        )
