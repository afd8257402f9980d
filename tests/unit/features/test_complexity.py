"""The six indicators against their formulas, written the slow way; the whole family on markets whose answer is known.

The entropies and fractal measures have their oracles in test_entropy.py and test_complexity_fractal.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import features
from betti.errors import BadParam
from betti.features import _entropy, _fractal, complexity
from tests.conftest import random_bars

if TYPE_CHECKING:
    import pandas as pd

WINDOW = 20
BARS = random_bars(200, 12)


def directly(bars: pd.DataFrame, t: int) -> dict[str, float]:
    """One row, bar by bar."""
    close, low, high, volume = (bars[c].to_numpy() for c in ("close", "low", "high", "volume"))
    last = slice(t - WINDOW + 1, t + 1)
    moves = np.diff(np.log(close[t - WINDOW : t + 1]))
    rebounds = []
    for s in range(t - WINDOW + 1, t + 1):
        support = low[s - WINDOW : s].min()
        typical = (high - low)[s - WINDOW + 1 : s + 1].mean()
        if low[s] <= support + 0.25 * typical:
            rebounds.append(np.clip((close[s] - support) / typical, -1, 1))
    path = np.abs(np.diff(close[t - WINDOW : t + 1])).sum()
    return {
        "ma_separation": close[t - 4 : t + 1].mean() / close[last].mean() - 1,
        "bollinger_width": 4 * close[last].std() / close[last].mean(),
        "price_efficiency": abs(close[t] - close[t - WINDOW]) / path,
        "support_reaction": float(np.mean(rebounds)) if rebounds else 0.0,
        "directional_result": moves.sum() / np.sqrt(WINDOW * (moves**2).sum()),
        "volume_price_alignment": np.corrcoef(volume[last], np.abs(moves))[0, 1],
    }


def market(close: np.ndarray, volume: np.ndarray | float = 1.0) -> pd.DataFrame:
    return random_bars(len(close)).assign(open=close, high=close * 1.001, low=close * 0.999, close=close, volume=volume)


@pytest.mark.parametrize("t", [39, 57, 120, 199])
def test_rows_equal_the_formulas(t: int) -> None:
    row = complexity.compute(BARS, window=WINDOW).iloc[t]
    expected = directly(BARS, t)
    assert tuple(row.index) == complexity.COLUMNS
    assert tuple(expected) == complexity.INDICATORS == complexity.COLUMNS[:6]
    for column, value in expected.items():
        np.testing.assert_allclose(row[column], value, rtol=1e-9, atol=1e-12, err_msg=column)


def test_the_first_complete_row_is_the_look_back() -> None:
    for window, entropy_window in ((8, 50), (40, 50), (20, 100), (33, 65), (33, 66)):
        table = complexity.compute(BARS, window=window, entropy_window=entropy_window)
        back = complexity.lookback(window=window, entropy_window=entropy_window)
        assert np.isfinite(table.iloc[back:].to_numpy()).all()
        assert table.iloc[back - 1].isna().any()


def test_a_straight_rise_is_efficient_and_directional() -> None:
    row = complexity.compute(market(100 * 1.01 ** np.arange(80))).iloc[-1]
    np.testing.assert_allclose([row["price_efficiency"], row["directional_result"]], 1.0)
    assert row["ma_separation"] > 0
    assert row["support_reaction"] == 0  # support is never tested


def test_a_straight_fall_breaks_support() -> None:
    row = complexity.compute(market(100 * 0.99 ** np.arange(80))).iloc[-1]
    np.testing.assert_allclose(row["directional_result"], -1.0)
    assert row["support_reaction"] == -1.0


def test_a_zigzag_goes_nowhere_and_holds_support() -> None:
    row = complexity.compute(market(np.where(np.arange(80) % 2, 101.0, 100.0))).iloc[-1]
    assert row["price_efficiency"] == 0
    assert abs(row["directional_result"]) < 1e-12
    assert row["support_reaction"] > 0


def test_volume_that_comes_with_moves_is_aligned() -> None:
    close = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 80)))
    move = np.abs(np.diff(np.log(close), prepend=np.log(close[0])))
    for volume, alignment in ((1 + move, 1.0), (1 - move, -1.0), (np.ones(80), 0.0)):
        row = complexity.compute(market(close, volume * 1e6)).iloc[-1]
        np.testing.assert_allclose(row["volume_price_alignment"], alignment, atol=1e-9)


# --- the whole family

MANY = random_bars(1200, 5)
BACK = complexity.lookback()


def still(close: np.ndarray) -> pd.DataFrame:
    return market(close).assign(high=close, low=close)


def test_the_measures_are_those_of_log_returns_and_log_prices() -> None:
    table = complexity.compute(MANY, entropy_window=60)
    price = np.log(MANY["close"].to_numpy())
    change = np.diff(price, prepend=np.nan)
    expected = {
        "permutation_entropy": _entropy.permutation_entropy(change, 60),
        "sample_entropy": _entropy.sample_entropy(change, 60),
        "spectral_entropy": _entropy.spectral_entropy(change, 60),
        "lempel_ziv_complexity": _entropy.lempel_ziv_complexity(change, 60),
        "hurst_exponent": _fractal.hurst_exponent(change, 60),
        "detrended_fluctuation": _fractal.detrended_fluctuation(change, 60, (4, 5, 6, 8, 9, 11, 14)),
        "higuchi_dimension": _fractal.higuchi_dimension(price, 60),
        "petrosian_dimension": _fractal.petrosian_dimension(change, 60),
    }
    assert tuple(expected) == complexity.COLUMNS[6:]
    for column, values in expected.items():
        np.testing.assert_allclose(table[column], values, rtol=1e-7, err_msg=column)


@pytest.mark.parametrize(
    "close", [np.full(160, 0.1), np.full(160, 1e9), 1e-9 * 1.01 ** np.arange(160)], ids=["low", "high", "steady rise"]
)
def test_returns_that_are_all_equal_have_the_documented_values(close: np.ndarray) -> None:
    last = complexity.compute(still(close)).iloc[-1]
    words = 2 * np.log2(100) / 100
    np.testing.assert_allclose(last.iloc[6:], [0, 0, 0, words, 0.5, 0.5, 1, 1], atol=1e-9)


def test_a_flat_market_is_zero_in_the_six() -> None:
    last = complexity.compute(still(np.full(160, 0.1))).iloc[-1]
    np.testing.assert_allclose(last.iloc[:6].to_numpy(dtype="float64"), 0, atol=1e-12)


@pytest.mark.parametrize("unit", [1e-11, 1e-3, 1e7, 3.7])
def test_prices_in_another_unit_change_nothing(unit: float) -> None:
    ticks = MANY.assign(close=MANY["close"].round(1))  # so that many returns are equal or 0
    prices = ["open", "high", "low", "close"]
    before = complexity.compute(ticks).iloc[BACK:, 6:]
    after = complexity.compute(ticks.assign(**{name: ticks[name] * unit for name in prices})).iloc[BACK:, 6:]
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-9)


def test_equal_moves_are_equal_at_any_price() -> None:
    """Steps of one per cent differ in their last bits from price to price; their order must not."""
    steps = np.random.default_rng(1).integers(-1, 2, 300).astype("float64")
    exact = _entropy.permutation_entropy(steps, 100)[100:]
    for unit in (0.1, 100.0, 7e8):
        table = complexity.compute(still(unit * 1.01 ** np.cumsum(steps)))
        np.testing.assert_allclose(table["permutation_entropy"][100:], exact, atol=1e-12)


def test_a_slice_with_its_look_back_has_the_bits_of_the_whole() -> None:
    whole = complexity.compute(MANY).to_numpy()
    for row in (BACK, 255, 256, 355, 356, 611, 1199):  # blocks of rows end there
        for longer in (0, 1, 130):
            part = complexity.compute(MANY.iloc[max(row - BACK - longer, 0) : row + 1]).to_numpy()
            assert part[-1, 6:].tobytes() == whole[row, 6:].tobytes()


steps = st.lists(st.sampled_from([-30, -1, 0, 0, 0, 1, 1, 40]), min_size=60, max_size=90)


@given(steps=steps, tick=st.sampled_from([1e-12, 1e-6, 0.01]), level=st.sampled_from([1e-9, 1.0, 1e9]))
@settings(max_examples=60, deadline=None)
def test_every_market_gives_finite_values_within_their_range(steps: list[int], tick: float, level: float) -> None:
    close = level * np.exp(np.cumsum(steps) * tick)
    table = complexity.compute(still(close), entropy_window=50).iloc[50:]
    assert np.isfinite(table.to_numpy()).all()
    for column in ("permutation_entropy", "spectral_entropy"):
        assert table[column].between(0, 1).all()
    assert table["sample_entropy"].between(0, np.log(48 * 47 / 2)).all()
    assert (table[["lempel_ziv_complexity", "petrosian_dimension"]] > 0).all().all()


@pytest.mark.parametrize("value", [49, 1025, "long"])
def test_the_longer_window_is_bounded_by_its_knob(value: object) -> None:
    with pytest.raises(BadParam, match="entropy_window"):
        features.compute("complexity", BARS, entropy_window=value)
