"""Clouds of every kind that has broken a persistence engine, and how two engines' diagrams are compared.

`cloud(seed)` is a function of its seed alone, so that a failure is reproduced by its number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd

Cloud = np.ndarray
Maker = Callable[[np.random.Generator, int], Cloud]


def delayed(series: np.ndarray, delay: int) -> Cloud:
    return np.column_stack([series[:-delay], series[delay:]])


def angles(points: int) -> np.ndarray:
    return 2 * np.pi * np.arange(points) / points


def circle(points: int, noise: float = 0.0, seed: int = 0) -> Cloud:
    radii = 1 + noise * np.random.default_rng(seed).standard_normal(points)
    return radii[:, None] * np.column_stack([np.cos(angles(points)), np.sin(angles(points))])


@cache
def closes(symbol: str) -> np.ndarray:
    """The built-in sample's daily closes."""
    from betti import sources

    until = pd.Timestamp("2018-12-31", tz="UTC")
    bars = sources.fetch("sample", symbols=(symbol,), interval="1d", until=until, options={})
    return bars["close"].to_numpy(dtype="float64")


def uniform(rng: np.random.Generator, n: int) -> Cloud:
    return rng.random((n, 2))


def normal(rng: np.random.Generator, n: int) -> Cloud:
    return rng.normal(size=(n, 2))


def coarse_ticks(rng: np.random.Generator, n: int) -> Cloud:
    return rng.integers(0, rng.integers(2, 9), (n, 2)).astype(float)


def fine_ticks(rng: np.random.Generator, n: int) -> Cloud:
    return rng.integers(0, 60, (n, 2)).astype(float)


def tick_prices(rng: np.random.Generator, n: int) -> Cloud:
    """A walk of whole ticks at a price: the differences of its prices are equal on paper and not in floats."""
    walk = np.cumsum(rng.integers(-1, 2, n + 5))
    return delayed(100 + 0.05 * walk, 5)


def tick_walk(rng: np.random.Generator, n: int) -> Cloud:
    return delayed(np.cumsum(rng.integers(-1, 2, n + 3)).astype(float), 3)


def walk(rng: np.random.Generator, n: int) -> Cloud:
    return delayed(np.cumsum(rng.standard_normal(n + 4)), 4)


def sine(rng: np.random.Generator, n: int) -> Cloud:
    steps = np.arange(n + 6)
    return delayed(np.sin(steps * rng.uniform(0.05, 1.5)) + rng.choice([0.0, 0.02, 0.2]) * rng.normal(size=n + 6), 6)


def square_lattice(rng: np.random.Generator, n: int) -> Cloud:
    side = max(2, int(np.sqrt(n)))
    lattice = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    holed = lattice[rng.random(len(lattice)) < rng.choice([0.5, 0.8, 1.0])]
    kept = holed if len(holed) > 0 else lattice
    return kept * rng.choice([1.0, 0.1, 1 / 3]) + rng.choice([0.0, 17.3])


def hexagonal_lattice(rng: np.random.Generator, n: int) -> Cloud:
    lattice = square_lattice(rng, n)
    return np.column_stack([lattice[:, 0] + 0.5 * lattice[:, 1], np.sqrt(0.75) * lattice[:, 1]])


def round_circle(rng: np.random.Generator, n: int) -> Cloud:
    return circle(n) * rng.choice([1.0, 0.3, 7.7]) + rng.choice([0.0, 100.0])


def noisy_circle(rng: np.random.Generator, n: int) -> Cloud:
    return circle(n, float(rng.choice([1e-12, 1e-6, 0.01, 0.1, 0.3])), int(rng.integers(1000)))


def rounded_rose(rng: np.random.Generator, n: int) -> Cloud:
    radii = 50 * (1 + 0.3 * np.cos(rng.integers(2, 6) * angles(n)))
    return np.round(radii[:, None] * circle(n))


