from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from betti.errors import BadModelInput, BrokenArtifact
from betti.models import ModelRegistry


@pytest.mark.parametrize("classes", [2, 3])
def test_answers_as_scikit_learn_does(classes: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4)).astype("float32")
    y = np.digitize(X[:, 1] + rng.normal(size=400), [0.0] if classes == 2 else [-0.5, 0.5])
    weights = rng.uniform(0.1, 1, 400)
    model = ModelRegistry.create("logistic", {"C": 0.5, "classes": classes})
    model.fit(X, y, None, None, sample_weights=weights)
    reference = LogisticRegression(C=0.5, max_iter=1000).fit(
        X.astype("float64"), y, sample_weight=weights / weights.mean()
    )
    np.testing.assert_allclose(
        model.predict(X).class_probabilities, reference.predict_proba(X.astype("float64")), atol=1e-12
    )


def test_a_range_is_named() -> None:
    with pytest.raises(BadModelInput, match="C = 0"):
        ModelRegistry.create("logistic", {"C": 0.0})
    model = ModelRegistry.create("logistic")
    with pytest.raises(BadModelInput, match="max_iter = 0"):
        model.fit(np.ones((2, 1)), np.array([0, 1]), None, None, config={"max_iter": 0})


@pytest.mark.parametrize(("fact", "wrong"), [("classes", 2), ("features", 4)])
def test_coefficients_of_other_classes_or_columns_are_refused(tmp_path: Path, fact: str, wrong: int) -> None:
    X = np.random.default_rng(0).normal(size=(300, 3)).astype("float32")
    model = ModelRegistry.create("logistic")
    model.fit(X, np.digitize(X[:, 0], [-0.5, 0.5]), None, None)
    model.save(tmp_path)
    told = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**told, fact: wrong}))
    with pytest.raises(BrokenArtifact, match="coefficients"):
        ModelRegistry.create("logistic").load(tmp_path)


def test_importance_is_by_position() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)).astype("float32")
    model = ModelRegistry.create("logistic")
    model.fit(X, (X[:, 2] > 0).astype("int64"), None, None)
    importance = model.get_feature_importance()
    assert importance is not None
    assert list(importance) == ["0", "1", "2"]
    assert importance["2"] > importance["0"]
