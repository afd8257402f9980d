"""Changed bars: the past stays to the last bit, the future does not, and dates keep their place in the calendar."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti import probes, schemas

BARS = probes.walk(60, 3)


@pytest.mark.parametrize("t", [0, 20, 58])
@pytest.mark.parametrize("future", probes.FUTURES)
def test_another_future_changes_what_follows_and_nothing_else(future: str, t: int) -> None:
    kept = BARS.copy(deep=True)
    changed = probes.FUTURES[future](BARS, t, np.random.default_rng(0))
    pd.testing.assert_frame_equal(BARS, kept)
    pd.testing.assert_frame_equal(changed.iloc[: t + 1], BARS.iloc[: t + 1], check_exact=True)
    assert not changed.iloc[t + 1 :].equals(BARS.iloc[t + 1 :])


@pytest.mark.parametrize("future", probes.FUTURES)
def test_other_futures_are_bars_too(future: str) -> None:
    changed = probes.FUTURES[future](BARS, 30, np.random.default_rng(0))
    ends = changed[["open", "close"]]
    assert (changed["low"] <= ends.min(axis=1)).all()
    assert (changed["high"] >= ends.max(axis=1)).all()
    assert (changed["low"] > 0).all()
    assert (changed["buy_volume"] <= changed["volume"]).all()
    assert changed["timestamp"].is_monotonic_increasing
    assert list(changed.columns) == list(BARS.columns)
    assert (changed.dtypes == BARS.dtypes).all()


@pytest.mark.parametrize("t", [0, 20, 58])
def test_in_the_opposite_the_next_bar_moves_to_the_other_side(t: int) -> None:
    kept = BARS.copy(deep=True)
    turned = probes.opposite(BARS, t)
    pd.testing.assert_frame_equal(BARS, kept)
    pd.testing.assert_frame_equal(turned.iloc[: t + 1], BARS.iloc[: t + 1], check_exact=True)
    assert len(turned) == min(t + 1 + probes.NEAR, len(BARS))
    for name in ("close", "volume", "open_interest"):
        rose, rises = (bars[name].iloc[t + 1] > bars[name].iloc[t] for bars in (BARS, turned))
        assert rose != rises, name
    ends = turned[["open", "close"]]
    assert ((turned["low"] <= ends.min(axis=1)) & (turned["high"] >= ends.max(axis=1))).all()
    assert (turned[["buy_volume", "sell_volume"]].max(axis=1) <= turned["volume"]).all()


def test_the_opposite_of_the_end_and_of_bars_without_volume() -> None:
    pd.testing.assert_frame_equal(probes.opposite(BARS, 59), BARS)
    bare = BARS[["timestamp", "symbol", "close"]]
    assert list(probes.opposite(bare, 30).columns) == list(bare.columns)
    still = probes.opposite(BARS.assign(volume=0.0, buy_volume=0.0, sell_volume=0.0), 30)
    assert (still["volume"].iloc[31:] > 0).all()


def test_bars_at_other_levels_are_other_in_every_row() -> None:
    changed = probes.replaced(BARS, np.random.default_rng(0))
    assert (changed["close"] != BARS["close"]).all()
    pd.testing.assert_series_equal(changed["timestamp"], BARS["timestamp"])


@pytest.mark.parametrize("start", ["1895-02-20", "1999-12-20", "2024-02-20", "2090-02-20"])
def test_moved_bars_keep_their_place_in_the_calendar(start: str) -> None:
    bars = BARS.assign(timestamp=pd.date_range(start, periods=60, freq="7h", tz="UTC").as_unit("us"))
    form = "%m-%d %a %H:%M"
    moves = list(probes.moved(bars))
    assert len(moves) > 15
    for moved in moves:
        assert list(moved["timestamp"].dt.strftime(form)) == list(bars["timestamp"].dt.strftime(form))
        assert not moved["timestamp"].isin(bars["timestamp"]).any()
        pd.testing.assert_frame_equal(moved.drop(columns="timestamp"), bars.drop(columns="timestamp"))


def test_made_up_bars_have_every_column_and_the_order_of_prices() -> None:
    bars = probes.walk(2000)
    assert list(bars.columns) == list(schemas.BARS.names)
    assert bars["timestamp"].is_monotonic_increasing and bars["timestamp"].is_unique
    assert str(bars["timestamp"].dtype) == "datetime64[us, UTC]"
    ends = bars[["open", "close"]]
    assert ((bars["low"] > 0) & (bars["low"] <= ends.min(axis=1)) & (bars["high"] >= ends.max(axis=1))).all()
    assert bars.notna().all(axis=None)


def test_made_up_bars_have_what_markets_have() -> None:
    bars = probes.walk(2000)
    assert (bars["volume"] == 0).any()
    assert bars["close"].duplicated().any()
    assert bars["timestamp"].diff().nunique() > 2
    assert (bars["buy_volume"] + bars["sell_volume"] == bars["volume"]).all()
    assert not probes.walk(2000, 1)["close"].equals(bars["close"])
    pd.testing.assert_frame_equal(probes.walk(2000), bars)


@pytest.mark.parametrize("rows", [0, 1])
def test_made_up_bars_may_be_few(rows: int) -> None:
    assert len(probes.walk(rows)) == rows
