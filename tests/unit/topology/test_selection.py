"""Choosing an embedding: known systems, other libraries and slow versions, laws, and what is refused."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from betti.topology import selection
from betti.topology.embedding import BadSeries, standardised, takens
from betti.topology.selection import Choice, DelayRule, DimensionRule

SEEDS = st.integers(0, 2**32 - 1)


def wave(length: int, period: float, noise: float) -> np.ndarray:
    return np.sin(2 * np.pi * np.arange(length) / period) + np.random.default_rng(0).normal(0, noise, length)


def random_walk(length: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=length).cumsum()


def henon(length: int) -> np.ndarray:
    """Henon 1976, a = 1.4, b = 0.3; the first values, off the attractor, are dropped."""
    values = [0.1, 0.1]
    while len(values) < length + 100:
        values.append(1 - 1.4 * values[-1] ** 2 + 0.3 * values[-2])
    return np.array(values[100:])


def lorenz(length: int, step: float) -> np.ndarray:
    """x of Lorenz 1963, sigma = 10, rho = 28, beta = 8/3, by Runge and Kutta's fourth order, off its transient."""

    def slope(state: np.ndarray) -> np.ndarray:
        x, y, z = state
        return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])

    state, half, found = np.ones(3), step / 2, []
    for _ in range(length + 500):
        first = slope(state)
        second = slope(state + half * first)
        third = slope(state + half * second)
        fourth = slope(state + step * third)
        state = state + step / 6 * (first + 2 * second + 2 * third + fourth)
        found.append(state[0])
    return np.array(found[500:])


# Known systems -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [20, 40, 61.5, 100])
def test_a_wave_is_embedded_a_quarter_of_its_period_apart(period: float) -> None:
    choice = selection.choose(wave(2000, period, noise=0.02), 2000)
    assert choice.delay_rule is DelayRule.MINIMUM
    assert choice.delay == pytest.approx(period / 4, rel=0.3)


def test_a_wave_without_noise_is_a_loop_in_the_plane() -> None:
    choice = selection.choose(wave(2000, 13 * math.pi, noise=0.0), 2000)
    assert (choice.dimension, choice.dimension_rule) == (2, DimensionRule.FEW)
    assert choice.false_shares[0] > 0.5


def test_the_lorenz_system_has_its_published_delay_and_dimension() -> None:
    """First minimum at 0.16 to 0.2 time units; three equations, so no more than three coordinates."""
    step = 0.02
    series = lorenz(4000, step)
    choice = selection.choose(series, len(series))
    assert choice.delay_rule is DelayRule.MINIMUM
    assert 0.14 <= choice.delay * step <= 0.2
    assert choice.dimension_rule is DimensionRule.FEW
    assert 2 <= choice.dimension <= 3
    assert choice.false_shares[2] < 0.005 < choice.false_shares[1]


def test_the_henon_map_fills_two_dimensions() -> None:
    shares = selection.false_neighbours(standardised(henon(3000)[None]), 1)
    assert selection.chosen_dimension(shares) == (2, DimensionRule.FEW)
    assert shares[0] > 0.5 and shares[1] == 0


def test_white_noise_has_no_information_and_no_dimension() -> None:
    choice = selection.choose(np.random.default_rng(3).normal(size=3000), 3000)
    assert (choice.delay, choice.delay_rule) == (1, DelayRule.INDEPENDENT)
    assert choice.dimension_rule is DimensionRule.LEAST
    assert min(choice.false_shares) > 0.1


@pytest.mark.parametrize("seed", range(5))
def test_a_random_walk_in_windows_has_no_minimum(seed: int) -> None:
    choice = selection.choose(random_walk(5000, seed), 126)
    assert choice.delay_rule is DelayRule.DECAY
    assert choice.dimension_rule is DimensionRule.LEAST


