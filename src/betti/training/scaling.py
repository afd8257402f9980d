"""Scale inputs by what the training rows showed: standard or robust. Plain numpy, stored as JSON.

What does not belong here: choosing the rows (`prepare.py`), and filling what is missing (NaN stays NaN).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.errors import BrokenArtifact

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Scaler", "fit_robust", "fit_scaler", "fit_standard"]

FILE = "scaler.json"
# A network sees no value further out than this many scale units: one wild bar must not saturate every gate.
ROBUST_LIMIT = 10.0


@dataclass(frozen=True)
class Scaler:
    """(x - center) / scale per column, cut off at +- limit (infinite for the standard scaler).

    Attributes:
        kind: "standard" or "robust".
        center: one number per column.
        scale: one positive number per column.
        limit: largest absolute value that comes out.
    """

    kind: str
    center: tuple[float, ...]
    scale: tuple[float, ...]
    limit: float

    def transform(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(rows, columns) scaled, as float32; NaN stays NaN."""
        scaled = (values.astype("float64") - np.array(self.center)) / np.array(self.scale)
        limited: NDArray[np.float32] = np.clip(scaled, -self.limit, self.limit).astype("float32")
        return limited

    def save(self, folder: Path) -> None:
        """Write `scaler.json`; equal scalers give equal bytes."""
        facts = {
            "kind": self.kind,
            "limit": None if np.isinf(self.limit) else self.limit,
            "center": self.center,
            "scale": self.scale,
        }
        (folder / FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Scaler | None:
        """Read `scaler.json`; None where the model was trained on unscaled inputs.

        Raises:
            BrokenArtifact: the file does not hold a scaler.
        """
        path = folder / FILE
        if not path.exists():
            return None
        try:
            facts: dict[str, Any] = json.loads(path.read_bytes())
            limit = float("inf") if facts["limit"] is None else float(facts["limit"])
            return cls(str(facts["kind"]), tuple(facts["center"]), tuple(facts["scale"]), limit)
        except (ValueError, KeyError, TypeError) as cause:
            raise BrokenArtifact(path, f"is not a scaler: {cause}") from cause


def fit_scaler(family: str, rows: NDArray[np.float32]) -> Scaler:
    """The scaler that a family of models takes, fitted on these rows: robust for "neural", standard for all others."""
    return fit_robust(rows) if family == "neural" else fit_standard(rows)


def fit_standard(rows: NDArray[np.float32]) -> Scaler:
    """Mean and deviation of (rows, columns) training rows; a constant column is only centred.

    >>> scaler = fit_standard(np.array([[0.0, 5.0], [2.0, 5.0]], dtype="float32"))
    >>> scaler.transform(np.array([[4.0, 6.0]], dtype="float32")).tolist()
    [[3.0, 1.0]]
    """
    values = rows.astype("float64")
    return _scaler("standard", values.mean(axis=0), values.std(axis=0), float("inf"))


def fit_robust(rows: NDArray[np.float32]) -> Scaler:
    """Median and interquartile range of (rows, columns) training rows.

    A column whose middle half is constant takes its deviation instead.

    >>> scaler = fit_robust(np.arange(5, dtype="float32")[:, None])
    >>> scaler.transform(np.array([[4.0], [1000.0]], dtype="float32")).tolist()
    [[1.0], [10.0]]
    """
    values = rows.astype("float64")
    low, center, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    deviation = values.std(axis=0)
    return _scaler("robust", center, np.where(_tiny(high - low, center), deviation, high - low), ROBUST_LIMIT)


def _tiny(scale: NDArray[np.float64], center: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where a scale is rounding noise of its centre: dividing by it would blow noise up."""
    tiny: NDArray[np.bool_] = scale <= 1e-7 * np.maximum(np.abs(center), 1e-12)
    return tiny


def _scaler(kind: str, center: NDArray[np.float64], scale: NDArray[np.float64], limit: float) -> Scaler:
    safe = np.where(_tiny(scale, center), 1.0, scale)
    return Scaler(kind, tuple(center.tolist()), tuple(safe.tolist()), limit)
