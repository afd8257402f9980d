"""The twelve candle columns against their formulas, written the slow way, and on bars whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import ta
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import features
from betti.errors import BadParam
from betti.features import _ranges as ranges
from betti.features import candle
from tests.conftest import random_bars

BARS = random_bars(700, 13)
BACK = candle.lookback()
MIRRORED = {"open": "open", "high": "low", "low": "high", "close": "close"}

few = settings(max_examples=20, deadline=None, derandomize=True)


def market(close: np.ndarray, above: float = 0.0, below: float = 0.0) -> pd.DataFrame:
    """Bars that open at the previous close; `above` and `below` are the wicks."""
    open_ = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(open_, close) + above, np.minimum(open_, close) - below
    return random_bars(len(close)).assign(open=open_, high=high, low=low, close=close)


def last_swing(values: np.ndarray, t: int, side: int, memory: int) -> tuple[float, int]:
    """Bar by bar, the latest first."""
    for s in range(t - side, t - memory, -1):
        around = range(s - side, s + side + 1)
        if all(values[s] >= values[i] for i in around if i < s) and all(values[s] > values[i] for i in around if i > s):
            return values[s], t - s
    highest = max(values[t - memory + 1 : t + 1])
    age = next(age for age in range(memory) if values[t - age] == highest)
    return highest, age


def wilder(bars: pd.DataFrame) -> np.ndarray:
    """The average true range as the textbook's recursion."""
    high, low, close = (bars[name] for name in ("high", "low", "close"))
    moved = pd.concat([high - low, (high - close.shift()).abs(), (low - close.shift()).abs()], axis=1).max(axis=1)
    return moved.iloc[1:].ewm(alpha=1 / 14, adjust=False).mean().reindex(bars.index).to_numpy()


def directly(bars: pd.DataFrame, t: int) -> dict[str, float]:
    """One row at default knobs."""
    open_, high, low, close = (bars[name].to_numpy() for name in ("open", "high", "low", "close"))
    atr, height, last = wilder(bars), high - low, slice(t - 19, t + 1)
    top, top_age = last_swing(high, t, 3, 105)
    bottom, bottom_age = last_swing(-low, t, 3, 105)
    move, path = close[t] - close[t - 8], sum(abs(close[s] - close[s - 1]) for s in range(t - 7, t + 1))
    tops = [max(high[s], close[s - 1]) for s in range(t - 19, t + 1)]
    bottoms = [min(low[s], close[s - 1]) for s in range(t - 19, t + 1)]
    covered = sum(a - b for a, b in zip(tops, bottoms, strict=True))
    return {
        "open_in_range": (open_[t] - low[t]) / height[t],
        "close_in_range": (close[t] - low[t]) / height[t],
        "body": (close[t] - open_[t]) / height[t],
        "upper_wick": (high[t] - max(open_[t], close[t])) / height[t],
        "lower_wick": (min(open_[t], close[t]) - low[t]) / height[t],
        "range_z": (height[t] - height[last].mean()) / height[last].std(),
        "swing_high_distance": float(np.clip((top - close[t]) / atr[t], -10, 10)),
        "swing_low_distance": float(np.clip((close[t] + bottom) / atr[t], -10, 10)),
        "swing_high_age": top_age / 104,
        "swing_low_age": bottom_age / 104,
        "expansion_proxy": abs(move) / path * move / (abs(move) + 3 * atr[t - 8]),
        "consolidation_proxy": math.log10(covered / (max(tops) - min(bottoms))) / math.log10(20),
    }


# --- formulas


@pytest.mark.parametrize("t", [420, 455, 533, 612, 699])
def test_rows_equal_the_formulas(t: int) -> None:
    row = candle.compute(BARS).iloc[t]
    expected = directly(BARS, t)
    assert tuple(row.index) == candle.COLUMNS == tuple(expected)
    assert len(candle.COLUMNS) == 12
    for column, value in expected.items():
        np.testing.assert_allclose(row[column], value, rtol=3e-6, atol=1e-12, err_msg=column)


