"""Technical columns against `ta` and against direct formulas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import ta

from betti import features
from betti.features import technical
from tests.conftest import random_bars

BARS = random_bars(900, 11)
OPEN, HIGH, LOW, CLOSE, VOLUME = (BARS[name] for name in ("open", "high", "low", "close", "volume"))
ADX = ta.trend.ADXIndicator(HIGH, LOW, CLOSE, window=10)

MACD = ta.trend.MACD(CLOSE)
STOCHASTIC = ta.momentum.StochasticOscillator(HIGH, LOW, CLOSE)
RETURN = np.log(CLOSE).diff()
TYPICAL = (HIGH + LOW + CLOSE) / 3


def true_range() -> pd.Series:
    before = CLOSE.shift(1)
    return pd.concat([HIGH - LOW, (HIGH - before).abs(), (LOW - before).abs()], axis=1).max(axis=1)


def keltner() -> pd.Series:
    centre = ta.trend.EMAIndicator(CLOSE, 20).ema_indicator()
    return (CLOSE - centre) / (2 * ta.volatility.AverageTrueRange(HIGH, LOW, CLOSE, 10).average_true_range())


def garman_klass() -> pd.Series:
    terms = 0.5 * np.log(HIGH / LOW) ** 2 - (2 * np.log(2) - 1) * np.log(CLOSE / OPEN) ** 2
    return np.sqrt(terms.rolling(20).mean())


def rogers_satchell() -> pd.Series:
    terms = np.log(HIGH / CLOSE) * np.log(HIGH / OPEN) + np.log(LOW / CLOSE) * np.log(LOW / OPEN)
    return np.sqrt(terms.rolling(20).mean())


def share_of_volume(values: pd.Series) -> pd.Series:
    return (values * VOLUME).rolling(20).sum() / VOLUME.rolling(20).sum()


ORACLES: dict[str, pd.Series] = {
    **{f"log_return_{h}": np.log(CLOSE).diff(h) for h in (1, 2, 5, 10, 20, 60)},
    **{f"roc_{h}": 100 * (CLOSE / CLOSE.shift(h) - 1) for h in (10, 30)},
    **{f"rsi_{w}": ta.momentum.RSIIndicator(CLOSE, w).rsi() for w in (7, 14)},
    "stochastic_k_14": STOCHASTIC.stoch(),
    "stochastic_d_14": STOCHASTIC.stoch_signal(),
    "williams_r_14": ta.momentum.WilliamsRIndicator(HIGH, LOW, CLOSE, 14).williams_r(),
    "cci_20": ta.trend.CCIIndicator(HIGH, LOW, CLOSE, 20).cci(),
    "macd_12_26": MACD.macd() / CLOSE,
    "macd_signal_9": MACD.macd_signal() / CLOSE,
    "macd_histogram": MACD.macd_diff() / CLOSE,
    "adx_10": ADX.adx(),
    "plus_di_10": ADX.adx_pos(),
    "minus_di_10": ADX.adx_neg(),
    **{f"sma_distance_{w}": CLOSE / CLOSE.rolling(w).mean() - 1 for w in (10, 20, 50)},
    **{f"ema_distance_{w}": CLOSE / CLOSE.ewm(span=w, adjust=False).mean() - 1 for w in (8, 21, 34)},
    "bollinger_width_50": ta.volatility.BollingerBands(CLOSE, 50).bollinger_wband() / 100,
    "bollinger_b_20": ta.volatility.BollingerBands(CLOSE, 20).bollinger_pband(),
    "keltner_position_20": keltner(),
    **{
        f"donchian_position_{w}": ta.volatility.DonchianChannel(HIGH, LOW, CLOSE, w).donchian_channel_pband()
        for w in (20, 55)
    },
    "atr_ratio_14": true_range().ewm(alpha=1 / 14, adjust=False).mean() / CLOSE,
    **{f"volatility_{w}": RETURN.rolling(w).std(ddof=0) for w in (20, 60)},
    "parkinson_20": np.sqrt((np.log(HIGH / LOW) ** 2).rolling(20).mean() / (4 * np.log(2))),
    "garman_klass_20": garman_klass(),
    "rogers_satchell_20": rogers_satchell(),
    "mfi_14": ta.volume.MFIIndicator(HIGH, LOW, CLOSE, VOLUME, 14).money_flow_index(),
    "obv_20": share_of_volume(np.sign(CLOSE.diff())),
    "cmf_20": ta.volume.ChaikinMoneyFlowIndicator(HIGH, LOW, CLOSE, VOLUME, 20).chaikin_money_flow(),
    "vwap_distance_20": CLOSE
    / ta.volume.VolumeWeightedAveragePrice(HIGH, LOW, CLOSE, VOLUME, 20).volume_weighted_average_price()
    - 1,
    "volume_z_20": (VOLUME - VOLUME.rolling(20).mean()) / VOLUME.rolling(20).std(ddof=0),
    "volume_ratio_5_20": VOLUME.rolling(5).mean() / VOLUME.rolling(20).mean(),
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return technical.compute(BARS)


@pytest.mark.parametrize("column", ORACLES)
def test_columns_equal_their_oracle(table: pd.DataFrame, column: str) -> None:
    # `ta` starts its recursions at the first bar; twice the look-back lets that fade.
    rows = slice(2 * technical.lookback(), None)
    np.testing.assert_allclose(table[column][rows], ORACLES[column][rows], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("column", "prices", "extreme"), [("up", HIGH, np.argmax), ("down", LOW, np.argmin)])
def test_aroon_counts_bars_since_the_extreme(
    table: pd.DataFrame, column: str, prices: pd.Series, extreme: object
) -> None:
    since = prices.rolling(26).apply(lambda window: 25 - extreme(window), raw=True)  # type: ignore[operator]
    rows = slice(technical.lookback(), None)
    np.testing.assert_allclose(table[f"aroon_{column}_25"][rows], (100 * (25 - since) / 25)[rows])


def test_every_column_has_an_oracle() -> None:
    assert set(technical.COLUMNS) == set(ORACLES) | {"aroon_up_25", "aroon_down_25"}
    assert len(technical.COLUMNS) >= 30
    assert technical.lookback() <= 300


def test_values_depend_on_exactly_the_declared_past() -> None:
    back = technical.lookback()
    whole = technical.compute(BARS).to_numpy()
    part = technical.compute(BARS.iloc[100:]).to_numpy()
    assert part[back:].tobytes() == whole[100 + back :].tobytes()


def test_bounded_columns_stay_in_their_range(table: pd.DataFrame) -> None:
    rows = table.iloc[technical.lookback() :]
    for column in rows.columns:
        if column.startswith(("rsi", "stochastic", "adx", "plus_di", "minus_di", "aroon", "mfi")):
            assert rows[column].between(0, 100).all(), column
    assert rows["williams_r_14"].between(-100, 0).all()
    for column in ("obv_20", "cmf_20"):
        assert rows[column].between(-1, 1).all(), column


def test_a_flat_market_is_neutral() -> None:
    flat = BARS.assign(open=0.1, high=0.1, low=0.1, close=0.1)
    last = technical.compute(flat).iloc[-1]
    assert last["rsi_14"] == last["stochastic_k_14"] == last["mfi_14"] == 50
    assert last["adx_10"] == last["cci_20"] == last["keltner_position_20"] == last["volatility_20"] == 0
    assert last["bollinger_b_20"] == last["donchian_position_20"] == 0.5
    assert last["williams_r_14"] == -50


def test_a_pause_in_trading_misses_volume_only_while_the_window_is_empty() -> None:
    bars = BARS.copy()
    bars.loc[400:449, "volume"] = 0.0
    column = features.compute("technical", bars)["technical__obv_20"]
    assert np.isnan(column[419:450]).all()
    assert np.isfinite(column[300:419]).all()
    assert np.isfinite(column[450:]).all()
