"""The native engine: its algorithms against each other, its door, and what must not change a diagram."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.topology import native, persistence, planar
from betti.topology.native import DimensionTooHigh, Tally
from betti.topology.persistence import BadCloud, persistence_batch
from tests.unit.topology.clouds import MAKERS, agree, circle, cloud, extent

few = settings(max_examples=60, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)


def lifted(points: np.ndarray) -> np.ndarray:
    """The same cloud in space: the general engine takes it."""
    return np.column_stack([points, np.zeros(len(points))])


def assert_equal(ours: list[np.ndarray], theirs: list[np.ndarray], **tolerance: float) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape
        if tolerance:
            np.testing.assert_allclose(mine, other, **tolerance)
        else:
            np.testing.assert_array_equal(mine, other)


# --- what must not change a diagram


@few
@given(seed=seeds, order=st.randoms(use_true_random=False))
def test_the_order_of_points_does_not_matter(seed: int, order: object) -> None:
    _, points = cloud(seed)
    shuffled = points[np.random.default_rng(order.randint(0, 2**32)).permutation(len(points))]  # type: ignore[attr-defined]
    assert_equal(persistence(shuffled), persistence(points))


@few
@given(seed=seeds, times=st.integers(2, 4))
def test_repeated_points_do_not_matter(seed: int, times: int) -> None:
    _, points = cloud(seed)
    assert_equal(persistence(np.repeat(points, times, axis=0)), persistence(points))


@few
@given(seed=seeds, exponent=st.integers(-200, 200))
def test_diagrams_scale_with_the_cloud(seed: int, exponent: int) -> None:
    _, points = cloud(seed)
    factor = 2.0**exponent
    assert_equal(persistence(points * factor), [diagram * factor for diagram in persistence(points)])


@few
@given(seed=seeds, mirror=st.sampled_from([(0, 1, 1, -1), (1, 0, 1, 1), (1, 0, -1, 1), (0, 1, -1, -1)]))
def test_quarter_turns_and_mirrors_do_not_matter(seed: int, mirror: tuple[int, int, int, int]) -> None:
    _, points = cloud(seed)
    first, second, one, other = mirror
    assert_equal(persistence(points[:, [first, second]] * (one, other)), persistence(points))


@few
@given(seed=seeds, angle=st.floats(0, 6.3), east=st.integers(-8, 8), north=st.integers(-8, 8))
def test_motions_move_nothing_beyond_rounding(seed: int, angle: float, east: int, north: int) -> None:
    points = np.random.default_rng(seed).normal(size=(40, 2))
    turned = points @ [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]] + (east, north)
    ours, theirs = persistence(turned), persistence(points)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, atol=1e-12)


@few
@given(
    seed=seeds,
    angle=st.floats(0, 6.3),
    mirror=st.sampled_from([1.0, -1.0]),
    factor=st.floats(1e-6, 1e6),
    shift=st.tuples(st.floats(-10, 10), st.floats(-10, 10)),
)
def test_similar_clouds_of_every_kind_have_similar_diagrams(
    seed: int, angle: float, mirror: float, factor: float, shift: tuple[float, float]
) -> None:
    """Turned, mirrored, stretched and moved: ties on paper break otherwise in floats, by pairs of no length."""
    _, points = cloud(seed)
    points = points - points.mean(axis=0)
    size = extent(points)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = factor * (points * (1.0, mirror) @ turn + np.multiply(shift, size))
    for mine, other in zip(persistence(moved), persistence(points), strict=True):
        assert agree(mine, factor * other, max(1e-12 * factor * size, 1e-300))


@few
@given(seed=seeds, dimension=st.sampled_from([1, 3, 4]), factor=st.floats(1e-6, 1e6))
def test_similar_clouds_in_space_have_similar_diagrams(seed: int, dimension: int, factor: float) -> None:
    """The general engine: another order, points repeated here and there, turned or mirrored, stretched, moved."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(30, dimension)) if seed % 2 else rng.integers(0, 4, (30, dimension)).astype(float)
    rows = rng.permutation(np.concatenate([np.arange(30), rng.integers(0, 30, 8)]))
    turn, _ = np.linalg.qr(rng.normal(size=(dimension, dimension)))
    moved = factor * (points[rows] @ turn + rng.uniform(-5, 5, dimension))
    for mine, other in zip(persistence(moved), persistence(points), strict=True):
        assert agree(mine, factor * other, 1e-12 * factor)


