"""Stage 7, one item per run: a model per fold for honest evaluation, and a final one on everything known.

Every fold is checked for leaks before anything is fitted, and scalers see train rows only. What does not belong here:
cutting folds (`betti.splits`), turning tables into inputs (`betti.training.prepare`), models (`betti.models`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.errors import BadInput, BadParam
from betti.models import ModelRegistry
from betti.progress import tell
from betti.schemas import ROLES
from betti.training import prepare
from betti.training.leaks import refuse_leaks
from betti.training.manifest import FitFacts, RunManifest, library_versions
from betti.training.run import FINAL, Member, TrainedRun, member_name
from betti.training.scaling import fit_scaler

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from betti.models import TrainingMetrics
    from betti.training.prepare import FeatureRows, Labelled

    Positions = NDArray[np.int64]

__all__ = ["NothingToTrain", "StaleFolds", "Trained", "train"]

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
class _Recipe:
    """What every fit of the run shares."""

    run: str
    model: str
    config: dict[str, Any]
    features: FeatureRows
    data: Labelled


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

    Raises:
        LeakError: a train or valid row's span overlaps a test row's.
        ValuelessColumns: features without any value.
        StaleFolds: folds of other labels.
        NothingToTrain: a fold without usable train rows.
        UnknownName, BadModelInput, BadParam: the model or a knob does not exist or does not fit.
    """
    label = prepare.label_column(labels)
    classes = prepare.class_count(label, labels[label].dropna().to_numpy(dtype="float64"))
    prototype = ModelRegistry.create(model, _config(run, config, seed, classes))
    length = int(prototype.config["length"]) if prototype.requires_sequences else None
    _refuse_bad_folds(run, labels, folds)

    features = prepare.feature_rows(feature_set, prepare.feature_columns(feature_set), length)
    empty = prepare.valueless_columns(features, labels)
    if empty:
        raise prepare.ValuelessColumns(set, empty)
    recipe = _Recipe(run, model, prototype.config, features, prepare.labelled(labels, label, features))
    roles = _roles(recipe.data, folds)
    members, metrics = _fit_folds(recipe, roles)
    final_config = prototype.final_config(list(metrics.values()))
    everything = np.arange(len(recipe.data.y))
    members[FINAL], metrics[FINAL] = _fit(recipe, FINAL, everything, everything[:0], final_config)
    tell(len(members), len(members), "models")
    manifest = RunManifest(
        run=run,
        model=model,
        target=target,
        set=set,
        seed=seed,
        config=prototype.config,
        final_config=final_config,
        columns=features.columns,
        classes=classes,
        label=label,
        length=length,
        device=_device(prototype.config),
        folds=tuple(roles),
        fits={name: FitFacts.of(found) for name, found in metrics.items()},
        rows=_row_counts(roles, len(everything)),
        dropped=recipe.data.dropped,
        libraries=library_versions(),
    )
    return Trained(TrainedRun(manifest, members), _learning(roles, metrics))


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


def _roles(data: Labelled, folds: pd.DataFrame) -> dict[int, NDArray[np.object_]]:
    """Fold -> role of every usable row."""
    return {
        int(str(fold)): data.rows[KEY].merge(rows, on=KEY, how="left")["role"].to_numpy(dtype="object")
        for fold, rows in folds.groupby("fold", sort=True)
    }


def _row_counts(roles: dict[int, NDArray[np.object_]], everything: int) -> dict[str, dict[str, int]]:
    counts = {
        member_name(fold): {role: int(np.count_nonzero(found == role)) for role in ROLES}
        for fold, found in roles.items()
    }
    return {**counts, FINAL: {"train": everything}}


# Fitting -----------------------------------------------------------------------------------------------------------


def _fit_folds(
    recipe: _Recipe, roles: dict[int, NDArray[np.object_]]
) -> tuple[dict[str, Member], dict[str, TrainingMetrics]]:
    members: dict[str, Member] = {}
    metrics: dict[str, TrainingMetrics] = {}
    for fold, found in roles.items():
        name = member_name(fold)
        rows, valid = (np.flatnonzero(found == role) for role in ("train", "valid"))
        members[name], metrics[name] = _fit(recipe, name, rows, valid, {})
        tell(len(members), len(roles) + 1, "models")
    return members, metrics


def _fit(
    recipe: _Recipe, name: str, rows: Positions, valid: Positions, config: dict[str, Any]
) -> tuple[Member, TrainingMetrics]:
    """One model on these rows of the labelled data; without valid rows it trains for as long as configured."""
    data, features = recipe.data, recipe.features
    if not len(rows):
        raise NothingToTrain(recipe.run, name, data.dropped)
    model = ModelRegistry.create(recipe.model, {**recipe.config, **config})
    scaler = None
    if model.requires_scaling:
        scaler = fit_scaler(model.model_family, features.values[data.positions[rows]])
    start, end = data.spans()
    metrics = model.fit(
        features.inputs(data.positions[rows], scaler),
        data.y[rows],
        features.inputs(data.positions[valid], scaler) if len(valid) else None,
        data.y[valid] if len(valid) else None,
        sample_weights=data.weights[rows],
        spans=(start[rows], end[rows]),
    )
    return Member(model, scaler), metrics


def _learning(roles: dict[int, NDArray[np.object_]], metrics: dict[str, TrainingMetrics]) -> pd.DataFrame:
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
