"""Pictures of one window: every class is drawn once, at its place; curves and landscapes against other sources."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn
from scipy.integrate import trapezoid

from betti.charts import cloud
from betti.topology import persistence, vectorisation

GRID = np.linspace(0, 2, 60)
EMPTY = np.empty((0, 2))


def pairs() -> st.SearchStrategy[np.ndarray]:
    """(k, 2) of [birth, death]; a coarse lattice, so that ends coincide."""
    corners = hn.arrays(np.int64, st.tuples(st.integers(0, 30), st.just(2)), elements=st.integers(0, 12))
    return corners.map(lambda steps: np.stack([steps[:, 0] / 8, (steps.sum(axis=1) + 1) / 8], axis=1))


@pytest.fixture(scope="module")
def diagrams() -> list[np.ndarray]:
    return persistence(np.random.default_rng(0).normal(size=(150, 2)))


@given(pairs(), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_curves_and_landscapes_are_those_of_the_features(diagram: np.ndarray, count: int):
    gathered = vectorisation.gathered([diagram])
    np.testing.assert_array_equal(cloud.alive(diagram, GRID), vectorisation.betti_curves(gathered, GRID)[0])
    norms = np.sqrt(trapezoid(cloud.layers(diagram, GRID, count) ** 2, GRID, axis=1))
    np.testing.assert_allclose(norms, vectorisation.landscape_norms(gathered, GRID, count)[0], atol=1e-12)


def test_landscapes_are_those_of_giotto(diagrams: list[np.ndarray]):
    from gtda.diagrams import PersistenceLandscape

    holes = diagrams[1]
    theirs = PersistenceLandscape(n_layers=4, n_bins=80)
    given_ = np.column_stack([holes, np.ones(len(holes))])[None]
    found = theirs.fit_transform(given_)[0].reshape(4, 80)
    np.testing.assert_allclose(cloud.layers(holes, theirs.samplings_[1].ravel(), 4), found, atol=1e-12)


@given(pairs(), st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_the_longest_are_the_longest(diagram: np.ndarray, most: int):
    kept = cloud.longest(diagram, most)
    lives = np.sort(diagram[:, 1] - diagram[:, 0])[::-1]
    np.testing.assert_allclose(kept[:, 1] - kept[:, 0], lives[:most])
    assert {tuple(pair) for pair in kept} <= {tuple(pair) for pair in diagram}


def test_the_diagram_draws_every_class_at_its_birth_and_death(diagrams: list[np.ndarray]):
    figure = cloud.diagram(diagrams)
    drawn = [np.column_stack([t.x, t.y]) for t in figure.data if t.mode == "markers"]
    for found, expected in zip(drawn, (*diagrams, diagrams[1]), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_barcode_draws_a_hundred_components_and_all_holes(diagrams: list[np.ndarray]):
    components, holes = cloud.barcode(diagrams).data
    assert len(diagrams[0]) > cloud.MOST_BARS == len(components.x)
    assert len(holes.x) == len(diagrams[1])
    births, lives = (np.asarray(ends, dtype=float) for ends in (holes.base, holes.x))
    found = np.column_stack([births, births + lives])
    np.testing.assert_allclose(found[np.lexsort(found.T[::-1])], diagrams[1])


def test_dots_are_the_samples_that_the_features_see(diagrams: list[np.ndarray]):
    curves = np.concatenate([vectorisation.betti_curves(vectorisation.gathered([d]), GRID) for d in diagrams])
    dots = [trace for trace in cloud.betti_curves(diagrams, GRID, curves).data if trace.mode == "markers"]
    for trace, curve, diagram in zip(dots, curves, diagrams, strict=True):
        np.testing.assert_array_equal(trace.y, curve[: len(trace.y)])
        assert GRID[len(trace.x)] > diagram[:, 1].max()  # none is left out while a class is alive


@pytest.mark.parametrize(("dimension", "kind"), [(2, "scatter"), (3, "scatter3d"), (5, "scatter3d")])
def test_the_cloud_is_drawn_in_as_many_dimensions_as_can_be_seen(dimension: int, kind: str):
    points = np.random.default_rng(1).normal(size=(40, dimension))
    trace = cloud.points(points, 7, [str(k) for k in range(40)]).data[0]
    assert trace.type == kind
    np.testing.assert_array_equal(trace.y, points[:, 1])
    np.testing.assert_array_equal(trace.marker.color, np.arange(40))
    assert trace.marker.cmax == 39 + 7 * (dimension - 1)  # a colour is the same time here and among the closes


@pytest.mark.parametrize("holes", [EMPTY, np.array([[0.5, 0.75]])], ids=["no class", "one hole"])
def test_thin_diagrams_still_make_pictures(holes: np.ndarray):
    both = [EMPTY, holes]
    curves = np.array([cloud.alive(one, GRID) for one in both], dtype=float)
    for figure in (
        cloud.diagram(both), cloud.barcode(both), cloud.betti_curves(both, GRID, curves),
        cloud.landscapes(both, GRID, 5),
    ):  # fmt: skip
        assert figure.layout.height > 0
        assert "NaN" not in figure.to_json()
    assert len(cloud.points(np.zeros((1, 2)), 5, ["now"]).data[0].x) == 1
