"""Descriptors against giotto-tda, whose transformers are given our samplings instead of those they fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from betti.topology import descriptors
from betti.topology.persistence import persistence_batch
from betti.topology.vectorisation import fixed_grid
from tests.unit.topology.clouds import cloud

BINS, PIXELS, EXTENT = 25, 10, 1.7
GRID, COARSE = fixed_grid(EXTENT, BINS), fixed_grid(EXTENT, PIXELS)
STEP, PIXEL = EXTENT / (BINS - 1), EXTENT / (PIXELS - 1)

# A pair weighs the persistence in the middle of its pixel, and a Gaussian is one pixel wide.
IMAGE = {"sigma": PIXEL, "weight_function": lambda persistence: persistence + PIXEL / 2}
HEAT = {"sigma": PIXEL}

homology = pytest.mark.parametrize("h", [0, 1])


@pytest.fixture(scope="module")
def diagrams() -> list[list[np.ndarray]]:
    """Of clouds of every kind; some reach beyond the grid, and some are empty."""
    clouds = [cloud(seed)[1] for seed in range(46)]
    scaled = [points / (points.std() or 1.0) for points in clouds]
    return [persistence_batch(points[None])[0] for points in scaled]


def triples(diagrams: list[list[np.ndarray]]) -> np.ndarray:
    """giotto-tda's layout: (birth, death, dimension), filled up with pairs of no length."""
    widths = [1 + max(len(found[h]) for found in diagrams) for h in (0, 1)]
    table = np.zeros((len(diagrams), sum(widths), 3))
    table[:, widths[0] :, 2] = 1
    for row, found in zip(table, diagrams, strict=True):
        row[: len(found[0]), :2] = found[0]
        row[widths[0] : widths[0] + len(found[1]), :2] = found[1]
    return table


def on_curve(grid: np.ndarray) -> tuple[dict[int, np.ndarray], dict[int, float]]:
    """Samplings and steps as giotto-tda keeps them, for functions of the filtration value."""
    return dict.fromkeys((0, 1), grid[:, None, None]), dict.fromkeys((0, 1), float(grid[1]))


def on_plane(grid: np.ndarray) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """The same for images, which have a sampling of birth and one of persistence."""
    return dict.fromkeys((0, 1), np.column_stack([grid, grid])), dict.fromkeys((0, 1), np.full(2, grid[1]))


def pictures(transformer: Any, samplings: tuple[dict, dict], diagrams: list[list[np.ndarray]]) -> np.ndarray:
    """(count, 2, PIXELS, PIXELS) by birth and then by the other axis, as giotto-tda draws them on our samplings."""
    given = triples(diagrams)
    transformer.fit(given)
    transformer._samplings, transformer._step_size = samplings
    if hasattr(transformer, "weights_"):
        transformer.weights_ = dict.fromkeys((0, 1), IMAGE["weight_function"](COARSE))
    return np.rot90(transformer.transform(given), k=-1, axes=(2, 3))


def by_pixel(name: str, diagrams: list[list[np.ndarray]]) -> dict[tuple[int, int, int], np.ndarray]:
    """Our columns of a picture: (dimension, first pixel, second pixel) -> (count,)."""
    numbers = descriptors.describe([name], diagrams, [], GRID)
    keys = [column.removeprefix(f"{name}_h").split("_") for column in descriptors.columns([name], BINS)]
    return {(int(h), int(a), int(b)): column for (h, a, b), column in zip(keys, numbers.T, strict=True)}


def test_image_equals_giotto(diagrams: list[list[np.ndarray]]) -> None:
    from gtda.diagrams import PersistenceImage

    theirs = pictures(PersistenceImage(n_bins=PIXELS, **IMAGE), on_plane(COARSE), diagrams)
    ours = by_pixel("image", diagrams)
    for (h, birth, persistence), values in ours.items():
        np.testing.assert_allclose(values, theirs[:, h, birth, persistence], rtol=1e-12, atol=1e-12)
    assert {key[1:] for key in ours if key[0] == 1} == set(np.ndindex(PIXELS, PIXELS))


def test_the_pixels_of_h0_that_an_image_leaves_out_are_multiples(diagrams: list[list[np.ndarray]]) -> None:
    from gtda.diagrams import PersistenceImage

    theirs = pictures(PersistenceImage(n_bins=PIXELS, **IMAGE), on_plane(COARSE), diagrams)[:, 0]
    shares = theirs.sum(axis=(0, 2)) / theirs[:, 0].sum()
    np.testing.assert_allclose(theirs, theirs[:, :1] * shares[None, :, None], rtol=1e-12, atol=1e-12)


