"""What every model checks before it learns or answers, so that all refuse the same things in the same words.

A model of one input calls `training` and `answerable`, one that names several `named_training` and `named_answerable`:
each refuses what the other takes. A model without other heads refuses `Answers`: what it would leave out unsaid, a
caller has given by mistake.

What does not belong here: checks of tables (`betti.training.prepare`), merging knobs and their ranges (`_config.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.errors import BadModelInput
from betti.models._config import configured, ranges
from betti.models._protocol import Answers
from betti.windows import NamedInputs, Rows, Windows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from betti.models._protocol import BaseModel, Inputs, Labels, Single, Spans

    Allowed = tuple[float, float] | tuple[str, ...]
    Bounds = Mapping[str, Allowed]
    Floats = NDArray[np.float64]
    Classes = NDArray[np.int64]
    Heads = Mapping[str, Floats]
    Part = NDArray[np.float32] | Windows | Rows

__all__ = [
    "Learnt",
    "NamedTraining",
    "Training",
    "answerable",
    "configured",
    "fitted",
    "named_answerable",
    "named_training",
    "ranges",
    "training",
]


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """Checked answers to learn from, without the rows of weight 0.

    Attributes:
        y: (n,) int64 classes.
        weights: (n,) positive with mean 1, so that regularisation means the same with and without weights.
        kept: (given,) which of the rows given are here.
        y_val: (m,) classes of the validation rows, or None.
        classes: how many classes there are, some of which may be missing here.
        heads: label column -> (n,) float64, NaN where the label does not say; empty for a model without other heads.
        heads_val: the same of the validation rows.
        spans: (start, end) of each row, int64 nanoseconds since 1970; None where none are given.
    """

    y: Classes
    weights: Floats
    kept: NDArray[np.bool_]
    y_val: Classes | None
    classes: int
    heads: Heads = field(default_factory=dict)
    heads_val: Heads = field(default_factory=dict)
    spans: Spans | None = None


@dataclass(frozen=True, kw_only=True)
class Training(Learnt):
    """Checked training data of a model of one input.

    Attributes:
        X: (n, features) or (n, length, features) float32, an array or `Windows`.
        X_val: validation inputs, or None.
    """

    X: Single
    X_val: Single | None


@dataclass(frozen=True, kw_only=True)
class NamedTraining(Learnt):
    """Checked training data of a model of several inputs.

    Attributes:
        X: the inputs that the model names, in its order, float32.
        X_val: validation inputs, or None.
    """

    X: NamedInputs
    X_val: NamedInputs | None


# Training data -----------------------------------------------------------------------------------------------------


def training(
    model: BaseModel,
    X_train: Inputs,
    y_train: Labels,
    X_val: Inputs | None,
    y_val: Labels | None,
    sample_weights: Floats | None,
    classes: int,
    spans: Spans | None = None,
) -> Training:
    """Check everything that the `fit` of a model of one input is given; `classes` = 0 counts them in the labels.

    Rows of weight 0 teach nothing and are left out here, since few learners would ignore them altogether: trees count
    the rows in a leaf, random draws and batches follow the number of rows.

    Raises:
        BadModelInput: what are no numbers, NaN or infinity, shapes that do not fit, labels out of range, one class, no
            rows, bad weights, bad spans; several inputs; other heads than the model's.
    """
    name, X = type(model).__name__, _single(model, X_train)
    unseen = _unseen(name, X_val, y_val)
    checked = None if unseen is None else _single(model, unseen)
    if checked is not None:
        _same_shape(name, "", checked.shape[1:], X.shape[1:])
    rows = 0 if checked is None else len(checked)
    learnt = _learnt(model, (y_train, len(X)), (y_val, rows), sample_weights, classes, spans)
    kept = X if learnt.kept.all() else _only(X, learnt.kept)
    return Training(X=kept, X_val=checked, **vars(learnt))


def named_training(
    model: BaseModel,
    X_train: Inputs,
    y_train: Labels,
    X_val: Inputs | None,
    y_val: Labels | None,
    sample_weights: Floats | None,
    classes: int,
    spans: Spans | None = None,
) -> NamedTraining:
    """What `training` does, for a model that names several inputs.

    Raises:
        BadModelInput: as `training`; one input; an input that is missing or not the model's; windows of another length
            than its `InputSpec`.
    """
    name, X = type(model).__name__, _named(model, X_train)
    for own, spec in model.inputs.items():
        if spec.length is not None:
            length = X[own].shape[1]
            if length != spec.length:
                raise BadModelInput(name, f"input '{own}': sequences of length {length}", f"It takes {spec.length}")
    unseen = _unseen(name, X_val, y_val)
    checked = None if unseen is None else _named(model, unseen)
    if checked is not None:
        for own, part in checked.items():
            _same_shape(name, f"input '{own}': ", part.shape[1:], X[own].shape[1:])
    rows = checked.rows if checked else 0
    learnt = _learnt(model, (y_train, X.rows), (y_val, rows), sample_weights, classes, spans)
    return NamedTraining(X=X if learnt.kept.all() else X.take(learnt.kept), X_val=checked, **vars(learnt))


def _unseen(model: str, X_val: Inputs | None, y_val: Labels | None) -> Inputs | None:
    if (X_val is None) != (y_val is None):
        raise BadModelInput(model, "one of X_val and y_val is None", "Give both or neither")
    return X_val


# Inputs ------------------------------------------------------------------------------------------------------------


def _single(model: BaseModel, X: Inputs) -> Single:
    """The one input, checked."""
    name = type(model).__name__
    if isinstance(X, NamedInputs):
        raise BadModelInput(name, f"given the inputs {', '.join(X)}", "It takes one: an array or Windows")
    one = _windows(name, "inputs", X) if isinstance(X, Windows) else _array(name, "inputs", X)
    _refuse(name, "inputs", one, model.requires_sequences)
    return one


def _named(model: BaseModel, X: Inputs) -> NamedInputs:
    """The inputs that the model names, in its order, each checked."""
    name, wanted = type(model).__name__, model.inputs
    given = set(X) if isinstance(X, NamedInputs) else set()
    if not isinstance(X, NamedInputs) or given != set(wanted):
        found = f"given the inputs {', '.join(sorted(given))}" if given else "given one input without a name"
        raise BadModelInput(name, found, f"It takes NamedInputs of {', '.join(wanted)}")
    parts = {own: _floats(name, f"input '{own}'", X[own]) for own in wanted}
    for own, spec in wanted.items():
        _refuse(name, f"input '{own}'", parts[own], spec.length is not None)
    return NamedInputs(parts)


def _floats(model: str, what: str, X: Part) -> Part:
    if isinstance(X, Rows):
        return X if X.values.dtype == np.float32 else Rows(_array(model, what, X.values), X.at)
    return _windows(model, what, X) if isinstance(X, Windows) else _array(model, what, X)


def _windows(model: str, what: str, X: Windows) -> Windows:
    return X if X.values.dtype == np.float32 else Windows(_array(model, what, X.values), X.ends, X.length)


def _array(model: str, what: str, X: NDArray[Any]) -> NDArray[np.float32]:
    whole: NDArray[np.float32] = np.ascontiguousarray(_numbers(model, what, X), dtype="float32")
    return whole


def _numbers(model: str, what: str, values: Any) -> NDArray[Any]:
    """An array of numbers; text that reads like a number is none."""
    found = np.asarray(values)
    if found.dtype.kind not in "fiub":
        raise BadModelInput(model, f"{what} of type {found.dtype}", "Give an array of numbers")
    return found


def _refuse(model: str, what: str, X: Part, sequences: bool) -> None:
    """Refuse an input with another number of dimensions, without rows or columns, or not finite."""
    if len(X.shape) != (3 if sequences else 2):
        shape = "(n, length, features)" if sequences else "(n, features)"
        raise BadModelInput(model, f"{what} of {len(X.shape)} dimensions", f"It takes {shape}")
    if 0 in X.shape:
        found = f"{what} of shape {X.shape} hold nothing"
        raise BadModelInput(model, found, "Give at least one row and one feature")
    bad = _not_finite(X)
    if bad:
        found = f"{bad} rows of {what} hold NaN or infinity"
        raise BadModelInput(model, found, "Leave out warm-up rows and columns without values")


def _not_finite(X: Part) -> int:
    """How many rows are not finite; of views only the rows of the matrix that they look at."""
    if isinstance(X, np.ndarray):
        return int((~np.isfinite(X)).reshape(len(X), -1).any(axis=1).sum())
    edges = np.zeros(len(X.values) + 1, dtype="int64")
    last, length = (X.ends, X.length) if isinstance(X, Windows) else (X.at, 1)
    np.add.at(edges, last - length + 1, 1)
    np.add.at(edges, last + 1, -1)
    covered = np.cumsum(edges)[:-1] > 0
    return int((~np.isfinite(X.values[covered])).any(axis=1).sum())


def _only(X: Single, kept: NDArray[np.bool_]) -> Single:
    return X.take(kept) if isinstance(X, Windows) else X[kept]


# Labels ------------------------------------------------------------------------------------------------------------


def _learnt(
    model: BaseModel,
    train: tuple[Labels, int],
    valid: tuple[Labels | None, int],
    sample_weights: Floats | None,
    classes: int,
    spans: Spans | None,
) -> Learnt:
    """Labels, each with the number of rows it must have, weights and spans; rows of weight 0 are left out."""
    name = type(model).__name__
    y, heads = _answers(model, "y_train", *train)
    known = classes or max(int(y.max()) + 1, 2)
    _in_range(name, "y_train", y, known)
    weights = _weights(name, sample_weights, len(y))
    checked = None if spans is None else _spans(name, spans, len(y))
    kept = weights > 0
    if not kept.all():
        y, weights = y[kept], _mean_one(weights[kept])
        heads = {own: values[kept] for own, values in heads.items()}
        checked = None if checked is None else (checked[0][kept], checked[1][kept])
    if len(np.unique(y)) < 2:
        raise BadModelInput(
            name, f"all {len(y)} training labels are class {y[0]}", "Use more rows, or folds in which two classes occur"
        )
    shared = Learnt(y=y, weights=weights, kept=kept, y_val=None, classes=known, heads=heads, spans=checked)
    given, rows = valid
    if given is None:
        return shared
    y_val, heads_val = _answers(model, "y_val", given, rows)
    _in_range(name, "y_val", y_val, known)
    return replace(shared, y_val=y_val, heads_val=heads_val)


def _answers(model: BaseModel, what: str, given: Labels, rows: int) -> tuple[Classes, Heads]:
    """Classes, and what the model's other heads learn, in its order."""
    name, wanted = type(model).__name__, model.heads
    if isinstance(given, Answers) != bool(wanted):
        found = f"{what} holds {'heads beside the classes' if isinstance(given, Answers) else 'classes alone'}"
        raise BadModelInput(name, found, f"Give Answers with {', '.join(wanted)}" if wanted else "Give classes alone")
    if not isinstance(given, Answers):
        return _classes(name, what, given, rows), {}
    if set(given.heads) != set(wanted):
        found = f"{what} holds the heads {', '.join(sorted(given.heads)) or 'none'}"
        raise BadModelInput(name, found, f"It learns {', '.join(wanted)}")
    heads = {own: _numbers(name, f"head '{own}' of {what}", given.heads[own]).astype("float64") for own in wanted}
    for own, values in heads.items():
        if values.shape != (rows,) or np.isinf(values).any():
            found = f"head '{own}' of {what} has shape {values.shape} for {rows} rows, or infinite values"
            raise BadModelInput(name, found, "Give one finite number per row, NaN where the label does not say")
    return _classes(name, what, given.classes, rows), heads


