"""What every model checks before it learns or answers, so that all refuse the same things in the same words.

What does not belong here: checks of tables (`betti.training.prepare`), and merging knobs (`_config.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.errors import BadModelInput
from betti.models._config import merged
from betti.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from betti.models._protocol import BaseModel, Inputs

    Allowed = tuple[float, float] | tuple[str, ...]
    Bounds = Mapping[str, Allowed]

__all__ = ["Training", "answerable", "configured", "fitted", "ranges", "training"]


@dataclass(frozen=True)
class Training:
    """Checked training data, without the rows of weight 0.

    Attributes:
        X: (n, features) or (n, length, features) float32, an array or `Windows`.
        y: (n,) int64 classes.
        weights: (n,) positive with mean 1, so that regularisation means the same with and without weights.
        kept: (given,) which of the rows given are here: a model that splits again takes its `spans` by it.
        X_val: validation inputs, or None.
        y_val: their classes, or None.
        classes: how many classes there are, some of which may be missing here.
    """

    X: Inputs
    y: NDArray[np.int64]
    weights: NDArray[np.float64]
    kept: NDArray[np.bool_]
    X_val: Inputs | None
    y_val: NDArray[np.int64] | None
    classes: int


# Knobs -------------------------------------------------------------------------------------------------------------


def configured(model: BaseModel, given: Mapping[str, Any] | None, bounds: Bounds) -> dict[str, Any]:
    """The model's knobs with the given ones in their place, all inside their ranges.

    Raises:
        UnknownName: a knob the model does not have.
        BadModelInput: a value of another type or outside its range.
    """
    name = type(model).__name__
    config = merged(name, model.get_default_config(), {**model.config, **(given or {})})
    ranges(name, config, bounds)
    return config


def ranges(model: str, config: Mapping[str, Any], bounds: Bounds) -> None:
    """Refuse a knob without a value, outside its range [low, high], or of a name that is not among its names.

    Raises:
        BadModelInput: names the knob, and its range or names where it has them.
    """
    for knob, value in config.items():
        if value is None or (isinstance(value, float) and not np.isfinite(value)):
            raise BadModelInput(model, f"{knob} = {value!r}", "Give it a finite value, or leave it out")
    for knob in [name for name in bounds if name in config]:  # an optional knob need not be there
        if not _allows(bounds[knob], config[knob]):
            raise BadModelInput(model, f"{knob} = {config[knob]!r}", f"It takes {_told(bounds[knob])}")


def _allows(allowed: Allowed, value: Any) -> bool:
    low, high = allowed[0], allowed[-1]
    if isinstance(low, str) or isinstance(high, str):
        return value in allowed
    # The type is asked here too: an optional knob has no default to compare its type with.
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _told(allowed: Allowed) -> str:
    if all(isinstance(bound, str) for bound in allowed):
        return " or ".join(str(name) for name in allowed)
    return f"a value from {allowed[0]:g} to {allowed[-1]:g}"


# Training data -----------------------------------------------------------------------------------------------------


def training(
    model: BaseModel,
    X_train: Inputs,
    y_train: NDArray[np.int64],
    X_val: Inputs | None,
    y_val: NDArray[np.int64] | None,
    sample_weights: NDArray[np.float64] | None,
    classes: int,
) -> Training:
    """Check everything a classifier's `fit` is given; `classes` = 0 counts them in the labels.

    Rows of weight 0 teach nothing and are left out here, since few learners would ignore them altogether: trees count
    the rows in a leaf, random draws and batches follow the number of rows.

    Raises:
        BadModelInput: NaN or infinity, shapes that do not fit, labels out of range, one class, no rows, bad weights.
    """
    name, sequences = type(model).__name__, model.requires_sequences
    X = _inputs(name, X_train, sequences)
    y = _labels(name, "y_train", y_train, len(X))
    known = classes or max(int(y.max()) + 1, 2)
    _in_range(name, "y_train", y, known)
    weights = _weights(name, sample_weights, len(X))
    kept = weights > 0
    if not kept.all():
        X, y, weights = _only(X, kept), y[kept], _mean_one(weights[kept])
    if len(np.unique(y)) < 2:
        raise BadModelInput(
            name, f"all {len(y)} training labels are class {y[0]}", "Use more rows, or folds in which two classes occur"
        )
    if X_val is None or y_val is None:
        if (X_val is None) != (y_val is None):
            raise BadModelInput(name, "one of X_val and y_val is None", "Give both or neither")
        return Training(X, y, weights, kept, None, None, known)
    checked = _inputs(name, X_val, sequences)
    _same_shape(name, checked, X.shape[1:])
    labels = _labels(name, "y_val", y_val, len(checked))
    _in_range(name, "y_val", labels, known)
    return Training(X, y, weights, kept, checked, labels, known)


def _inputs(model: str, X: Inputs, sequences: bool) -> Inputs:
    """The inputs as float32, with the right number of dimensions, not empty, all finite."""
    if not isinstance(X, Windows):
        X = np.ascontiguousarray(X, dtype="float32")
    elif X.values.dtype != np.float32:
        X = Windows(X.values.astype("float32"), X.ends, X.length)
    wanted = 3 if sequences else 2
    if len(X.shape) != wanted:
        shape = "(n, length, features)" if sequences else "(n, features)"
        raise BadModelInput(model, f"inputs have {len(X.shape)} dimensions", f"It takes {shape}")
    if 0 in X.shape:
        raise BadModelInput(model, f"inputs of shape {X.shape} hold nothing", "Give at least one row and one feature")
    bad = _not_finite(X)
    if bad:
        raise BadModelInput(
            model, f"{bad} input rows hold NaN or infinity", "Leave out warm-up rows and columns without values"
        )
    return X


def _not_finite(X: Inputs) -> int:
    """How many rows are not finite; of `Windows` only the rows that a window covers."""
    if not isinstance(X, Windows):
        return int((~np.isfinite(X)).reshape(len(X), -1).any(axis=1).sum())
    edges = np.zeros(len(X.values) + 1, dtype="int64")
    np.add.at(edges, X.ends - X.length + 1, 1)
    np.add.at(edges, X.ends + 1, -1)
    covered = np.cumsum(edges)[:-1] > 0
    return int((~np.isfinite(X.values[covered])).any(axis=1).sum())


def _labels(model: str, what: str, y: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    found = np.asarray(y)
    if found.shape != (rows,):
        raise BadModelInput(model, f"{what} has shape {found.shape} for {rows} rows", "Give one label per row")
    if found.dtype.kind not in "iufb" or not np.isfinite(found).all() or (found != np.floor(found)).any():
        raise BadModelInput(model, f"{what} holds values that are no classes", "Give integers from 0")
    return found.astype("int64")


def _in_range(model: str, what: str, y: NDArray[np.int64], classes: int) -> None:
    if y.min() < 0 or y.max() >= classes:
        raise BadModelInput(
            model, f"{what} holds labels from {y.min()} to {y.max()}", f"With {classes} classes: 0 to {classes - 1}"
        )


def _weights(model: str, weights: NDArray[np.float64] | None, rows: int) -> NDArray[np.float64]:
    if weights is None:
        return np.ones(rows)
    found = np.asarray(weights, dtype="float64")
    if found.shape != (rows,):
        raise BadModelInput(model, f"weights have shape {found.shape} for {rows} rows", "Give one weight per row")
    if not np.isfinite(found).all() or (found < 0).any() or not found.sum() > 0:
        raise BadModelInput(model, "weights are negative, not finite or all zero", "Give non-negative numbers")
    return _mean_one(found)


def _mean_one(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = weights / weights.mean()
    return scaled


def _only(X: Inputs, kept: NDArray[np.bool_]) -> Inputs:
    return X.take(kept) if isinstance(X, Windows) else X[kept]


# Answering ---------------------------------------------------------------------------------------------------------


def fitted(model: BaseModel, state: Any) -> None:
    """Refuse a model that has learnt nothing yet.

    Raises:
        BadModelInput: `state` is None.
    """
    if state is None:
        raise BadModelInput(type(model).__name__, "it is not fitted", "Call `fit` or `load` first")


def answerable(model: BaseModel, X: Inputs, shape: tuple[int, ...]) -> Inputs:
    """Inputs to answer for, of the row shape seen in `fit`.

    Raises:
        BadModelInput: another width or length, no rows, NaN or infinity.
    """
    checked = _inputs(type(model).__name__, X, model.requires_sequences)
    _same_shape(type(model).__name__, checked, shape)
    return checked


def _same_shape(model: str, X: Inputs, shape: tuple[int, ...]) -> None:
    if tuple(X.shape[1:]) == tuple(shape):
        return
    if X.shape[-1] != shape[-1]:
        raise BadModelInput(model, f"rows of {X.shape[-1]} features", f"It was trained on {shape[-1]}")
    raise BadModelInput(model, f"sequences of length {X.shape[1]}", f"It was trained on length {shape[0]}")
