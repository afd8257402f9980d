"""Training, evaluation and live prediction see one and the same input: the newest bars alone give the same answers.

Live, there are only as many bars as the look-back and the window declare; features are computed from those alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from betti import features
from betti.stages.evaluate import evaluate
from betti.stages.train import train
from betti.training.container import TimeSeriesDataContainer
from betti.training.prepare import feature_rows
from betti.training.run import TrainedRun
from tests.unit.training.folded import FAMILIES, KEY, LENGTH, LSTM, NAMES, bars, features_of, tables

MODELS: dict[str, dict[str, Any]] = {"logistic": {}, "lstm": {**LSTM, "length": LENGTH}}
COSTS = {"cost_bps": 1.0, "slippage_bps": 1.0, "decision_threshold": 0.5, "trade_symbols": []}
BOOTSTRAP = {"repetitions": 20, "confidence": 0.95, "seed": 7}
every_model = pytest.mark.parametrize("model", MODELS)


@pytest.fixture(scope="module")
def runs() -> dict[str, TrainedRun]:
    return {model: train(*tables(), model=model, config=config, **NAMES).models for model, config in MODELS.items()}


def newest(rows: pd.DataFrame, length: int | None) -> pd.DataFrame:
    """Of each symbol the bars that an answer at its row needs, and none besides."""
    needed = max(features.families()[family].lookback() for family in FAMILIES) + (length or 1)
    clean, found = bars(), []
    for row in rows.itertuples():
        mine = clean[(clean["symbol"] == row.symbol) & (clean["timestamp"] <= row.timestamp)]
        found.append(mine.tail(needed))
    return pd.concat(found, ignore_index=True)


def decisions() -> list[pd.DataFrame]:
    """The last bar, which has no label yet, and two in the test stretch of the last fold; both symbols each."""
    stamps = np.sort(bars()["timestamp"].unique())
    return [bars()[bars()["timestamp"] == stamps[at]][KEY].reset_index(drop=True) for at in (-1, -60, -150)]


@every_model
def test_live_inputs_and_answers_are_those_of_the_whole_history(runs: dict[str, TrainedRun], model: str) -> None:
    run, whole = runs[model], tables()[0]
    told = run.manifest
    for rows in decisions():
        live = features_of(newest(rows, told.length))
        assert len(live) < len(whole) / 2
        found = [feature_rows(table, told.columns, told.length, told.steps) for table in (live, whole)]
        inputs = [np.asarray(table.inputs(table.find(rows).positions, None)[:]) for table in found]
        assert len(inputs[0]) == 2
        np.testing.assert_allclose(inputs[0], inputs[1], rtol=1e-6, atol=1e-6)
        for fold in (*told.folds, None):
            one, two = (run.predict(fold, table, rows) for table in (live, whole))
            assert one.dropped == two.dropped == {}
            pd.testing.assert_frame_equal(one.rows, two.rows)
            np.testing.assert_allclose(
                one.output.class_probabilities, two.output.class_probabilities, rtol=0, atol=1e-6
            )


@every_model
def test_a_bar_less_than_declared_gives_no_answer_rather_than_another(runs: dict[str, TrainedRun], model: str) -> None:
    rows = decisions()[0]
    enough = newest(rows, runs[model].manifest.length)
    short = enough[enough["timestamp"] > enough.groupby("symbol")["timestamp"].transform("min")]
    answer = runs[model].predict(None, features_of(short.reset_index(drop=True)), rows)
    assert len(answer.rows) == 0 and answer.dropped == {"incomplete_input": 2}


@every_model
def test_evaluation_judges_the_answers_that_live_prediction_gives(runs: dict[str, TrainedRun], model: str) -> None:
    run, (whole, labels, folds) = runs[model], tables()
    judged = evaluate(run, whole, labels, folds, bars(), **COSTS, **BOOTSTRAP).predictions
    for rows in decisions()[1:]:
        answer = run.predict(1, features_of(newest(rows, run.manifest.length)), rows)
        wanted = answer.rows.merge(judged[judged["fold"] == 1], on=KEY)
        assert len(wanted) == 2
        np.testing.assert_allclose(answer.output.class_probabilities, wanted[["p_0", "p_1", "p_2"]], rtol=0, atol=1e-6)


@every_model
def test_training_saw_the_inputs_that_live_prediction_makes(runs: dict[str, TrainedRun], model: str) -> None:
    """The container holds what training saw; the last train rows of a fold, made again from their newest bars."""
    run = runs[model]
    told, container = run.manifest, TimeSeriesDataContainer(*tables(), fold=1)
    seen = container.get_pytorch_sequences("train", LENGTH) if told.length else container.get_sklearn_arrays("train")
    rows = container.rows("train", told.length)
    assert len(rows) == told.rows["fold_1"]["train"]
    last = rows.groupby("symbol").tail(1)
    live = features_of(newest(last, told.length))
    table = feature_rows(live, told.columns, told.length, told.steps)
    found = np.asarray(table.inputs(table.find(last).positions, None)[:])
    np.testing.assert_allclose(found, seen.X[last.index.to_numpy()], rtol=1e-6, atol=1e-6)
