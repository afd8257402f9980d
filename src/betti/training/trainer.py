"""One model on one fold, outside the pipeline: scale, fit, judge, keep. For notebooks and for a first look at a model.

It fits the very model that the stage `train` fits for that fold. It is told neither a target's name nor the hashes of
the data, so that nothing it trains is counted in `trials.jsonl` (docs/concepts.md). What does not belong here: runs of
several folds, the final model and evaluation after costs (`betti.stages`), and models of several inputs or heads, which
need the pipeline.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betti.errors import BadParam
from betti.models import ModelRegistry
from betti.models._config import refuse_owned
from betti.models._members import trainable_here
from betti.training.container import SPLITS
from betti.training.scaling import ONLY, Scaler, fit_kind, kinds

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from betti.models import BaseModel, PredictionOutput, TrainingMetrics
    from betti.records import Classification
    from betti.training.container import FoldArrays, FoldSequences, TimeSeriesDataContainer
    from betti.windows import Windows

    Part = FoldArrays | FoldSequences
    X = NDArray[np.float32] | Windows

__all__ = ["Trainer", "TrainerConfig", "TrainerResult"]

# What the configuration calls a knob, and what the models call it; a model without the knob has no use for the number.
KNOBS = {"sequence_length": "length", "batch_size": "batch_size", "max_epochs": "epochs"}
PATIENCE = ("patience", "early_stopping_rounds")
COUNTS = ("horizon", "sequence_length", "batch_size", "max_epochs", "early_stopping_patience")
OWNED = {
    "seed": "set random_seed",
    "classes": "leave it out: the labels say how many there are",
    **{theirs: f"set {ours}" for ours, theirs in KNOBS.items()},
    **dict.fromkeys(PATIENCE, "set early_stopping_patience"),
}
FILE = "TrainerConfig"
# At which probability a class counts as acted on, in the precision that evaluation states.
THRESHOLD = 0.5


@dataclass(frozen=True)
class TrainerConfig:
    """What to train.

    Attributes:
        model_name: a registered model.
        horizon: bars that the labels look ahead at most; labels that look further are refused.
        feature_set: name of the columns' set, kept beside the model.
        sequence_length: rows in a window, for models of windows.
        batch_size: rows in a batch, for models that have such a knob, as for the next two.
        max_epochs: epochs at most.
        early_stopping_patience: epochs (or rounds) without a better validation loss before training stops.
        random_seed: of the fit.
        experiment_name: the folder inside `output_dir`; None: "MODEL-HORIZON-SEED".
        output_dir: where experiments lie.
        knobs: the model's other knobs; none of those that stand above.
    """

    model_name: str
    horizon: int
    feature_set: str = "boosting_optimal"
    sequence_length: int = 60
    batch_size: int = 256
    max_epochs: int = 100
    early_stopping_patience: int = 10
    random_seed: int = 42
    experiment_name: str | None = None
    output_dir: Path = Path("experiments/runs")
    knobs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("model_name", "feature_set"):
            if not isinstance(getattr(self, name), str):
                raise BadParam(name, getattr(self, name), "it is a name", FILE)
        for name, least in (*((count, 1) for count in COUNTS), ("random_seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise BadParam(name, value, f"it is a whole number, {least} at least", FILE)
        if not isinstance(self.knobs, Mapping):
            raise BadParam("knobs", self.knobs, "it is a mapping of the model's knobs", FILE)
        refuse_owned("knobs", self.knobs, OWNED, FILE)

    @property
    def folder(self) -> Path:
        """Where the experiment is kept."""
        name = self.experiment_name or f"{self.model_name}-{self.horizon}-{self.random_seed}"
        return Path(self.output_dir) / name


@dataclass(frozen=True)
class TrainerResult:
    """What came of it.

    Attributes:
        model: the fitted model.
        scaler: fitted on the train rows; None where the model takes features as they are.
        training: how the fit went.
        scores: "valid", "test" -> scores of that part's rows; a part without rows is not in it.
        folder: where all of it lies.
    """

    model: BaseModel
    scaler: Scaler | None
    training: TrainingMetrics
    scores: Mapping[str, Classification]
    folder: Path


class Trainer:
    """Trains one model on one fold."""

    def __init__(self, config: TrainerConfig) -> None:
        """Build the model, so that a fault in its knobs, or a device that is not there, shows before any data are read.

        Raises:
            UnknownName, BadModelInput: the model or one of its knobs does not exist or does not fit.
            BadParam: the model takes several inputs or learns several labels.
        """
        self.config = config
        prototype = ModelRegistry.create(config.model_name, config.knobs)
        if prototype.inputs or prototype.heads:
            problem = "it takes several inputs or learns several labels: train it as a run of params.yaml"
            raise BadParam("model_name", config.model_name, problem, FILE)
        self._knobs = _knobs(config, prototype.config)
        self._sequences = prototype.requires_sequences
        trainable_here(ModelRegistry.create(config.model_name, self._knobs))

    def run_full_pipeline(self, container: TimeSeriesDataContainer) -> TrainerResult:
        """Scale on the train rows, fit, judge on valid and test rows, and keep everything in the config's folder.

        The folder gets `config/`, `model/` (with its scaler), `predictions/` (Parquet) and `metrics/`.

        Args:
            container: one fold.

        Raises:
            BadParam: labels look further ahead than the horizon, no train row is left, or the folder is there already.
            BadModelInput: the model refuses the data.
        """
        self._refuse(container)
        parts = {split: self._part(container, split) for split in SPLITS}
        seen = parts["train"]
        model = ModelRegistry.create(self.config.model_name, {**self._knobs, "classes": container.classes})
        kind = kinds(model).get(ONLY)
        scaler = None if kind is None else fit_kind(kind, _decision_rows(seen.X))
        inputs = {split: _scaled(part.X, scaler) for split, part in parts.items()}
        unseen = parts["valid"] if len(parts["valid"].y) else None
        training = model.fit(
            inputs["train"],
            seen.y,
            None if unseen is None else inputs["valid"],
            None if unseen is None else unseen.y,
            sample_weights=seen.weights,
            spans=container.spans("train", self._length),
        )
        said = {split: model.predict(inputs[split]) for split in ("valid", "test") if len(parts[split].y)}
        scores = {split: _judged(parts[split].y, output) for split, output in said.items()}
        result = TrainerResult(model, scaler, training, scores, self.config.folder)
        tables = {split: _table(container.rows(split, self._length), parts[split].y, said[split]) for split in said}
        self._keep(result, tables)
        return result

    @property
    def _length(self) -> int | None:
        return self.config.sequence_length if self._sequences else None

    def _part(self, container: TimeSeriesDataContainer, split: str) -> Part:
        if self._length is None:
            return container.get_sklearn_arrays(split)
        return container.get_pytorch_sequences(split, self._length)

    def _refuse(self, container: TimeSeriesDataContainer) -> None:
        ahead = container.bars_ahead
        if ahead > self.config.horizon:
            problem = f"the labels look {ahead} bars ahead: give this horizon, or labels of a shorter one"
            raise BadParam("horizon", self.config.horizon, problem, FILE)
        if not len(self._part(container, "train").y):
            problem = f"fold {container.fold} has no train row with a label and a complete input"
            raise BadParam("sequence_length", self.config.sequence_length, problem, FILE)
        if self.config.folder.exists():
            problem = f"{self.config.folder} is there already: choose another name, or remove it"
            raise BadParam("experiment_name", self.config.experiment_name, problem, FILE)

    def _keep(self, result: TrainerResult, tables: Mapping[str, pd.DataFrame]) -> None:
        folders = {name: result.folder / name for name in ("config", "model", "predictions", "metrics")}
        for folder in folders.values():
            folder.mkdir(parents=True)
        result.model.save(folders["model"])
        if result.scaler is not None:
            result.scaler.save(folders["model"])
        for split, table in tables.items():
            table.to_parquet(folders["predictions"] / f"{split}.parquet", index=False)
        _write(folders["config"] / "training.json", asdict(self.config))
        _write(folders["config"] / "model.json", result.model.config)
        _write(folders["metrics"] / "training.json", asdict(result.training))
        _write(folders["metrics"] / "evaluation.json", {name: one.model_dump() for name, one in result.scores.items()})


def _knobs(config: TrainerConfig, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The model's knobs: those that the configuration names in its own words, then those given as they are."""
    named = {theirs: getattr(config, ours) for ours, theirs in KNOBS.items()}
    named |= dict.fromkeys(PATIENCE, config.early_stopping_patience) | {"seed": config.random_seed}
    return {name: value for name, value in named.items() if name in defaults} | dict(config.knobs)


def _decision_rows(x: X) -> NDArray[np.float32]:
    """(n, columns) the rows that scalers are fitted on: a window's last one, as in the pipeline."""
    from betti.windows import Windows

    return x.values[x.ends] if isinstance(x, Windows) else x


def _scaled(x: X, scaler: Scaler | None) -> X:
    from betti.windows import Windows

    if scaler is None:
        return x
    if isinstance(x, Windows):
        return Windows(scaler.transform(x.values), x.ends, x.length)
    return scaler.transform(x)


def _judged(y: NDArray[np.int64], output: PredictionOutput) -> Classification:
    from betti.metrics.classification import classification

    return classification(y, output.class_probabilities, THRESHOLD)


def _table(rows: pd.DataFrame, y: NDArray[np.int64], output: PredictionOutput) -> pd.DataFrame:
    """`timestamp`, `symbol`, `p_0` ..., `prediction`, `label`."""
    chances = {f"p_{label}": column for label, column in enumerate(output.class_probabilities.T)}
    return rows[["timestamp", "symbol"]].assign(**chances, prediction=output.class_predictions, label=y)


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(_plain(facts), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """The same as JSON has it: what is no number is null, a path is text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
