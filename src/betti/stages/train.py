"""Stage 7, one item per run: a model per fold for honest evaluation, and a final one on everything known.

Every fold is checked for leaks before anything is fitted; columns are chosen and scalers fitted on train rows alone.
What does not belong here: cutting folds (`betti.splits`), turning tables into inputs (`betti.training.prepare`), which
columns are alike (`betti.training.pruning`), models (`betti.models`).
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
from betti.training import prepare, pruning
from betti.training.guard import thinness
from betti.training.leaks import refuse_leaks
from betti.training.manifest import FitFacts, RunManifest, library_versions
from betti.training.run import FINAL, Member, TrainedRun, member_name
from betti.training.scaling import fit_scaler

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from betti.models import BaseModel, TrainingMetrics
    from betti.training.guard import Thin
    from betti.training.prepare import FeatureRows, Labelled
    from betti.training.pruning import Choice

    Positions = NDArray[np.int64]
    Roles = dict[int, NDArray[np.object_]]

__all__ = ["NothingToTrain", "StaleFolds", "Trained", "train"]

log = logging.getLogger(__name__)

KEY = ["timestamp", "symbol"]
SPANNED = [*KEY, "span_start", "span_end"]
FINAL_FOLD = -1  # the final model's number in the learning table


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
            fold where a model has no epochs.
    """

    models: TrainedRun
    learning: pd.DataFrame


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
        label: the column that is learnt.
        longest_step: microseconds that a window may step over; None for single rows.
    """

    asked: _Asked
    prototype: BaseModel
    label: str
    longest_step: int | None
    features: FeatureRows
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
        labels: columns as in `schemas.LABELS`; its first target column is learnt, its `weight` weighs rows.
        folds: columns as in `schemas.FOLDS`.
        run: the run's name.
        model: a registered model.
        set: the feature set's name.
        target: the target's name.
        seed: of every fit.
        config: knobs of the model to replace.
        prune: each model is spared constant columns and those more alike than this (`betti.training.pruning`), as its
            own train rows show; None gives all columns to all models.
        least_samples_per_feature: train rows per column that the smallest fold must have; None only warns.
        classes: how many the target has, whether or not all of them occur (`CLASSES` of its file).

    Raises:
        LeakError: a train or valid row's span overlaps a test row's.
        ValuelessColumns: features without any value.
        StaleFolds: folds of other labels.
        NothingToTrain: a fold without usable train rows.
        AllConstant: a fold in which no column varies, where columns are pruned.
        TooFewSamples: fewer than `least_samples_per_feature`.
        UnknownName, BadModelInput, BadParam: the model or a knob does not exist or does not fit.
    """
    asked = _Asked(run, model, set, target, seed, prune, classes)
    recipe = _recipe(asked, config, feature_set, labels, folds)
    roles = _roles(recipe.data, folds)
    lessons = _lessons(recipe, roles)
    sizes = {one.name: (len(one.rows), len(one.columns.kept)) for one in lessons if one.name != FINAL}
    warnings = thinness(run, sizes, least_samples_per_feature)
    for warning in warnings:
        log.warning("run '%s': %s", run, warning.message)
    members, metrics, final_config = _fit_all(recipe, lessons)
    manifest = _manifest(recipe, roles, lessons, metrics, final_config, warnings)
    return Trained(TrainedRun(manifest, members), _learning(roles, metrics))


def _recipe(
    asked: _Asked, config: dict[str, Any], feature_set: pd.DataFrame, labels: pd.DataFrame, folds: pd.DataFrame
) -> _Recipe:
    """Tables to a matrix and labelled rows, after every check that needs no model."""
    label = prepare.label_column(labels)
    prototype = ModelRegistry.create(asked.model, _config(asked.run, config, asked.seed, asked.classes))
    length = int(prototype.config["length"]) if prototype.requires_sequences else None
    _refuse_bad_folds(asked.run, labels, folds)
    longest = None if length is None else prepare.longest_step(feature_set)
    features = prepare.feature_rows(feature_set, prepare.feature_columns(feature_set), length, longest)
    empty = prepare.valueless_columns(features, labels)
    if empty:
        raise prepare.ValuelessColumns(asked.set, empty)
    return _Recipe(asked, prototype, label, longest, features, prepare.labelled(labels, label, features, asked.classes))


