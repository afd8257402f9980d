from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from betti.models import ModelRegistry


def test_defaults_are_the_published_ones() -> None:
    config = ModelRegistry.get_model_info("lightgbm").default_config
    assert {"rounds": 500, "num_leaves": 31, "min_data_in_leaf": 20}.items() <= config.items()


@pytest.mark.parametrize("classes", [2, 3])
def test_answers_as_lightgbm_does(classes: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4)).astype("float32")
    y = np.digitize(X[:, 1] + rng.normal(size=600), [0.0] if classes == 2 else [-0.5, 0.5])
    weights = rng.uniform(0.1, 1, 600)
    model = ModelRegistry.create("lightgbm", {"rounds": 20, "classes": classes})
    model.fit(X, y, None, None, sample_weights=weights)
    task = {"objective": "binary"} if classes == 2 else {"objective": "multiclass", "num_class": 3}
    reference = lightgbm.LGBMClassifier(
        n_estimators=20, learning_rate=0.05, num_leaves=31, max_depth=0, min_child_samples=20, colsample_bytree=0.8,
        subsample=0.8, subsample_freq=1, reg_alpha=0.1, reg_lambda=1.0, random_state=7, n_jobs=1, verbosity=-1,
        deterministic=True, force_row_wise=True, **task,
    ).fit(X, y, sample_weight=weights / weights.mean())  # fmt: skip
    np.testing.assert_allclose(model.predict(X).class_probabilities, reference.predict_proba(X), atol=1e-12)