def _classes(model: str, what: str, y: Classes, rows: int) -> Classes:
    found = np.asarray(y)
    if found.shape != (rows,):
        raise BadModelInput(model, f"{what} has shape {found.shape} for {rows} rows", "Give one label per row")
    if found.dtype.kind not in "iufb" or not np.isfinite(found).all() or (found != np.floor(found)).any():
        raise BadModelInput(model, f"{what} holds values that are no classes", "Give integers from 0")
    return found.astype("int64")


def _in_range(model: str, what: str, y: Classes, classes: int) -> None:
    if y.min() < 0 or y.max() >= classes:
        raise BadModelInput(
            model, f"{what} holds labels from {y.min()} to {y.max()}", f"With {classes} classes: 0 to {classes - 1}"
        )


def _weights(model: str, weights: Floats | None, rows: int) -> Floats:
    if weights is None:
        return np.ones(rows)
    found = _numbers(model, "weights", weights).astype("float64")
    if found.shape != (rows,):
        raise BadModelInput(model, f"weights have shape {found.shape} for {rows} rows", "Give one weight per row")
    if not np.isfinite(found).all() or (found < 0).any() or not found.sum() > 0:
        raise BadModelInput(model, "weights are negative, not finite or all zero", "Give non-negative numbers")
    return _mean_one(found)


