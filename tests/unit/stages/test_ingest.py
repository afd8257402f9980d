"""Ingest: bars up to `until`."""

from __future__ import annotations

import pandas as pd
import pytest

from betti.errors import BadInput, BadParam, UnknownName
from betti.stages.ingest import ingest

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
