"""Numbers of diagrams against giotto-tda on the same grid, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import trapezoid

from betti.topology.persistence import persistence_batch
from betti.topology.vectorisation import betti_curves, entropies, fixed_grid, gathered, landscape_norms, totals

BINS, LAYERS = 100, 5
GRID = fixed_grid(2.0, BINS)


@pytest.fixture(scope="module")
def diagrams() -> list[list[np.ndarray]]:
    return persistence_batch(np.random.default_rng(0).normal(0, 0.7, size=(12, 60, 2)))


def triples(diagrams: list[list[np.ndarray]]) -> np.ndarray:
    """giotto-tda's layout; a first diagram from 0 to 2 makes its grid ours."""
    anchored = [[np.array([[0.0, 2.0]])] * 2, *diagrams]
    widths = [max(len(found[h]) for found in anchored) for h in (0, 1)]
    table = np.zeros((len(anchored), sum(widths), 3))
    table[:, widths[0] :, 2] = 1
    for row, found in zip(table, anchored, strict=True):
        row[: len(found[0]), :2] = found[0]
        row[widths[0] : widths[0] + len(found[1]), :2] = found[1]
    return table


@pytest.mark.parametrize("h", [0, 1])
def test_betti_curves_equal_giotto(diagrams: list[list[np.ndarray]], h: int) -> None:
    from gtda.diagrams import BettiCurve

    transformer = BettiCurve(n_bins=BINS)
    theirs = transformer.fit_transform(triples(diagrams))[1:, h]
    np.testing.assert_allclose(transformer.samplings_[h].ravel(), GRID)
    np.testing.assert_array_equal(betti_curves(gathered([d[h] for d in diagrams]), GRID), theirs)


@pytest.mark.parametrize("h", [0, 1])
def test_entropies_equal_giotto(diagrams: list[list[np.ndarray]], h: int) -> None:
    from gtda.diagrams import PersistenceEntropy

    theirs = PersistenceEntropy().fit_transform(triples(diagrams))[1:, h]
    np.testing.assert_allclose(entropies(gathered([d[h] for d in diagrams])), theirs, rtol=1e-10)


@pytest.mark.parametrize("h", [0, 1])
def test_landscape_norms_equal_giotto(diagrams: list[list[np.ndarray]], h: int) -> None:
    from gtda.diagrams import PersistenceLandscape

    samples = PersistenceLandscape(n_layers=LAYERS, n_bins=BINS).fit_transform(triples(diagrams))
    layers = samples.reshape(len(diagrams) + 1, 2, LAYERS, BINS)[1:, h]
    theirs = np.sqrt(trapezoid(layers**2, GRID, axis=-1))
    np.testing.assert_allclose(landscape_norms(gathered([d[h] for d in diagrams]), GRID, LAYERS), theirs, atol=1e-12)


def test_one_pair_by_hand() -> None:
    pairs = gathered([np.array([[0.5, 1.5]])])
    grid = fixed_grid(2.0, 5)
    assert betti_curves(pairs, grid).tolist() == [[0, 1, 1, 0, 0]]
    assert totals(pairs).tolist() == [1.0]
    assert entropies(pairs).tolist() == [0.0]
    np.testing.assert_allclose(landscape_norms(pairs, grid, 2), [[np.sqrt(0.5 * 0.25), 0.0]])


def test_equal_pairs_have_the_entropy_of_a_fair_die() -> None:
    np.testing.assert_allclose(entropies(gathered([np.tile([0.0, 1.0], (8, 1))])), [3.0])


def test_empty_diagrams_give_zeros() -> None:
    for pairs in (gathered([np.empty((0, 2))] * 3), gathered([])):
        for values in (
            betti_curves(pairs, GRID),
            entropies(pairs)[:, None],
            totals(pairs)[:, None],
            landscape_norms(pairs, GRID, LAYERS),
        ):
            assert values.shape[0] == pairs.count
            assert values.dtype == np.float64
            assert not values.any()


def test_pairs_beyond_the_grid_stay_counted_to_its_end() -> None:
    pairs = gathered([np.array([[0.0, 9.0], [5.0, 6.0]])])
    assert betti_curves(pairs, GRID).tolist() == [[1.0] * BINS]


def test_vanishing_lengths_have_no_entropy() -> None:
    assert entropies(gathered([np.array([[0.0, 1e-320], [0.0, 1e10]])])).tolist() == [0.0]


def test_a_row_does_not_depend_on_its_neighbours(diagrams: list[list[np.ndarray]]) -> None:
    found = [d[0] for d in diagrams]
    together = gathered(found)
    for function in (entropies, totals, lambda p: landscape_norms(p, GRID, LAYERS), lambda p: betti_curves(p, GRID)):
        rows = function(together)
        for diagram, row in zip(found, rows, strict=True):
            assert function(gathered([diagram]))[0].tobytes() == row.tobytes()
