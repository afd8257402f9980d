"""Every model of several inputs or heads goes through a whole run: real labels, folds, files, live answers, scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from betti import labelling, splits
from betti.models import FOLDER
from betti.stages.evaluate import evaluate
from betti.stages.train import train
from betti.training.run import TrainedRun
from tests.conftest import random_bars
from tests.contract._models import NAMES, PASSES, columns_of, create, small

KEY = ["timestamp", "symbol"]
BARS = 1200  # an expansion reads its window and what may begin after it, and all of that is purged
KNOBS = {
    "cost_bps": 1.0, "slippage_bps": 1.0, "decision_threshold": 0.5, "trade_symbols": [], "repetitions": 100,
    "confidence": 0.95, "seed": 7,
}  # fmt: skip
WIDER = [name for name in NAMES if name in FOLDER.names() and (create(name).inputs or create(name).heads)]


@pytest.fixture(scope="module")
def clean() -> pd.DataFrame:
    return random_bars(BARS, 3)


def kind_of(name: str) -> str:
    """A target whose labels have what the model learns."""
    heads = set(create(name).heads)
    fitting = [kind for kind, module in labelling.FOLDER.loaded() if heads <= set(module.COLUMNS)]
    return "direction" if "direction" in fitting else fitting[0]


def feature_set(name: str, clean: pd.DataFrame) -> pd.DataFrame:
    """Noise under the names of every column that the model takes, missing in the first rows."""
    columns = columns_of(name)
    values = np.random.default_rng(1).normal(size=(len(clean), len(columns))).astype("float32")
    values[:5] = np.nan
    return pd.concat([clean[KEY], pd.DataFrame(values, columns=columns, index=clean.index)], axis=1)


@pytest.mark.parametrize("name", WIDER)
def test_a_run_from_labels_to_scores(name: str, clean: pd.DataFrame, tmp_path: Path) -> None:
    kind = kind_of(name)
    features, labels = feature_set(name, clean), labelling.label(kind, clean)
    folds = splits.split("walk_forward", labels, folds=2, embargo="1D")
    config = {**small(name), **{knob: most for knob, most in PASSES.items() if knob in create(name).config}}
    named = {"run": "r", "model": name, "set": "s", "target": kind, "seed": 7, "config": config}
    run = train(features, labels, folds, **named, classes=labelling.FOLDER.load(kind).CLASSES).models
    assert run.manifest.heads == create(name).heads
    assert set(run.manifest.inputs) == set(create(name).inputs)

    run.save(tmp_path)
    loaded = TrainedRun.load(tmp_path)
    found = evaluate(loaded, features, labels, folds, clean, **KNOBS)
    assert found.metrics.pooled.rows == len(found.predictions) > 50
    assert set(found.metrics.gaps) == set(found.metrics.folds)
    said = {column.removeprefix("output_") for column in found.predictions.columns if column.startswith("output_")}
    scored = {own for own in said & set(labels.columns) if labels[own].notna().any()}
    assert set(found.metrics.heads) <= scored

    # The newest bars alone give what the whole history gave.
    newest = features.tail(1)[KEY]
    whole, live = (run.predict(None, known, newest) for known in (features, features.tail(run.manifest.length or 1)))
    np.testing.assert_allclose(live.output.class_probabilities, whole.output.class_probabilities, atol=1e-6)
    assert set(live.output.outputs) == set(whole.output.outputs)
