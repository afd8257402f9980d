"""Technical columns against `ta` to 1e-9, and against direct formulas where it has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest
import ta
from scipy.stats import norm

from betti import counts, features, probes
from betti.features import technical
from tests.conftest import random_bars

BACK = technical.lookback()
BARS = random_bars(900, 11)
CLOSE, VOLUME = BARS["close"], BARS["volume"]
EXACT = {"rtol": 1e-9, "atol": 1e-9}
ROWS = (BACK, BACK + 1, 300, 417, 500, 611, 733, 899)

Oracles = Iterator[tuple[str, pd.Series]]


# --- what ta has


def windowed(bars: pd.DataFrame) -> Oracles:
    """Indicators over plain windows."""
    high, low, close, volume = (bars[name] for name in ("high", "low", "close", "volume"))
    stochastic = ta.momentum.StochasticOscillator(high, low, close)
    yield "log_return_1", ta.others.DailyLogReturnIndicator(close).daily_log_return() / 100
    yield "return_1", ta.others.DailyReturnIndicator(close).daily_return() / 100
    for window in (1, 2, 3, 5, 20, 60, 120):
        yield f"return_{window}", ta.momentum.ROCIndicator(close, window).roc() / 100
    for window in (10, 30):
        yield f"roc_{window}", ta.momentum.ROCIndicator(close, window).roc()
    yield "stochastic_k_14", stochastic.stoch()
    yield "stochastic_d_14", stochastic.stoch_signal()
    yield "williams_r_14", ta.momentum.WilliamsRIndicator(high, low, close, 14).williams_r()
    yield "cci_20", ta.trend.CCIIndicator(high, low, close, 20).cci()
    aroon = ta.trend.AroonIndicator(high, low, 25)
    yield "aroon_up_25", aroon.aroon_up()
    yield "aroon_down_25", aroon.aroon_down()
    yield "aroon_oscillator_25", aroon.aroon_indicator()
    for window in (5, 10, 20, 50, 100, 200):
        yield f"sma_distance_{window}", close / ta.trend.SMAIndicator(close, window).sma_indicator() - 1
    for window in (20, 50):
        bands = ta.volatility.BollingerBands(close, window)
        yield f"bollinger_width_{window}", bands.bollinger_wband() / 100
        yield f"bollinger_b_{window}", bands.bollinger_pband()
    for window in (20, 55):
        channel = ta.volatility.DonchianChannel(high, low, close, window)
        yield f"donchian_position_{window}", channel.donchian_channel_pband()
    balance = ta.volume.OnBalanceVolumeIndicator(close, volume).on_balance_volume()
    for window in (20, 60):
        vwap = ta.volume.VolumeWeightedAveragePrice(high, low, close, volume, window).volume_weighted_average_price()
        yield f"vwap_distance_{window}", close / vwap - 1
        yield f"obv_{window}", balance.diff(window) / volume.rolling(window).sum()
    yield "mfi_14", ta.volume.MFIIndicator(high, low, close, volume, 14).money_flow_index()
    yield "cmf_20", ta.volume.ChaikinMoneyFlowIndicator(high, low, close, volume, 20).chaikin_money_flow()


def recursive(bars: pd.DataFrame) -> Oracles:
    """Indicators that remember the first bar of the frame they are given."""
    high, low, close = (bars[name] for name in ("high", "low", "close"))
    macd, adx = ta.trend.MACD(close), ta.trend.ADXIndicator(high, low, close, 10)
    for window in (7, 14):
        yield f"rsi_{window}", ta.momentum.RSIIndicator(close, window).rsi()
    yield "macd_12_26", macd.macd() / close
    yield "macd_signal_9", macd.macd_signal() / close
    yield "macd_histogram", macd.macd_diff() / close
    yield "adx_10", adx.adx()
    yield "plus_di_10", adx.adx_pos()
    yield "minus_di_10", adx.adx_neg()
    for window in (8, 13, 21, 34):
        yield f"ema_distance_{window}", close / ta.trend.EMAIndicator(close, window).ema_indicator() - 1
    short, usual = (ta.volatility.AverageTrueRange(high, low, close, bars).average_true_range() for bars in (5, 14))
    yield "atr_ratio_14", usual / close
    yield "atr_ratio_5_14", short / usual
    yield "true_range_14", true_range(bars) / usual
    keltner = ta.volatility.KeltnerChannel(high, low, close, 20, 10, original_version=False)
    yield "keltner_position_20", 2 * keltner.keltner_channel_pband() - 1


def true_range(bars: pd.DataFrame) -> pd.Series:
    before = bars["close"].shift(1)
    distances = [bars["high"] - bars["low"], (bars["high"] - before).abs(), (bars["low"] - before).abs()]
    return pd.concat(distances, axis=1).max(axis=1)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return technical.compute(BARS)


@pytest.mark.parametrize(("column", "oracle"), windowed(BARS), ids=lambda case: case if isinstance(case, str) else "")
def test_a_window_gives_what_ta_gives(table: pd.DataFrame, column: str, oracle: pd.Series) -> None:
    np.testing.assert_allclose(table[column][BACK:], oracle[BACK:], **EXACT)


@pytest.mark.parametrize("row", ROWS)
def test_a_recursion_gives_what_ta_gives_on_the_bars_of_the_look_back(table: pd.DataFrame, row: int) -> None:
    past = BARS.iloc[row - BACK : row + 1].reset_index(drop=True)
    for column, oracle in recursive(past):
        np.testing.assert_allclose(table[column][row], oracle.iloc[-1], **EXACT, err_msg=column)


@pytest.mark.parametrize(("column", "oracle"), recursive(BARS), ids=lambda case: case if isinstance(case, str) else "")
def test_a_recursion_has_forgotten_what_ta_started_with(table: pd.DataFrame, column: str, oracle: pd.Series) -> None:
    rows = slice(2 * BACK, None)
    scale = max(1.0, float(oracle[rows].abs().max()))
    np.testing.assert_allclose(table[column][rows], oracle[rows], rtol=0, atol=1e-6 * scale)


# --- what it has not


def log(bars: pd.DataFrame, above: str, below: str) -> pd.Series:
    return np.log(bars[above] / bars[below])


def garman_klass(bars: pd.DataFrame, window: int) -> pd.Series:
    terms = 0.5 * log(bars, "high", "low") ** 2 - (2 * np.log(2) - 1) * log(bars, "close", "open") ** 2
    return np.sqrt(terms.rolling(window).mean())


def rogers_satchell(bars: pd.DataFrame, window: int) -> pd.Series:
    above = log(bars, "high", "close") * log(bars, "high", "open")
    below = log(bars, "low", "close") * log(bars, "low", "open")
    return np.sqrt((above + below).rolling(window).mean())


def yang_zhang(bars: pd.DataFrame, window: int) -> pd.Series:
    overnight = np.log(bars["open"] / bars["close"].shift(1)).rolling(window).var(ddof=1)
    day = log(bars, "close", "open").rolling(window).var(ddof=1)
    k = 0.34 / (1.34 + (window + 1) / (window - 1))
    return np.sqrt(overnight + k * day + (1 - k) * rogers_satchell(bars, window) ** 2)


def formulas() -> Oracles:
    change = np.log(CLOSE).diff()
    for bars in (1, 2, 3, 5, 10, 20, 30, 60, 120):
        yield f"log_return_{bars}", np.log(CLOSE).diff(bars)
    for window in (10, 20, 60, 120):
        yield f"volatility_{window}", change.rolling(window).std(ddof=0)
    for window in (20, 60):
        yield f"parkinson_{window}", np.sqrt((log(BARS, "high", "low") ** 2).rolling(window).mean() / (4 * np.log(2)))
        yield f"garman_klass_{window}", garman_klass(BARS, window)
        yield f"rogers_satchell_{window}", rogers_satchell(BARS, window)
        yield f"yang_zhang_{window}", yang_zhang(BARS, window)
        yield f"volume_z_{window}", (VOLUME - VOLUME.rolling(window).mean()) / VOLUME.rolling(window).std(ddof=0)
    yield "volume_ratio_5_20", VOLUME.rolling(5).mean() / VOLUME.rolling(20).mean()
    share = pd.Series(norm.cdf(change / change.rolling(20).std(ddof=0)))
    yield from flow(share * VOLUME, (1 - share) * VOLUME)


def flow(buy: pd.Series, sell: pd.Series) -> Oracles:
    usual = VOLUME.rolling(20).mean()
    yield "buy_volume_20", buy / usual
    yield "sell_volume_20", sell / usual
    yield "delta_20", (buy - sell) / usual
    for window in (20, 60):
        yield f"cumulative_delta_{window}", (buy - sell).rolling(window).sum() / VOLUME.rolling(window).sum()


@pytest.mark.parametrize(("column", "oracle"), formulas(), ids=lambda case: case if isinstance(case, str) else "")
def test_a_formula(table: pd.DataFrame, column: str, oracle: pd.Series) -> None:
    np.testing.assert_allclose(table[column][BACK:], oracle[BACK:], **EXACT)


def test_takers_are_read_where_the_bars_have_them() -> None:
    buy = VOLUME * np.random.default_rng(0).beta(5, 5, len(BARS))
    taken = technical.compute(BARS.assign(buy_volume=buy, sell_volume=VOLUME - buy))
    for column, oracle in flow(buy, VOLUME - buy):
        np.testing.assert_allclose(taken[column][BACK:], oracle[BACK:], **EXACT, err_msg=column)
    assert counts.of(taken) == {"measured": len(BARS) - BACK}
    assert counts.of(technical.compute(BARS)) == {"estimated": len(BARS) - BACK}


def test_every_column_has_an_oracle() -> None:
    oracles = {column for made in (windowed(BARS), recursive(BARS), formulas()) for column, _ in made}
    assert set(technical.COLUMNS) == oracles | {"supertrend_direction_10", "supertrend_distance_10"}
    assert len(set(technical.COLUMNS)) == len(technical.COLUMNS)


def test_there_are_a_hundred_columns_with_candle_and_calendar() -> None:
    families = [features.family(name) for name in ("technical", "candle", "calendar")]
    assert sum(len(family.columns) for family in families) >= 100


# --- Supertrend


def textbook(bars: pd.DataFrame, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Direction and band by the usual rules, from a given bar on, 0 and the close until a band is crossed."""
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    atr = true_range(bars).ewm(alpha=0.1, adjust=False).mean().to_numpy()
    upper, lower = (high + low) / 2 + 3 * atr, (high + low) / 2 - 3 * atr
    direction, band = np.zeros(len(bars)), close.copy()
    for t in range(start, len(bars)):
        if t > start:
            if not (upper[t] < upper[t - 1] or close[t - 1] > upper[t - 1]):
                upper[t] = upper[t - 1]
            if not (lower[t] > lower[t - 1] or close[t - 1] < lower[t - 1]):
                lower[t] = lower[t - 1]
            direction[t] = direction[t - 1]
        if direction[t] <= 0 and close[t] > upper[t]:
            direction[t] = 1
        elif direction[t] >= 0 and close[t] < lower[t]:
            direction[t] = -1
        band[t] = {1: lower[t], -1: upper[t], 0: close[t]}[int(direction[t])]
    return direction, (close - band) / close


