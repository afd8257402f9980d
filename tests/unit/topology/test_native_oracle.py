"""The native engine against ripser and giotto-tda, pair by pair: 2,000 clouds here, any number in fuzz_topology.py."""

from __future__ import annotations

import numpy as np
import pytest

from betti.topology import persistence
from betti.topology.persistence import persistence_batch
from tests.fuzz_topology import faults
from tests.unit.topology.clouds import agree, by_ripser, circle, closes, cloud, delayed, extent

BLOCK = 100
FLOAT32 = 1e-6  # of a cloud's extent: what the reference engines round distances to
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("block", range(18))
def test_clouds_of_every_kind(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        kind, points = cloud(seed)
        assert faults(points) == [], f"cloud({seed}), {kind}"


@pytest.mark.parametrize("seed", range(8))
def test_larger_clouds(seed: int) -> None:
    kind, points = cloud(20 + seed * 3, 700)
    assert faults(points) == [], kind


@pytest.mark.parametrize("symbol", ["NASDAQ", "SP500"])
@pytest.mark.parametrize(("window", "delay"), [(126, 5), (348, 12), (700, 12)])
def test_windows_of_real_closes(symbol: str, window: int, delay: int) -> None:
    series = closes(symbol)
    for start in (0, 1700, 4200):
        piece = series[start : start + window]
        points = delayed((piece - piece.mean()) / piece.std(), delay)
        assert faults(points) == [], f"{symbol} from {start}"


@pytest.mark.parametrize("seed", range(120))
def test_clouds_in_space(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dimension, count = int(rng.choice([1, 3, 4, 5, 8])), int(rng.integers(4, 90))
    points = rng.normal(size=(count, dimension)) if seed % 3 else rng.integers(0, 5, (count, dimension)) / 10
    if seed % 5 == 0:
        points[:, 1:] += 3 * circle(count)[:, :1]
    for ours, theirs in zip(persistence(points), by_ripser(points), strict=True):
        assert agree(ours, theirs, FLOAT32 * max(1.0, extent(points)) * np.sqrt(dimension))


@pytest.mark.parametrize("dimension", [3, 5])
def test_delay_clouds_of_real_closes_in_space(dimension: int) -> None:
    piece = closes("NASDAQ")[1000:1300]
    points = np.column_stack([piece[k * 4 : len(piece) - (dimension - 1 - k) * 4] for k in range(dimension)])
    for ours, theirs in zip(persistence(points), by_ripser(points), strict=True):
        assert agree(ours, theirs, FLOAT32 * extent(points) * np.sqrt(dimension))


@pytest.mark.parametrize("seed", range(40))
def test_dissimilarities_that_are_no_metric(seed: int) -> None:
    from ripser import ripser

    rng = np.random.default_rng(seed)
    count = int(rng.integers(4, 40))
    upper = np.triu(rng.random((count, count)) if seed % 2 else rng.integers(1, 7, (count, count)), 1)
    matrix = (upper + upper.T).astype(float)
    found = ripser(matrix, distance_matrix=True, maxdim=1)["dgms"]
    for ours, theirs in zip(persistence(matrix, metric="precomputed"), found, strict=True):
        assert agree(ours, theirs[np.isfinite(theirs[:, 1])].astype(float), FLOAT32 * matrix.max())


@pytest.mark.parametrize("count", [10, 60, 120])
def test_the_reference_backend_agrees(count: int) -> None:
    """giotto-tda, float32, on blocks of clouds of one size."""
    kinds = [cloud(seed, 1000) for seed in range(3000, 3060)]
    clouds = np.stack([points[:count] for _, points in kinds if len(points) >= count])
    reference = persistence_batch(clouds, backend="giotto")
    for points, found, expected in zip(clouds, persistence_batch(clouds), reference, strict=True):
        for ours, theirs in zip(found, expected, strict=True):
            assert agree(ours, theirs, max(FLOAT32 * extent(points), 1e-300))


def test_the_comparison_sees_a_wrong_pair() -> None:
    """The oracle is no better than its comparison."""
    right = np.array([[0.1, 0.5], [0.2, 0.9]])
    swapped = np.array([[0.1, 0.9], [0.2, 0.5]])
    assert agree(right, right + 1e-8, 1e-7)
    assert not agree(right, swapped, 1e-7)
    assert not agree(right, right[:1], 1e-7)
    assert not agree(right, right + np.array([0.0, 1e-5]), 1e-7)
    assert agree(right, np.concatenate([right, [[0.3, 0.3 + 1e-8]]]), 1e-7)
