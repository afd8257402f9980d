"""The native persistence engine beside giotto-tda's own classes, on the same windows, one thread, compiled code warm.

`python benchmarks/topology.py [FOLDER]`: windows of the built-in sample's daily closes, and of the bars in a folder of
Parquet files with `symbol`, `timestamp` and `close`, where one is given. Windows are spread over the whole series.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from betti import threads

threads.pin()

import numpy as np
import pandas as pd

from benchmarks._figure import in_turn, single, speedup, timed

DELAY = 12
# Points of a window -> times faster than giotto-tda, and how many windows and pairs of runs show it.
PLANE = {96: (20, 24, 7), 336: (60, 12, 7), 672: (150, 6, 5), 1332: (300, 4, 5)}
SPACE = {3: (25, 2, 3), 5: (10, 1, 3)}
CIRCLES_MS = {0.0: 100, 0.001: 20, 0.01: 20, 0.1: 20}
NUMBERS = 10
LONGEST = 1344


def series(folder: Path | None) -> Iterator[tuple[str, np.ndarray]]:
    """Closes by name: the sample's, and those of a folder that are long enough."""
    from betti import sources

    until = pd.Timestamp("2018-12-31", tz="UTC")
    bars = sources.fetch("sample", symbols=("NASDAQ", "SP500"), interval="1d", until=until, options={})
    if folder is not None:
        files = sorted(folder.rglob("*.parquet"))
        bars = pd.concat([bars, *(pd.read_parquet(file, columns=["timestamp", "symbol", "close"]) for file in files)])
    for symbol, rows in bars.groupby("symbol", sort=False):
        if len(rows) > 2 * LONGEST:
            yield str(symbol), rows.sort_values("timestamp")["close"].to_numpy(dtype="float64")


def clouds(closes: np.ndarray, points: int, dimension: int, count: int) -> np.ndarray:
    from betti.topology.embedding import standardised, takens

    window = points + (dimension - 1) * DELAY
    starts = np.linspace(0, len(closes) - window, count).astype(int)
    rows = np.lib.stride_tricks.sliding_window_view(closes, window)[starts]
    return np.ascontiguousarray(takens(standardised(rows), dimension=dimension, delay=DELAY))


def compare(case: str, points: np.ndarray, least: float, pairs: int) -> None:
    from gtda.homology import VietorisRipsPersistence

    from betti.topology.persistence import persistence_batch

    reference = VietorisRipsPersistence(homology_dimensions=(0, 1), n_jobs=1)

    def ours() -> float:
        return timed(lambda: persistence_batch(points))

    def theirs() -> float:
        return timed(lambda: reference.fit_transform(points))

    ours(), reference.fit_transform(points[:1])
    speedup("topology", case, in_turn(ours, theirs, pairs), least, "ms", len(points)).show()


def circle(points: int, noise: float) -> np.ndarray:
    angles = 2 * np.pi * np.arange(points) / points
    radii = 1 + noise * np.random.default_rng(0).standard_normal(points)
    return radii[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])


def worst_shapes() -> None:
    from betti.topology import persistence

    for noise, most in CIRCLES_MS.items():
        cloud = circle(1332, noise)
        persistence(cloud)
        times = [1e3 * timed(lambda cloud=cloud: persistence(cloud)) for _ in range(7)]
        single("topology", f"circle of 1332 points, noise {noise:g}", times, "ms", most).show()


def vectorisation(closes: np.ndarray) -> None:
    """Diagrams to numbers: giotto-tda's three transformers on a batch, and ours."""
    from gtda.diagrams import BettiCurve, PersistenceEntropy, PersistenceLandscape
    from gtda.homology import VietorisRipsPersistence

    from betti.topology.planar import planar_persistence
    from betti.topology.vectorisation import fixed_grid
    from betti.topology.vectors import described

    points = clouds(closes, 1332, 2, 6)
    triples = VietorisRipsPersistence(homology_dimensions=(0, 1), n_jobs=1).fit_transform(points)
    transformers = [
        BettiCurve(n_bins=100, n_jobs=1).fit(triples),
        PersistenceEntropy(n_jobs=1).fit(triples),
        PersistenceLandscape(n_layers=5, n_bins=100, n_jobs=1).fit(triples),
    ]
    grid = fixed_grid(2.0, 100)
    batch = planar_persistence(points[:, :, 0].copy(), points[:, :, 1].copy())

    def ours() -> float:
        return timed(lambda: described(batch, grid, 5))

    def theirs() -> float:
        return timed(lambda: [transformer.transform(triples) for transformer in transformers])

    ours(), theirs()
    speedup("topology", "numbers of a diagram of 1332 points", in_turn(ours, theirs, 9), NUMBERS, "ms", 6).show()


def compiling() -> None:
    """Seconds until the first window's numbers in a process that finds no machine code on disk."""
    program = (
        "import numpy as np; from betti.topology import native; "
        "native.window_numbers(np.random.default_rng(0).normal(size=(2, 60)), "
        "dimension=2, delay=3, grid=np.linspace(0, 2, 20), layers=3)"
    )
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        spent = timed(lambda: subprocess.run([sys.executable, "-c", program], check=True, env=environment))
    single("topology", "compiling once, starting included", [spent], "s", 15).show()


def main(folder: Path | None) -> None:
    for symbol, closes in series(folder):
        for points, (least, count, pairs) in PLANE.items():
            compare(f"{symbol}, {points} points in the plane", clouds(closes, points, 2, count), least, pairs)
    _, closes = next(series(None))
    for dimension, (least, count, pairs) in SPACE.items():
        compare(f"1332 points in dimension {dimension}", clouds(closes, 1332, dimension, count), least, pairs)
    vectorisation(closes)
    worst_shapes()
    compiling()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