def nested_circles(rng: np.random.Generator, n: int) -> Cloud:
    return np.concatenate([circle(n - n // 3), rng.uniform(0.05, 0.95) * circle(n // 3)])


def collinear(rng: np.random.Generator, n: int) -> Cloud:
    along = rng.integers(0, 40, n) if rng.random() < 0.5 else rng.random(n)
    return np.outer(along, rng.choice([(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -2.0), (0.1, 0.3)]))


def two_lines(rng: np.random.Generator, n: int) -> Cloud:
    return np.concatenate([collinear(rng, n // 2), collinear(rng, n - n // 2)])


def duplicated(rng: np.random.Generator, n: int) -> Cloud:
    few = MAKERS[rng.integers(0, 8)](rng, max(4, n // 3))
    return few[rng.integers(0, len(few), n)]


def clusters(rng: np.random.Generator, n: int) -> Cloud:
    centres = rng.normal(size=(rng.integers(1, 6), 2)) * rng.choice([1.0, 10.0, 1e4])
    return centres[rng.integers(0, len(centres), n)] + rng.normal(size=(n, 2)) * rng.choice([0.01, 0.3])


def flattened(rng: np.random.Generator, n: int) -> Cloud:
    return rng.normal(size=(n, 2)) * (1.0, rng.choice([1e-3, 1e-8, 1e-14]))


def spiral(rng: np.random.Generator, n: int) -> Cloud:
    t = np.sqrt(np.linspace(0.05, 1, n)) * rng.uniform(2, 6) * np.pi
    return t[:, None] * np.column_stack([np.cos(t), np.sin(t)]) + rng.choice([0.0, 0.05]) * rng.normal(size=(n, 2))


def real_prices(rng: np.random.Generator, n: int) -> Cloud:
    """Daily closes of the sample, as they are, standardised, or rounded to a coarse tick."""
    series = closes(str(rng.choice(["NASDAQ", "SP500"])))
    delay = int(rng.integers(1, 13))
    start = int(rng.integers(0, len(series) - n - delay))
    window = series[start : start + n + delay]
    kind = rng.integers(0, 3)
    if kind == 0:
        window = (window - window.mean()) / window.std()
    if kind == 1:
        window = np.round(window / 5) * 5
    return delayed(window, delay)


def constant(rng: np.random.Generator, n: int) -> Cloud:
    return np.full((n, 2), rng.choice([0.0, 3.7]))


MAKERS: tuple[Maker, ...] = (
    uniform,
    normal,
    coarse_ticks,
    fine_ticks,
    tick_prices,
    tick_walk,
    walk,
    sine,
    square_lattice,
    hexagonal_lattice,
    round_circle,
    noisy_circle,
    rounded_rose,
    nested_circles,
    collinear,
    two_lines,
    duplicated,
    clusters,
    flattened,
    spiral,
    real_prices,
    real_prices,
    constant,
)


def cloud(seed: int, most: int = 70) -> tuple[str, Cloud]:
    """The name and the points of one cloud: kinds in turn, 4 to `most` points or so."""
    maker = MAKERS[seed % len(MAKERS)]
    rng = np.random.default_rng(seed)
    return maker.__name__, np.ascontiguousarray(maker(rng, int(rng.integers(4, most))), dtype=np.float64)


def extent(points: Cloud) -> float:
    return float(np.ptp(points, axis=0).max()) if len(points) else 0.0


def agree(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> bool:
    """Whether the bottleneck distance of two diagrams is at most this: every pair matched, or short enough to end."""
    ours, theirs = (d[d[:, 1] - d[:, 0] > 2 * tolerance] for d in (ours, theirs))
    if len(ours) == len(theirs):
        by_place = (d[np.lexsort(np.round(d / (4 * tolerance)).T)] for d in (ours, theirs))
        if np.all(np.abs(np.subtract(*by_place)) <= tolerance):
            return True
    return matched(ours, theirs, tolerance)


def matched(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> bool:
    from scipy.optimize import linear_sum_assignment

    far = np.abs(ours[:, None] - theirs[None]).max(axis=2) > tolerance
    long_ours, long_theirs = (d[:, 1] - d[:, 0] > 6 * tolerance for d in (ours, theirs))
    cost = np.zeros((len(ours) + len(theirs),) * 2)
    cost[: len(ours), : len(theirs)] = far
    cost[: len(ours), len(theirs) :] = long_ours[:, None]
    cost[len(ours) :, : len(theirs)] = long_theirs[None]
    return bool(cost[linear_sum_assignment(cost)].sum() == 0)


def by_ripser(points: Cloud) -> list[np.ndarray]:
    """ripser's diagrams from exact distances, which it rounds to float32."""
    from ripser import ripser
    from scipy.spatial.distance import pdist, squareform

    found = ripser(squareform(pdist(points)), distance_matrix=True, maxdim=1)["dgms"]
    return [d[np.isfinite(d[:, 1])].astype(float) for d in found]
