"""Windows with expansions put in on purpose, and their labels. What does not belong here: tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LENGTH = 105
COLUMNS = 12


@dataclass(frozen=True)
class Planted:
    """n windows and the columns of the target `expansion` that say what lies in them."""

    windows: NDArray[np.float32]
    labels: dict[str, NDArray[np.float64]]

    @property
    def classes(self) -> NDArray[np.int64]:
        return self.labels["expansion"].astype("int64")


def planted(rows: int, seed: int = 0, noise: float = 0.3, plain: float = 0.2) -> Planted:
    """Noise, in which an expansion lifts two columns; what comes before it, one of three others for 15 bars.

    A share of `plain` windows has none. Of the others a tenth begins ahead, where only what comes before is seen.
    """
    draw = np.random.default_rng(seed)
    windows = noise * draw.normal(size=(rows, LENGTH, COLUMNS))
    start = draw.integers(20, 90, rows).astype("float64")
    end = np.minimum(start + draw.integers(8, 20, rows), LENGTH - 1)
    kind = draw.integers(0, 3, rows).astype("float64")
    ahead = draw.random(rows) < 0.1
    start[ahead] = LENGTH + draw.integers(0, 5, ahead.sum())
    end[ahead] = np.nan
    none = draw.random(rows) < plain
    start[none], end[none], kind[none], ahead[none] = np.nan, np.nan, np.nan, False
    for row in np.flatnonzero(~none):
        first = int(start[row])
        windows[row, max(first - 15, 0) : first, 4 + int(kind[row])] += 1.0
        if not ahead[row]:
            windows[row, first : int(end[row]) + 1, [2, 10]] += 1.0
    labels = {
        "expansion": (~np.isnan(end)).astype("float64"),
        "start": start,
        "end": end,
        "type": kind,
        "begun": np.zeros(rows),
        "ahead": ahead.astype("float64"),
        "censored": (end == LENGTH - 1).astype("float64"),
    }
    return Planted(windows.astype("float32"), labels)
