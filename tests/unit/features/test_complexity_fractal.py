"""Exponents and dimensions against antropy, their definitions written the slow way, and noise of a known exponent."""

from __future__ import annotations

import math

import numpy as np
import pytest

from betti.features import _fractal
from tests.unit.features.test_entropy import KINDS, series, windows


def path(changes: np.ndarray) -> np.ndarray:
    """Log prices that change by these."""
    return np.concatenate([[4.0], 4.0 + np.cumsum(changes[1:])])


def prices(changes: np.ndarray, window: int, every: int) -> list[tuple[int, np.ndarray]]:
    """As `windows`, one price more than changes."""
    whole = path(changes)
    return [(t, whole[t - window : t + 1].copy()) for t, _ in windows(changes, window, every)]


def slope(scales: np.ndarray | list[int], levels: np.ndarray | list[float]) -> float:
    return float(np.polyfit(np.log(scales), np.log(levels), 1)[0])


# --- the definitions


def hurst(values: np.ndarray) -> float:
    """Rescaled ranges in halves, quarters, ..., each over its expectation for independent values."""
    sizes, levels = [], []
    size = len(values)
    while size >= 8:
        ranges = []
        for begin in range(0, len(values) - size + 1, size):
            part = values[begin : begin + size]
            distance = np.cumsum(part - part.mean())
            ranges.append((distance.max() - distance.min()) / part.std())
        gammas = math.gamma((size - 1) / 2) / (math.sqrt(math.pi) * math.gamma(size / 2))
        expected = gammas * sum(math.sqrt((size - i) / i) for i in range(1, size))
        sizes.append(size)
        levels.append(np.mean(ranges) / expected)
        size //= 2
    return 0.5 + slope(sizes, levels)


def fluctuation(values: np.ndarray, sizes: tuple[int, ...]) -> float:
    profile, levels = np.cumsum(values - values.mean()), []
    for size in sizes:
        squares = []
        for begin in range(0, len(values) - size + 1, size):
            part, bars = profile[begin : begin + size], np.arange(size)
            squares.append(np.mean((part - np.polyval(np.polyfit(bars, part, 1), bars)) ** 2))
        levels.append(math.sqrt(np.mean(squares)))
    return slope(list(sizes), levels)


def higuchi(values: np.ndarray) -> float:
    """Equation by equation; the values are X(1) ... X(N)."""
    count, lengths = len(values), []
    for k in range(1, 11):
        of_step = []
        for m in range(1, k + 1):
            moves = (count - m) // k
            total = sum(abs(values[m + i * k - 1] - values[m + (i - 1) * k - 1]) for i in range(1, moves + 1))
            of_step.append(total * (count - 1) / (moves * k) / k)
        lengths.append(np.mean(of_step))
    return -slope(np.arange(1, 11), lengths)