@pytest.mark.parametrize("row", ROWS)
def test_supertrend_follows_its_bands_over_132_bars(table: pd.DataFrame, row: int) -> None:
    direction, distance = textbook(BARS.iloc[: row + 1], start=row - 131)
    assert table["supertrend_direction_10"][row] == direction[-1]
    # The oracle's average true range begins at the first bar.
    assert table["supertrend_distance_10"][row] == pytest.approx(distance[-1], rel=1e-3, abs=1e-6)


def test_supertrend_is_nearly_always_the_textbooks() -> None:
    bars = probes.walk(20_000, 3)
    direction, distance = (values[BACK:] for values in textbook(bars))
    found = technical.compute(bars).iloc[BACK:]
    assert np.mean(found["supertrend_direction_10"] == direction) > 0.999
    assert np.mean(np.isclose(found["supertrend_distance_10"], distance, rtol=1e-3, atol=1e-6)) > 0.99


@pytest.mark.parametrize(("drift", "side"), [(0.01, 1), (-0.01, -1)])
def test_supertrend_says_where_a_steady_move_goes(drift: float, side: int) -> None:
    close = 100 * np.exp(drift * np.arange(400))
    bars = random_bars(400).assign(open=close, high=close * 1.002, low=close * 0.998, close=close)
    last = technical.compute(bars).iloc[-1]
    assert last["supertrend_direction_10"] == side
    assert np.sign(last["supertrend_distance_10"]) == side


