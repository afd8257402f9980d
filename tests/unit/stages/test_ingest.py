"""Ingest: bars up to `until`, and what is kept of earlier ones."""

from __future__ import annotations

import pandas as pd
import pytest

from betti.errors import BadBars, BadParam, UnknownName
from betti.stages.ingest import accumulate, ingest
from tests.conftest import random_bars

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


def test_a_market_without_bars_before_until_is_named():
    with pytest.raises(BadBars, match="no bar of SP500 up to 1990"):
        sample("1990-01-01T00:00:00+00:00")


def test_an_unknown_symbol_or_source_is_named():
    with pytest.raises(UnknownName, match="'DAX'"):
        sample(FAR, ("DAX",))
    with pytest.raises(UnknownName, match="did you mean 'sample'"):
        ingest(source="sampel", symbols=["SP500"], interval="1d", options={}, until=FAR)


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other.reset_index(drop=True))


def test_new_bars_are_appended():
    whole = random_bars(100)
    same(accumulate(whole.iloc[:60], whole.iloc[60:], FAR), whole)
    same(accumulate(whole.iloc[:60], whole.iloc[40:], FAR), whole)


def test_a_bar_that_was_fetched_again_is_the_fetched_one():
    whole = random_bars(100)
    corrected = whole.copy()
    corrected.loc[50, "close"] *= 1.001
    same(accumulate(whole, corrected.iloc[40:], FAR), corrected)


def test_doing_it_again_changes_nothing():
    before, fetched = random_bars(60), random_bars(100).iloc[40:]
    once = accumulate(before, fetched, FAR)
    same(accumulate(once, fetched, FAR), once)
    same(accumulate(once, once, FAR), once)


def test_a_market_that_is_no_longer_fetched_goes():
    both = pd.concat([random_bars(50), random_bars(50, 2, "BBB")], ignore_index=True)
    same(accumulate(both, random_bars(50, 2, "BBB"), FAR), random_bars(50, 2, "BBB"))


def test_bars_after_an_until_that_moved_back_go():
    whole = random_bars(100)
    until = whole["timestamp"][69]
    same(accumulate(whole, whole.iloc[:70], until.isoformat()), whole.iloc[:70])
    same(accumulate(whole, whole.iloc[:10], until.isoformat()), whole.iloc[:70])


def test_repeats_within_one_fetch_all_stay():
    whole = random_bars(20)
    fetched = pd.concat([whole.iloc[[15]], whole.iloc[10:]], ignore_index=True)
    assert accumulate(whole, fetched, FAR)["timestamp"].duplicated().sum() == 1


def test_inputs_are_left_as_they_are():
    before, fetched = random_bars(60), random_bars(100).iloc[40:]
    copies = before.copy(), fetched.copy()
    accumulate(before, fetched, FAR)
    pd.testing.assert_frame_equal(before, copies[0])
    pd.testing.assert_frame_equal(fetched, copies[1])
