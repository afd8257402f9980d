"""Microstructure by other means: numpy's estimators, markets built with a known truth, the halting rules bar by bar."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from betti import counts, features
from betti.errors import BadParam
from betti.features import microstructure
from betti.features._bought import bought
from tests.conftest import random_bars

WINDOW, SCALE = 30, 4
KNOBS = {"window": WINDOW, "scale": SCALE}
BARS = random_bars(260, 31)
PROFILE, STATES = list(microstructure.VOLUME_PROFILE), list(microstructure.STATES)


def market(close: np.ndarray, **columns: Any) -> pd.DataFrame:
    plain = {"open": close, "high": close, "low": close, "close": close, "volume": 1.0}
    return random_bars(len(close), freq="1min").assign(**{**plain, **columns})


# --- rows against the definitions, by other means


def directly(bars: pd.DataFrame, t: int) -> dict[str, float]:
    """One row from its window alone, by numpy's and scipy's estimators."""
    high, low, close, volume = (bars[c].to_numpy() for c in ("high", "low", "close", "volume"))
    last = slice(t - WINDOW + 1, t + 1)
    change = np.diff(np.log(close), prepend=np.nan)
    net = [
        (2 * stats.norm.cdf(change[s] / change[s - WINDOW + 1 : s + 1].std()) - 1) * volume[s]
        for s in range(t - WINDOW + 1, t + 1)
    ]
    typical = (high + low + close)[last] / 3
    profile, _ = np.histogram(typical, 10, range=(low[last].min(), high[last].max()), weights=volume[last])
    middle = np.log(high * low) / 2
    pairs = [(np.log(close[s - 1]) - middle[s - 1]) * (np.log(close[s - 1]) - middle[s]) for s in range(t + 1)[last]]
    size = np.abs(change)
    return {
        "two_scale_volatility": two_scale(np.log(close[t - WINDOW : t + 1]), SCALE),
        "bipower_volatility": math.sqrt(math.pi / 2 * np.mean(size[last][1:] * size[last][:-1])),
        "amihud_illiquidity": 1e6 * np.mean(np.abs(np.expm1(change)) / (close * volume), where=_last(bars, t)),
        "roll_spread": 2 * math.sqrt(max(0, -np.cov(change[last], change[t - WINDOW : t], ddof=0)[0, 1])),
        "corwin_schultz_spread": np.mean([max(0.0, high_low_spread(high, low, close, s)) for s in range(t + 1)[last]]),
        "abdi_ranaldo_spread": 2 * math.sqrt(max(0, np.mean(pairs))),
        "kyle_lambda": np.polyfit(np.divide(net, volume[last].mean()), change[last], 1)[0],
        **dict(zip(PROFILE, profile / volume[last].sum(), strict=True)),
    }


def _last(bars: pd.DataFrame, t: int) -> np.ndarray:
    rows = np.arange(len(bars))
    return (rows > t - WINDOW) & (rows <= t)


def two_scale(price: np.ndarray, scale: int) -> float:
    """Grid by grid, as Zhang, Mykland and Ait-Sahalia describe it."""
    grids = [np.diff(price[k::scale]) for k in range(scale)]
    slow, fast = np.mean([(grid**2).sum() for grid in grids]), (np.diff(price) ** 2).sum()
    share = np.mean([len(grid) for grid in grids]) / (len(price) - 1)
    return math.sqrt(max(0.0, (slow - share * fast) / (1 - share)) / (len(price) - 1))


def high_low_spread(high: np.ndarray, low: np.ndarray, close: np.ndarray, s: int) -> float:
    """Corwin and Schultz, bar s and the one before, written as in the paper."""
    shift = 0.0
    if low[s] > close[s - 1]:
        shift = low[s] - close[s - 1]
    if high[s] < close[s - 1]:
        shift = high[s] - close[s - 1]
    h, lo = high[s] - shift, low[s] - shift
    beta = math.log(h / lo) ** 2 + math.log(high[s - 1] / low[s - 1]) ** 2
    gamma = math.log(max(h, high[s - 1]) / min(lo, low[s - 1])) ** 2
    root = 3 - 2 * math.sqrt(2)
    alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / root - math.sqrt(gamma / root)
    return 2 * (math.exp(alpha) - 1) / (1 + math.exp(alpha))


@pytest.mark.parametrize("t", [59, 60, 130, 259])
def test_rows_equal_the_definitions(t: int) -> None:
    row = microstructure.compute(BARS, **KNOBS).iloc[t]
    expected = directly(BARS, t)
    for column, value in expected.items():
        np.testing.assert_allclose(row[column], value, rtol=1e-8, atol=1e-12, err_msg=column)
    assert set(microstructure.COLUMNS) == {*expected, "jump_share", *STATES}


# --- markets whose truth is known


def test_two_scales_see_through_noise() -> None:
    rng = np.random.default_rng(1)
    true, noise = np.cumsum(rng.normal(0, 0.001, 40_000)), rng.normal(0, 0.002, 40_000)
    table = microstructure.compute(market(np.exp(5 + true + noise)), window=300, scale=10).iloc[600::100]
    ends = (300 - 10 + 1) / 300 * (1 - 1 / 10) / (1 - 29.1 / 300)  # what the estimator expects of pure diffusion
    np.testing.assert_allclose((table["two_scale_volatility"] ** 2).mean(), ends * 0.001**2, rtol=0.06)
    assert (table["bipower_volatility"] ** 2).mean() > 5 * 0.001**2  # the noise is in it


def test_a_jump_is_told_from_the_variation_around_it() -> None:
    change = np.random.default_rng(2).normal(0, 0.001, 1000)
    change[700] += 0.05
    price = np.exp(5 + np.cumsum(change))
    before, after = (microstructure.compute(market(price), window=500, scale=5).iloc[t] for t in (699, 900))
    np.testing.assert_allclose(after["bipower_volatility"], 0.001, rtol=0.15)
    np.testing.assert_allclose(after["jump_share"], 0.05**2 / (0.05**2 + 500 * 0.001**2), rtol=0.1)
    assert before["jump_share"] < 0.15


def test_the_spreads_are_those_of_a_market_that_bounces() -> None:
    """The middle stands still, every bar trades at bid and ask and closes at one of them by chance."""
    half = 0.002
    side = np.random.default_rng(3).choice([-1.0, 1.0], 4000)
    bars = market(100 * np.exp(half * side), high=100 * math.exp(half), low=100 * math.exp(-half))
    row = microstructure.compute(bars, window=2000, scale=5).iloc[-1]
    np.testing.assert_allclose(row["roll_spread"], 2 * half, rtol=0.05)
    np.testing.assert_allclose(row["corwin_schultz_spread"], 2 * math.tanh(half), rtol=1e-9)
    np.testing.assert_allclose(row["abdi_ranaldo_spread"], 2 * half, rtol=1e-9)


def test_the_spreads_of_a_market_that_also_moves() -> None:
    rng = np.random.default_rng(4)
    half, trades = 0.005, 200
    middle = np.cumsum(rng.normal(0, 0.01 / math.sqrt(trades), 2000 * trades)).reshape(2000, trades)
    price = 100 * np.exp(middle + half * rng.choice([-1.0, 1.0], middle.shape))
    bars = market(price[:, -1], open=price[:, 0], high=price.max(axis=1), low=price.min(axis=1))
    row = microstructure.compute(bars, window=1900, scale=5).iloc[-1]
    for column in microstructure.SPREADS:
        np.testing.assert_allclose(row[column], 2 * half, rtol=0.25, err_msg=column)


def test_reported_taker_volume_gives_the_planted_price_impact() -> None:
    rng = np.random.default_rng(5)
    volume, share = rng.lognormal(8, 0.3, 400), rng.uniform(0, 1, 400)
    impact = 0.003 * volume * (2 * share - 1) / volume.mean()
    bars = market(np.exp(3 + np.cumsum(impact)), volume=volume)
    told = microstructure.compute(bars.assign(buy_volume=volume * share), window=200)
    usual = volume[-200:].mean() / volume.mean()
    np.testing.assert_allclose(told["kyle_lambda"].iloc[-1], 0.003 * usual, rtol=1e-9)
    assert counts.of(told) == {"measured": 1}  # the one row beyond the look-back
    guessed = microstructure.compute(bars, window=200)
    assert abs(guessed["kyle_lambda"].iloc[-1] / (0.003 * usual) - 1) > 0.01
    assert counts.of(guessed) == {"estimated": 1}
    sold = microstructure.compute(bars.assign(sell_volume=volume * (1 - share)), window=200)
    np.testing.assert_allclose(sold["kyle_lambda"], told["kyle_lambda"], rtol=1e-9)


def test_rows_without_taker_volume_are_estimated_and_counted() -> None:
    bars = BARS.assign(buy_volume=BARS["volume"] * 0.4)
    bars.loc[bars.index[100:110], "buy_volume"] = np.nan
    back = microstructure.lookback(**KNOBS)
    whole = microstructure.compute(bars, **KNOBS)
    assert counts.of(whole) == {"measured": len(bars) - back - 10, "estimated": 10}
    later = microstructure.compute(bars.iloc[105 - back :], **KNOBS)
    assert counts.of(later) == {"measured": len(bars) - 110, "estimated": 5}
    assert np.isfinite(whole.iloc[back:].to_numpy()).all()


def test_either_side_tells_the_bought_share_and_two_zeros_tell_nothing() -> None:
    buy, sell = [30.0, np.nan, 25.0, np.nan, 0.0, 130.0], [np.nan, 60.0, 75.0, np.nan, 0.0, np.nan]
    bars = market(np.full(6, 50.0), volume=100.0, buy_volume=buy, sell_volume=sell)
    found = bought(bars, 2)
    assert found.measured.tolist() == [True, True, True, False, False, True]
    np.testing.assert_allclose(found.share, [0.3, 0.4, 0.25, 0.5, 0.5, 1.0])
    np.testing.assert_allclose(found.net, [-40, -20, -50, 0, 0, 100])
    assert found.said(3) == {"estimated": 2, "measured": 1}


def test_illiquidity_is_the_mean_of_the_bars_that_traded() -> None:
    close = 100 * 1.01 ** np.arange(80)
    volume = np.where(np.arange(80) % 2, 0.0, 1e6 / close)  # a million of money in every second bar
    row = microstructure.compute(market(close, volume=volume), **KNOBS).iloc[-1]
    np.testing.assert_allclose(row["amihud_illiquidity"], 0.01)


# --- laws


@given(seed=st.integers(0, 1000), rough=st.floats(0.01, 20))
@settings(max_examples=25, deadline=None)
def test_ranges(seed: int, rough: float) -> None:
    bars = random_bars(90, seed)
    moved = bars["close"].iloc[0] * (bars["close"] / bars["close"].iloc[0]) ** rough
    factor = (moved / bars["close"]).to_numpy()[:, np.newaxis]
    prices = ["open", "high", "low", "close"]
    table = microstructure.compute(bars.assign(**dict(zip(prices, (bars[prices] * factor).T.to_numpy(), strict=True))))
    row = table.iloc[-1]
    assert 0 <= row["jump_share"] <= 1
    assert (row[[*microstructure.SPREADS, *PROFILE, "two_scale_volatility", "amihud_illiquidity"]] >= 0).all()
    assert row["corwin_schultz_spread"] <= 2
    np.testing.assert_allclose(row[PROFILE].sum(), 1)
    assert row[STATES].tolist() == [1, 0, 0, 0]


def test_prices_in_another_unit_change_illiquidity_alone() -> None:
    prices = ["open", "high", "low", "close"]
    before = microstructure.compute(BARS, **KNOBS).iloc[80:]
    after = microstructure.compute(BARS.assign(**{c: BARS[c] * 8 for c in prices}), **KNOBS).iloc[80:]
    np.testing.assert_allclose(after["amihud_illiquidity"] * 8, before["amihud_illiquidity"], rtol=1e-9)
    others = [column for column in microstructure.COLUMNS if column != "amihud_illiquidity"]
    np.testing.assert_allclose(after[others], before[others], rtol=1e-7, atol=1e-9)


def test_a_slice_with_its_look_back_has_the_bits_of_the_whole() -> None:
    bars = random_bars(1500, 33, freq="5min").assign(volume=np.random.default_rng(1).poisson(1, 1500) * 1e3)
    knobs = KNOBS | {"us_equities": ("AAA",), "session_bars": 288}
    whole, back = microstructure.compute(bars, **knobs).to_numpy(), microstructure.lookback(**knobs)
    for row in (back, 1000, 1123, 1499):
        part = microstructure.compute(bars.iloc[row - back : row + 1], **knobs).to_numpy()
        assert part[-1].tobytes() == whole[row].tobytes()


@pytest.mark.parametrize("window", [20, 33, 60])
def test_the_first_complete_row_is_the_look_back(window: int) -> None:
    table = microstructure.compute(BARS, window=window)
    back = microstructure.lookback(window=window)
    assert np.isfinite(table.iloc[back:].to_numpy()).all()
    assert table.iloc[back - 1].isna().any()


def test_volume_columns_are_missing_without_volume() -> None:
    table = features.compute("microstructure", BARS.assign(volume=0.0), **KNOBS)
    missing = {name for name in table.columns[2:] if table[name].isna().all()}
    assert missing == {f"microstructure__{name}" for name in ("amihud_illiquidity", "kyle_lambda", *PROFILE)}


def test_a_flat_market_has_no_spread_and_an_even_profile() -> None:
    row = microstructure.compute(market(np.full(120, 0.1)), **KNOBS).iloc[-1]
    np.testing.assert_allclose(row[PROFILE].to_numpy(dtype="float64"), 0.1)
    others = [name for name in microstructure.COLUMNS if name not in PROFILE + STATES]
    np.testing.assert_allclose(row[others].to_numpy(dtype="float64"), 0, atol=1e-12)


def test_knobs_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(BadParam, match="at most half the window of 20 bars"):
        features.compute("microstructure", BARS, window=20, scale=11)


# --- states of United States equities


def daily(close: list[float], low: dict[int, float] | None = None) -> pd.DataFrame:
    """Daily bars, stamped with midnight UTC as they come."""
    prices = np.array(close)
    lows = np.minimum(prices, [(low or {}).get(day, np.inf) for day in range(len(close))])
    return market(
        prices, high=prices + 1, low=lows, timestamp=pd.date_range("2024-03-04", periods=len(close), tz="UTC")
    )


def state(bars: pd.DataFrame, session_bars: int) -> pd.DataFrame:
    return microstructure.compute(bars, **KNOBS, us_equities=("AAA",), session_bars=session_bars)[STATES]


@pytest.mark.parametrize(("low", "restricted"), [(90.0, [2, 3]), (90.01, [])])
def test_a_fall_of_ten_per_cent_restricts_short_sales_that_day_and_the_next(low: float, restricted: list[int]) -> None:
    table = state(daily([100, 100, 95, 95, 95, 95], {2: low}), 1)
    assert table.index[table["state_short_sale_restricted"] == 1].tolist() == restricted
    assert table.index[table["state_normal"] == 1].tolist() == [t for t in range(6) if t not in restricted]
    assert table[["state_price_limit", "state_both"]].isna().all(axis=None)  # daily bars do not show it


def test_the_rules_hold_for_the_listed_symbols_alone() -> None:
    bars = daily([100, 50, 25, 12])
    other = microstructure.compute(bars, **KNOBS, us_equities=("ZZZ",))[STATES]
    assert (other.to_numpy() == [1, 0, 0, 0]).all()
    assert state(bars, 1)["state_short_sale_restricted"].tolist() == [0, 1, 1, 1]


def test_the_band_is_twice_as_wide_in_the_last_25_minutes() -> None:
    minutes = pd.date_range("2024-03-04 09:30", periods=390, freq="1min", tz="America/New_York").tz_convert("UTC")
    flat = np.full(390, 100.0)
    for bar, spike, limited in (
        (0, 105, 1),
        (200, 104.9, 0),
        (200, 105, 1),
        (365, 105, 0),
        (365, 110, 1),
        (389, 111, 1),
    ):
        high = np.where(np.arange(390) == bar, spike, 100.0)
        table = state(market(flat, high=high, timestamp=minutes), 390)
        touched = table.index[table["state_price_limit"] == 1].tolist()
        assert touched == [bar] * limited, (bar, spike)


def by_the_rules(bars: pd.DataFrame) -> list[tuple[bool, bool]]:
    """Bar by bar: short sales restricted, at a price limit. Reads the clock as people do."""
    sessions: dict[str, list[tuple[Any, ...]]] = {}  # the regular bars of each day, so far
    found = []
    for stamp, open_, high, low, close in bars[["timestamp", "open", "high", "low", "close"]].itertuples(index=False):
        day, _, clock = stamp.tz_convert("America/New_York").strftime("%Y-%m-%d %H:%M").partition(" ")
        today = sessions.setdefault(day, [])
        limited = False
        if "09:30" <= clock < "16:00":
            recent = [bar[1] for bar in today if stamp - bar[0] <= pd.Timedelta(minutes=5)]
            reference = np.mean(recent or [bar[1] for bar in today[-1:]] or [open_])
            band = 0.1 if clock >= "15:35" else 0.05
            limited = high >= reference * (1 + band) or low <= reference * (1 - band)
            today.append((stamp, (open_ + high + low + close) / 4, low, close))
        days = [bars_of for bars_of in sessions.values() if bars_of or bars_of is today]
        pairs = list(pairwise(days))[-2:]
        restricted = any(bar[2] <= 0.9 * before[-1][3] for before, after in pairs for bar in after)
        found.append((restricted, bool(limited)))
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_states_follow_the_rules_with_hours_outside_the_session_and_across_a_clock_change(seed: int) -> None:
    days = ["2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12", "2024-03-13"]  # clocks change on the 10th
    hours = [pd.date_range(f"{d} 08:30", f"{d} 17:00", freq="2min", tz="America/New_York") for d in days]
    stamps = pd.DatetimeIndex(np.concatenate([h.tz_convert("UTC").tz_localize(None) for h in hours])).tz_localize("UTC")
    bars = random_bars(len(stamps), seed).assign(timestamp=stamps.as_unit("us"))
    for price in ("open", "high", "low", "close"):
        bars[price] = bars[price] ** 1.5  # wilder
    traded = np.random.default_rng(seed).uniform(size=len(bars)) < 0.7  # minutes without a trade have no bar
    bars = bars[traded].reset_index(drop=True)
    table, expected = state(bars, 256), np.array(by_the_rules(bars))
    restricted = table["state_short_sale_restricted"] + table["state_both"]
    limited = table["state_price_limit"] + table["state_both"]
    np.testing.assert_array_equal(restricted == 1, expected[:, 0])
    np.testing.assert_array_equal(limited == 1, expected[:, 1])
    assert (table.sum(axis=1) == 1).all()
    shares = expected.mean(axis=0)
    assert (shares > 0).all() and (shares < 1).all()  # the market asked both questions


def test_a_day_with_more_bars_than_declared_is_named() -> None:
    bars = random_bars(300, freq="5min", start="2024-03-04 14:30")
    with pytest.raises(BadParam, match="AAA has at least 174 bars on 2024-03-04"):
        state(bars, 78)
    state(bars, 288)