def test_standardising_makes_a_minimum_near_a_quarter_of_the_window() -> None:
    """Why delays stop at a sixth of it."""
    window = 120
    curve = selection.mutual_information(selection.cut(random_walk(60_000, 0), window), window // 2, 16)
    assert 0.2 < (np.argmin(curve) + 1) / window < 0.35
    assert curve[-1] > 2 * curve.min()


# Other libraries and slow versions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [1, 3, 17])
def test_information_is_scikit_learns_of_the_cells_of_all_windows(delay: int) -> None:
    windows = selection.cut(random_walk(1000, 1), 90)
    edges = np.linspace(windows.min(), windows.max(), 13)[1:-1]
    cells = np.digitize(windows, edges)
    expected = mutual_info_score(cells[:, :-delay].ravel(), cells[:, delay:].ravel()) / math.log(2)
    assert selection.mutual_information(windows, delay, 12)[-1] == pytest.approx(expected, abs=1e-12)


def test_information_is_giotto_tdas() -> None:
    from gtda.time_series._utils import _mutual_information

    series = lorenz(1500, 0.03)
    # giotto-tda takes the range of each half for itself: the extremes must lie in both.
    series = np.roll(series, len(series) // 2 - int(np.argmax(np.abs(series))))
    delays = 20
    inside = series[delays:-delays]
    assert series.max() == inside.max() and series.min() == inside.min()
    found = selection.mutual_information(series[None], delays, 24)
    expected = [_mutual_information(series, delay, 24) / math.log(2) for delay in range(1, delays + 1)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def slow_shares(windows: np.ndarray, delay: int, dimensions: int) -> list[float]:
    """The definition, point by point."""
    shares = []
    for dimension in range(1, dimensions + 1):
        false = count = 0
        for row in windows:
            points = takens(row[None], dimension=dimension + 1, delay=delay)[0]
            for i, point in enumerate(points):
                others = [j for j in range(len(points)) if abs(i - j) > delay]
                if not others:
                    continue
                distances = {j: math.dist(point[:-1], points[j][:-1]) for j in others}
                j = min(others, key=distances.__getitem__)
                apart, after = abs(point[-1] - points[j][-1]), math.dist(point, points[j])
                false += apart > 15 * max(distances[j], 1e-9) or after > 2
                count += 1
        shares.append(false / count)
    return shares


@pytest.mark.parametrize(("window", "delay"), [(60, 1), (60, 7), (24, 4)])
def test_false_neighbours_are_those_of_the_definition(window: int, delay: int) -> None:
    windows = selection.cut(random_walk(190, 2), window)
    found = selection.false_neighbours(windows, delay)
    assert len(found) >= 2
    assert found.tolist() == pytest.approx(slow_shares(windows, delay, len(found)), abs=1e-12)
    assert 0 < found[1] < found[0]


def test_neighbours_in_time_do_not_count() -> None:
    """On a smooth curve the neighbours in time are true ones, and would hide the crossings."""
    spiral = np.linspace(1, 3, 400) * np.sin(np.linspace(0, 40, 400))
    windows = standardised(spiral[None])
    assert selection.false_neighbours(windows, 9)[0] > 0.5
    points, neighbours, _ = selection._nearest(windows[0][:, None], 9)
    assert len(points) == 400
    assert np.abs(points - neighbours).min() > 9


def test_points_that_repeat_have_no_false_neighbours() -> None:
    """Their distance is rounding, and no ratio may be taken of it."""
    repeating = standardised(wave(2000, 40, noise=0.0)[None])
    assert selection.false_neighbours(repeating, 10)[1] == 0


# Laws ----------------------------------------------------------------------------------------------------------------


@given(SEEDS, st.integers(2, 20))
@settings(max_examples=40, deadline=None)
def test_information_lies_between_nothing_and_a_cells_and_knows_no_direction(seed: int, bins: int) -> None:
    windows = np.random.default_rng(seed).normal(size=(3, 40)).cumsum(axis=1)
    curve = selection.mutual_information(windows, 8, bins)
    assert (curve >= -1e-12).all() and (curve <= math.log2(bins) + 1e-12).all()
    backwards = selection.mutual_information(windows[::-1, ::-1], 8, bins)
    np.testing.assert_allclose(curve, backwards, atol=1e-12)


@given(SEEDS, st.integers(-30, 30))
@settings(max_examples=30, deadline=None)
def test_the_choice_knows_no_unit(seed: int, exponent: int) -> None:
    series = random_walk(600, seed)
    assert selection.choose(series, 100) == selection.choose(series * 2.0**exponent, 100)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=40))
def test_a_first_minimum_is_below_all_before_it_and_followed_by_a_rise(curve: list[float]) -> None:
    found = selection.first_minimum(np.array(curve))
    if found is None:
        assert all(later <= min(curve[: k + 1]) + 0.03 * curve[0] for k, later in enumerate(curve))
        return
    bottom = curve[found - 1]
    assert bottom == min(curve[:found])
    assert max(curve[found:]) > bottom + 0.03 * curve[0]


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_independent_values_stay_below_their_level(seed: int) -> None:
    windows = np.random.default_rng(seed).uniform(size=(20, 100))
    bits, level = selection.mutual_information(windows, 1, 10)[0], selection.independence_level(1980, 10)
    assert level / 3 < bits < 1.2 * level  # five deviations: many seeds are tried


@given(SEEDS, st.integers(2, 300))
def test_shuffling_keeps_the_steps_and_both_ends(seed: int, length: int) -> None:
    series = random_walk(length, 7)
    mixed = selection.shuffled(series, seed)
    assert mixed[0] == series[0]
    assert mixed[-1] == pytest.approx(series[-1])
    np.testing.assert_allclose(np.sort(np.diff(mixed)), np.sort(np.diff(series)), atol=1e-12)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(2, 8)), min_size=1, max_size=9))
