"""The 1-Wasserstein distances against the square assignment problem that defines them, and as a metric."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from betti.topology import descriptors
from betti.topology.persistence import persistence_batch
from betti.topology.vectorisation import fixed_grid
from tests.unit.topology.clouds import cloud

GRID = fixed_grid(2.0, 10)
NOTHING = np.empty((0, 2))

many = settings(max_examples=400, deadline=None, derandomize=True)

# Ticks make equal deaths, and ties between matchings.
ticks = st.integers(1, 12).map(lambda tick: tick / 4)
deaths = st.one_of(st.lists(ticks, max_size=9), st.lists(st.floats(1e-3, 4), max_size=9))


@st.composite
def holes(draw: st.DrawFn) -> np.ndarray:
    size = draw(st.integers(0, 7))
    number = draw(st.sampled_from([ticks, st.floats(1e-3, 4)]))
    births = draw(st.lists(number, min_size=size, max_size=size))
    lengths = draw(st.lists(number, min_size=size, max_size=size))
    return np.column_stack([births, np.add(births, lengths)]).reshape(-1, 2)


def born_at_0(found: list[float]) -> np.ndarray:
    return np.column_stack([np.zeros(len(found)), found]).reshape(-1, 2)


def distance(ours: np.ndarray, theirs: np.ndarray, homology: int) -> float:
    now, before = [NOTHING, NOTHING], [NOTHING, NOTHING]
    now[homology], before[homology] = ours, theirs
    return float(descriptors.describe(["wasserstein"], [now], [before], GRID)[0, homology])


def by_definition(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Every pair has a place on the diagonal of its own, and places on the diagonal match at no cost."""
    n, m = len(ours), len(theirs)
    costs = np.zeros((n + m, n + m))
    costs[:n, :m] = np.abs(ours[:, None] - theirs[None]).max(axis=2)
    costs[:n, m:] = ((ours[:, 1] - ours[:, 0]) / 2)[:, None]
    costs[n:, :m] = ((theirs[:, 1] - theirs[:, 0]) / 2)[None]
    return float(costs[linear_sum_assignment(costs)].sum())


@many
@given(ours=deaths, theirs=deaths)
@example(ours=[10.0, 1.0], theirs=[1.0])  # the shortest is matched and the longest is not
@example(ours=[1.0, 2.5, 3.0], theirs=[2.0, 2.0, 2.0])
def test_components_equal_the_definition(ours: list[float], theirs: list[float]) -> None:
    now, before = born_at_0(ours), born_at_0(theirs)
    np.testing.assert_allclose(distance(now, before, 0), by_definition(now, before), rtol=1e-12, atol=1e-12)


@many
@given(ours=holes(), theirs=holes())
def test_holes_equal_the_definition(ours: np.ndarray, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(distance(ours, theirs, 1), by_definition(ours, theirs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_large_components_equal_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    now, before = (born_at_0(rng.exponential(0.1, size).tolist()) for size in (220, 170 + 20 * seed))
    np.testing.assert_allclose(distance(now, before, 0), by_definition(now, before), rtol=1e-11)


@pytest.mark.parametrize("seed", range(0, 60, 7))
def test_diagrams_of_clouds_equal_the_definition(seed: int) -> None:
    now, before = (persistence_batch(cloud(s)[1][None])[0] for s in (seed, seed + 1))
    for h in (0, 1):
        wanted = by_definition(now[h], before[h])
        np.testing.assert_allclose(distance(now[h], before[h], h), wanted, rtol=1e-11, atol=1e-12)


def test_components_are_dual_to_the_best_test_function() -> None:
    """The linear program that the stacks solve: slopes within [-1, 1], |f(x)| at most x / 2."""
    from scipy.optimize import linprog

    rng = np.random.default_rng(5)
    for size in range(1, 12):
        values = np.sort(rng.exponential(1.0, 2 * size))
        signs = rng.permutation(np.repeat([1.0, -1.0], size))
        steps = np.diff(np.eye(2 * size), axis=0)
        gaps = np.diff(values)
        best = linprog(
            -signs,
            A_ub=np.concatenate([steps, -steps]),
            b_ub=np.concatenate([gaps, gaps]),
            bounds=np.column_stack([-values / 2, values / 2]),
        )
        now, before = (born_at_0(values[signs == sign].tolist()) for sign in (1, -1))
        np.testing.assert_allclose(distance(now, before, 0), -best.fun, rtol=1e-9)


@pytest.mark.parametrize("h", [0, 1])
def test_nothing_moved_is_exactly_nothing(h: int) -> None:
    for seed in range(23):
        found = persistence_batch(cloud(seed)[1][None])[0][h]
        assert distance(found, found[::-1], h) == 0.0


@pytest.mark.parametrize("h", [0, 1])
def test_from_nothing_every_pair_pays_half_its_length(h: int) -> None:
    found = np.array([[0.0, 0.5], [0.0, 1.0], [0.0, 3.0]])
    assert distance(found, NOTHING, h) == distance(NOTHING, found, h) == 2.25


@settings(max_examples=100, deadline=None, derandomize=True)
@given(a=deaths, b=deaths, c=deaths)
def test_components_obey_the_laws_of_a_metric(a: list[float], b: list[float], c: list[float]) -> None:
    first, second, third = (born_at_0(found) for found in (a, b, c))
    there = distance(first, second, 0)
    assert there >= 0
    assert there == pytest.approx(distance(second, first, 0), abs=1e-12)
    assert there <= distance(first, third, 0) + distance(third, second, 0) + 1e-12


def test_a_small_move_of_many_pairs_is_the_sum_of_the_moves() -> None:
    found = np.linspace(0.5, 1.0, 1331)
    moved = distance(born_at_0((found + 1e-6).tolist()), born_at_0(found.tolist()), 0)
    assert moved == pytest.approx(1331e-6, rel=1e-9)
