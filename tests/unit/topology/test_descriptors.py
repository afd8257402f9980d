"""Several descriptors side by side, and the curves and statistics of small diagrams by hand."""

from __future__ import annotations

import statistics as standard

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import BadInput, BettiError
from betti.topology import descriptors
from betti.topology.vectorisation import fixed_grid

GRID = fixed_grid(2.0, 9)
NOTHING = np.empty((0, 2))
DIAGRAMS = [
    [np.array([[0.0, 0.5], [0.0, 1.0]]), np.array([[0.5, 1.5]])],
    [NOTHING, np.array([[0.25, 0.75], [0.5, 1.0], [0.5, 2.5]])],
    [np.array([[0.0, 0.1]]), NOTHING],
]
BEFORE = DIAGRAMS[::-1]


# --- the package


def test_blocks_stand_in_the_order_of_the_names() -> None:
    names = ["wasserstein", "statistics", "image"]
    blocks = [descriptors.describe([name], DIAGRAMS, BEFORE, GRID) for name in names]
    np.testing.assert_array_equal(descriptors.describe(names, DIAGRAMS, BEFORE, GRID), np.hstack(blocks))
    assert descriptors.columns(names, 9) == sum((descriptors.columns([name], 9) for name in names), ())


def test_all_of_them_together_have_names_of_their_own() -> None:
    columns = descriptors.columns(descriptors.FOLDER.names(), 9)
    assert len(set(columns)) == len(columns)


def test_none_of_them_is_a_table_without_columns() -> None:
    assert descriptors.columns([], 9) == ()
    assert descriptors.describe([], DIAGRAMS, [], GRID).shape == (3, 0)
    assert not descriptors.looks_back([])


def test_one_that_looks_back_is_enough_to_need_earlier_windows() -> None:
    assert not descriptors.looks_back(["image", "statistics"])
    assert descriptors.looks_back(["image", "wasserstein"])


def test_a_repeated_name_is_refused() -> None:
    with pytest.raises(descriptors.NamedTwice, match="descriptor 'heat' is named more than once") as caught:
        descriptors.columns(["heat", "image", "heat"], 9)
    assert isinstance(caught.value, BadInput)


def test_missing_earlier_windows_are_refused() -> None:
    with pytest.raises(descriptors.NoWindowsBefore, match="compares 3 windows with 1 earlier ones") as caught:
        descriptors.describe(["wasserstein"], DIAGRAMS, BEFORE[:1], GRID)
    assert isinstance(caught.value, BettiError)
    assert not isinstance(caught.value, BadInput)


# --- statistics


def row(name: str, diagram: np.ndarray, homology: int) -> dict[str, float]:
    """One descriptor's numbers of one diagram, by column without the descriptor's name and the dimension."""
    window = [NOTHING, NOTHING]
    window[homology] = diagram
    numbers = descriptors.describe([name], [window], [], GRID)[0]
    prefix = f"{name}_h{homology}_"
    columns = descriptors.columns([name], len(GRID))
    return {
        column.removeprefix(prefix): value
        for column, value in zip(columns, numbers.tolist(), strict=True)
        if column.startswith(prefix)
    }


def summaries(values: list[float]) -> dict[str, float]:
    """By the standard library."""
    quartiles = standard.quantiles(values, method="inclusive") if len(values) > 1 else values * 3
    return {
        "mean": standard.fmean(values),
        "deviation": standard.pstdev(values),
        "lower_quartile": quartiles[0],
        "median": standard.median(values),
        "upper_quartile": quartiles[2],
        "max": max(values),
        "sum": sum(values),
    }


pair = st.tuples(st.floats(0, 3), st.floats(1e-6, 3)).map(lambda found: (found[0], found[0] + found[1]))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(found=st.lists(pair, min_size=1, max_size=12))
def test_statistics_equal_the_standard_library(found: list[tuple[float, float]]) -> None:
    measures = {
        "birth": [birth for birth, _ in found],
        "death": [death for _, death in found],
        "lifetime": [death - birth for birth, death in found],
        "midlife": [(birth + death) / 2 for birth, death in found],
    }
    wanted = {f"{m}_{name}": value for m, values in measures.items() for name, value in summaries(values).items()}
    ours = row("statistics", np.array(found), 1)
    assert ours.pop("count") == len(found)
    assert ours == pytest.approx(wanted, abs=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(deaths=st.lists(st.floats(1e-6, 3), min_size=1, max_size=12))
def test_statistics_of_components_are_those_of_their_lengths(deaths: list[float]) -> None:
    ours = row("statistics", np.array([(0.0, death) for death in deaths]), 0)
    assert ours.pop("count") == len(deaths)
    assert ours == pytest.approx({f"lifetime_{name}": v for name, v in summaries(deaths).items()}, abs=1e-12)


# --- curves and pictures, by hand


def test_the_silhouette_of_one_pair_is_its_tent() -> None:
    assert list(row("silhouette", np.array([[0.5, 1.5]]), 1).values()) == [0, 0, 0.25, 0.5, 0.25, 0, 0, 0]


def test_a_longer_pair_weighs_more_in_the_silhouette() -> None:
    """Lengths 1 and 0.5: weights 2/3 and 1/3."""
    found = list(row("silhouette", np.array([[0.0, 1.0], [1.0, 1.5]]), 1).values())
    np.testing.assert_allclose(found, [1 / 6, 1 / 3, 1 / 6, 0, 1 / 12, 0, 0, 0], atol=1e-15)


def test_an_image_has_its_peak_at_the_pixel_of_the_pair() -> None:
    """On a grid from 0 to 1.8 pixels are 0.2 wide: born at 0.75 is pixel 3, 0.9 long is pixel 4."""
    grid = fixed_grid(1.8, 5)
    numbers = descriptors.describe(["image"], [[NOTHING, np.array([[0.75, 1.65]])]], [], grid)[0]
    assert descriptors.columns(["image"], 5)[int(numbers.argmax())] == "image_h1_03_04"
    middle = 0.9  # the middle of pixel 4
    peak = middle / 0.2**2 / (2 * np.pi)  # a Gaussian of one pixel, in the plane
    np.testing.assert_allclose(numbers.max(), peak, rtol=1e-3)


def test_a_heat_picture_has_its_peak_at_the_pixel_of_the_pair() -> None:
    grid = fixed_grid(1.8, 5)
    numbers = descriptors.describe(["heat"], [[NOTHING, np.array([[0.3, 1.5]])]], [], grid)[0]
    assert descriptors.columns(["heat"], 5)[int(numbers.argmax())] == "heat_h1_01_07"
    np.testing.assert_allclose(numbers.max(), 1 / 0.2**2 / (2 * np.pi), rtol=1e-3)
    assert numbers.min() >= 0


def test_what_lies_beyond_the_grid_counts_at_its_end() -> None:
    for name in ("image", "heat"):
        at, beyond = (np.array([[0.1, death]]) for death in (2.0 + 0.1, 70.0))
        assert row(name, at, 1) == row(name, beyond, 1)