def test_the_combined_pair_is_reached_by_one_series_and_fits_its_window(pairs: list[tuple[int, int]]) -> None:
    choices = [Choice(delay, dimension, DelayRule.DECAY, DimensionRule.FEW, (), ()) for delay, dimension in pairs]
    delay, dimension = selection.combined(choices)
    assert any(one.delay >= delay and one.dimension >= dimension for one in choices)
    assert delay in {one.delay for one in choices} and dimension in {one.dimension for one in choices}


# Rules and refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([2.0, 1.5, 1.0, 1.2, 0.1], (3, DelayRule.MINIMUM)),
        ([2.0, 1.5, 1.49, 1.5, 1.2, 0.7, 0.5], (6, DelayRule.DECAY)),
        ([2.0, 1.9, 1.8], (3, DelayRule.LONGEST)),
        ([0.1, 0.02, 0.3], (1, DelayRule.INDEPENDENT)),
    ],
)
def test_the_delay_says_by_which_rule_it_came(curve: list[float], expected: tuple[int, DelayRule]) -> None:
    assert selection.chosen_delay(np.array(curve), independent=0.1) == expected


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.01, 0.04, 0.0], (2, DimensionRule.FEW)),
        ([0.9, 0.3, 0.049], (3, DimensionRule.FEW)),
        ([0.05, 0.3, 0.2, 0.2, 0.4], (3, DimensionRule.LEAST)),
    ],
)
def test_the_dimension_says_by_which_rule_it_came(shares: list[float], expected: tuple[int, DimensionRule]) -> None:
    assert selection.chosen_dimension(np.array(shares)) == expected


def test_windows_stand_side_by_side_at_the_end() -> None:
    series = np.random.default_rng(0).normal(size=107)
    np.testing.assert_array_equal(selection.cut(series, 50), standardised(series[7:].reshape(2, 50)))


def test_constant_windows_are_left_out() -> None:
    series = np.concatenate([np.full(50, 3.0), random_walk(50, 0)])
    assert selection.cut(series, 50).shape == (1, 50)


@pytest.mark.parametrize(
    ("series", "window", "says"),
    [
        (np.zeros((3, 40)), 30, r"shape \(3, 40\)"),
        (np.append(np.arange(99.0), np.nan), 50, "not finite"),
        (np.append(np.arange(99.0), np.inf), 50, "not finite"),
        (np.arange(100.0), 23, "takes 24 or more"),
        (np.arange(49.0), 50, "49 values are fewer than a window of 50"),
        (np.full(200, 1.3), 50, "every window is constant"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(series: np.ndarray, window: int, says: str) -> None:
    with pytest.raises(BadSeries, match=says):
        selection.choose(series, window)


@pytest.mark.parametrize("window", [24, 25, 47, 126, 2000])
@pytest.mark.parametrize("kind", ["walk", "noise", "trend", "jump"])
def test_every_choice_fits_its_window(kind: str, window: int) -> None:
    rng = np.random.default_rng(zlib.crc32(f"{kind}{window}".encode()))
    series = {
        "walk": rng.normal(size=2100).cumsum(),
        "noise": rng.normal(size=2100),
        "trend": np.arange(2100.0),
        "jump": (np.arange(2100) % window == window // 2).astype(float),
    }[kind]
    choice = selection.choose(series, window)
    assert 1 <= choice.delay <= min(window / 6, selection.LONGEST_DELAY)
    assert 2 <= choice.dimension <= len(choice.false_shares) <= 8
    assert (choice.dimension - 1) * choice.delay < window
    assert np.isfinite(choice.information).all() and np.isfinite(choice.false_shares).all()
