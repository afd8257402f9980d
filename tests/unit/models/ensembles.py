"""Rows and members for the tests of ensembles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

MINUTE = 60_000_000_000
# Not in the order of their names: what combines them must not go by the order they stand in.
MEMBERS: dict[str, Any] = {
    "wood": {"model": "random_forest", "config": {"trees": 10, "max_depth": 4}},
    "line": {"model": "logistic", "config": {"C": 0.5}},
    "boost": {"model": "lightgbm", "config": {"rounds": 15, "learning_rate": 0.2}},
}


def data(rows: int = 500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Columns of unlike scales; the class follows from the second."""
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(rows, 4)) * [1, 20, 0.1, 5] + 3).astype("float32")
    return X, np.digitize((X[:, 1] - 3) / 20 + 0.5 * rng.normal(size=rows), [-0.5, 0.5])


def spans(rows: int, bars: int) -> tuple[np.ndarray, np.ndarray]:
    """A row a minute, each with a label over so many minutes."""
    start = np.arange(rows) * MINUTE
    return start, start + bars * MINUTE


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
