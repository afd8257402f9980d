"""The laws of descriptors, over every registered one: a new file in the folder is under test the moment it is there."""

from __future__ import annotations

import re
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import UnknownName
from betti.topology import descriptors
from betti.topology.persistence import persistence_batch
from betti.topology.vectorisation import fixed_grid
from tests.unit.topology.clouds import cloud

Diagrams = list[list[np.ndarray]]

NAMES = descriptors.FOLDER.names()
GRID = fixed_grid(2.0, 40)

every_descriptor = pytest.mark.parametrize("name", NAMES)
some = settings(max_examples=25, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def diagrams() -> Diagrams:
    """Of clouds of every kind and size, in deviations of the cloud; a diagram of one point is among them."""
    clouds = [cloud(seed)[1] for seed in range(46)]
    scaled = [points / (points.std() or 1.0) for points in clouds]
    return [persistence_batch(points[None])[0] for points in [*scaled, np.zeros((1, 2))]]


def earlier(diagrams: Diagrams) -> Diagrams:
    """Another window for each, as the one before it."""
    return [*diagrams[7:], *diagrams[:7]]


def pairs() -> st.SearchStrategy[np.ndarray]:
    """H1 diagrams, also on and beyond the grid's values, with repeated pairs and very short ones."""
    ends = st.one_of(st.floats(0.0, 3.0), st.sampled_from([0.0, 0.25, 1.0, 2.0, 50.0]))
    pair = st.tuples(ends, ends).map(sorted).filter(lambda found: found[0] < found[1])
    return st.lists(pair, max_size=6).map(lambda found: np.array(found, dtype=np.float64).reshape(-1, 2))


def components() -> st.SearchStrategy[np.ndarray]:
    deaths = st.one_of(st.floats(1e-12, 3.0), st.sampled_from([0.25, 1.0, 2.0, 50.0]))
    return st.lists(deaths, max_size=6).map(lambda found: np.array([(0.0, d) for d in found]).reshape(-1, 2))


windows = st.lists(st.tuples(components(), pairs()).map(list), min_size=1, max_size=5)


# --- the folder


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    for ask in (
        lambda names: descriptors.columns(names, 10),
        descriptors.looks_back,
        lambda names: descriptors.describe(names, [], [], GRID),
    ):
        with pytest.raises(UnknownName, match=r"unknown descriptor 'imag'; did you mean 'image'\?"):
            ask(["imag"])


# --- form


@every_descriptor
@pytest.mark.parametrize("bins", [2, 37, 100])
def test_form(name: str, bins: int, diagrams: Diagrams) -> None:
    grid = fixed_grid(1.7, bins)
    columns = descriptors.columns([name], bins)
    numbers = descriptors.FOLDER.load(name).numbers(diagrams, earlier(diagrams), grid)
    assert isinstance(columns, tuple)
    assert len(set(columns)) == len(columns) > 0
    assert all(re.fullmatch(rf"{name}_[a-z0-9_]*[a-z0-9]", column) for column in columns)
    assert numbers.shape == (len(diagrams), len(columns))
    assert numbers.dtype == np.float64
    assert np.isfinite(numbers).all()


@every_descriptor
def test_every_column_says_something(name: str) -> None:
    """A column that is the same for every diagram is a column too many, and so is one that repeats another."""
    rng = np.random.default_rng(0)
    ends = np.sort(rng.uniform(0, 2 * GRID[-1], size=(60, 30, 2)), axis=2)
    windows = [[found * (0, 1), found[: rng.integers(30)]] for found in ends]
    windows = [[found[rng.integers(29) :], holes] for found, holes in windows]
    numbers = descriptors.describe([name], windows, earlier(windows), GRID)
    columns = np.array(descriptors.columns([name], len(GRID)))
    assert not set(columns[np.ptp(numbers, axis=0) == 0])
    assert len(np.unique(numbers, axis=1).T) == len(columns)


@every_descriptor
def test_no_windows_give_no_rows(name: str) -> None:
    assert descriptors.describe([name], [], [], GRID).shape == (0, len(descriptors.columns([name], len(GRID))))


@every_descriptor
def test_empty_diagrams_give_zeros_and_those_beside_them_finite_numbers(name: str) -> None:
    nothing, hole = np.empty((0, 2)), np.array([[0.5, 1.0]])
    found = [[nothing, nothing], [hole * (0, 1), nothing], [nothing, hole]]
    assert not descriptors.describe([name], found, found, GRID)[0].any()
    assert np.isfinite(descriptors.describe([name], found, found[::-1], GRID)).all()


@every_descriptor
def test_what_it_is_given_stays_as_it_was(name: str, diagrams: Diagrams) -> None:
    before, grid = earlier(diagrams), GRID.copy()
    kept = [[found.copy() for found in window] for window in diagrams]
    descriptors.describe([name], diagrams, before, grid)
    assert grid.tobytes() == GRID.tobytes()
    for window, copies in zip(diagrams, kept, strict=True):
        assert [found.tobytes() for found in window] == [found.tobytes() for found in copies]


# --- a row is its own window's


def assert_rows_stand_alone(module: ModuleType, windows: Diagrams, before: Diagrams, grid: np.ndarray) -> None:
    together = module.numbers(windows, before, grid)
    for k, row in enumerate(together):
        alone = module.numbers(windows[k : k + 1], before[k : k + 1], grid)
        assert alone.tobytes() == row.tobytes(), f"row {k} depends on the windows beside it"
    backwards = module.numbers(windows[::-1], before[::-1], grid)
    assert np.ascontiguousarray(backwards[::-1]).tobytes() == np.ascontiguousarray(together).tobytes()


@every_descriptor
def test_a_row_does_not_depend_on_other_windows(name: str, diagrams: Diagrams) -> None:
    assert_rows_stand_alone(descriptors.FOLDER.load(name), diagrams, earlier(diagrams), GRID)


@every_descriptor
@some
@given(windows=windows)
def test_a_row_does_not_depend_on_other_windows_whatever_they_are(name: str, windows: Diagrams) -> None:
    module = descriptors.FOLDER.load(name)
    assert np.isfinite(module.numbers(windows, windows[::-1], GRID)).all()
    assert_rows_stand_alone(module, windows, windows[::-1], GRID)


def test_the_checker_catches_a_grid_that_is_fitted(diagrams: Diagrams) -> None:
    def fitted(windows: Diagrams, _before: Diagrams, _grid: np.ndarray) -> np.ndarray:
        longest = max(found[1][:, 1].max(initial=1.0) for found in windows)
        return np.array([[np.sum(found[1][:, 1] > longest / 2)] for found in windows], dtype=float)

    with pytest.raises(AssertionError, match="beside it"):
        assert_rows_stand_alone(SimpleNamespace(numbers=fitted), diagrams, earlier(diagrams), GRID)


@every_descriptor
def test_the_order_of_pairs_says_nothing(name: str, diagrams: Diagrams) -> None:
    turned = [[found[::-1].copy() for found in window] for window in diagrams]
    before = earlier(diagrams)
    ours, theirs = (descriptors.describe([name], given, before, GRID) for given in (diagrams, turned))
    np.testing.assert_allclose(theirs, ours, rtol=1e-9, atol=1e-9)


@every_descriptor
def test_it_looks_back_if_it_says_so_and_only_then(name: str, diagrams: Diagrams) -> None:
    module = descriptors.FOLDER.load(name)
    empty = [[np.empty((0, 2))] * 2] * len(diagrams)
    with_others = module.numbers(diagrams, earlier(diagrams), GRID)
    assert (module.numbers(diagrams, empty, GRID).tobytes() != with_others.tobytes()) is module.LOOKS_BACK
    if not module.LOOKS_BACK:
        assert module.numbers(diagrams, [], GRID).tobytes() == with_others.tobytes()