@few
@given(seed=seeds)
def test_the_order_of_a_distance_matrix_does_not_matter(seed: int) -> None:
    """Also where distances repeat and are no metric."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.integers(1, 6, (16, 16)) if seed % 2 else rng.random((16, 16)), 1)
    matrix, order = (upper + upper.T).astype(float), rng.permutation(16)
    found = persistence(matrix[np.ix_(order, order)], metric="precomputed")
    assert_equal(found, persistence(matrix, metric="precomputed"))


# --- the two algorithms are one filtration


@few
@given(seed=seeds)
def test_planar_and_general_agree_to_the_last_bit(seed: int) -> None:
    tally = Tally()
    _, points = cloud(seed)
    native.diagrams(points[None], 1, tally)
    assert (tally.planar, tally.fallback) == (1, 0)
    assert_equal(persistence(points, backend="native"), persistence(lifted(points), backend="native"))


@few
@given(seed=seeds)
def test_distances_give_the_diagrams_of_their_points(seed: int) -> None:
    from scipy.spatial.distance import pdist, squareform

    points = np.random.default_rng(seed).normal(size=(seed % 40 + 1, seed % 4 + 1))
    assert_equal(persistence(squareform(pdist(points)), metric="precomputed"), persistence(points), atol=1e-12)


def test_a_declined_cloud_falls_back_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clouds = np.stack([circle(30), circle(30, 0.1), 2 * circle(30, 0.2)])
    expected = persistence_batch(clouds)
    closes = np.random.default_rng(0).normal(size=(3, 40))
    knobs = {"dimension": 2, "delay": 3, "grid": np.linspace(0, 2, 10), "layers": 2}
    numbers = native.window_numbers(closes, **knobs)
    sound = planar.planar_persistence

    def first_declined(u: np.ndarray, v: np.ndarray) -> planar.Batch:
        rest = sound(u[1:], v[1:])
        ends = [np.concatenate([[0], found]) for found in (rest.death_ends, rest.pair_ends)]
        return planar.Batch(rest.deaths, ends[0], rest.pairs, ends[1], np.concatenate([[True], rest.declined]))

    monkeypatch.setattr(planar, "planar_persistence", first_declined)
    tally = Tally()
    for ours, theirs in zip(native.diagrams(clouds, 1, tally), expected, strict=True):
        assert_equal(ours, theirs)
    assert (tally.planar, tally.general, tally.fallback) == (2, 0, 1)
    np.testing.assert_allclose(native.window_numbers(closes, **knobs, tally=tally), numbers, rtol=1e-12)
    assert (tally.planar, tally.general, tally.fallback) == (4, 0, 2)


# --- worst shapes


@pytest.mark.parametrize("noise", [0.0, 1e-9, 0.001, 0.01, 0.1])
def test_large_circles(noise: float) -> None:
    """Faces of hundreds of corners: their search starts from an empty disc."""
    points = circle(500, noise)
    tally = Tally()
    native.diagrams(points[None], 1, tally)
    assert tally.fallback == 0
    assert_equal(persistence(points), persistence(lifted(points)))


def test_the_death_of_a_round_hole_is_its_inscribed_triangle() -> None:
    np.testing.assert_allclose(persistence(circle(300))[1], [[2 * np.sin(np.pi / 300), np.sqrt(3)]], rtol=1e-12)


# --- forms of input


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("coordinates", [1, 2, 3])
def test_a_few_points(count: int, coordinates: int) -> None:
    points = np.arange(count * coordinates, dtype=float).reshape(count, coordinates)
    components, holes = persistence(points, backend="native")
    assert components.shape == (max(0, count - 1), 2)
    assert holes.shape == (0, 2)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_layout_and_type_of_the_array_do_not_matter(maker: object) -> None:
    points = maker(np.random.default_rng(1), 50)  # type: ignore[operator]
    points = points.astype(np.float32).astype(np.float64)
    expected = persistence(points)
    wide = np.zeros((2 * len(points), 5))
    wide[::2, 1:4:2] = points
    frozen = points.copy()
    frozen.setflags(write=False)
    for same in (points.astype(np.float32), np.asfortranarray(points), wide[::2, 1:4:2], frozen, points.tolist()):
        assert_equal(persistence(same), expected)
    assert_equal(persistence(points[::-1]), expected)


def test_the_input_is_left_alone() -> None:
    points = np.random.default_rng(3).normal(size=(30, 2))
    kept = points.copy()
    persistence(points)
    persistence_batch(points[None])
    np.testing.assert_array_equal(points, kept)


@pytest.mark.parametrize(
    "matrix",
    [
        np.ones((3, 3)),
        np.array([[0.0, 1.0], [2.0, 0.0]]),
        np.array([[0.0, -1.0], [-1.0, 0.0]]),
        np.zeros((2, 3)),
        np.array([[0.0, np.inf], [np.inf, 0.0]]),
        np.array([[0.0, np.nan], [np.nan, 0.0]]),
    ],
)
def test_what_is_no_distance_matrix_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(BadCloud):
        persistence(matrix, metric="precomputed")


def test_an_empty_distance_matrix_is_an_empty_cloud() -> None:
    assert [d.shape for d in persistence(np.empty((0, 0)), metric="precomputed")] == [(0, 2), (0, 2)]


def test_distances_need_no_triangle_inequality() -> None:
    """A square of sides 1 whose diagonals are 10: the hole lives that long."""
    matrix = np.full((4, 4), 10.0)
    for k in range(4):
        matrix[k, (k + 1) % 4] = matrix[(k + 1) % 4, k] = 1.0
        matrix[k, k] = 0.0
    np.testing.assert_array_equal(persistence(matrix, metric="precomputed")[1], [[1.0, 10.0]])


def test_above_h1_native_says_so_and_auto_asks_giotto() -> None:
    points = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(DimensionTooHigh, match="giotto"):
        persistence(points, max_dimension=2, backend="native")
    assert_equal(
        persistence(points, max_dimension=2), persistence(points, max_dimension=2, backend="giotto"), atol=1e-12
    )
    assert len(persistence(points, max_dimension=0)) == 1


def test_without_giotto_the_native_engine_works(monkeypatch: pytest.MonkeyPatch) -> None:
    from betti.errors import PartUnavailable

    for name in ("gtda", "gtda.homology"):
        monkeypatch.setitem(sys.modules, name, None)
    assert len(persistence(circle(20))[1]) == 1
    with pytest.raises(PartUnavailable, match="giotto"):
        persistence(circle(20), backend="giotto")
