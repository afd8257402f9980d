from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from betti.errors import BrokenArtifact
from betti.models import ModelRegistry, _files


def data(rows: int = 700) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 6)).astype("float32")
    return X, np.digitize(X[:, 1] + rng.normal(size=rows), [-0.5, 0.5]), rng.uniform(0.1, 1, rows)


@pytest.mark.parametrize("seen", [(0, 1, 2), (0, 2), (1, 2)])
@pytest.mark.parametrize("share", [None, 0.5])
def test_answers_as_scikit_learn_does(seen: tuple[int, ...], share: float | None) -> None:
    X, y, weights = data()
    known = np.isin(y, seen)
    model = ModelRegistry.create("random_forest", {"trees": 30, "max_features": share, "classes": 3})
    model.fit(X[known], y[known], None, None, sample_weights=weights[known])
    forest = RandomForestClassifier(
        30, max_depth=10, min_samples_split=20, min_samples_leaf=10, max_features=share or "sqrt", random_state=7
    )
    weights = (weights[known] / weights[known].mean()).astype("float32").astype("float64")
    forest.fit(X[known], y[known], sample_weight=weights)
    found = model.predict(X).class_probabilities
    np.testing.assert_allclose(found[:, list(seen)], forest.predict_proba(X), atol=1e-12)
    np.testing.assert_array_equal(np.delete(found, seen, axis=1), 0)
    importance = model.get_feature_importance()
    assert importance is not None
    np.testing.assert_allclose(list(importance.values()), forest.feature_importances_, atol=1e-12)


def test_trees_of_one_leaf_answer_with_the_shares() -> None:
    X, y, _ = data()
    model = ModelRegistry.create("random_forest", {"trees": 50, "min_samples_leaf": 700})
    model.fit(X, y, None, None)
    found = model.predict(X[:3]).class_probabilities
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_allclose(found[0], np.bincount(y) / len(y), atol=0.03)


def test_threads_change_no_byte(tmp_path: Path) -> None:
    X, y, _ = data()
    for threads in (1, 2):
        model = ModelRegistry.create("random_forest", {"trees": 10, "num_threads": threads})
        model.fit(X, y, None, None)
        model.save(tmp_path / str(threads))
    one, two = ((tmp_path / folder / "forest.safetensors").read_bytes() for folder in ("1", "2"))
    assert one == two


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("left", 10**6, "names a left"),
        ("right", -1, "names a right"),
        ("roots", 10**6, "names a roots"),
        ("feature", 6, "names a feature"),
    ],
)
def test_a_node_or_column_that_is_not_there_is_refused(name: str, value: int, found: str, tmp_path: Path) -> None:
    """scikit-learn itself would follow it out of its memory."""
    X, y, _ = data()
    model = ModelRegistry.create("random_forest", {"trees": 3})
    model.fit(X, y, None, None)
    model.save(tmp_path)
    arrays = _files.read_arrays(tmp_path / "forest.safetensors")
    arrays[name] = arrays[name].copy()
    arrays[name][0] = value
    _files.write_arrays(tmp_path / "forest.safetensors", arrays)
    with pytest.raises(BrokenArtifact, match=found):
        ModelRegistry.create("random_forest").load(tmp_path)


@pytest.mark.parametrize(("fact", "value"), [("depth", 10**9), ("seen", [0, 1, 3]), ("seen", [0]), ("features", 5)])
def test_facts_that_do_not_fit_are_refused(fact: str, value: object, tmp_path: Path) -> None:
    X, y, _ = data()
    model = ModelRegistry.create("random_forest", {"trees": 3})
    model.fit(X, y, None, None)
    model.save(tmp_path)
    facts = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**facts, fact: value}))
    with pytest.raises(BrokenArtifact, match=r"forest\.safetensors"):
        ModelRegistry.create("random_forest").load(tmp_path)