def test_the_average_true_range_is_that_of_ta() -> None:
    high, low, close = (BARS[name] for name in ("high", "low", "close"))
    ours = ranges.average_true_range(high.to_numpy(), low.to_numpy(), close.to_numpy(), 14)
    theirs = ta.volatility.AverageTrueRange(high, low, close, 14).average_true_range()
    # `ta` starts from a plain mean; twice the memory lets that fade.
    np.testing.assert_allclose(ours[400:], theirs[400:], rtol=2e-6)


@few
@given(st.lists(st.integers(1, 6), min_size=70, max_size=110), st.integers(1, 5))
def test_swings_are_the_fractals_of_the_definition(ticks: list[int], side: int) -> None:
    """Prices on six ticks: nearly every level is tied."""
    values, memory = np.array(ticks, dtype=np.float64), 60
    level, age = candle._last_swing(values, side, memory)
    first = memory - 1 + side
    assert np.isnan(level[:first]).all() and np.isnan(age[:first]).all()
    for t in range(first, len(values)):
        assert (level[t], age[t]) == last_swing(values, t, side, memory)


@few
@given(st.lists(st.integers(1, 4), max_size=60), st.integers(1, 40))
def test_the_age_of_the_highest_is_that_of_the_slow_search(ticks: list[int], window: int) -> None:
    values = np.array(ticks, dtype=np.float64)
    found = candle._age_of_highest(values, window)
    for t in range(len(values)):
        recent = values[max(0, t - window + 1) : t + 1][::-1]
        assert found[t] == int(np.argmax(recent))


# --- bars whose answer is known


def test_a_swing_counts_only_once_it_is_confirmed() -> None:
    close = np.full(300, 100.0)
    close[[200, 250]] = 105.0, 110.0
    age = candle.compute(market(close, above=0.5, below=0.5))["swing_high_age"] * 104
    # The bar after a peak opens where the peak closed, so that two bars reach its high, and the later one is the swing.
    assert age[[250, 251, 252, 253]].tolist() == pytest.approx([49, 50, 51, 52])
    assert age[[254, 255, 299]].tolist() == pytest.approx([3, 4, 48])


def test_a_steady_climb_has_its_newest_high_and_its_oldest_low() -> None:
    last = candle.compute(market(np.linspace(100, 200, 400))).iloc[-1]
    assert last["swing_high_age"] == 0 and last["swing_high_distance"] == pytest.approx(0)
    assert last["swing_low_age"] == 1 and last["swing_low_distance"] == 10
    assert last["consolidation_proxy"] == pytest.approx(0, abs=1e-9)
    assert last["body"] == pytest.approx(1) and last["open_in_range"] == 0 and last["close_in_range"] == 1


@pytest.mark.parametrize(("sign", "score"), [(1, 0.5), (-1, -0.5)])
def test_a_straight_move_of_three_average_ranges_scores_one_half(sign: int, score: float) -> None:
    close = np.full(300, 100.0)
    close[-8:] += sign * 3.0 * np.arange(1, 9) / 8
    last = candle.compute(market(close, above=0.5, below=0.5)).iloc[-1]
    assert last["expansion_proxy"] == pytest.approx(score)


def test_a_burst_after_silence_is_an_expansion_to_the_full() -> None:
    close = np.full(300, 100.0)
    close[-8:] += 0.01 * np.arange(1, 9)
    assert candle.compute(market(close)).iloc[-1]["expansion_proxy"] == pytest.approx(1)


def test_bars_that_all_cover_the_same_range_are_all_consolidation() -> None:
    close = 100.0 + np.arange(300) % 2
    last = candle.compute(market(close)).iloc[-1]
    assert last["consolidation_proxy"] == pytest.approx(1)
    assert last["expansion_proxy"] == 0  # eight bars later the price is where it was


def test_a_flat_market_is_neutral() -> None:
    last = candle.compute(market(np.full(300, 0.1))).iloc[-1]
    assert last["open_in_range"] == last["close_in_range"] == 0.5
    assert last["consolidation_proxy"] == 1
    others = last.drop(["open_in_range", "close_in_range", "consolidation_proxy"])
    assert (others == 0).all()


