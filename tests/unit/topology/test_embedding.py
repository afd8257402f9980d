"""Delay vectors and standardised windows."""

from __future__ import annotations

import numpy as np
import pytest

from betti.topology.embedding import points_per_window, standardised, takens


@pytest.mark.parametrize(("dimension", "delay"), [(2, 1), (2, 5), (3, 4), (5, 2)])
def test_coordinates_are_delayed_values(dimension: int, delay: int) -> None:
    windows = np.random.default_rng(0).normal(size=(3, 30))
    clouds = takens(windows, dimension=dimension, delay=delay)
    count = points_per_window(30, dimension=dimension, delay=delay)
    assert clouds.shape == (3, count, dimension)
    for coordinate in range(dimension):
        np.testing.assert_array_equal(
            clouds[:, :, coordinate], windows[:, coordinate * delay : coordinate * delay + count]
        )


def test_the_embedding_is_a_view() -> None:
    windows = np.zeros((2, 20))
    assert np.shares_memory(takens(windows, dimension=2, delay=3), windows)


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1.0, 1e9, 1e200])
def test_windows_are_standardised_by_their_own_moments(scale: float) -> None:
    windows = np.random.default_rng(1).lognormal(size=(4, 50)) * scale
    rows = standardised(windows)
    np.testing.assert_allclose(rows.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(rows.std(axis=1), 1)


@pytest.mark.parametrize("level", [0.0, 0.1, -3.3, 1e9])
def test_a_constant_window_becomes_zeros(level: float) -> None:
    assert not standardised(np.full((1, 33), level)).any()


def test_a_window_does_not_depend_on_its_neighbours() -> None:
    windows = np.random.default_rng(2).normal(100, 1, size=(37, 126))
    together = standardised(windows)
    for alone, row in zip(windows, together, strict=True):
        assert standardised(alone[None])[0].tobytes() == row.tobytes()
