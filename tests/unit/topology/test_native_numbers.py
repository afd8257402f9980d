"""The compiled numbers of windows against the readable ones, and their independence of the batch."""

from __future__ import annotations

import numpy as np
import pytest

from betti.topology import native
from betti.topology.embedding import standardised, takens
from betti.topology.persistence import persistence_batch
from betti.topology.planar import Batch
from betti.topology.vectorisation import fixed_grid, numbers
from betti.topology.vectors import described
from tests.unit.topology.clouds import closes, cloud

LAYERS = 5


def windows(length: int = 126) -> np.ndarray:
    series = np.concatenate([closes("NASDAQ")[:600], np.full(200, 7.0), np.round(closes("SP500")[:400] / 20) * 20])
    return standardised(np.lib.stride_tricks.sliding_window_view(series, length)[::37])


def close(ours: np.ndarray, theirs: np.ndarray, bins: int) -> None:
    np.testing.assert_array_equal(ours[:, : 2 * bins], theirs[:, : 2 * bins])
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("bins", "maximum", "layers"), [(100, 2.0, 5), (2, 0.3, 1), (37, 0.71, 9), (1000, 50.0, 2)])
def test_windows_in_the_plane_equal_the_readable_numbers(bins: int, maximum: float, layers: int) -> None:
    grid = fixed_grid(maximum, bins)
    found = native.window_numbers(windows(), dimension=2, delay=5, grid=grid, layers=layers)
    clouds = takens(windows(), dimension=2, delay=5)
    close(found, numbers(persistence_batch(clouds, backend="native"), grid, layers), bins)


@pytest.mark.parametrize("dimension", [3, 5])
def test_windows_in_space_equal_the_readable_numbers(dimension: int) -> None:
    grid = fixed_grid(2.0, 50)
    some, tally = windows()[::4], native.Tally()
    found = native.window_numbers(some, dimension=dimension, delay=5, grid=grid, layers=LAYERS, tally=tally)
    assert tally.general == len(some)
    clouds = takens(some, dimension=dimension, delay=5)
    close(found, numbers(persistence_batch(clouds, backend="native"), grid, LAYERS), 50)


def one_row(deaths: np.ndarray, holes: np.ndarray, grid: np.ndarray, layers: int) -> np.ndarray:
    ends = np.array([len(deaths)]), np.array([len(holes)])
    return described(Batch(deaths, ends[0], holes, ends[1], np.zeros(1, np.bool_)), grid, layers)[0]


@pytest.mark.parametrize("seed", range(60))
def test_diagrams_of_every_kind_equal_the_readable_numbers(seed: int) -> None:
    _, points = cloud(seed)
    grid = fixed_grid(float(np.ptp(points)) + 0.1, 80)
    diagrams = persistence_batch(points[None])[0]
    row = one_row(diagrams[0][:, 1].copy(), diagrams[1], grid, LAYERS)
    reference = numbers([diagrams], grid, LAYERS)
    np.testing.assert_array_equal(row[:160], reference[0, :160])
    np.testing.assert_allclose(row, reference[0], rtol=1e-12, atol=1e-12 * max(1.0, float(grid[-1])) ** 2)


def test_pairs_that_begin_and_end_on_the_grid() -> None:
    grid = fixed_grid(2.0, 21)
    deaths = np.array([grid[3], grid[20], 5.0])
    holes = np.array([[grid[1], grid[4]], [grid[20], 3.0], [3.0, 4.0], [0.15, grid[2]]])
    row = one_row(deaths, holes, grid, 3)
    diagrams = [np.column_stack([np.zeros(3), deaths]), holes]
    close(row[None], numbers([diagrams], grid, 3), 21)


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_window_does_not_depend_on_its_neighbours(dimension: int) -> None:
    rows, grid = windows(60), fixed_grid(2.0, 30)
    knobs = {"dimension": dimension, "delay": 4, "grid": grid, "layers": LAYERS}
    together = native.window_numbers(rows, **knobs)
    for k in range(0, len(rows), 3):
        assert native.window_numbers(rows[k : k + 1], **knobs).tobytes() == together[k : k + 1].tobytes()
    assert native.window_numbers(rows[::-1].copy(), **knobs)[::-1].tobytes() == together.tobytes()


def test_no_windows_give_no_numbers() -> None:
    found = native.window_numbers(np.empty((0, 40)), dimension=2, delay=4, grid=fixed_grid(2.0, 30), layers=LAYERS)
    assert found.shape == (0, 2 * (30 + 2 + LAYERS))