# --- the past


def test_values_depend_on_exactly_the_declared_past() -> None:
    whole = technical.compute(BARS).to_numpy()
    for start in (1, 100, 333):
        part = technical.compute(BARS.iloc[start:]).to_numpy()
        assert part[BACK:].tobytes() == whole[start + BACK :].tobytes()


def test_a_long_frame_is_computed_in_stretches_that_leave_no_trace() -> None:
    bars = probes.walk(2 * technical._STRETCH + 5000, 1)
    whole, part = technical.compute(bars), technical.compute(bars.iloc[1000:])
    assert part.to_numpy()[BACK:].tobytes() == whole.to_numpy()[1000 + BACK :].tobytes()
    assert counts.of(whole) == {"measured": int((bars["volume"][BACK:] > 0).sum())}


def test_one_row_more_than_the_look_back_is_enough(table: pd.DataFrame) -> None:
    part = technical.compute(BARS.iloc[200 : 200 + BACK + 1])
    assert part.iloc[-1].to_numpy().tobytes() == table.iloc[200 + BACK].to_numpy().tobytes()
    assert technical.compute(BARS.iloc[:BACK]).isna().all(axis=None)


def test_the_frame_is_left_as_it_was() -> None:
    bars = BARS.assign(buy_volume=VOLUME / 2).set_index(pd.Index(np.arange(900)[::-1]))
    kept = bars.copy(deep=True)
    found = technical.compute(bars)
    pd.testing.assert_frame_equal(bars, kept)
    pd.testing.assert_index_equal(found.index, bars.index)


