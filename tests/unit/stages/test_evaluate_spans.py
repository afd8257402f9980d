"""A model that says where expansions lie is judged by that too: by what it says, whatever it is called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from betti import labelling
from betti.labelling.expansion import sequences
from betti.models import PredictionOutput
from betti.records import RunMetrics
from betti.stages.evaluate import Evaluated, evaluate
from tests.conftest import random_bars

KEY = ["timestamp", "symbol"]
KNOBS: dict[str, Any] = {
    "cost_bps": 1.0, "slippage_bps": 1.0, "decision_threshold": 0.5, "trade_symbols": [], "repetitions": 100,
    "confidence": 0.95, "seed": 7,
}  # fmt: skip


@dataclass(frozen=True)
class Manifest:
    run: str = "expansion-any"
    model: str = "any"
    target: str = "expansion"
    set: str = "some"
    seed: int = 7
    columns: tuple[str, ...] = ("a",)
    classes: int = 2
    label: str = "expansion"
    device: str = "cpu"
    pruned: dict = field(default_factory=dict)
    warnings: tuple = ()
    fits: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    rows: pd.DataFrame
    output: PredictionOutput
    dropped: dict[str, int] = field(default_factory=dict)


class Knowing:
    """Says what is so, `late` bars late; answers in an order of its own."""

    def __init__(self, labels: pd.DataFrame, late: float, says: bool = True) -> None:
        self.manifest, self.labels, self.late, self.says = Manifest(), labels, late, says

    def predict(self, fold: int, feature_set: pd.DataFrame, rows: pd.DataFrame) -> Answers:
        kept = rows.sample(frac=1, random_state=fold)
        truth = sequences(kept[KEY].merge(self.labels, on=KEY, how="left"))
        late = self.late * (1 + fold)
        chance = np.where(kept["expansion"] > 0, 0.8, 0.2)
        output = PredictionOutput.from_probabilities(np.column_stack([1 - chance, chance]))
        types = np.nan_to_num(truth.type).astype(int)
        if self.says:
            output.outputs.update(
                {
                    "pointers": np.nan_to_num(truth.pointers) + np.array([late / 104, 0]),
                    "mask": truth.mask.astype("float64"),
                    "countdowns": np.nan_to_num(truth.countdown) + late,
                    **{f"type_{kind}": (types == kind).astype("float64") for kind in range(3)},
                }
            )
        return Answers(kept, output)


@pytest.fixture(scope="module")
def clean() -> pd.DataFrame:
    return pd.concat([random_bars(900, 3, "AAA"), random_bars(900, 4, "BBB")], ignore_index=True)


@pytest.fixture(scope="module")
def labels(clean: pd.DataFrame) -> pd.DataFrame:
    return labelling.label("expansion", clean, displacement=5.0)


@pytest.fixture(scope="module")
def folds(labels: pd.DataFrame) -> pd.DataFrame:
    stamps = np.sort(labels["timestamp"].unique())
    tables = []
    for fold, (cut, end) in enumerate([(300, 500), (500, len(stamps))]):
        role = np.where(labels["timestamp"] < stamps[cut], "train", "unused").astype(object)
        role[labels["timestamp"].isin(stamps[cut:end])] = "test"
        tables.append(labels[KEY].assign(fold=fold, role=role))
    return pd.concat(tables, ignore_index=True)


def judged(clean: pd.DataFrame, labels: pd.DataFrame, folds: pd.DataFrame, model: Knowing) -> Evaluated:
    features = clean[KEY].assign(a=0.0)
    return evaluate(model, features, labels, folds, clean, **KNOBS)


def test_spans_are_judged_by_fold_and_over_all_rows(
    clean: pd.DataFrame, labels: pd.DataFrame, folds: pd.DataFrame
) -> None:
    found = judged(clean, labels, folds, Knowing(labels, late=2.0))
    span = found.metrics.span
    assert span is not None and list(span.folds) == ["fold_0", "fold_1"]
    first, second = span.folds["fold_0"].detection, span.folds["fold_1"].detection
    assert (first.countdown_mae, second.countdown_mae) == (pytest.approx(2, abs=1e-4), pytest.approx(4, abs=1e-4))
    assert (first.hits, second.hits) == (1.0, 0.0)
    whole = span.pooled.detection
    assert whole.rows == first.rows + second.rows > 50
    assert whole.hits == pytest.approx(first.rows / whole.rows)
    assert (whole.mask_iou, whole.type_macro_f1) == (1.0, 1.0)
    ahead = span.pooled.anticipation
    assert ahead.rows > 5 and ahead.hits is None and ahead.countdown_mae is not None
    test = folds[folds["role"] == "test"].merge(labels, on=KEY)
    assert ahead.rows == (test["ahead"] > 0).sum()
    assert RunMetrics.model_validate_json(found.metrics.model_dump_json()) == found.metrics
    # Answers of every bar are no columns of the predictions.
    assert {name for name in found.predictions if name.startswith("output_")} == {f"output_type_{k}" for k in range(3)}


def test_a_model_that_says_no_such_thing_has_no_such_scores(
    clean: pd.DataFrame, labels: pd.DataFrame, folds: pd.DataFrame
) -> None:
    assert judged(clean, labels, folds, Knowing(labels, late=0.0, says=False)).metrics.span is None