def test_heat_equals_giotto(diagrams: list[list[np.ndarray]]) -> None:
    from gtda.diagrams import HeatKernel

    theirs = pictures(HeatKernel(n_bins=PIXELS, **HEAT), on_curve(COARSE), diagrams)
    ours = by_pixel("heat", diagrams)
    for (h, birth, death), values in ours.items():
        np.testing.assert_allclose(values, theirs[:, h, birth, death], rtol=1e-12, atol=1e-12)
    assert {key[1:] for key in ours if key[0] == 1} == {(b, d) for b in range(PIXELS) for d in range(b + 1, PIXELS)}
    np.testing.assert_array_equal(theirs, -theirs.transpose(0, 1, 3, 2))


def test_the_pixels_of_h0_that_a_heat_picture_leaves_out_follow_from_the_others() -> None:
    """One death in each pixel spans all pictures of H0; their rows at birth 0 are as many, and independent."""
    from gtda.diagrams import HeatKernel

    single = [[np.array([[0.0, death + PIXEL / 2]]), np.empty((0, 2))] for death in COARSE]
    theirs = pictures(HeatKernel(n_bins=PIXELS, **HEAT), on_curve(COARSE), single)[:, 0]
    assert not theirs[0].any()  # born and dead within the first pixel: on the diagonal
    rows = descriptors.describe(["heat"], single, [], GRID)[1:, : PIXELS - 1]
    assert np.linalg.cond(rows) < 100


@homology
def test_silhouette_equals_giotto(diagrams: list[list[np.ndarray]], h: int) -> None:
    from gtda.diagrams import Silhouette

    given = triples(diagrams)
    transformer = Silhouette(power=1.0, n_bins=BINS).fit(given)
    transformer._samplings, _ = on_curve(GRID)
    theirs = transformer.transform(given)[:, h]
    ours = descriptors.describe(["silhouette"], diagrams, [], GRID).reshape(-1, 2, BINS - 1)
    np.testing.assert_allclose(ours[:, h], theirs[:, 1:], rtol=1e-12, atol=1e-14)
    assert not theirs[:, 0].any()


@homology
@pytest.mark.parametrize(
    ("ours", "theirs", "knobs", "samplings"),
    [
        ("bottleneck", "bottleneck", {}, None),
        ("wasserstein", "wasserstein", {"p": 2}, None),
        ("betti", "betti", {"n_bins": BINS}, on_curve(GRID)),
        ("landscape", "landscape", {"n_bins": BINS}, on_curve(GRID)),
        ("silhouette", "silhouette", {"n_bins": BINS}, on_curve(GRID)),
        ("heat", "heat", {"n_bins": PIXELS, **HEAT}, on_curve(COARSE)),
        ("image", "persistence_image", {"n_bins": PIXELS, **IMAGE}, on_plane(COARSE)),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_amplitude_equals_giotto(
    diagrams: list[list[np.ndarray]], h: int, ours: str, theirs: str, knobs: dict[str, Any], samplings: Any
) -> None:
    from gtda.diagrams import Amplitude

    given = triples(diagrams)
    transformer = Amplitude(metric=theirs, metric_params=knobs).fit(given)
    if samplings is not None:
        known = transformer.effective_metric_params_
        known["samplings"], known["step_sizes"] = samplings
    column = descriptors.columns(["amplitude"], BINS).index(f"amplitude_h{h}_{ours}")
    numbers = descriptors.describe(["amplitude"], diagrams, [], GRID)[:, column]
    np.testing.assert_allclose(numbers, transformer.transform(given)[:, h], rtol=1e-10, atol=1e-12)
    assert np.count_nonzero(numbers) > 20


@homology
def test_wasserstein_equals_giotto(diagrams: list[list[np.ndarray]], h: int) -> None:
    """giotto-tda approximates, here to a relative error of 1e-4."""
    from gtda.diagrams import PairwiseDistance

    few = [found for found in diagrams if len(found[1]) > 1][:6]
    knobs = {"p": 1, "delta": 1e-4}
    theirs = PairwiseDistance(metric="wasserstein", metric_params=knobs, order=None).fit_transform(triples(few))
    for shift in range(1, len(few)):
        before = [*few[shift:], *few[:shift]]
        ours = descriptors.describe(["wasserstein"], few, before, GRID)[:, h]
        wanted = [theirs[k, (k + shift) % len(few), h] for k in range(len(few))]
        np.testing.assert_allclose(ours, wanted, rtol=2e-4, atol=1e-9)