def _manifest(
    recipe: _Recipe,
    roles: Roles,
    lessons: list[_Lesson],
    metrics: dict[str, TrainingMetrics],
    final_config: dict[str, Any],
    warnings: tuple[Thin, ...],
) -> RunManifest:
    asked, config = recipe.asked, recipe.prototype.config
    return RunManifest(
        run=asked.run,
        model=asked.model,
        target=asked.target,
        set=asked.set,
        seed=asked.seed,
        config=config,
        final_config=final_config,
        columns=recipe.features.columns,
        prune=asked.prune,
        pruned={} if asked.prune is None else {lesson.name: lesson.columns for lesson in lessons},
        classes=int(config["classes"]),
        label=recipe.label,
        length=recipe.features.length,
        longest_step=recipe.longest_step,
        device=_device(config),
        folds=tuple(roles),
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
    for fold, rows in folds.groupby("fold", sort=True):
        spanned = rows.merge(labels[SPANNED], on=KEY, how="inner")
        if len(spanned) != len(rows) or len(rows) != len(labels):
            found = (
                f"fold {fold} has roles for {len(rows)} rows, of which {len(spanned)} are among {len(labels)} labels"
            )
            raise StaleFolds(run, found)
        refuse_leaks(int(str(fold)), spanned)


def _roles(data: Labelled, folds: pd.DataFrame) -> Roles:
    """Fold -> role of every usable row."""
    return {
        int(str(fold)): data.rows[KEY].merge(rows, on=KEY, how="left")["role"].to_numpy(dtype="object")
        for fold, rows in folds.groupby("fold", sort=True)
    }


def _row_counts(roles: Roles, everything: int) -> dict[str, dict[str, int]]:
    counts = {
        member_name(fold): {role: int(np.count_nonzero(found == role)) for role in ROLES}
        for fold, found in roles.items()
    }
    return {**counts, FINAL: {"train": everything}}


# Fitting -----------------------------------------------------------------------------------------------------------


def _lessons(recipe: _Recipe, roles: Roles) -> list[_Lesson]:
    """Every fold's, then the final one on all labelled rows; columns are chosen on the lesson's own train rows."""
    parts = {
        member_name(fold): tuple(np.flatnonzero(found == role) for role in ("train", "valid"))
        for fold, found in roles.items()
    }
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
    return pruning.choose(features.columns, features.values, recipe.data.positions[rows], limit)


def _fit_all(
    recipe: _Recipe, lessons: list[_Lesson]
) -> tuple[dict[str, Member], dict[str, TrainingMetrics], dict[str, Any]]:
    """Every model by name, how each fit went, and the knobs that the final one took from the folds."""
    members: dict[str, Member] = {}
    metrics: dict[str, TrainingMetrics] = {}
    config: dict[str, Any] = {}
    for lesson in lessons:
        if lesson.name == FINAL:
            config = recipe.prototype.final_config(list(metrics.values()))
        members[lesson.name], metrics[lesson.name] = _fit(recipe, lesson, config)
        tell(len(members), len(lessons), "models")
    return members, metrics, config


def _fit(recipe: _Recipe, lesson: _Lesson, config: dict[str, Any]) -> tuple[Member, TrainingMetrics]:
    """One model; without valid rows it trains for as long as configured."""
    data, rows, valid = recipe.data, lesson.rows, lesson.valid
    features = recipe.features.only(lesson.columns.kept)
    model = ModelRegistry.create(recipe.asked.model, {**recipe.prototype.config, **config})
    scaler = None
    if model.requires_scaling:
        scaler = fit_scaler(model.model_family, features.values[data.positions[rows]])
    seen, unseen = features.several(scaler, data.positions[rows], data.positions[valid])
    start, end = data.spans()
    metrics = model.fit(
        seen,
        data.y[rows],
        unseen if len(valid) else None,
        data.y[valid] if len(valid) else None,
        sample_weights=data.weights[rows],
        spans=(start[rows], end[rows]),
    )
    return Member(model, scaler), metrics


def _learning(roles: Roles, metrics: dict[str, TrainingMetrics]) -> pd.DataFrame:
    """Loss by fold and epoch."""
    import pandas as pd

    numbers = {member_name(fold): fold for fold in roles} | {FINAL: FINAL_FOLD}
    rows = []
    for name, found in metrics.items():
        train_loss = found.history.get("train_loss") or [found.train_loss]
        valid_loss = found.history.get("val_loss") or [float("nan")] * len(train_loss)
        if "train_loss" not in found.history:
            valid_loss = [found.val_loss]
        for epoch, (seen, unseen) in enumerate(zip(train_loss, valid_loss, strict=True), start=1):
            rows.append((numbers[name], epoch, seen, unseen))
    return pd.DataFrame(rows, columns=["fold", "epoch", "train_loss", "valid_loss"])
