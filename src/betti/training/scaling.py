"""Scale inputs by what the training rows showed: standard, robust or none. Plain numpy, stored as JSON.

What does not belong here: choosing the rows (`prepare.py`), and filling what is missing (NaN stays NaN).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.errors import BadModelInput, BrokenArtifact, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from betti.models._protocol import BaseModel

__all__ = ["ONLY", "Scaler", "fit_kind", "fit_none", "fit_robust", "fit_scaler", "fit_standard", "kinds"]

ONLY = ""  # the name of the input of a model that takes one
# A network sees no value further out than this many scale units: one wild bar must not saturate every gate.
ROBUST_LIMIT = 10.0
NONE = "none"
# Trees do not care, foundation models scale by themselves, ensembles leave it to what they are made of.
KIND_OF_FAMILY = {"neural": "robust", "boosting": NONE, "foundation": NONE, "ensemble": NONE}
# Rows scaled together: in double precision a whole history would take twice its own memory once more, and again.
BLOCK = 1 << 15


@dataclass(frozen=True)
class Scaler:
    """(x - center) / scale per column, cut off at +- limit (infinite for the standard scaler).

    Attributes:
        kind: "standard", "robust" or "none".
        center: one number per column.
        scale: one positive number per column.
        limit: largest absolute value that comes out.
    """

    kind: str
    center: tuple[float, ...]
    scale: tuple[float, ...]
    limit: float

    def transform(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(rows, columns) scaled, as float32; NaN stays NaN. The kind "none" gives back the values themselves."""
        if self.kind == NONE:
            return values
        center, scale = np.array(self.center), np.array(self.scale)
        scaled = np.empty(values.shape, dtype="float32")
        for first in range(0, len(values), BLOCK):
            block = (values[first : first + BLOCK].astype("float64") - center) / scale
            scaled[first : first + BLOCK] = np.clip(block, -self.limit, self.limit, out=block)
        return scaled

    def save(self, folder: Path, name: str = ONLY) -> None:
        """Write `scaler.json`, or `scaler_NAME.json` of a named input; equal scalers give equal bytes."""
        facts = {
            "kind": self.kind,
            "limit": None if np.isinf(self.limit) else self.limit,
            "center": self.center,
            "scale": self.scale,
        }
        (folder / _file(name)).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, name: str = ONLY) -> Scaler | None:
        """Read what `save` wrote; None where the model was trained on this input as it is.

        Raises:
            BrokenArtifact: the file does not hold a scaler.
        """
        path = folder / _file(name)
        if not path.exists():
            return None
        try:
            facts: dict[str, Any] = json.loads(path.read_bytes())
            limit = float("inf") if facts["limit"] is None else float(facts["limit"])
            return cls(str(facts["kind"]), tuple(facts["center"]), tuple(facts["scale"]), limit)
        except (ValueError, KeyError, TypeError) as cause:
            raise BrokenArtifact(path, f"is not a scaler: {cause}") from cause


def _file(name: str) -> str:
    return f"scaler_{name}.json" if name else "scaler.json"


def kinds(model: BaseModel) -> dict[str, str]:
    """Which of a model's inputs are scaled, and how: what an input says of itself, else the way of the family.

    Returns:
        Input name (`ONLY` for a model of one) -> "standard" or "robust"; inputs that stay as they are are not in it.
    """
    usual = KIND_OF_FAMILY.get(model.model_family, "standard") if model.requires_scaling else NONE
    found = {name: spec.scaling or usual for name, spec in model.inputs.items()} or {ONLY: usual}
    return {name: kind for name, kind in found.items() if kind != NONE}


def fit_scaler(family: str, rows: NDArray[np.float32]) -> Scaler:
    """The scaler that a family of models takes, fitted on these rows: robust for "neural", standard for most others."""
    return fit_kind(KIND_OF_FAMILY.get(family, "standard"), rows)


def fit_kind(kind: str, rows: NDArray[np.float32]) -> Scaler:
    """A scaler of this kind, fitted on the (rows, columns) that may be learnt from.

    Args:
        kind: "standard", "robust" or "none".
        rows: training rows of one fold, and no others.

    Raises:
        UnknownName: another kind.
        BadModelInput: no rows, or NaN or infinity in them.
    """
    if kind not in _FITS:
        raise UnknownName("kind of scaling", kind, _FITS)
    bad = int((~np.isfinite(rows)).any(axis=1).sum())
    if bad or not len(rows):
        found = f"{bad} of {len(rows)} training rows hold NaN or infinity" if bad else "there are no training rows"
        raise BadModelInput(f"{kind} scaler", found, "Fit it on rows with complete inputs")
    return _FITS[kind](rows)


def fit_standard(rows: NDArray[np.float32]) -> Scaler:
    """Mean and deviation of (rows, columns) training rows; a constant column is only centred.

    >>> scaler = fit_standard(np.array([[0.0, 5.0], [2.0, 5.0]], dtype="float32"))
    >>> scaler.transform(np.array([[4.0, 6.0]], dtype="float32")).tolist()
    [[3.0, 1.0]]
    """
    values = np.array(rows, dtype="float64", order="C")
    return _scaler("standard", values.mean(axis=0), values.std(axis=0), float("inf"))


def fit_robust(rows: NDArray[np.float32]) -> Scaler:
    """Median and interquartile range of (rows, columns) training rows.

    A column whose middle half is constant takes its deviation instead.

    >>> scaler = fit_robust(np.arange(5, dtype="float32")[:, None])
    >>> scaler.transform(np.array([[4.0], [1000.0]], dtype="float32")).tolist()
    [[1.0], [10.0]]
    """
    values = np.array(rows, dtype="float64", order="C")
    low, center, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    deviation = values.std(axis=0)
    return _scaler("robust", center, np.where(_tiny(high - low, center), deviation, high - low), ROBUST_LIMIT)


def fit_none(rows: NDArray[np.float32]) -> Scaler:
    """A scaler that leaves (rows, columns) as they are."""
    columns = rows.shape[1]
    return Scaler(NONE, (0.0,) * columns, (1.0,) * columns, float("inf"))


def _tiny(scale: NDArray[np.float64], center: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where a scale is rounding noise of its centre: dividing by it would blow noise up."""
    tiny: NDArray[np.bool_] = scale <= 1e-7 * np.maximum(np.abs(center), 1e-12)
    return tiny


def _scaler(kind: str, center: NDArray[np.float64], scale: NDArray[np.float64], limit: float) -> Scaler:
    safe = np.where(_tiny(scale, center), 1.0, scale)
    return Scaler(kind, tuple(center.tolist()), tuple(safe.tolist()), limit)


_FITS: dict[str, Callable[[NDArray[np.float32]], Scaler]] = {
    "standard": fit_standard,
    "robust": fit_robust,
    NONE: fit_none,
}
