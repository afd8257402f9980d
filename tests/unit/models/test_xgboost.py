from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xgboost

from betti.models import ModelRegistry


def data(classes: int, rows: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 4)).astype("float32")
    y = np.digitize(X[:, 1] + rng.normal(size=rows), [0.0] if classes == 2 else [-0.5, 0.5])
    return X, y, rng.uniform(0.1, 1, rows)


def test_defaults_are_the_published_ones() -> None:
    wanted = {
        "rounds": 500, "max_depth": 6, "learning_rate": 0.05, "subsample": 0.8, "colsample_bytree": 0.8,
        "min_child_weight": 10.0, "gamma": 0.1, "alpha": 0.1, "lambda": 1.0, "early_stopping_rounds": 50,
        "num_threads": 1,
    }  # fmt: skip
    assert wanted.items() <= ModelRegistry.get_model_info("xgboost").default_config.items()


@pytest.mark.parametrize("classes", [2, 3])
def test_answers_as_xgboost_does(classes: int) -> None:
    X, y, weights = data(classes)
    model = ModelRegistry.create("xgboost", {"rounds": 20, "classes": classes})
    model.fit(X, y, None, None, sample_weights=weights)
    reference = xgboost.XGBClassifier(
        n_estimators=20, max_depth=6, learning_rate=0.05, subsample=0.8, colsample_bytree=0.8, min_child_weight=10,
        gamma=0.1, reg_alpha=0.1, reg_lambda=1, n_jobs=1, random_state=7, tree_method="hist",
    ).fit(X, y, sample_weight=weights / weights.mean())  # fmt: skip
    np.testing.assert_allclose(model.predict(X).class_probabilities, reference.predict_proba(X), atol=1e-6)


def test_what_is_stored_is_a_booster_that_the_library_reads(tmp_path: Path) -> None:
    X, y, _ = data(3)
    model = ModelRegistry.create("xgboost", {"rounds": 5})
    model.fit(X, y, None, None)
    model.save(tmp_path)
    booster = xgboost.Booster(model_file=tmp_path / "booster.ubj")
    assert booster.num_boosted_rounds() == 5
    np.testing.assert_allclose(booster.inplace_predict(X), model.predict(X).class_probabilities, atol=1e-6)


def test_threads_change_no_answer() -> None:
    X, y, _ = data(3)
    one, two = (ModelRegistry.create("xgboost", {"rounds": 10, "num_threads": threads}) for threads in (1, 2))
    for model in (one, two):
        model.fit(X, y, None, None)
    np.testing.assert_allclose(one.predict(X).class_probabilities, two.predict(X).class_probabilities, atol=1e-5)
