"""The causal Haar transform against published coefficients and its definition, the columns against their formulas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import features
from betti.errors import BadParam
from betti.features import wavelet
from tests.conftest import random_bars

if TYPE_CHECKING:
    import pandas as pd

WINDOW = 32
BARS = random_bars(300, 21)

# The stationary Haar transform of this series, to three levels, as PyWavelets' own tests have it (test_swt.py). Its
# coefficients have norm 1 and begin at the bar they are stamped with; the series is taken as periodic.
SERIES = np.array([3, 7, 1, 3, -2, 6, 4, 6], dtype="float64")
PUBLISHED_DETAILS = (
    [-2.82842712, 4.24264069, -1.41421356, 3.53553391, -5.65685425, 1.41421356, -1.41421356, 2.12132034],
    [3, 3.5, 0, -4.5, -3, 0.5, 0, 0.5],
    [0.00000000, -3.53553391, -4.24264069, -2.12132034, 0.00000000, 3.53553391, 4.24264069, 2.12132034],
)
PUBLISHED_SMOOTH = [9.89949494] * 8

series = st.lists(st.floats(-1e3, 1e3), min_size=24, max_size=60).map(np.array)


def market(close: np.ndarray) -> pd.DataFrame:
    return random_bars(len(close)).assign(open=close, high=close, low=close, close=close)


def test_equal_to_the_published_coefficients() -> None:
    parts = wavelet.transform(np.tile(SERIES, 3))
    for level, published in enumerate(PUBLISHED_DETAILS, start=1):
        # Ours is stamped with the last of the 2^level bars it reads and is the later minus the earlier half.
        stamped = np.roll(published, 2**level - 1) * -(2 ** (-level / 2))
        np.testing.assert_allclose(parts.details[level - 1][8:16], stamped, atol=1e-7)
    np.testing.assert_allclose(parts.smooth[8:16], np.multiply(PUBLISHED_SMOOTH, 2**-1.5), atol=1e-7)


@given(values=series)
@settings(max_examples=40, deadline=None)
def test_a_detail_is_half_the_distance_of_two_means(values: np.ndarray) -> None:
    parts = wavelet.transform(values)
    for level, detail in enumerate(parts.details):
        half = 2**level
        for t in range(2 * half - 1, len(values)):
            later, earlier = values[t - half + 1 : t + 1], values[t - 2 * half + 1 : t - half + 1]
            assert math.isclose(detail[t], (later.mean() - earlier.mean()) / 2, abs_tol=1e-9)
    np.testing.assert_allclose(parts.smooth[-1], values[-8:].mean(), atol=1e-9)


@given(values=series)
@settings(max_examples=40, deadline=None)
def test_the_parts_sum_to_the_series(values: np.ndarray) -> None:
    parts = wavelet.transform(values)
    np.testing.assert_allclose(parts.smooth[7:] + sum(parts.details)[7:], values[7:], atol=1e-9)
    assert np.isnan(parts.smooth[:7]).all()


@given(values=st.lists(st.floats(-1e3, 1e3), min_size=16, max_size=16).map(np.array))
@settings(max_examples=40, deadline=None)
def test_the_coefficients_hold_the_energy_of_a_periodic_series(values: np.ndarray) -> None:
    parts = wavelet.transform(np.tile(values, 2))
    held = sum(np.square(part[16:]).sum() for part in (parts.smooth, *parts.details))
    np.testing.assert_allclose(held, np.square(values).sum(), rtol=1e-9, atol=1e-9)


@given(values=series, cut=st.integers(8, 23))
@settings(max_examples=40, deadline=None)
def test_no_coefficient_sees_what_follows(values: np.ndarray, cut: int) -> None:
    whole, known = wavelet.transform(values), wavelet.transform(values[:cut])
    for after, before in zip((whole.smooth, *whole.details), (known.smooth, *known.details), strict=True):
        assert after[:cut].tobytes() == before.tobytes()


def directly(close: np.ndarray, t: int) -> dict[str, float]:
    """One row from the window's own coefficients, each a difference of plain means."""
    price = np.log(close)

    def smooth(s: int, level: int) -> float:
        return float(price[s - 2**level + 1 : s + 1].mean())

    rows = range(t - WINDOW + 1, t + 1)
    coarse = np.array([smooth(s, 3) for s in rows])
    details = [np.array([smooth(s, j - 1) - smooth(s, j) for s in rows]) for j in (1, 2, 3)]
    last = price[t - WINDOW + 1 : t + 1]
    energies = [((coarse - coarse.mean()) ** 2).sum(), *((detail**2).sum() for detail in details)]
    found = {f"close_d{j}": details[j - 1][-1] for j in (1, 2, 3)}
    found |= dict(zip(wavelet.COLUMNS[4:8], np.divide(energies, sum(energies)), strict=True))
    strength = max(0.0, 1 - np.var(last - coarse) / np.var(last))
    return found | {"close_approx": coarse[-1] - last.mean(), "close_trend_strength": strength}