def _spans(model: str, spans: Spans, rows: int) -> Spans:
    found = tuple(np.asarray(one) for one in spans)
    if [(one.shape, one.dtype.kind) for one in found] != [((rows,), "i")] * 2:
        told = " and ".join(f"{one.dtype} of shape {one.shape}" for one in found) or "nothing"
        raise BadModelInput(model, f"spans are {told} for {rows} rows", "Give a start and an end per row, in int64")
    start, end = (one.astype("int64") for one in found)
    if (end < start).any():
        raise BadModelInput(model, f"{(end < start).sum()} spans end before they start", "Give (start, end)")
    return start, end


def _mean_one(weights: Floats) -> Floats:
    scaled: Floats = weights / weights.mean()
    return scaled


# Answering ---------------------------------------------------------------------------------------------------------


def fitted(model: BaseModel, state: Any) -> None:
    """Refuse a model that has learnt nothing yet.

    Raises:
        BadModelInput: `state` is None.
    """
    if state is None:
        raise BadModelInput(type(model).__name__, "it is not fitted", "Call `fit` or `load` first")


def answerable(model: BaseModel, X: Inputs, shape: tuple[int, ...]) -> Single:
    """Inputs to answer for, of the row shape seen in `fit`.

    Raises:
        BadModelInput: another width or length, no rows, NaN or infinity, several inputs.
    """
    checked = _single(model, X)
    _same_shape(type(model).__name__, "", checked.shape[1:], shape)
    return checked


def named_answerable(model: BaseModel, X: Inputs, shapes: Mapping[str, tuple[int, ...]]) -> NamedInputs:
    """What `answerable` does, for a model that names several inputs.

    Args:
        model: it names them.
        X: `NamedInputs`.
        shapes: name -> shape of its rows in `fit`.

    Raises:
        BadModelInput: as `answerable`; one input, or other names.
    """
    checked = _named(model, X)
    for own, part in checked.items():
        _same_shape(type(model).__name__, f"input '{own}': ", part.shape[1:], shapes[own])
    return checked


def _same_shape(model: str, what: str, found: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if tuple(found) == tuple(shape):
        return
    if found[-1] != shape[-1]:
        raise BadModelInput(model, f"{what}rows of {found[-1]} features", f"It was trained on {shape[-1]}")
    raise BadModelInput(model, f"{what}sequences of length {found[0]}", f"It was trained on length {shape[0]}")