@pytest.mark.parametrize("kind", ["noise", "ticks", "trend", "calm and storm", "wave"])
def test_equal_to_the_definitions(kind: str) -> None:
    changes = series(kind)
    for window in (50, 83):
        sizes = _fractal.box_sizes(window)
        ranges = _fractal.hurst_exponent(changes, window)
        boxes = _fractal.detrended_fluctuation(changes, window, sizes)
        for t, values in windows(changes, window, 97):
            np.testing.assert_allclose(ranges[t], hurst(values), rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(boxes[t], fluctuation(values, sizes), rtol=1e-8, atol=1e-8)
        lengths = _fractal.higuchi_dimension(path(changes), window)
        for t, values in prices(changes, window, 211):
            np.testing.assert_allclose(lengths[t], higuchi(values), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("window", [50, 100, 101, 256])
def test_dimensions_equal_to_antropy(window: int) -> None:
    antropy = pytest.importorskip("antropy")
    compared = 0
    for kind in KINDS:
        changes = series(kind)
        lengths = _fractal.higuchi_dimension(path(changes), window)
        turns = _fractal.petrosian_dimension(changes, window)
        for t, values in prices(changes, window, 23):
            if np.ptp(values) > 0:
                compared += 1
                np.testing.assert_allclose(lengths[t], antropy.higuchi_fd(values, kmax=10), rtol=1e-9, atol=1e-9)
                np.testing.assert_allclose(turns[t], antropy.petrosian_fd(values), rtol=1e-9, atol=1e-9)
    assert compared > 100


@pytest.mark.parametrize(
    ("window", "sizes"), [(100, (4, 5, 6, 8, 9)), (101, (4, 5, 6, 8, 9)), (250, (4, 5, 6, 8, 9, 11, 14, 17, 20, 24))]
)
def test_fluctuation_equal_to_antropy_at_its_own_boxes(window: int, sizes: tuple[int, ...]) -> None:
    antropy = pytest.importorskip("antropy")  # its boxes: from 4 to a tenth of the window, each 1.2 times larger
    for kind in ("noise", "ticks", "trend", "calm and storm", "wave"):
        changes = series(kind)
        found = _fractal.detrended_fluctuation(changes, window, sizes)
        for t, values in windows(changes, window, 23):
            np.testing.assert_allclose(found[t], antropy.detrended_fluctuation(values), rtol=1e-9, atol=1e-9)


# --- noise of a known exponent


def fractional_noise(exponent: float, length: int, count: int) -> np.ndarray:
    """(count, length) of fractional Gaussian noise, exact (Mandelbrot and Van Ness 1968)."""
    lag = np.arange(length, dtype="float64")
    power = 2 * exponent
    covariance = ((lag + 1) ** power - 2 * lag**power + np.abs(lag - 1) ** power) / 2
    factor = np.linalg.cholesky(covariance[np.abs(lag[:, None] - lag).astype(int)])
    return np.random.default_rng(3).normal(size=(count, length)) @ factor.T


@pytest.mark.parametrize("exponent", [0.3, 0.5, 0.7, 0.9])
def test_noise_of_a_known_exponent(exponent: float) -> None:
    window, boxes = 500, _fractal.box_sizes(500)
    noise = fractional_noise(exponent, window + 1, 120)
    ranges = np.mean([_fractal.hurst_exponent(row, window)[-1] for row in noise])
    fluctuations = np.mean([_fractal.detrended_fluctuation(row, window, boxes)[-1] for row in noise])
    dimensions = np.mean([_fractal.higuchi_dimension(path(row), window)[-1] for row in noise])
    assert abs(fluctuations - exponent) < 0.05
    assert abs(2 - dimensions - exponent) < 0.03
    # Corrected for independence, the rescaled range draws strong memory towards 0.5, never to its other side.
    assert abs(ranges - exponent) < 0.06 + 0.3 * max(0.0, exponent - 0.6)


def test_noise_without_memory_reads_one_half_in_a_short_window() -> None:
    noise = np.random.default_rng(4).normal(size=60_000)
    assert abs(_fractal.hurst_exponent(noise, 100)[100:].mean() - 0.5) < 0.02


@pytest.mark.parametrize("size", [8, 25])
def test_the_expected_range_is_the_mean_over_normal_values(size: int) -> None:
    noise = np.random.default_rng(5).normal(size=400_000)
    found = _fractal._rescaled_ranges(noise, size)[size:].mean()
    np.testing.assert_allclose(found, _fractal.expected_rescaled_range(size), rtol=3e-3)


# --- markets whose answer is known


def test_lines_zigzags_and_standstills() -> None:
    line, zigzag, still = np.arange(120) * 0.01, np.arange(120) % 2 * 0.01, np.full(120, 4.0)
    for prices_, dimension in ((line, 1.0), (zigzag, 2.0), (still, 1.0)):
        np.testing.assert_allclose(_fractal.higuchi_dimension(prices_, 100)[-1], dimension, atol=1e-9)
    most = math.log(101) / (math.log(101) + math.log(101 / (101 + 0.4 * 99)))
    for prices_, dimension in ((line, 1.0), (zigzag, most), (still, 1.0)):
        changes = np.diff(prices_, prepend=np.nan)
        np.testing.assert_allclose(_fractal.petrosian_dimension(changes, 100)[-1], dimension)


def test_one_move_in_a_window() -> None:
    """The boxes without it stood still; the slope is that of the others."""
    for place in range(1, 101):
        changes = np.zeros(101)
        changes[place] = 0.02
        found = _fractal.detrended_fluctuation(changes, 100, _fractal.box_sizes(100))[-1]
        assert np.isfinite([found, _fractal.hurst_exponent(changes, 100)[-1]]).all()
        assert np.isfinite(_fractal.higuchi_dimension(path(changes), 100)[-1])


def test_no_slope_through_fewer_than_two_scales() -> None:
    changes = np.concatenate([[np.nan], np.zeros(50)])
    changes[50] = 0.01  # a last bar that only boxes of full length reach
    assert _fractal.detrended_fluctuation(changes, 50, (4, 9, 11))[-1] == 0.5
    assert _fractal.hurst_exponent(changes, 50)[-1] != 0.5
    assert _fractal.hurst_exponent(np.zeros(51), 50)[-1] == 0.5


# --- laws


@pytest.mark.parametrize("kind", KINDS)
def test_the_window_alone_makes_the_bits(kind: str) -> None:
    changes, window = series(kind), 60
    sizes = _fractal.box_sizes(window)

    def measured(changes: np.ndarray, prices_: np.ndarray) -> np.ndarray:
        return np.stack(
            [
                _fractal.hurst_exponent(changes, window),
                _fractal.detrended_fluctuation(changes, window, sizes),
                _fractal.petrosian_dimension(changes, window),
                _fractal.higuchi_dimension(prices_, window),
            ]
        )

    whole = measured(changes, path(changes))
    assert np.isnan(whole[:, :window]).all()
    assert np.isfinite(whole[:, window:]).all()
    for first in (1, 7, 256, 300):
        later = changes[first:].copy()
        later[0] = np.nan
        part = measured(later, path(changes)[first:].copy())
        assert part[:, window:].tobytes() == whole[:, first + window :].tobytes()


@pytest.mark.parametrize("rows", [0, 1, 2, 40, 50])
def test_too_few_rows_are_all_missing(rows: int) -> None:
    changes = series("noise")[:rows].copy()
    for found in (
        _fractal.hurst_exponent(changes, 50),
        _fractal.detrended_fluctuation(changes, 50, (4, 5)),
        _fractal.higuchi_dimension(changes, 50),
        _fractal.petrosian_dimension(changes, 50),
    ):
        assert len(found) == rows
        assert np.isnan(found).all()


def test_the_boxes_reach_a_quarter_of_the_window() -> None:
    for window in range(50, 1025):
        sizes = _fractal.box_sizes(window)
        assert sizes[0] == 4
        assert window / 4 / 1.2 - 1 < sizes[-1] <= window / 4
        assert list(sizes) == sorted(set(sizes))
