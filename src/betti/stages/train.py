"""Stage 7, one item per run: a model per fold for honest evaluation, and a final one on everything known.

Every fold is checked for leaks before anything is fitted; columns are chosen and scalers fitted on train rows alone.
What does not belong here: cutting folds (`betti.splits`), turning tables into inputs (`betti.training.prepare`), what
a model demands of them (`betti.training.demands`), which columns are alike (`betti.training.pruning`), models
(`betti.models`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.errors import BadInput, BadParam
from betti.models import ModelRegistry
from betti.progress import tell
from betti.schemas import ROLES
from betti.training import demands, estimates, importance, prepare, pruning
from betti.training.fold_roles import NO_ROLE, FoldRoles
from betti.training.guard import thinness
from betti.training.inputs import model_inputs
from betti.training.leaks import refuse_leaks
from betti.training.manifest import FitFacts, RunManifest, library_versions
from betti.training.names import FINAL, member_name
from betti.training.run import Member, TrainedRun
from betti.training.scaling import ONLY

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from betti.models import BaseModel, TrainingMetrics
    from betti.models._protocol import Inputs
    from betti.training.guard import Thin
    from betti.training.importance import Worth
    from betti.training.inputs import ModelInputs
    from betti.training.manifest import InputFacts
    from betti.training.prepare import Labelled
    from betti.training.pruning import Choice
    from betti.windows import Steps

    Positions = NDArray[np.int64]

__all__ = ["NothingToTrain", "StaleFolds", "Trained", "train"]

log = logging.getLogger(__name__)

KEY = ["timestamp", "symbol"]
SPANNED = [*KEY, "span_start", "span_end"]
FINAL_FOLD = -1  # the final model's number in the learning table
SHARED_HISTORY = ("train_loss", "val_loss", "learning_rate")  # what every model trained in epochs notes


class NothingToTrain(BadInput):
    """A fold without a single train row that has a label and a complete input."""

    def __init__(self, run: str, member: str, dropped: dict[str, int]) -> None:
        self.run, self.member, self.dropped = run, member, dropped
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(dropped.items())) or "none dropped"
        super().__init__(
            f"run '{run}': {member} has no train row with a label and a complete input (labelled rows: {reasons}). "
            "Fetch more bars, use fewer folds, or choose features with a shorter warm-up"
        )


class StaleFolds(BadInput):
    """Folds that were cut for other labels."""

    def __init__(self, run: str, found: str) -> None:
        self.run = run
        super().__init__(f"run '{run}': {found}. Run `betti run --stages split --downstream --force`")


@dataclass(frozen=True)
class Trained:
    """What the stage hands out.

    Attributes:
        models: the run, which lays itself out in a folder.
        learning: `fold` (-1 is the final model), `epoch` (from 1), `train_loss`, `valid_loss` in nats; one row per
            fold where a model has no epochs. Beside them what a model notes of each epoch by its own names.
        importance: `column`, `share`, `least`, `most`: `betti.training.importance.table`.
    """

    models: TrainedRun
    learning: pd.DataFrame
    importance: pd.DataFrame


@dataclass(frozen=True)
class _Asked:
    """What the run says of itself in params.yaml."""

    run: str
    model: str
    set: str
    target: str
    seed: int
    prune: float | None
    classes: int


@dataclass(frozen=True)
class _Recipe:
    """What every fit of the run shares.

    Attributes:
        prototype: the model with the run's knobs, never fitted.
        label: the column of classes.
        steps: which steps between rows are no gap in a window, by symbol; None for single rows.
        asked_for: the model's inputs, by name.
        features: their matrices.
        data: the rows that have a label and an input.
    """

    asked: _Asked
    prototype: BaseModel
    label: str
    steps: dict[str, Steps] | None
    asked_for: dict[str, InputFacts]
    features: ModelInputs
    data: Labelled


@dataclass(frozen=True)
class _Lesson:
    """What one model learns from: rows of the labelled data by position, and columns."""

    name: str
    rows: Positions
    valid: Positions
    columns: Choice


def train(
    feature_set: pd.DataFrame,
    labels: pd.DataFrame,
    folds: pd.DataFrame,
    *,
    run: str,
    model: str,
    set: str,
    target: str,
    seed: int,
    config: dict[str, Any],
    prune: float | None = None,
    least_samples_per_feature: float | None = None,
    classes: int,
) -> Trained:
    """Fit one model per fold, then the final one.

    Args:
        feature_set: columns as in `schemas.FEATURES`.
        labels: columns as in `schemas.LABELS`; its first target column holds the classes and decides which rows are
            learnt from, further ones are learnt by the model's other heads, its `weight` weighs rows.
        folds: columns as in `schemas.FOLDS`.
        run: the run's name.
        model: a registered model.
        set: the feature set's name.
        target: the target's name.
        seed: of every fit.
        config: knobs of the model to replace.
        prune: each model is spared constant columns and those more alike than this (`betti.training.pruning`), as its
            own train rows show; None gives all columns to all models. A model of several inputs takes all of them.
        least_samples_per_feature: train rows per column that the smallest fold must have; None only warns.
        classes: how many the target has, whether or not all of them occur (`CLASSES` of its file).

    Raises:
        LeakError: a train or valid row's span overlaps a test row's.
        MissingInputs, MissingHeads: the set or the target lacks columns that the model needs.
        ValuelessColumns: features without any value.
        StaleFolds: folds of other labels.
        NothingToTrain: a fold without usable train rows.
        AllConstant: a fold in which no column varies, where columns are pruned.
        TooFewSamples: fewer than `least_samples_per_feature`.
        UnknownName, BadModelInput, BadParam: the model or a knob does not exist or does not fit.
    """
    asked = _Asked(run, model, set, target, seed, prune, classes)
    recipe = _recipe(asked, config, feature_set, labels, folds)
    roles = FoldRoles.of(recipe.data.rows, folds)
    lessons = _lessons(recipe, roles)
    sizes = {one.name: (len(one.rows), len(one.columns.kept)) for one in lessons if one.name != FINAL}
    warnings = thinness(run, sizes, least_samples_per_feature)
    for warning in warnings:
        log.warning("run '%s': %s", run, warning.message)
    members, metrics, worth, final_config = _fit_all(recipe, lessons)
    manifest = _manifest(recipe, roles, lessons, metrics, final_config, warnings)
    return Trained(TrainedRun(manifest, members), _learning(roles.numbers, metrics), importance.table(worth))


def _recipe(
    asked: _Asked, config: dict[str, Any], feature_set: pd.DataFrame, labels: pd.DataFrame, folds: pd.DataFrame
) -> _Recipe:
    """Tables to matrices and labelled rows, after every check that needs no model."""
    label = prepare.label_column(labels)
    prototype = ModelRegistry.create(asked.model, _config(asked.run, config, asked.seed, asked.classes))
    demands.refuse_pruning(asked.run, asked.model, prototype, asked.prune)
    demands.refuse_missing_heads(asked.run, asked.model, prototype, asked.target, [str(name) for name in labels])
    columns = prepare.feature_columns(feature_set)
    asked_for = demands.input_facts(asked.run, asked.model, prototype, asked.set, columns)
    _refuse_bad_folds(asked.run, labels, folds)
    windowed = any(one.length is not None for one in asked_for.values())
    steps = prepare.steps(feature_set) if windowed else None
    features = model_inputs(feature_set, asked_for, steps)
    empty = [name for part in features.parts.values() for name in prepare.valueless_columns(part, labels)]
    if empty:
        raise prepare.ValuelessColumns(asked.set, empty, asked.model if prototype.inputs else None)
    data = prepare.labelled(labels, label, features.anchor, asked.classes, prototype.heads)
    return _Recipe(asked, prototype, label, steps, asked_for, features, data)


def _manifest(
    recipe: _Recipe,
    roles: FoldRoles,
    lessons: list[_Lesson],
    metrics: dict[str, TrainingMetrics],
    final_config: dict[str, Any],
    warnings: tuple[Thin, ...],
) -> RunManifest:
    asked, config = recipe.asked, recipe.prototype.config
    lengths = [one.length for one in recipe.asked_for.values() if one.length is not None]
    return RunManifest(
        run=asked.run,
        model=asked.model,
        target=asked.target,
        set=asked.set,
        seed=asked.seed,
        config=config,
        final_config=final_config,
        columns=recipe.features.columns,
        inputs={name: one for name, one in recipe.asked_for.items() if name != ONLY},
        prune=asked.prune,
        pruned={} if asked.prune is None else {lesson.name: lesson.columns for lesson in lessons},
        classes=int(config["classes"]),
        label=recipe.label,
        heads=recipe.prototype.heads,
        length=max(lengths, default=None),
        steps=recipe.steps,
        device=_device(config),
        folds=roles.numbers,
        fits={name: FitFacts.of(found) for name, found in metrics.items()},
        rows=_row_counts(roles, len(recipe.data.y)),
        dropped=recipe.data.dropped,
        warnings=warnings,
        libraries=library_versions(),
    )


def _config(run: str, config: dict[str, Any], seed: int, classes: int) -> dict[str, Any]:
    """The run's knobs with its seed and its target's class count, which a config may not set again."""
    for name, where in (("seed", "the run's own `seed`"), ("classes", "nothing: the target says how many there are")):
        if name in config:
            raise BadParam(f"runs.{run}.config.{name}", config[name], f"set {where}")
    return {**config, "seed": seed, "classes": classes}


def _device(config: dict[str, Any]) -> str:
    """Where the run was trained; a model without the knob `device` knows only the CPU."""
    if "device" not in config:
        return "cpu"
    from betti.training.device import resolve

    return resolve(config["device"])


# Folds -------------------------------------------------------------------------------------------------------------


def _refuse_bad_folds(run: str, labels: pd.DataFrame, folds: pd.DataFrame) -> None:
    """Refuse folds that leak or belong to other labels, before anything is computed."""
    if not len(folds):
        raise StaleFolds(run, "there are no folds")
    roles = FoldRoles.of(labels, folds)
    for fold, codes, counts in zip(roles.numbers, roles.codes, roles.counts, strict=True):
        listed, known = int(counts.sum()), int(np.count_nonzero(codes != NO_ROLE))
        if known != listed or listed != len(labels):
            found = f"fold {fold} has roles for {listed} rows, of which {known} are among {len(labels)} labels"
            raise StaleFolds(run, found)
        places = {role: roles.where(fold, role) for role in ("train", "valid", "test")}
        spanned = labels.iloc[np.concatenate(list(places.values()))][SPANNED]
        refuse_leaks(fold, spanned.assign(role=np.repeat(list(places), [len(rows) for rows in places.values()])))


def _row_counts(roles: FoldRoles, everything: int) -> dict[str, dict[str, int]]:
    counts = {member_name(fold): {role: len(roles.where(fold, role)) for role in ROLES} for fold in roles.numbers}
    return {**counts, FINAL: {"train": everything}}


# Fitting -----------------------------------------------------------------------------------------------------------


def _lessons(recipe: _Recipe, roles: FoldRoles) -> list[_Lesson]:
    """Every fold's, then the final one on all labelled rows; columns are chosen on the lesson's own train rows."""
    parts = {member_name(fold): tuple(roles.where(fold, role) for role in ("train", "valid")) for fold in roles.numbers}
    whole = np.arange(len(recipe.data.y))
    parts[FINAL] = (whole, whole[:0])
    found = []
    for name, (rows, valid) in parts.items():
        if not len(rows):
            raise NothingToTrain(recipe.asked.run, name, recipe.data.dropped)
        found.append(_Lesson(name, rows, valid, _columns(recipe, rows)))
    return found


def _columns(recipe: _Recipe, rows: Positions) -> Choice:
    features, limit = recipe.features, recipe.asked.prune
    if limit is None:
        return pruning.everything(features.columns)
    whole = features.parts[ONLY]
    return pruning.choose(whole.columns, whole.values, recipe.data.positions[rows], limit)


def _fit_all(
    recipe: _Recipe, lessons: list[_Lesson]
) -> tuple[dict[str, Member], dict[str, TrainingMetrics], dict[str, Worth], dict[str, Any]]:
    """Every model by name, how each fit went, what columns were worth, and the final one's knobs from the folds."""
    members: dict[str, Member] = {}
    metrics: dict[str, TrainingMetrics] = {}
    worth: dict[str, Worth] = {}
    config: dict[str, Any] = {}
    *_, last, _ = ["", *(lesson.name for lesson in lessons)]
    for lesson in lessons:
        if lesson.name == FINAL:
            config = recipe.prototype.final_config(list(metrics.values()))
        fitted = _fit(recipe, lesson, config)
        members[lesson.name], metrics[lesson.name] = fitted.member, fitted.metrics
        # Permuting costs a prediction a column: the newest fold's model, on rows it has not seen, speaks for all. The
        # final one has seen every row, so nothing of it could be measured on others.
        model = fitted.member.model
        if lesson.name == last or (lesson.name != FINAL and model.get_feature_importance() is not None):
            worth[lesson.name] = importance.of_model(model, *fitted.unseen, lesson.columns.kept, recipe.asked.seed)
        tell(len(members), len(lessons), "models")
    return members, metrics, worth, config