# --- laws


@few
@given(st.integers(0, 10_000))
def test_body_and_wicks_are_the_whole_range(seed: int) -> None:
    table = candle.compute(random_bars(BACK + 20, seed)).iloc[BACK:]
    np.testing.assert_allclose(table["body"].abs() + table["upper_wick"] + table["lower_wick"], 1)
    np.testing.assert_allclose(table["close_in_range"] - table["open_in_range"], table["body"], atol=1e-12)


@few
@given(st.integers(0, 10_000))
def test_a_market_turned_over_swaps_highs_and_lows(seed: int) -> None:
    bars = random_bars(BACK + 20, seed)
    over = bars.assign(**{name: 1000 - bars[other] for name, other in MIRRORED.items()})
    before, after = (candle.compute(each).iloc[BACK:] for each in (bars, over))
    expected = before.assign(
        open_in_range=1 - before["open_in_range"],
        close_in_range=1 - before["close_in_range"],
        body=-before["body"],
        upper_wick=before["lower_wick"],
        lower_wick=before["upper_wick"],
        swing_high_distance=before["swing_low_distance"],
        swing_low_distance=before["swing_high_distance"],
        swing_high_age=before["swing_low_age"],
        swing_low_age=before["swing_high_age"],
        expansion_proxy=-before["expansion_proxy"],
    )
    pd.testing.assert_frame_equal(after, expected, rtol=1e-6, atol=1e-8)


@few
@given(st.floats(1e-6, 1e6), st.integers(0, 10_000))
def test_the_unit_of_price_does_not_matter(factor: float, seed: int) -> None:
    bars = random_bars(BACK + 20, seed)
    scaled = bars.assign(**{name: bars[name] * factor for name in MIRRORED})
    before, after = (candle.compute(each).iloc[BACK:] for each in (bars, scaled))
    pd.testing.assert_frame_equal(after, before, rtol=1e-6, atol=1e-8)


@few
@given(st.integers(0, 10_000))
def test_columns_stay_in_their_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.standard_t(2, BACK + 100) * 0.01))  # jumps
    table = candle.compute(market(close, above=rng.exponential(0.2), below=rng.exponential(0.2))).iloc[BACK:]
    for column in ("open_in_range", "close_in_range", "upper_wick", "lower_wick", "consolidation_proxy"):
        assert table[column].between(-1e-12, 1 + 1e-12).all(), column
    for column in ("swing_high_age", "swing_low_age"):
        assert table[column].between(0, 1).all(), column
    for column in ("body", "expansion_proxy"):
        assert table[column].between(-1 - 1e-12, 1 + 1e-12).all(), column
    for column in ("swing_high_distance", "swing_low_distance"):
        assert table[column].between(-10, 10).all(), column
    assert table["range_z"].abs().max() <= math.sqrt(19) + 1e-9  # the largest possible among 20


@pytest.mark.parametrize(
    "knobs", [{}, {"window": 300}, {"memory": 400, "swing": 50}, {"leg": 150}, {"swing": 1, "memory": 60}]
)
def test_values_depend_on_exactly_the_declared_past(knobs: dict[str, int]) -> None:
    back = candle.lookback(**knobs)
    whole = candle.compute(BARS, **knobs).to_numpy()
    assert np.isfinite(whole[back:]).all()
    assert np.isnan(whole[back - 1]).any()
    for start in (1, 37, 100):
        part = candle.compute(BARS.iloc[start:], **knobs).to_numpy()
        assert part[back:].tobytes() == whole[start + back :].tobytes()


@pytest.mark.parametrize(("knob", "value"), [("window", 7), ("swing", 0), ("memory", 59), ("leg", 1)])
def test_a_knob_out_of_range_is_refused(knob: str, value: int) -> None:
    with pytest.raises(BadParam, match=knob):
        features.compute("candle", BARS.iloc[:5], **{knob: value})