@pytest.mark.parametrize("t", [38, 39, 150, 299])
def test_rows_equal_the_formulas(t: int) -> None:
    row = wavelet.compute(BARS, window=WINDOW).iloc[t]
    expected = directly(BARS["close"].to_numpy(), t)
    assert set(expected) == set(wavelet.COLUMNS) == set(row.index)
    for column, value in expected.items():
        np.testing.assert_allclose(row[column], value, rtol=1e-9, atol=1e-13, err_msg=column)


@pytest.mark.parametrize("window", [16, 33, 64])
def test_the_first_complete_row_is_the_look_back(window: int) -> None:
    table = wavelet.compute(BARS, window=window)
    back = wavelet.lookback(window=window)
    assert np.isfinite(table.iloc[back:].to_numpy()).all()
    assert table.iloc[back - 1].isna().any()


def test_a_slice_with_its_look_back_has_the_bits_of_the_whole() -> None:
    whole, back = wavelet.compute(BARS, window=WINDOW).to_numpy(), wavelet.lookback(window=WINDOW)
    for row in (back, 101, 250, 299):
        part = wavelet.compute(BARS.iloc[row - back : row + 1], window=WINDOW).to_numpy()
        assert part[-1].tobytes() == whole[row].tobytes()


def test_prices_in_another_unit_change_nothing() -> None:
    before = wavelet.compute(BARS, window=WINDOW).iloc[100:]
    after = wavelet.compute(BARS.assign(close=BARS["close"] * 0.01), window=WINDOW).iloc[100:]
    np.testing.assert_allclose(after, before, rtol=1e-7, atol=1e-12)


def test_a_steady_rise_is_all_trend() -> None:
    row = wavelet.compute(market(100 * 1.01 ** np.arange(120))).iloc[-1]
    step = math.log(1.01)
    np.testing.assert_allclose(row["close_trend_strength"], 1.0)
    # In a line of slope s two means of 2^(j-1) bars lie 2^(j-1) s apart.
    np.testing.assert_allclose(row[["close_d1", "close_d2", "close_d3"]].to_numpy(), [step / 2, step, 2 * step])
    np.testing.assert_allclose(row["close_approx"], step * (63 / 2 - 7 / 2))


def test_a_zigzag_of_two_bars_lives_in_the_finest_detail() -> None:
    row = wavelet.compute(market(np.where(np.arange(120) % 2, 101.0, 100.0))).iloc[-1]
    np.testing.assert_allclose(row["close_energy_d1"], 1.0)
    np.testing.assert_allclose(row["close_trend_strength"], 0.0, atol=1e-9)


@pytest.mark.parametrize("period", [4, 8, 16])
def test_the_energy_of_a_wave_follows_the_gain_of_the_filters(period: int) -> None:
    angle = 2 * math.pi / period
    row = wavelet.compute(market(100 * np.exp(0.01 * np.sin(np.arange(160) * angle)))).iloc[-1]
    gains = []
    for half in (1, 2, 4):
        taps = np.repeat([1.0, -1.0], half) / (2 * half)
        gains.append(abs(np.dot(taps, np.exp(-1j * angle * np.arange(2 * half)))) ** 2)
    shares = row[["close_energy_d1", "close_energy_d2", "close_energy_d3"]].to_numpy(dtype="float64")
    np.testing.assert_allclose(shares / shares.sum(), np.divide(gains, sum(gains)), atol=1e-9)


def test_a_flat_market_is_zero() -> None:
    last = wavelet.compute(market(np.full(120, 0.1))).iloc[-1]
    np.testing.assert_allclose(last.to_numpy(), 0, atol=1e-12)


def test_the_window_is_bounded_by_its_knob() -> None:
    with pytest.raises(BadParam, match="window"):
        features.compute("wavelet", BARS, window=8)
