"""Every fit of a run says what memory it is expected to take, and what it took."""

from __future__ import annotations

import logging
import re

import pandas as pd
import pytest

from betti.stages.train import train
from tests.unit.stages.test_train import CONFIGS, tables  # noqa: F401  # a fixture

MEMBERS = {"members": {"lightgbm": {"config": CONFIGS["lightgbm"]}, "line": {"model": "logistic"}}}
MODELS = {**CONFIGS, "voting": MEMBERS}


@pytest.mark.parametrize("model", ["logistic", "lightgbm", "voting"])
def test_a_model_without_a_network_tells_it_of_every_fit(
    model: str,
    tables: tuple[pd.DataFrame, ...],  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    named = {"run": "r", "model": model, "set": "s", "target": "t", "seed": 7, "classes": 3}
    with caplog.at_level(logging.INFO):
        train(*tables, **named, config=MODELS[model])
    told = [record.getMessage() for record in caplog.records if record.name == "betti.training.footprint"]
    form = r"memory of run 'r', (\w+) on cpu: [\d.]+ [KM]B \(.*inputs .*\) expected, [\d.]+ \w?B used"
    assert [re.fullmatch(form, line)[1] for line in told] == ["fold_0", "fold_1", "final"]


def test_a_network_tells_it_once_a_training(
    tables: tuple[pd.DataFrame, ...],  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    named = {"run": "r", "model": "lstm", "set": "s", "target": "t", "seed": 7, "classes": 3}
    with caplog.at_level(logging.INFO):
        train(*tables, **named, config=MODELS["lstm"])
    told = [record.getMessage() for record in caplog.records if record.name == "betti.training.footprint"]
    assert len(told) == 3
    assert all("activations" in line for line in told)
