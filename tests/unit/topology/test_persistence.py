"""Diagrams against ripser, and the clouds that have hardly any geometry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from betti.errors import BadInput, UnknownName
from betti.topology import persistence
from betti.topology.persistence import BACKENDS, BadCloud, persistence_batch

pytestmark = pytest.mark.filterwarnings("ignore")
few = settings(max_examples=40, deadline=None, derandomize=True)


def circle(points: int) -> np.ndarray:
    angles = 2 * np.pi * np.arange(points) / points
    return np.column_stack([np.cos(angles), np.sin(angles)])


def expected(points: np.ndarray, max_dimension: int = 1) -> list[np.ndarray]:
    from ripser import ripser

    found = ripser(points, maxdim=max_dimension)["dgms"]
    cleaned = [d[np.isfinite(d[:, 1]) & (d[:, 1] > d[:, 0])].astype(float) for d in found]
    return [d[np.lexsort((d[:, 1], d[:, 0]))] for d in cleaned]


def without_specks(diagram: np.ndarray, scale: float) -> np.ndarray:
    """Pairs longer than float32 rounding: distances that tie on paper differ by it in either engine."""
    return diagram[diagram[:, 1] - diagram[:, 0] > 2e-6 * scale]


def assert_same(points: np.ndarray, max_dimension: int = 1) -> None:
    scale = float(np.abs(points).max())
    for ours, theirs in zip(
        persistence(points, max_dimension=max_dimension), expected(points, max_dimension), strict=True
    ):
        mine, other = (without_specks(d, scale) for d in (ours, theirs))
        assert mine.shape == other.shape
        # Sorted again by rounded values: two births that tie may come in either order.
        mine, other = (d[np.lexsort(np.round(d / scale, 5).T)] for d in (mine, other))
        np.testing.assert_allclose(mine, other, atol=1e-5 * scale)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (30, 2), (80, 2), (40, 3), (25, 5)])
def test_random_clouds_equal_ripser(seed: int, shape: tuple[int, int]) -> None:
    assert_same(np.random.default_rng(seed).normal(size=shape))


def test_higher_dimensions_equal_ripser() -> None:
    assert_same(np.random.default_rng(1).normal(size=(25, 3)), max_dimension=2)


@few
@given(arrays(np.float64, st.tuples(st.integers(2, 14), st.just(2)), elements=st.integers(0, 4).map(float)))
def test_clouds_on_ticks_equal_ripser(points: np.ndarray) -> None:
    if np.ptp(points) > 0:
        assert_same(points)


def test_a_circle_has_one_hole() -> None:
    components, holes = persistence(circle(60))
    assert len(components) == 59
    assert holes.shape == (1, 2)
    np.testing.assert_allclose(holes[0, 0], 2 * np.sin(np.pi / 60), atol=1e-6)
    np.testing.assert_allclose(holes[0, 1], np.sqrt(3), atol=1e-6)


@pytest.mark.parametrize("points", [np.empty((0, 2)), np.zeros((1, 2)), np.zeros((2, 2)), np.full((30, 2), 3.7)])
def test_clouds_without_extent_have_empty_diagrams(points: np.ndarray) -> None:
    for diagram in persistence(points):
        assert diagram.shape == (0, 2)
        assert diagram.dtype == np.float64


def test_two_points_merge_at_their_distance() -> None:
    components, holes = persistence([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(components, [[0.0, 5.0]])
    assert len(holes) == 0


def test_duplicates_add_nothing() -> None:
    cloud = np.random.default_rng(2).normal(size=(20, 2))
    for once, thrice in zip(persistence(cloud), persistence(np.repeat(cloud, 3, axis=0)), strict=True):
        np.testing.assert_array_equal(once, thrice)


@pytest.mark.parametrize("exponent", [-300, -60, 60, 300])
def test_extreme_extents_keep_their_diagrams(exponent: int) -> None:
    factor = 2.0**exponent
    cloud = np.random.default_rng(3).normal(size=(15, 2))
    for plain, scaled in zip(persistence(cloud), persistence(cloud * factor), strict=True):
        np.testing.assert_array_equal(plain * factor, scaled)


def test_form_of_a_diagram() -> None:
    diagrams = persistence(np.random.default_rng(4).normal(size=(50, 2)), max_dimension=2)
    assert len(diagrams) == 3
    for diagram in diagrams:
        assert diagram.dtype == np.float64
        assert (diagram[:, 1] > diagram[:, 0]).all()
        assert np.array_equal(diagram, diagram[np.lexsort((diagram[:, 1], diagram[:, 0]))])
    assert (diagrams[0][:, 0] == 0).all()
    assert len(persistence(circle(5), max_dimension=0)) == 1


def test_a_batch_gives_each_cloud_its_own_diagrams() -> None:
    clouds = np.random.default_rng(5).normal(size=(9, 20, 2))
    clouds[4] = 1.0
    for cloud, diagrams in zip(clouds, persistence_batch(clouds), strict=True):
        for alone, batched in zip(persistence(cloud), diagrams, strict=True):
            assert alone.tobytes() == batched.tobytes()


def test_no_clouds_give_no_diagrams() -> None:
    assert persistence_batch(np.empty((0, 20, 2))) == []


@pytest.mark.parametrize(
    "points",
    [[[0.0, np.nan], [1.0, 1.0]], [[0.0, np.inf], [1.0, 1.0]], [1.0, 2.0], np.zeros((2, 2, 2)), np.empty((3, 0))],
)
def test_bad_clouds_are_refused(points: object) -> None:
    with pytest.raises(BadCloud) as raised:
        persistence(points)  # type: ignore[arg-type]
    assert isinstance(raised.value, BadInput)


def test_the_bad_cloud_of_a_batch_is_named() -> None:
    clouds = np.zeros((4, 3, 2))
    clouds[2, 1, 0] = np.nan
    with pytest.raises(BadCloud, match="cloud 2"):
        persistence_batch(clouds)


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(UnknownName, match="giotto"):
        persistence(np.zeros((3, 2)), backend="gioto")


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_agrees_with_giotto(backend: str) -> None:
    clouds = np.random.default_rng(6).normal(size=(5, 40, 2))
    for found, reference in zip(
        persistence_batch(clouds, backend=backend), persistence_batch(clouds, backend="giotto"), strict=True
    ):
        for ours, theirs in zip(found, reference, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
