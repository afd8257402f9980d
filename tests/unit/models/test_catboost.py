from __future__ import annotations

import time
from pathlib import Path

import catboost
import numpy as np
import pytest

from betti.errors import BadModelInput
from betti.models import ModelRegistry


def data(classes: int, rows: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 4)).astype("float32")
    y = np.digitize(X[:, 1] + rng.normal(size=rows), [0.0] if classes == 2 else [-0.5, 0.5])
    return X, y, rng.uniform(0.1, 1, rows)


def test_defaults_are_the_published_ones() -> None:
    wanted = {"rounds": 500, "depth": 6, "l2_leaf_reg": 3.0, "learning_rate": 0.05, "early_stopping_rounds": 50}
    assert wanted.items() <= ModelRegistry.get_model_info("catboost").default_config.items()


@pytest.mark.parametrize("classes", [2, 3])
def test_answers_as_catboost_does(classes: int) -> None:
    X, y, weights = data(classes)
    model = ModelRegistry.create("catboost", {"rounds": 20, "classes": classes})
    model.fit(X, y, None, None, sample_weights=weights)
    reference = catboost.CatBoostClassifier(
        iterations=20, depth=6, learning_rate=0.05, l2_leaf_reg=3, random_strength=1, bagging_temperature=1,
        bootstrap_type="Bayesian", random_seed=7, thread_count=1, allow_writing_files=False, verbose=False,
    ).fit(X, y, sample_weight=weights / weights.mean())  # fmt: skip
    np.testing.assert_allclose(model.predict(X).class_probabilities, reference.predict_proba(X), atol=1e-12)


def test_a_second_later_the_bytes_are_the_same(tmp_path: Path) -> None:
    """The library stamps every model with the second it was finished in, and with a random identity."""
    X, y, _ = data(3)
    for folder in ("one", "two"):
        model = ModelRegistry.create("catboost", {"rounds": 3})
        model.fit(X, y, None, None)
        model.save(tmp_path / folder)
        time.sleep(1.05 if folder == "one" else 0)
    one, two = ((tmp_path / folder / "booster.cbm").read_bytes() for folder in ("one", "two"))
    assert one == two
    assert set(catboost.CatBoost().load_model(blob=one).get_metadata().keys()) == {"class_params", "params"}


def test_nothing_is_written_beside(tmp_path: Path, monkeypatch, capfd) -> None:
    X, y, _ = data(3)
    monkeypatch.chdir(tmp_path)
    model = ModelRegistry.create("catboost", {"rounds": 3, "classes": 4})
    model.fit(X, y, X, y)
    assert model.predict(X).class_probabilities[:, 3].max() < 0.05
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_constant_columns_are_refused_in_words() -> None:
    with pytest.raises(BadModelInput, match="All features are either constant or ignored"):
        ModelRegistry.create("catboost", {"rounds": 3}).fit(np.ones((60, 2)), np.arange(60) % 2, None, None)