# --- ranges


def test_bounded_columns_stay_in_their_range(table: pd.DataFrame) -> None:
    rows = table.iloc[BACK:]
    ranges: dict[str, tuple[float, float]] = {
        **dict.fromkeys(("rsi", "stochastic", "adx", "plus_di", "minus_di", "aroon_up", "mfi"), (0, 100)),
        **dict.fromkeys(("aroon_oscillator",), (-100, 100)),
        **dict.fromkeys(("williams_r",), (-100, 0)),
        **dict.fromkeys(("obv", "cmf", "cumulative_delta", "supertrend_direction"), (-1, 1)),
        **dict.fromkeys(("buy_volume", "sell_volume"), (0, 20)),
        **dict.fromkeys(("donchian",), (0, 1)),
    }
    for start, (lowest, highest) in ranges.items():
        columns = [column for column in rows.columns if column.startswith(start)]
        assert columns, start
        for column in columns:
            assert rows[column].between(lowest, highest).all(), column


def test_bought_and_sold_volume_make_the_volume(table: pd.DataFrame) -> None:
    rows = table.iloc[BACK:]
    both = rows["buy_volume_20"] + rows["sell_volume_20"]
    np.testing.assert_allclose(both, (VOLUME / VOLUME.rolling(20).mean())[BACK:])
    np.testing.assert_allclose(rows["buy_volume_20"] - rows["sell_volume_20"], rows["delta_20"], atol=1e-12)


def test_the_later_of_two_equal_highs_counts() -> None:
    bars = BARS.iloc[: BACK + 30].copy()
    last = bars.index[-1]
    bars.loc[[last - 20, last - 4], "high"] = 2 * bars["high"].max()
    assert technical.compute(bars)["aroon_up_25"].iloc[-1] == 100 * (25 - 4) / 25


# --- degenerate markets


def flat(close: float) -> pd.DataFrame:
    return BARS.assign(open=close, high=close, low=close, close=close)


@pytest.mark.parametrize("close", [0.1, 1e-9, 1e9, 101.3])
def test_a_flat_market_is_neutral(close: float) -> None:
    last = technical.compute(flat(close)).iloc[-1]
    neutral = {
        **dict.fromkeys(("rsi_7", "rsi_14", "stochastic_k_14", "stochastic_d_14", "mfi_14"), 50.0),
        **dict.fromkeys(("aroon_up_25", "aroon_down_25"), 100.0),
        **dict.fromkeys(("bollinger_b_20", "bollinger_b_50", "donchian_position_20", "donchian_position_55"), 0.5),
        **dict.fromkeys(("atr_ratio_5_14", "true_range_14"), 1.0),
        "williams_r_14": -50.0,
    }
    by_volume = ("volume_", "buy_volume", "sell_volume")
    for column, value in last.items():
        if not str(column).startswith(by_volume):
            assert value == pytest.approx(neutral.get(str(column), 0.0), abs=1e-12), column
    assert last["buy_volume_20"] == last["sell_volume_20"]


def test_a_pause_in_trading_misses_volume_only_while_the_window_is_empty() -> None:
    bars = BARS.copy()
    bars.loc[400:449, "volume"] = 0.0
    found = features.compute("technical", bars)
    for column in ("obv_20", "vwap_distance_20", "delta_20", "cumulative_delta_20"):
        values = found[f"technical__{column}"]
        assert np.isnan(values[419:450]).all()
        assert np.isfinite(values[BACK:419]).all()
        assert np.isfinite(values[450:]).all()


CASES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "one tick, once": lambda bars: flat(0.1).assign(
        high=np.where(bars.index == 700, 0.11, 0.1), close=np.where(bars.index == 700, 0.11, 0.1)
    ),
    "one tick, to and fro": lambda bars: flat(5.0).assign(close=np.where(bars.index % 2 == 0, 5.0, 5.01), high=5.01),
    "a jump of ten thousand times": lambda bars: bars.assign(
        **{name: bars[name] * np.where(bars.index < 600, 1.0, 1e4) for name in ("open", "high", "low", "close")}
    ),
    "volume in one bar alone": lambda bars: bars.assign(volume=np.where(bars.index == 890, 1e12, 0.0)),
    "tiny volume": lambda bars: bars.assign(volume=bars["volume"] * 1e-300),
    "huge volume": lambda bars: bars.assign(volume=bars["volume"] * 1e100),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("price", [1e-11, 1.0, 1e7])
def test_odd_markets_give_finite_values(case: str, price: float) -> None:
    bars = CASES[case](BARS)
    bars = bars.assign(**{name: bars[name] * price for name in ("open", "high", "low", "close")})
    last = features.compute("technical", bars).iloc[[890, 899], 2:]
    assert np.isfinite(last.to_numpy()).all(), list(last.columns[~np.isfinite(last).all()])
