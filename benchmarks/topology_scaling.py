"""How the topology of a series scales: with the points of a window, with cores, and with symbols.

`python benchmarks/topology_scaling.py [PICTURE.png]` prints the figures, and draws them where a file is named. Windows
are of a made-up random walk of any length, because no built-in series is long enough for the longest.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from betti import threads

threads.pin()

import numpy as np

from benchmarks._figure import single, timed

POINTS = (96, 168, 336, 672, 1332, 2500, 5000)
DELAY = 12
MOST_EXPONENT = 1.35  # of the time against points: far from the square that distances alone would take
SYMBOLS = (1, 2, 4, 8)


def walk(length: int, seed: int = 0) -> np.ndarray:
    steps = np.random.default_rng(seed).standard_t(4, length)
    return 100 * np.exp(np.cumsum(0.002 * steps))


def seconds_per_window(points: int, count: int, workers: int) -> float:
    """Of `count` windows an hour apart, on as many threads."""
    from betti.topology import persistence_windows

    window = points + DELAY
    series = walk(window + 4 * (count - 1))
    return (
        timed(lambda: list(persistence_windows(series, window=window, stride=4, delay=DELAY, threads=workers))) / count
    )


def by_points() -> list[float]:
    """Milliseconds per window on one core, as the median of five runs."""
    found = []
    for points in POINTS:
        count = max(2, 20_000 // points)
        seconds_per_window(points, 2, 1)
        times = [1e3 * seconds_per_window(points, count, 1) for _ in range(5)]
        single("topology scaling", f"{points} points, one core", times, "ms", math.inf).show()
        found.append(float(np.median(times)))
    slope = np.polyfit(np.log(POINTS), np.log(found), 1)[0]
    single("topology scaling", "exponent of time against points", [float(slope)], "", MOST_EXPONENT).show()
    return found


def by_cores() -> list[float]:
    """How many times faster with 1, 2, ... threads than with one; pair by pair."""
    cores = len(os.sched_getaffinity(0))
    gains = []
    for workers in range(1, cores + 1):
        ratios = [seconds_per_window(1332, 300, 1) / seconds_per_window(1332, 300, workers) for _ in range(3)]
        gains.append(float(np.median(ratios)))
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        single("topology scaling", f"gain of {workers} threads ({spread})", ratios, "times", math.inf).show()
    return gains


def by_symbols() -> list[float]:
    """Seconds for the topology of this many symbols of 2,000 bars, on every core."""
    import pandas as pd

    from betti import features

    times = pd.date_range("2024-01-01", periods=2000, freq="15min", tz="UTC")
    found = []
    for symbols in SYMBOLS:
        bars = pd.concat(
            pd.DataFrame({"timestamp": times, "symbol": f"S{k}", "close": walk(len(times), k)}) for k in range(symbols)
        ).reset_index(drop=True)
        spent = timed(lambda bars=bars: features.compute("topology", bars, window=672, delay=DELAY, stride=4))
        single("topology scaling", f"{symbols} symbols of 2,000 bars, 672 / 4", [spent], "s", math.inf).show()
        found.append(spent)
    return found


def draw(points: list[float], cores: list[float], symbols: list[float], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(12, 3.6), constrained_layout=True)
    left.loglog(POINTS, points, "o-", color="#2f6db3")
    left.set(title="one window, one core", xlabel="points", ylabel="milliseconds")
    left.set_xticks(POINTS, [str(n) for n in POINTS], rotation=45)
    left.minorticks_off()
    threads_used = list(range(1, len(cores) + 1))
    middle.plot(threads_used, cores, "o-", color="#2f6db3", label="measured")
    middle.plot(threads_used, threads_used, "--", color="#999999", label="ideal")
    middle.set(title="windows of 1332 points", xlabel="threads", ylabel="times faster", xticks=threads_used)
    middle.legend(frameon=False)
    right.plot(SYMBOLS, symbols, "o-", color="#2f6db3")
    right.set(title="2,000 bars a symbol, every core", xlabel="symbols", ylabel="seconds", ylim=(0, None))
    for axes in (left, middle, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    found = by_points(), by_cores(), by_symbols()
    if len(sys.argv) > 1:
        draw(*found, Path(sys.argv[1]))
