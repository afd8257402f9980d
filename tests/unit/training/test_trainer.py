"""The trainer outside the pipeline fits the model that the stage fits for the same fold, and keeps what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from betti.errors import BadModelInput, BadParam, UnknownName
from betti.models import ModelRegistry
from betti.stages.train import train
from betti.training.container import TimeSeriesDataContainer
from betti.training.scaling import Scaler
from betti.training.trainer import COUNTS, Trainer, TrainerConfig
from tests.unit.training.folded import HORIZON, KEY, LENGTH, LSTM, NAMES, tables

MODELS: dict[str, dict[str, Any]] = {
    "logistic": {},
    "lightgbm": {"rounds": 10},
    "lstm": {name: LSTM[name] for name in ("hidden", "layers", "warmup_epochs", "device")},
}


def config(model: str, folder: Path, **changed: Any) -> TrainerConfig:
    named = {"sequence_length": LENGTH, "batch_size": 128, "max_epochs": 2, "early_stopping_patience": 2}
    named |= {"random_seed": 7, "output_dir": folder, "knobs": MODELS[model]}
    return TrainerConfig(**({"model_name": model, "horizon": HORIZON} | named | changed))


@pytest.fixture(scope="module")
def container() -> TimeSeriesDataContainer:
    return TimeSeriesDataContainer(*tables(), fold=1)


@pytest.mark.parametrize("model", MODELS)
def test_it_fits_what_the_stage_fits(model: str, container: TimeSeriesDataContainer, tmp_path: Path) -> None:
    found = Trainer(config(model, tmp_path)).run_full_pipeline(container)
    knobs = found.model.config
    asked = {name: value for name, value in knobs.items() if name not in ("seed", "classes")}
    staged = train(*tables(), model=model, config=asked, **NAMES).models.member(1)
    assert (staged.scaler is None) == (found.scaler is None)
    assert staged.scaler == found.scaler
    x = (
        container.get_pytorch_sequences("test", LENGTH).X[:]
        if model == "lstm"
        else container.get_sklearn_arrays("test").X
    )
    scaled = x if found.scaler is None else found.scaler.transform(x.reshape(-1, x.shape[-1])).reshape(x.shape)
    one, two = (member.predict(scaled).class_probabilities for member in (found.model, staged.model))
    np.testing.assert_array_equal(one, two)


def test_what_it_leaves(container: TimeSeriesDataContainer, tmp_path: Path) -> None:
    found = Trainer(config("logistic", tmp_path, experiment_name="first")).run_full_pipeline(container)
    assert found.folder == tmp_path / "first"
    table = pd.read_parquet(found.folder / "predictions" / "test.parquet")
    pd.testing.assert_frame_equal(table[KEY], container.rows("test")[KEY], check_dtype=False)
    assert (table["prediction"] == table["label"]).mean() == pytest.approx(found.scores["test"].accuracy)
    told = json.loads((found.folder / "metrics" / "evaluation.json").read_text())
    assert told["valid"]["log_loss"] == pytest.approx(found.scores["valid"].log_loss)
    kept = json.loads((found.folder / "config" / "training.json").read_text())
    assert (kept["model_name"], kept["horizon"], kept["random_seed"]) == ("logistic", HORIZON, 7)
    again = ModelRegistry.create("logistic", json.loads((found.folder / "config" / "model.json").read_text()))
    again.load(found.folder / "model")
    scaler = Scaler.load(found.folder / "model")
    assert scaler == found.scaler is not None
    said = again.predict(scaler.transform(container.get_sklearn_arrays("test").X)).class_probabilities
    np.testing.assert_allclose(said, table[["p_0", "p_1", "p_2"]].to_numpy(), rtol=1e-12)
    assert not list(found.folder.rglob("*.pkl"))
    with pytest.raises(BadParam, match="is there already"):
        Trainer(config("logistic", tmp_path, experiment_name="first")).run_full_pipeline(container)


def test_without_valid_rows_it_trains_as_long_as_it_is_told(tmp_path: Path) -> None:
    feature_set, labels, folds = tables()
    role = folds["role"].astype("str")
    unseen = folds.assign(role=role.where(role != "valid", "unused"))
    found = Trainer(config("lstm", tmp_path)).run_full_pipeline(TimeSeriesDataContainer(feature_set, labels, unseen))
    assert set(found.scores) == {"test"}
    assert found.training.epochs_trained == 2
    assert json.loads((found.folder / "metrics" / "training.json").read_text())["val_loss"] is None


def test_what_does_not_fit_is_refused_before_anything_is_written(
    container: TimeSeriesDataContainer, tmp_path: Path
) -> None:
    with pytest.raises(BadParam, match="labels look 5 bars ahead"):
        Trainer(config("logistic", tmp_path, horizon=3)).run_full_pipeline(container)
    with pytest.raises(BadParam, match="no train row"):
        Trainer(config("lstm", tmp_path, sequence_length=5000)).run_full_pipeline(container)
    with pytest.raises(UnknownName, match="unknown model 'lgbm'"):
        Trainer(config("logistic", tmp_path, model_name="lgbm"))
    with pytest.raises((UnknownName, BadModelInput), match="no_such"):
        Trainer(config("logistic", tmp_path, knobs={"no_such": 1}))
    with pytest.raises(BadModelInput, match="precision = 'fp16' on the CPU"):
        Trainer(config("lstm", tmp_path, knobs={"precision": "fp16", "device": "cpu"}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, bad) for name in COUNTS for bad in (0, -1, "20", 2.0, True, None)),
        *(("random_seed", bad) for bad in (-1, "7", 7.0, None)),
        ("model_name", None),
        ("feature_set", 3),
        ("knobs", None),
        ("knobs", [("C", 1.0)]),
    ],
)
def test_values_of_another_kind_are_named(tmp_path: Path, name: str, value: Any) -> None:
    with pytest.raises(BadParam, match=f"TrainerConfig: {name} = "):
        config("logistic", tmp_path, **{name: value})


@pytest.mark.parametrize(
    ("knob", "remedy"),
    [
        ("seed", "set random_seed"),
        ("classes", "the labels say how many"),
        ("length", "set sequence_length"),
        ("batch_size", "set batch_size"),
        ("epochs", "set max_epochs"),
        ("patience", "set early_stopping_patience"),
        ("early_stopping_rounds", "set early_stopping_patience"),
    ],
)
def test_a_knob_that_the_configuration_sets_itself_is_refused(tmp_path: Path, knob: str, remedy: str) -> None:
    """What is kept in `config/training.json` would not be what was trained."""
    with pytest.raises(BadParam, match=rf"TrainerConfig: knobs\.{knob} = 2: .*{remedy}"):
        config("lstm", tmp_path, knobs={knob: 2})
