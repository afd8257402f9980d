"""The family `complexity` on a million one-minute bars, one thread, compiled code warm; its measures beside antropy's.

`python benchmarks/entropy.py`. antropy is called window by window, as its users do, on windows spread over the series;
its times are scaled to a million windows. It has no Hurst exponent, which counts on our side alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from betti import threads

threads.pin()

import numpy as np
import pandas as pd

from benchmarks._figure import in_turn, single, speedup, timed

BARS = 1_000_000
WINDOW = 100
COMPARED = 2_000  # windows that antropy is timed on
FAMILY_SECONDS = 30
FASTER = 20
PAIRS = 3
MEASURES = (
    "permutation_entropy",
    "sample_entropy",
    "spectral_entropy",
    "lempel_ziv_complexity",
    "detrended_fluctuation",
    "higuchi_dimension",
    "petrosian_dimension",
    "hurst_exponent",
)

Work = Callable[[], object]


def walk(rows: int) -> pd.DataFrame:
    """Bars of one symbol: a random walk in cents that is calm at times, and stands still in every tenth bar."""
    rng = np.random.default_rng(0)
    storm = np.where(np.arange(rows) // 5000 % 4 == 0, 3.0, 1.0)
    step = rng.standard_t(4, rows) * 2e-4 * storm * (rng.random(rows) > 0.1)
    close = np.round(400 * np.exp(np.cumsum(step) - np.cumsum(step).mean()), 2)
    open_ = np.concatenate([close[:1], close[:-1]])
    wick = np.round(np.abs(rng.normal(0, 0.03, (2, rows))), 2)
    return pd.DataFrame(
        {
            "timestamp": pd.date_range("2022-01-01", periods=rows, freq="1min", tz="UTC").as_unit("us"),
            "symbol": "WALK",
            "open": open_,
            "high": np.maximum(open_, close) + wick[0],
            "low": np.minimum(open_, close) - wick[1],
            "close": close,
            "volume": np.round(rng.lognormal(5, 1, rows)),
        }
    )


def ours(price: np.ndarray, change: np.ndarray) -> dict[str, Work]:
    """Each measure over the whole series."""
    from betti.features import _entropy, _fractal

    sizes = _fractal.box_sizes(WINDOW)
    return {
        "permutation_entropy": lambda: _entropy.permutation_entropy(change, WINDOW),
        "sample_entropy": lambda: _entropy.sample_entropy(change, WINDOW),
        "spectral_entropy": lambda: _entropy.spectral_entropy(change, WINDOW),
        "lempel_ziv_complexity": lambda: _entropy.lempel_ziv_complexity(change, WINDOW),
        "detrended_fluctuation": lambda: _fractal.detrended_fluctuation(change, WINDOW, sizes),
        "higuchi_dimension": lambda: _fractal.higuchi_dimension(price, WINDOW),
        "petrosian_dimension": lambda: _fractal.petrosian_dimension(change, WINDOW),
        "hurst_exponent": lambda: _fractal.hurst_exponent(change, WINDOW),
    }


def theirs(price: np.ndarray, change: np.ndarray) -> dict[str, Work]:
    """antropy's measures, each over some windows in a loop."""
    import antropy

    ends = np.linspace(WINDOW, len(price) - 1, COMPARED).astype(int)
    changes = [change[t - WINDOW + 1 : t + 1].copy() for t in ends]
    paths = [price[t - WINDOW : t + 1].copy() for t in ends]
    return {
        "permutation_entropy": lambda: [antropy.perm_entropy(x, normalize=True) for x in changes],
        "sample_entropy": lambda: [antropy.sample_entropy(x) for x in changes],
        "spectral_entropy": lambda: [antropy.spectral_entropy(x, 1.0, normalize=True) for x in changes],
        "lempel_ziv_complexity": lambda: [antropy.lziv_complexity(x > 0, normalize=True) for x in changes],
        "detrended_fluctuation": lambda: [antropy.detrended_fluctuation(x) for x in changes],
        "higuchi_dimension": lambda: [antropy.higuchi_fd(x) for x in paths],
        "petrosian_dimension": lambda: [antropy.petrosian_fd(x) for x in paths],
    }


def main() -> None:
    from betti import features

    bars = walk(BARS)
    features.compute("complexity", bars.head(2000))  # compiles
    times = [timed(lambda: features.compute("complexity", bars, entropy_window=WINDOW)) for _ in range(PAIRS)]
    single("entropy", f"complexity family, {BARS:,} bars, window {WINDOW}", times, "s", FAMILY_SECONDS).show()

    price = np.log(bars["close"].to_numpy())
    change = np.diff(price, prepend=np.nan).round(12)
    mine, reference = ours(price, change), theirs(price, change)
    windows = BARS - WINDOW
    pairs = {name: [] for name in MEASURES}
    for name, work in mine.items():
        loop = reference.get(name)
        work(), loop() if loop else None
        pairs[name] = in_turn(
            lambda work=work: timed(work),
            lambda loop=loop: timed(loop) * windows / COMPARED if loop else 0.0,
            PAIRS,
        )
    together = [tuple(map(sum, zip(*rounds, strict=True))) for rounds in zip(*pairs.values(), strict=True)]
    speedup("entropy", f"all measures, {BARS:,} windows of {WINDOW}", together, FASTER).show()
    for name, found in pairs.items():
        if name in reference:
            speedup("entropy", f"{name}, {BARS:,} windows of {WINDOW}", found, 1).show()
        else:
            single("entropy", f"{name}, {BARS:,} windows of {WINDOW}", [a for a, _ in found], "s", float("inf")).show()


if __name__ == "__main__":
    main()
