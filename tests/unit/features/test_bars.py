"""The fourteen channels against `ta`, the standard library's normal distribution and direct formulas."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
import ta
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import counts, features
from betti.errors import BadParam
from betti.features import bars as family
from betti.features import technical
from tests.conftest import random_bars

BARS = random_bars(900, 14)
OPEN, HIGH, LOW, CLOSE, VOLUME = (BARS[name] for name in ("open", "high", "low", "close", "volume"))
BACK = family.lookback()
RETURN = np.log(CLOSE).diff()
FLOW = ["volume", "buy_volume", "sell_volume", "delta", "cumulative_delta"]
PRICES = ["open", "high", "low", "close"]

few = settings(max_examples=20, deadline=None, derandomize=True)

MACD = ta.trend.MACD(CLOSE)
ORACLES = {
    **{name: np.log(BARS[name] / CLOSE.shift()) for name in PRICES},
    "volume": VOLUME / VOLUME.rolling(96).mean(),
    "rsi_14": ta.momentum.RSIIndicator(CLOSE, 14).rsi(),
    "macd_12_26": MACD.macd() / CLOSE,
    "bollinger_b_20": ta.volatility.BollingerBands(CLOSE, 20).bollinger_pband(),
    "atr_ratio_14": ta.volatility.AverageTrueRange(HIGH, LOW, CLOSE, 14).average_true_range() / CLOSE,
    "momentum_10": np.log(1 + ta.momentum.ROCIndicator(CLOSE, 10).roc() / 100),
}


def classified(bars: pd.DataFrame, t: int, window: int) -> float:
    """Bought share of one bar by its price alone."""
    moves = np.diff(np.log(bars["close"].to_numpy()[t - window : t + 1]))
    return NormalDist().cdf(moves[-1] / moves.std())


def with_takers(bars: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    share = np.random.default_rng(seed).uniform(0, 1, len(bars))
    return bars.assign(buy_volume=share * bars["volume"], sell_volume=(1 - share) * bars["volume"])


# --- formulas


@pytest.mark.parametrize("column", ORACLES)
def test_columns_equal_their_oracle(column: str) -> None:
    # `ta` starts its recursions at the first bar; twice the look-back lets that fade.
    rows = slice(2 * BACK, None)
    np.testing.assert_allclose(family.compute(BARS)[column][rows], ORACLES[column][rows], rtol=2e-5, atol=2e-6)


def test_every_column_has_an_oracle() -> None:
    flow_by_other_tests = {"buy_volume", "sell_volume", "delta", "cumulative_delta"}
    assert set(family.COLUMNS) == set(ORACLES) | flow_by_other_tests
    assert len(family.COLUMNS) == 14


@pytest.mark.parametrize("column", ["rsi_14", "macd_12_26", "bollinger_b_20", "atr_ratio_14"])
def test_an_indicator_that_technical_has_too_is_the_same(column: str) -> None:
    rows = slice(max(BACK, technical.lookback()), None)
    ours, theirs = (module.compute(BARS)[column][rows].to_numpy() for module in (family, technical))
    # Both forget where they began, technical after 263 bars and these after 191.
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("t", [191, 200, 417, 899])
def test_the_bought_share_is_estimated_by_bulk_volume_classification(t: int) -> None:
    row, mean = family.compute(BARS).iloc[t], VOLUME[t - 95 : t + 1].mean()
    share = classified(BARS, t, 96)
    assert row["buy_volume"] == pytest.approx(share * VOLUME[t] / mean)
    assert row["sell_volume"] == pytest.approx((1 - share) * VOLUME[t] / mean)
    assert row["delta"] == pytest.approx((2 * share - 1) * VOLUME[t] / mean)
    net = sum((2 * classified(BARS, s, 96) - 1) * VOLUME[s] for s in range(t - 95, t + 1))
    assert row["cumulative_delta"] == pytest.approx(net / VOLUME[t - 95 : t + 1].sum())


def test_takers_are_measured_where_the_source_tells_them() -> None:
    bars = with_takers(BARS)
    table, mean = family.compute(bars).iloc[BACK:], VOLUME.rolling(96).mean()[BACK:]
    np.testing.assert_allclose(table["buy_volume"], bars["buy_volume"][BACK:] / mean)
    np.testing.assert_allclose(table["sell_volume"], bars["sell_volume"][BACK:] / mean)
    net = (bars["buy_volume"] - bars["sell_volume"]).rolling(96).sum() / VOLUME.rolling(96).sum()
    np.testing.assert_allclose(table["cumulative_delta"], net[BACK:], atol=1e-12)


@pytest.mark.parametrize("missing", ["buy_volume", "sell_volume"])
def test_one_side_tells_the_other(missing: str) -> None:
    bars = with_takers(BARS)
    both, one = (family.compute(each).iloc[BACK:] for each in (bars, bars.drop(columns=missing)))
    pd.testing.assert_frame_equal(one, both, rtol=1e-9, atol=1e-9)
    nulls = family.compute(bars.assign(**{missing: np.nan})).iloc[BACK:]
    pd.testing.assert_frame_equal(nulls, one)


@pytest.mark.parametrize("unknown", [np.nan, 0.0])
def test_a_bar_without_takers_is_estimated_among_measured_ones(unknown: float) -> None:
    bars = with_takers(BARS)
    bars.loc[500, ["buy_volume", "sell_volume"]] = unknown
    measured, estimated, mixed = (family.compute(each)["delta"] for each in (with_takers(BARS), BARS, bars))
    assert mixed[500] == estimated[500] != measured[500]
    assert (mixed.drop(500)[BACK:] == measured.drop(500)[BACK:]).all()


def test_a_side_rounded_above_its_volume_is_all_of_it() -> None:
    table = family.compute(BARS.assign(buy_volume=VOLUME * 1.001)).iloc[BACK:]
    assert (table["sell_volume"] == 0).all()
    np.testing.assert_allclose(table["cumulative_delta"], 1)


# --- what the table says of itself


def test_the_table_says_what_was_estimated() -> None:
    half = with_takers(BARS)
    half.loc[half.index % 2 == 0, ["buy_volume", "sell_volume"]] = np.nan
    rows = len(BARS) - BACK
    assert counts.of(features.compute("bars", BARS)) == {"estimated": rows}
    assert counts.of(features.compute("bars", with_takers(BARS))) == {"measured": rows}
    assert counts.of(features.compute("bars", half)) == {"estimated": rows // 2, "measured": rows - rows // 2}
    assert counts.of(features.compute("bars", BARS.assign(volume=0.0))) == {}


def test_counts_of_slices_add_up_to_those_of_the_whole() -> None:
    half = with_takers(BARS)
    half.loc[half.index % 3 == 0, ["buy_volume", "sell_volume"]] = np.nan
    slices = (half.iloc[:400], half.iloc[400 - BACK : 650], half.iloc[650 - BACK :])
    assert counts.total(counts.of(family.compute(each)) for each in slices) == counts.of(family.compute(half))


# --- laws


@few
@given(st.integers(0, 10_000), st.booleans())
def test_volume_is_its_two_sides_and_delta_their_difference(seed: int, measured: bool) -> None:
    bars = random_bars(BACK + 30, seed)
    table = family.compute(with_takers(bars, seed) if measured else bars).iloc[BACK:]
    np.testing.assert_allclose(table["buy_volume"] + table["sell_volume"], table["volume"])
    np.testing.assert_allclose(table["buy_volume"] - table["sell_volume"], table["delta"], atol=1e-9)
    assert table["volume"].between(0, 96).all()
    assert table["cumulative_delta"].between(-1, 1).all()


def test_the_closes_add_up_to_the_path_of_the_price() -> None:
    table = family.compute(BARS)
    np.testing.assert_allclose(table["close"][1:].sum(), np.log(CLOSE.iloc[-1] / CLOSE.iloc[0]))
    assert (table["high"] >= table[PRICES].max(axis=1) - 1e-15)[1:].all()
    assert (table["low"] <= table[PRICES].min(axis=1) + 1e-15)[1:].all()


@few
@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.integers(0, 10_000))
def test_units_of_price_and_volume_do_not_matter(price: float, volume: float, seed: int) -> None:
    bars = with_takers(random_bars(BACK + 20, seed), seed)
    bars.loc[bars.index % 2 == 0, ["buy_volume", "sell_volume"]] = np.nan
    others = bars.assign(
        **{name: bars[name] * price for name in PRICES},
        **{name: bars[name] * volume for name in ("volume", "buy_volume", "sell_volume")},
    )
    before, after = (family.compute(each).iloc[BACK:] for each in (bars, others))
    pd.testing.assert_frame_equal(after, before, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("window", [8, 96, 150])
def test_values_depend_on_exactly_the_declared_past(window: int) -> None:
    back = family.lookback(window=window)
    whole = family.compute(BARS, window=window).to_numpy()
    assert np.isfinite(whole[back:]).all()
    assert np.isnan(whole[back - 1]).any()
    for start in (1, 37, 100):
        part = family.compute(BARS.iloc[start:], window=window).to_numpy()
        assert part[back:].tobytes() == whole[start + back :].tobytes()


def test_a_flat_market_is_neutral() -> None:
    last = family.compute(BARS.assign(**dict.fromkeys(PRICES, 0.1), volume=7.0)).iloc[-1]
    assert last["rsi_14"] == 50 and last["bollinger_b_20"] == 0.5 and last["volume"] == 1
    assert last["buy_volume"] == last["sell_volume"] == 0.5
    assert last.drop(["rsi_14", "bollinger_b_20", "volume", "buy_volume", "sell_volume"]).abs().max() < 1e-12


def test_volume_is_missing_only_while_the_window_has_none() -> None:
    bars = BARS.copy()
    bars.loc[400:549, "volume"] = np.nan
    table = family.compute(bars)
    assert table.loc[495:549, FLOW].isna().all(axis=None)
    assert table.loc[BACK:494, FLOW].notna().all(axis=None) and table.loc[550:, FLOW].notna().all(axis=None)
    assert table.drop(columns=FLOW)[BACK:].notna().all(axis=None)


def test_a_window_out_of_range_is_refused() -> None:
    with pytest.raises(BadParam, match="window"):
        features.compute("bars", BARS.iloc[:5], window=7)
