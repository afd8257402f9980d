"""Ingest: bars up to `until`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti.errors import BadBars, BadInput, BadParam, UnknownName
from betti.stages import ingest as stage
from betti.stages.ingest import ingest
from tests.conftest import random_bars

FAR = "2100-01-01T00:00:00+00:00"


def sample(until: str, symbols: tuple[str, ...] = ("SP500",)) -> pd.DataFrame:
    return ingest(
        source="sample",
        symbols=list(symbols),
        interval="1d",
        options={},
        resample=[],
        sessions=None,
        context_files={},
        until=until,
    )


def test_bars_end_at_until():
    bars = sample("2001-06-15T00:00:00+00:00", ("SP500", "NASDAQ"))
    assert bars["timestamp"].max() == pd.Timestamp("2001-06-15", tz="UTC")
    assert bars["symbol"].drop_duplicates().tolist() == ["NASDAQ", "SP500"]
    assert bars.groupby("symbol")["timestamp"].is_monotonic_increasing.all()


@pytest.mark.parametrize("until", ["soon", "2018-13-01", "2018-12-31"])
def test_an_until_that_is_no_utc_time_is_refused(until):
    with pytest.raises(BadParam, match=r"asof\.yaml: until = "):
        sample(until)


def test_an_unknown_symbol_or_source_is_named():
    with pytest.raises(UnknownName, match="'DAX'"):
        sample(FAR, ("DAX",))
    with pytest.raises(UnknownName, match="did you mean 'sample'"):
        ingest(
            source="sampel",
            symbols=["SP500"],
            interval="1d",
            options={},
            resample=[],
            sessions=None,
            context_files={},
            until=FAR,
        )


# --- coarser bars


def weekly(resample: list[str], sessions: object = None) -> pd.DataFrame:
    return ingest(
        source="sample",
        symbols=["SP500"],
        interval="1d",
        options={},
        resample=resample,
        sessions=sessions,
        context_files={},
        until="2001-06-15T00:00:00+00:00",
    )


def test_weeks_are_made_of_days():
    days, weeks = (
        sample("2001-06-15T00:00:00+00:00"),
        weekly(["1w"], {"zone": "UTC", "opens": "00:00", "closes": "00:00"}),
    )
    assert weeks["timestamp"].dt.dayofweek.eq(0).all()
    last = weeks.iloc[-1]
    own = days[days["timestamp"] >= last["timestamp"]]
    assert (last["open"], last["close"]) == (own["open"].iloc[0], own["close"].iloc[-1])
    assert last["volume"] == own["volume"].sum()


@pytest.mark.parametrize(
    ("resample", "sessions", "says"),
    [
        (["1h"], None, "bars of 1d cannot be resampled to 1h"),
        (["1q"], None, "'1q'"),
        (["1w"], {"zone": "UTC", "opens": "9:30"}, "ingest.sessions"),
        (["1w"], {"zone": "UTC", "opens": "soon", "closes": "16:00"}, "ingest.sessions"),
        (["1w"], {"zone": "UTC", "opens": "09:30", "closes": "16:00", "lunch": 1}, "lunch: it takes zone"),
        (["1w"], {"zone": "Mars", "opens": "09:30", "closes": "16:00"}, "Mars"),
    ],
)
def test_what_cannot_be_made_is_refused(resample, sessions, says):
    with pytest.raises(BadInput, match=says):
        weekly(resample, sessions)


# --- bars of another length than declared

DAYS = pd.bdate_range("2019-01-01", periods=400, tz="UTC")
MINUTES = pd.date_range("2024-01-01", periods=400, freq="15min", tz="UTC")
SESSIONS = pd.DatetimeIndex([day + pd.Timedelta(hours=hour) for day in DAYS for hour in range(14, 21)])
WEEKS = pd.date_range("2000-01-03", periods=60, freq="7D", tz="UTC")
MONTHS = pd.date_range("2000-01-01", periods=60, freq="MS", tz="UTC")
RNG = np.random.default_rng(0)


def given(path, times, interval: str, source: str = "parquet", **options: object) -> pd.DataFrame:
    """Ingest bars at these times, of one market."""
    bars = random_bars(len(times)).drop(columns="symbol").assign(timestamp=pd.DatetimeIndex(times).as_unit("us"))
    file = path / f"X.{source}"
    bars.to_csv(file, index=False) if source == "csv" else bars.to_parquet(file)
    return ingest(
        source=source,
        symbols=["X"],
        interval=interval,
        options={"path": str(path / "{symbol}") + f".{source}", **options},
        resample=[],
        sessions=None,
        context_files={},
        until=FAR,
    )


@pytest.mark.parametrize(
    ("times", "interval", "found", "declare"),
    [
        (MINUTES, "1h", "399 of the 399 steps from bar to bar are 15m", "15m"),
        (MINUTES, "1d", "399 of the 399 steps from bar to bar are 15m", "15m"),
        (MINUTES[:3], "1h", "2 of the 2 steps from bar to bar are 15m", "15m"),
        (MINUTES[::3], "1h", "133 of the 133 steps from bar to bar are 45m", "45m"),
        (SESSIONS, "4h", "2400 of the 2799 steps from bar to bar are 1h", "1h"),
        (SESSIONS, "1d", "2400 of the 2799 steps from bar to bar are 1h", "1h"),
        (MINUTES, "5m", "399 of the 399 steps from bar to bar are 15m", "15m"),
        (SESSIONS, "15m", "2400 of the 2799 steps from bar to bar are 1h", "1h"),
        (DAYS, "1h", "319 of the 399 steps from bar to bar are 1d", "1d"),
        (DAYS, "7d", "319 of the 399 steps from bar to bar are 1d", "1d"),
        (MONTHS, "1d", "34 of the 59 steps from bar to bar are 31d", "31d"),
        (WEEKS, "1d", "59 of the 59 steps from bar to bar are 7d", "7d"),
    ],
)  # fmt: skip
def test_bars_of_another_length_than_declared_are_refused(tmp_path, times, interval, found, declare):
    with pytest.raises(BadBars) as caught:
        given(tmp_path, times, interval)
    said = str(caught.value)
    assert said.startswith(f"bars from X in {tmp_path / 'X.parquet'}: {found}, and ingest.interval is {interval}. ")
    assert f"Set ingest.interval to {declare}" in said
    assert ("ingest.resample" in said) == (interval in ("1h", "4h", "1d") and declare in ("15m", "1h"))


def test_a_length_that_params_yaml_does_not_know_is_not_proposed(tmp_path):
    with pytest.raises(BadBars, match=r"are 30s, and ingest\.interval is 1m\. Give bars of 1m$"):
        given(tmp_path, pd.date_range("2024-01-01", periods=9, freq="30s", tz="UTC"), "1m")


@pytest.mark.parametrize("interval", ["banana", "1M"])
def test_an_interval_that_is_no_length_is_refused(tmp_path, interval):
    with pytest.raises(BadParam, match=r"ingest\.interval = .*it takes a length"):
        given(tmp_path, MINUTES, interval)


def test_close_times_are_not_moved_by_a_wrong_interval(tmp_path):
    with pytest.raises(BadBars, match=r"are 15m, and ingest\.interval is 1h"):
        given(tmp_path, MINUTES, "1h", stamped="close")


LOCAL = pd.date_range("2019-01-01", periods=500, freq="D", tz="Europe/Berlin").tz_convert("UTC")


@pytest.mark.parametrize(
    ("times", "interval"),
    [
        (DAYS, "1d"),
        (LOCAL, "1d"),
        (LOCAL[88:90], "1d"),
        (SESSIONS, "1h"),
        (MINUTES[:1], "1h"),
        (MINUTES[:2], "1h"),
        (DAYS[:15], "12h"),
        (pd.date_range("2001-01-01", periods=100, freq="12h", tz="UTC"), "12h"),
        (WEEKS, "7d"),
        *((MONTHS, f"{days}d") for days in (28, 30, 31)),
        *((pd.date_range("2000-01-01", periods=60, freq="QS", tz="UTC"), f"{days}d") for days in (90, 91, 92)),
        (pd.DatetimeIndex([day + pd.Timedelta(t) for day in DAYS for t in ("9h30min", "12h")], tz="UTC"), "4h"),
        (pd.DatetimeIndex([day + pd.Timedelta(t) for day in DAYS for t in ("9h30min", "10h", "11h")], tz="UTC"), "1h"),
        (MINUTES[np.sort(RNG.choice(400, 150, replace=False))], "15m"),
        (pd.date_range("2024-01-01", periods=10**5, freq="1min", tz="UTC")[np.sort(RNG.choice(10**5, 500))], "1m"),
        (MINUTES + pd.to_timedelta(RNG.integers(0, 60, 400), unit="s"), "15m"),
        (MINUTES[::-1], "15m"),
        (MINUTES[RNG.permutation(400)], "15m"),
        (MINUTES.repeat(2), "15m"),
    ],
    ids=[
        "days without weekends", "local days", "a short day", "sessions", "one bar", "two bars", "few bars",
        "half days", "weeks", "28d", "months", "31d", "90d", "quarters", "92d", "a cut first bar", "a cut first hour",
        "gaps", "a still market", "no grid", "newest first", "shuffled", "each twice",
    ],
)  # fmt: skip
def test_bars_as_long_as_declared_pass_whatever_their_market(tmp_path, times, interval):
    assert len(given(tmp_path, times, interval)) == len(times)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["oldest first", "newest first"])
def test_steps_are_counted_over_the_borders_of_pieces(tmp_path, monkeypatch, order):
    monkeypatch.setattr("betti.sources._files.BLOCK", 60)  # a line or two
    with pytest.raises(BadBars, match="39 of the 39 steps from bar to bar are 15m"):
        given(tmp_path, MINUTES[:40][order], "1h", "csv")
    assert len(given(tmp_path, MINUTES[:40][order], "15m", "csv")) == 40


def test_times_without_a_grid_take_no_memory(monkeypatch):
    monkeypatch.setattr(stage, "MOST", 10)
    steps = stage._Steps(15 * stage.MINUTE)
    for piece in np.split(np.cumsum(RNG.integers(1, 10**9, 10_000)), 100):
        steps.add(piece)
        assert len(steps.counts) <= 10
    assert steps.total == 9_999
