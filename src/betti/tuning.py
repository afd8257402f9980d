"""What a search minimises: the mean validation loss over a run's own folds, without a test row of the fold itself.

A fold's train rows teach, its valid rows judge; purged, embargoed and test rows are left out before anything is looked
at. In walk-forward folds what one fold validates on an earlier one tests: a search over several folds flatters the
earlier ones (`tested_elsewhere`), one over the first alone does not. The same inputs, scalers and pruning as in
training. What does not belong here: what is tried next and what becomes of it (`flows.tune`), and which knobs are worth
trying (each model's `SEARCH`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.errors import BadInput, BadParam, UnknownName
from betti.models import ModelRegistry
from betti.training import demands, prepare, pruning
from betti.training.inputs import model_inputs
from betti.training.leaks import refuse_leaks
from betti.training.scaling import ONLY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from betti.training.inputs import ModelInputs
    from betti.training.prepare import Labelled

    Positions = NDArray[np.int64]

__all__ = ["FoldLoss", "Lesson", "Lessons", "NothingToValidate", "Subject", "lessons", "losses"]

KEY = ["timestamp", "symbol"]
SPANNED = [*KEY, "span_start", "span_end"]
LEARNT = ("train", "valid")


class NothingToValidate(BadInput):
    """Folds without validation rows: a search has nothing to judge by."""

    def __init__(self, run: str, folds: Sequence[int]) -> None:
        self.run, self.folds = run, tuple(folds)
        told = ", ".join(map(str, folds)) or "no fold"
        super().__init__(
            f"run '{run}': {told} has both train and valid rows with a label and a complete input. "
            "Raise split.valid_share in params.yaml, or fetch more bars"
        )


@dataclass(frozen=True)
class Subject:
    """What is searched for: a run, and what of it stays as it is."""

    run: str
    model: str
    set: str
    target: str
    seed: int
    classes: int
    prune: float | None = None


@dataclass(frozen=True)
class Lesson:
    """One fold: positions of its train and valid rows, and the columns its train rows leave."""

    fold: int
    rows: Positions
    valid: Positions
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Lessons:
    """A run's folds as a search sees them; `tested_elsewhere` is the share of valid rows that some fold tests."""

    subject: Subject
    features: ModelInputs
    data: Labelled
    folds: tuple[Lesson, ...]
    tested_elsewhere: float


@dataclass(frozen=True)
class FoldLoss:
    """The validation loss of one fold, in nats, and the epoch or round it was best at."""

    fold: int
    loss: float
    best_epoch: int | None


def lessons(
    feature_set: pd.DataFrame,
    labels: pd.DataFrame,
    folds: pd.DataFrame,
    subject: Subject,
    config: Mapping[str, Any],
    only: Sequence[int] = (),
) -> Lessons:
    """Tables to what every trial shares.

    Args:
        feature_set: columns as in `schemas.FEATURES`.
        labels: columns as in `schemas.LABELS`.
        folds: columns as in `schemas.FOLDS`.
        subject: the run.
        config: the run's knobs; a knob that shapes inputs, such as `length`, is not searched.
        only: these folds alone; none named means all.

    Raises:
        UnknownName: there is no such fold.
        NothingToValidate: a fold without train or valid rows.
        LeakError: a train or valid row's span overlaps a test row's.
        MissingInputs, MissingHeads: the set or the target lacks columns that the model needs.
    """
    chosen = _chosen(folds, only)
    _refuse_leaks(labels, chosen)
    seen = chosen[chosen["role"].isin(LEARNT)]
    known = labels.merge(seen[KEY].drop_duplicates(), on=KEY)
    rows = feature_set[feature_set["timestamp"] <= seen["timestamp"].max()] if len(seen) else feature_set
    prototype = _model(subject, config)
    demands.refuse_pruning(subject.run, subject.model, prototype, subject.prune)
    demands.refuse_missing_heads(subject.run, subject.model, prototype, subject.target, [str(name) for name in labels])
    asked = demands.input_facts(
        subject.run, subject.model, prototype, subject.set, prepare.feature_columns(feature_set)
    )
    windowed = any(one.length is not None for one in asked.values())
    features = model_inputs(rows, asked, prepare.steps(feature_set) if windowed else None)
    label = prepare.label_column(labels)
    data = prepare.labelled(known, label, features.anchor, subject.classes, prototype.heads)
    found = tuple(_lesson(subject, features, data, fold, rows) for fold, rows in seen.groupby("fold", sort=True))
    if not found:
        raise NothingToValidate(subject.run, sorted(chosen["fold"].unique()))
    return Lessons(subject, features, data, found, _tested_elsewhere(chosen, folds))


