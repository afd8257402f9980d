"""Every model goes through a whole run on real bars: features, labels, folds, files, live answers, scores, a rank."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from betti import features, labelling, splits
from betti.records import RunMetrics
from betti.sources import sample
from betti.stages.compare import compare
from betti.stages.evaluate import evaluate
from betti.stages.train import Trained, train
from betti.training.run import TrainedRun
from tests.contract._models import NAMES, PASSES, create, log_loss, set_columns, small

KEY = ["timestamp", "symbol"]
BARS = 1500
WARM_UP = 300  # bars that the slowest family needs; labels begin after them
# An expansion reads its window and what may begin after it: a short valid part would be purged to its last row.
VALID = 0.4
NARROW = "transformer_raw"  # what a model of one input is given: few columns
KNOBS = {
    "cost_bps": 1.0, "slippage_bps": 1.0, "decision_threshold": 0.5, "trade_symbols": [], "repetitions": 100,
    "confidence": 0.95, "seed": 7,
}  # fmt: skip

every_model = pytest.mark.parametrize("name", NAMES)


@dataclass(frozen=True)
class Run:
    """A model's run on the sample: what was trained, the same read from files, and what evaluation says of it."""

    features: pd.DataFrame
    labels: pd.DataFrame
    trained: Trained
    loaded: TrainedRun
    predictions: pd.DataFrame
    metrics: RunMetrics


@cache
def clean() -> pd.DataFrame:
    """Daily bars of the built-in sample, from 2008 to 2013."""
    until = pd.Timestamp("2014-01-01", tz="UTC")
    (bars,) = sample.fetch(("SP500",), "1d", until)
    return bars[bars["timestamp"] < until].tail(BARS).reset_index(drop=True)


@cache
def family(name: str) -> pd.DataFrame:
    return features.family(name).compute(clean())


def feature_set(name: str) -> pd.DataFrame:
    """Every column that the model takes, as its family computes it."""
    sets = [spec.set for spec in create(name).inputs.values()] or [NARROW]
    columns = list(dict.fromkeys(column for one in sets for column in set_columns(one)))
    found = {column: family(column.partition("__")[0])[column] for column in columns}
    return pd.concat([clean()[KEY], pd.DataFrame(found)], axis=1)


def kind_of(name: str) -> str:
    """A target whose labels have what the model learns."""
    heads = set(create(name).heads)
    fitting = [kind for kind, module in labelling.FOLDER.loaded() if heads <= set(module.COLUMNS)]
    return "direction" if "direction" in fitting else fitting[0]


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory):
    """A model's run, made once."""

    @cache
    def made(name: str) -> Run:
        kind, table = kind_of(name), feature_set(name)
        labels = labelling.label(kind, clean().iloc[WARM_UP:].reset_index(drop=True))
        folds = splits.split("walk_forward", labels, folds=2, embargo="1D", valid_share=VALID)
        config = {**small(name), **{knob: most for knob, most in PASSES.items() if knob in create(name).config}}
        named = {"run": name, "model": name, "set": "s", "target": kind, "seed": 7, "config": config}
        trained = train(table, labels, folds, **named, classes=labelling.FOLDER.load(kind).CLASSES)
        folder: Path = tmp_path_factory.mktemp("runs") / name
        trained.models.save(folder)
        loaded = TrainedRun.load(folder)
        found = evaluate(loaded, table, labels, folds, clean(), **KNOBS)
        return Run(table, labels, trained, loaded, found.predictions, found.metrics)

    return made


@every_model
def test_a_run_from_bars_to_scores(name: str, run_of) -> None:
    run: Run = run_of(name)
    told = run.trained.models.manifest
    assert told.heads == create(name).heads
    assert set(told.inputs) == set(create(name).inputs)
    assert run.metrics.pooled.rows == len(run.predictions) > 50
    assert set(run.metrics.gaps) == set(run.metrics.folds)
    chances = run.predictions[[f"p_{label}" for label in range(told.classes)]].to_numpy(dtype="float64")
    labels = run.predictions["label"].to_numpy(dtype="int64")
    assert run.metrics.pooled.log_loss == pytest.approx(log_loss(labels, chances), rel=1e-5)
    said = {column.removeprefix("output_") for column in run.predictions.columns if column.startswith("output_")}
    scored = {own for own in said & set(run.labels.columns) if run.labels[own].notna().any()}
    assert set(run.metrics.heads) <= scored


@every_model
def test_a_run_read_from_files_answers_the_same(name: str, run_of) -> None:
    run: Run = run_of(name)
    newest = run.features.tail(1)[KEY]
    made, read = (one.predict(None, run.features, newest).output for one in (run.trained.models, run.loaded))
    np.testing.assert_array_equal(made.class_probabilities, read.class_probabilities)
    # The newest bars alone give what the whole history gave.
    live = run.loaded.predict(None, run.features.tail(run.loaded.manifest.length or 1), newest).output
    np.testing.assert_allclose(live.class_probabilities, made.class_probabilities, atol=1e-6)
    assert set(live.outputs) == set(read.outputs) == set(made.outputs)


@every_model
def test_a_run_says_what_its_columns_are_worth(name: str, run_of) -> None:
    """Of a model of several inputs, what each of them is."""
    run: Run = run_of(name)
    found = run.trained.importance
    assert len(found)
    assert found["share"].sum() == pytest.approx(1)
    if create(name).inputs:
        assert {column.partition(":")[0] for column in found["column"]} == set(create(name).inputs)
    else:
        assert set(found["column"]) <= set(run.features.columns)


def test_all_runs_are_ranked(run_of) -> None:
    metrics = {name: run_of(name).metrics for name in NAMES}
    rows = compare(metrics, confidence=0.95).leaderboard.rows
    assert sorted(row.run for row in rows) == sorted(metrics)
    beaten = [sum(interval.low > 0 for interval in row.versus.values()) for row in rows if not row.eligible]
    assert beaten == sorted(beaten, reverse=True)
