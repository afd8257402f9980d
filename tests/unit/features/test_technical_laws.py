"""What must hold of technical columns on any bars: finite or declared missing, and free of the unit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.features import technical

PRICES = ("open", "high", "low", "close")
BACK = technical.lookback()
ROWS = BACK + 40
VOLUME = tuple(
    column
    for column in technical.COLUMNS
    if column.startswith(("mfi", "obv", "cmf", "vwap", "volume", "buy", "sell", "delta", "cumulative_delta"))
)
PRICE = [column for column in technical.COLUMNS if column not in VOLUME]


@st.composite
def tick_bars(draw: st.DrawFn) -> pd.DataFrame:
    """Bars in whole ticks: prices tie, stand still and jump, some bars have no volume."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    still = draw(st.sampled_from([0.0, 0.3, 0.9, 1.0]))
    largest = draw(st.sampled_from([1, 3, 50]))
    silent = draw(st.sampled_from([0.0, 0.1, 0.9, 1.0]))
    tick = draw(st.sampled_from([0.01, 0.25, 1e-5]))
    step = rng.integers(-largest, largest + 1, ROWS) * (rng.random(ROWS) >= still)
    if draw(st.booleans()):
        step[rng.integers(0, ROWS)] += 5000
    close = 1000 + largest + np.cumsum(step) - np.minimum(np.cumsum(step).min(), 0)
    open_ = np.concatenate([[close[0]], close[:-1]])
    wick = rng.integers(0, largest + 1, (2, ROWS)) * (rng.random(ROWS) >= still)
    ticks = {"open": open_, "high": np.maximum(open_, close) + wick[0], "close": close}
    ticks["low"] = np.minimum(open_, close) - wick[1]
    return pd.DataFrame(
        {
            "timestamp": pd.date_range("2024-01-01", periods=ROWS, freq="1min", tz="UTC"),
            "symbol": "AAA",
            **{name: ticks[name] * tick for name in PRICES},
            "volume": np.where(rng.random(ROWS) < silent, 0.0, np.round(rng.lognormal(3, 1, ROWS))),
        }
    )


def numbers(bars: pd.DataFrame) -> np.ndarray:
    return technical.compute(bars).to_numpy()[BACK:]


def scaled(bars: pd.DataFrame, price: float, volume: float) -> pd.DataFrame:
    return bars.assign(**{name: bars[name] * price for name in PRICES}, volume=bars["volume"] * volume)


@given(tick_bars(), st.sampled_from([1e-9, 1.0, 1e9]))
@settings(max_examples=40, deadline=None)
def test_values_are_finite_or_declared_missing(bars: pd.DataFrame, price: float) -> None:
    found = technical.compute(scaled(bars, price, 1.0)).iloc[BACK:]
    assert np.isfinite(found[PRICE]).all(axis=None)
    traded = {window: bars["volume"].rolling(window).sum().to_numpy()[BACK:] > 0 for window in (14, 20, 60)}
    for column in VOLUME:
        window = int(column.rpartition("_")[2])
        np.testing.assert_array_equal(np.isfinite(found[column]), traded[window], err_msg=column)
        assert not np.isinf(found[column]).any()


@given(tick_bars(), st.sampled_from([1000.0, 0.001, 7.0]), st.sampled_from([1000.0, 1e-6]))
@settings(max_examples=40, deadline=None)
def test_the_units_of_price_and_volume_change_nothing(bars: pd.DataFrame, price: float, volume: float) -> None:
    np.testing.assert_allclose(numbers(scaled(bars, price, volume)), numbers(bars), rtol=1e-7, atol=1e-7)


@given(tick_bars())
@settings(max_examples=20, deadline=None)
def test_prices_turned_over_turn_directions_over(bars: pd.DataFrame) -> None:
    """With every price at its inverse, what rose falls: log returns change sign, the sides change places."""
    turned = bars.assign(open=1 / bars["open"], high=1 / bars["low"], low=1 / bars["high"], close=1 / bars["close"])
    before, after = (technical.compute(frame).iloc[BACK:] for frame in (bars, turned))
    for column in ("log_return_1", "log_return_120", "obv_20", "cumulative_delta_20", "aroon_oscillator_25"):
        np.testing.assert_allclose(after[column], -before[column], atol=1e-9, err_msg=column)
    for column in ("volatility_20", "parkinson_20", "garman_klass_60", "rogers_satchell_20", "yang_zhang_60"):
        np.testing.assert_allclose(after[column], before[column], atol=1e-9, err_msg=column)
    np.testing.assert_allclose(after["aroon_up_25"], before["aroon_down_25"])
    np.testing.assert_allclose(after["buy_volume_20"], before["sell_volume_20"], atol=1e-9)