@dataclass(frozen=True)
class _Fitted:
    """A model, how its fit went, and rows that it was not fitted on, with their classes."""

    member: Member
    metrics: TrainingMetrics
    unseen: tuple[Inputs, NDArray[np.int64]]


def _fit(recipe: _Recipe, lesson: _Lesson, config: dict[str, Any]) -> _Fitted:
    """One model; without valid rows it trains for as long as configured."""
    data, rows, valid = recipe.data, lesson.rows, lesson.valid
    features = recipe.features.only(lesson.columns.kept)
    model = ModelRegistry.create(recipe.asked.model, {**recipe.prototype.config, **config})
    what, sizes = f"run '{recipe.asked.run}', {lesson.name}", (len(rows) + len(valid), len(lesson.columns.kept))
    with estimates.weighed(what, model, recipe.asked.model, *sizes):
        scalers = features.scalers(model, data.positions[rows])
        seen, unseen = features.several(scalers, data.positions[rows], data.positions[valid])
        start, end = data.spans()
        metrics = model.fit(
            seen,
            data.answers(rows),
            unseen if len(valid) else None,
            data.answers(valid) if len(valid) else None,
            sample_weights=data.weights[rows],
            spans=(start[rows], end[rows]),
        )
    return _Fitted(Member(model, scalers), metrics, (unseen, data.y[valid]))


def _learning(folds: tuple[int, ...], metrics: dict[str, TrainingMetrics]) -> pd.DataFrame:
    """Loss by fold and epoch, and whatever else the model has noted of each epoch."""
    import pandas as pd

    numbers = {member_name(fold): fold for fold in folds} | {FINAL: FINAL_FOLD}
    return pd.concat([_epochs(numbers[name], found) for name, found in metrics.items()], ignore_index=True)


def _epochs(fold: int, found: TrainingMetrics) -> pd.DataFrame:
    """One model's rows; a model without epochs has one, with its losses."""
    import pandas as pd

    train_loss = found.history.get("train_loss")
    if train_loss is None:
        return pd.DataFrame(
            {"fold": [fold], "epoch": [1], "train_loss": [found.train_loss], "valid_loss": [found.val_loss]}
        )
    epochs = len(train_loss)
    valid_loss = found.history.get("val_loss") or [float("nan")] * epochs
    own = {name: v for name, v in found.history.items() if name not in SHARED_HISTORY and len(v) == epochs}
    columns = {"fold": fold, "epoch": range(1, epochs + 1), "train_loss": train_loss, "valid_loss": valid_loss}
    return pd.DataFrame(columns | own)
