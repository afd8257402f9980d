"""Whose importance counts: that of the folds' models, which have rows they were not fitted on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti.stages.train import Trained, train
from tests.unit.stages.test_train import CONFIGS, tables  # noqa: F401  # a fixture

COLUMNS = ("f__a", "f__b", "f__c")
# One that permutes, and measures the final model on the rows it was fitted on, for want of others; and one that reads
# its coefficients.
MODELS = {"svm": {"embargo": "0D"}, "logistic": {}}


def run_of(tables: tuple[pd.DataFrame, ...], model: str) -> Trained:  # noqa: F811
    named = {"run": "r", "model": model, "set": "s", "target": "t", "seed": 7, "classes": 3}
    return train(*tables, **named, config={**MODELS, **CONFIGS}[model])


@pytest.mark.parametrize("model", MODELS)
def test_the_final_model_has_no_say(model: str, tables: tuple[pd.DataFrame, ...]) -> None:  # noqa: F811
    run = run_of(tables, model)
    shares = []
    for fold in (0, 1):
        own = run.models.member(fold).model.get_feature_importance()
        assert own is not None
        worth = np.maximum(list(own.values()), 0)
        shares.append(worth / worth.sum())
    found = run.importance.set_index("column").loc[list(COLUMNS)]
    np.testing.assert_allclose(found["share"], np.mean(shares, axis=0))
    np.testing.assert_allclose(found["least"], np.min(shares, axis=0))
    np.testing.assert_allclose(found["most"], np.max(shares, axis=0))


def test_a_model_that_is_asked_is_the_newest_folds(tables: tuple[pd.DataFrame, ...]) -> None:  # noqa: F811
    """One answer, so that least and most are the share."""
    found = run_of(tables, "lstm").importance
    assert set(found["column"]) == set(COLUMNS)
    np.testing.assert_array_equal(found["least"], found["share"])
    np.testing.assert_array_equal(found["most"], found["share"])
