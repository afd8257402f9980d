"""Many clouds through every persistence engine: `python tests/fuzz_topology.py [COUNT] [FIRST_SEED]`.

Each cloud's planar diagrams must equal the general engine's to the last bit and ripser's to float32; and none may need
the fallback. Prints each failure with the seed that reproduces it, and exits with 1 if there was any.
"""

# ruff: noqa: T201 - a script that reports what it finds
from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from betti import threads

threads.pin()

import numpy as np

from betti.topology import native
from tests.unit.topology.clouds import agree, by_ripser, cloud, extent

FLOAT32 = 1e-6  # of a cloud's extent


def faults(points: np.ndarray, *, ripser: bool = True) -> list[str]:
    """What is wrong with the native diagrams of these points."""
    tally = native.Tally()
    planar = ordered(native.diagrams(points[None], 1, tally)[0])
    lifted = np.column_stack([points, np.zeros(len(points))])
    general = ordered(native.diagrams(lifted[None], 1)[0])
    found = [f"H{h} differs from the general engine" for h in (0, 1) if not np.array_equal(planar[h], general[h])]
    if tally.fallback:
        found.append("the planar engine declined")
    if ripser and extent(points) > 0:
        tolerance = FLOAT32 * extent(points)
        pairs = zip(planar, by_ripser(points), strict=True)
        found += [f"H{h} differs from ripser" for h, (a, b) in enumerate(pairs) if not agree(a, b, tolerance)]
    return found


def ordered(diagrams: list[np.ndarray]) -> list[np.ndarray]:
    kept = (d[d[:, 1] > d[:, 0]] for d in diagrams)
    return [d[np.lexsort((d[:, 1], d[:, 0]))] for d in kept]


def main(count: int = 100_000, first: int = 0) -> int:
    started = time.monotonic()
    failed: Counter[str] = Counter()
    for seed in range(first, first + count):
        # One in fifty is large, where grids and far edges matter.
        kind, points = cloud(seed, 600 if seed % 50 == 0 else 70)
        for fault in faults(points):
            failed[kind] += 1
            print(f"seed {seed} ({kind}, {len(points)} points): {fault}", flush=True)
        if (seed - first + 1) % 5000 == 0:
            print(f"{seed - first + 1} clouds, {sum(failed.values())} faults", flush=True)
    print(f"{count} clouds in {time.monotonic() - started:.0f} s: {sum(failed.values())} faults {dict(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
