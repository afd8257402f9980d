"""Ingest: bars up to `until`."""

from __future__ import annotations

import pandas as pd
import pytest

from betti.errors import BadParam, UnknownName
from betti.stages.ingest import ingest

FAR = "2100-01-01T00:00:00+00:00"


def sample(until: str, symbols: tuple[str, ...] = ("SP500",)) -> pd.DataFrame:
    return ingest(source="sample", symbols=list(symbols), interval="1d", options={}, until=until)


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
        ingest(source="sampel", symbols=["SP500"], interval="1d", options={}, until=FAR)
