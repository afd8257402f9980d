from __future__ import annotations

import json
import logging
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from betti.errors import BadModelInput
from betti.models import ModelRegistry

CUTS = {2: [0.0], 3: [-0.5, 0.5], 4: [-0.7, 0.0, 0.7]}


def data(classes: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 3)).astype("float32")
    return X, np.digitize(X[:, 1] + 0.5 * rng.normal(size=rows), CUTS[classes]), rng.uniform(0.5, 1.5, rows)


def by_hand(X: np.ndarray, y: np.ndarray, weights: np.ndarray, spans: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Two blocks answered for by scikit-learn's own machines, a regression on that, and its answers."""
    start, end = spans
    gamma = 1 / (X.shape[1] * X.astype("float64").var())

    def machine(rows: np.ndarray) -> SVC:
        fitted = SVC(gamma=gamma, decision_function_shape="ovo")
        return fitted.fit(X[rows].astype("float64"), y[rows], sample_weight=weights[rows] / weights[rows].mean())

    def margins(fitted: SVC, rows: np.ndarray) -> np.ndarray:
        return fitted.decision_function(X[rows].astype("float64")).reshape(len(rows), -1)

    edges = np.linspace(0, len(y), 4).round().astype(int)
    held = [np.arange(first, last) for first, last in pairwise(edges[1:])]
    answered = [margins(machine(np.flatnonzero(end < start[rows[0]])), rows) for rows in held]
    seen = np.concatenate(held)
    regression = LogisticRegression(max_iter=1000).fit(np.concatenate(answered), y[seen], sample_weight=weights[seen])
    every = np.arange(len(y))
    return regression.predict_proba(margins(machine(every), every))


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_answers_as_scikit_learns_parts_do(classes: int) -> None:
    X, y, weights = data(classes)
    start = np.arange(len(y)) * 60_000_000_000
    spans = (start, start + 7 * 60_000_000_000)
    model = ModelRegistry.create("svm", {"calibration_folds": 2, "embargo": "0min"})
    model.fit(X, y, None, None, sample_weights=weights, spans=spans)
    wanted = by_hand(X, y, weights / weights.mean(), spans)
    np.testing.assert_allclose(model.predict(X).class_probabilities, wanted, atol=1e-6)
    # The purge is not for nothing: without it other rows teach, and other answers calibrate.
    unpurged = by_hand(X, y, weights / weights.mean(), (start, start))
    assert np.abs(unpurged - wanted).max() > 1e-4


def test_probabilities_are_calibrated_where_margins_are_overconfident() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(1500, 3)).astype("float32")
    y = (rng.random(1500) < 1 / (1 + np.exp(-X[:, 0]))).astype("int64")
    model = ModelRegistry.create("svm", {"C": 100.0, "importance_rows": 0})
    model.fit(X[:700], y[:700], None, None)
    found = model.predict(X[700:]).class_probabilities[:, 1]
    sure = found > np.quantile(found, 0.8)
    assert y[700:][sure].mean() == pytest.approx(found[sure].mean(), abs=0.1)
    assert model.get_feature_importance() is None


def test_a_draw_of_rows_is_said(tmp_path: Path, caplog) -> None:
    X, y, _ = data(3)
    with caplog.at_level(logging.WARNING):
        model = ModelRegistry.create("svm", {"max_rows": 150})
        model.fit(X, y, None, None)
    assert "learns from 150 of 400 rows" in caplog.text
    model.save(tmp_path)
    assert json.loads((tmp_path / "model.json").read_text())["rows"] == 150


def test_too_few_rows_to_calibrate_are_refused() -> None:
    X, y, _ = data(2)
    start = np.arange(len(y)) * 60_000_000_000
    with pytest.raises(BadModelInput, match="0 rows of the inner folds cannot calibrate 2 classes"):
        ModelRegistry.create("svm").fit(X, y, None, None, spans=(start, start))  # an embargo of a day, on minutes
    first = np.arange(len(y)) < 100
    with pytest.raises(BadModelInput, match="cannot calibrate"):
        ModelRegistry.create("svm").fit(X, first.astype("int64"), None, None)


def test_an_embargo_that_is_no_time_is_refused() -> None:
    with pytest.raises(BadModelInput, match=r"embargo = 'a day'.*30min"):
        ModelRegistry.create("svm", {"embargo": "a day"})


def test_gamma_is_a_knob() -> None:
    X, y, _ = data(2)
    usual, given = ModelRegistry.create("svm"), ModelRegistry.create("svm", {"gamma": 5.0})
    for model in (usual, given):
        model.fit(X, y, None, None)
    assert np.abs(usual.predict(X).class_probabilities - given.predict(X).class_probabilities).max() > 0.05