def _tested_elsewhere(chosen: pd.DataFrame, folds: pd.DataFrame) -> float:
    valid = chosen.loc[chosen["role"] == "valid", KEY]
    tested = folds.loc[folds["role"] == "test", KEY].drop_duplicates()
    return len(valid.merge(tested, on=KEY)) / max(len(valid), 1)


def _chosen(folds: pd.DataFrame, only: Sequence[int]) -> pd.DataFrame:
    there = sorted(int(fold) for fold in folds["fold"].unique())
    for fold in only:
        if fold not in there:
            raise UnknownName("fold", str(fold), map(str, there))
    return folds[folds["fold"].isin(list(only) or there)]


def _refuse_leaks(labels: pd.DataFrame, folds: pd.DataFrame) -> None:
    for fold, rows in folds.groupby("fold", sort=True):
        refuse_leaks(int(str(fold)), rows.merge(labels[SPANNED], on=KEY, how="inner"))


def _lesson(subject: Subject, features: ModelInputs, data: Labelled, fold: Any, rows: pd.DataFrame) -> Lesson:
    role = data.rows[KEY].merge(rows, on=KEY, how="left")["role"].to_numpy(dtype="object")
    train, valid = (np.flatnonzero(role == name) for name in LEARNT)
    if not (len(train) and len(valid)):
        raise NothingToValidate(subject.run, [int(fold)])
    columns = features.columns
    if subject.prune is not None:
        whole = features.parts[ONLY]
        columns = pruning.choose(whole.columns, whole.values, data.positions[train], subject.prune).kept
    return Lesson(int(fold), train, valid, columns)


def _model(subject: Subject, config: Mapping[str, Any]) -> Any:
    return ModelRegistry.create(subject.model, {**config, "seed": subject.seed, "classes": subject.classes})


def losses(shared: Lessons, config: Mapping[str, Any]) -> Iterator[FoldLoss]:
    """Fit the model with these knobs, fold by fold; the caller may stop after any of them.

    Raises:
        UnknownName, BadModelInput: a knob that the model does not have, or a value that it does not take.
        BadParam: knobs that change which rows have an input.
    """
    features, data = shared.features, shared.data
    start, end = data.spans()
    for lesson in shared.folds:
        model = _model(shared.subject, config)
        _refuse_reshaping(shared, model)
        own = features.only(lesson.columns)
        scalers = own.scalers(model, data.positions[lesson.rows])
        seen, unseen = own.several(scalers, data.positions[lesson.rows], data.positions[lesson.valid])
        found = model.fit(
            seen,
            data.answers(lesson.rows),
            unseen,
            data.answers(lesson.valid),
            sample_weights=data.weights[lesson.rows],
            spans=(start[lesson.rows], end[lesson.rows]),
        )
        yield FoldLoss(lesson.fold, float(found.val_loss), found.best_epoch)


def _refuse_reshaping(shared: Lessons, model: Any) -> None:
    """A trial with other windows would be judged on other rows."""
    length = shared.features.anchor.length
    if not model.inputs and model.requires_sequences and model.config.get("length") != length:
        raise BadParam(
            f"runs.{shared.subject.run}.config.length",
            model.config.get("length"),
            f"a search keeps the run's {length}: trials of other lengths would be judged on other rows",
        )
