from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from betti.errors import BrokenArtifact, MissingFile
from betti.models import ModelRegistry
from betti.progress import listening


def data(rows: int = 800) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(rows, 4)).astype("float32")
    return X, (X[:, 2] + 0.5 * np.random.default_rng(1).normal(size=rows) > 0).astype("int64")


def test_stops_early_and_keeps_the_best_rounds_trees() -> None:
    X, y = data()
    model = ModelRegistry.create("lightgbm", {"early_stopping_rounds": 5, "learning_rate": 0.3})
    metrics = model.fit(X[:500], y[:500], X[500:], y[500:])
    assert metrics.early_stopped
    assert metrics.best_epoch == int(np.argmin(metrics.history["val_loss"])) + 1
    assert metrics.epochs_trained == metrics.best_epoch + 5 == len(metrics.history["train_loss"])
    assert metrics.val_loss == pytest.approx(min(metrics.history["val_loss"]))


def test_gain_finds_the_feature_that_matters() -> None:
    X, y = data()
    model = ModelRegistry.create("lightgbm", {"rounds": 20})
    assert model.get_feature_importance() is None
    model.fit(X, y, None, None)
    importance = model.get_feature_importance()
    assert importance is not None
    assert max(importance, key=lambda position: importance[position]) == "2"


def test_rounds_are_told() -> None:
    X, y = data()
    told: list[tuple[int, int, str]] = []
    with listening(lambda done, total, what: told.append((done, total, what))):
        ModelRegistry.create("lightgbm", {"rounds": 3}).fit(X, y, None, None)
    assert told == [(1, 3, "rounds"), (2, 3, "rounds"), (3, 3, "rounds")]


def test_median_of_the_folds_best_rounds() -> None:
    X, y = data()
    model = ModelRegistry.create("lightgbm", {"rounds": 30})
    found = [model.fit(X[:400], y[:400], X[cut:], y[cut:]) for cut in (400, 500, 600)]
    assert model.final_config(found) == {"rounds": round(float(np.median([m.best_epoch for m in found])))}
    assert model.final_config([model.fit(X, y, None, None)]) == {}


def test_broken_files_are_named(tmp_path: Path) -> None:
    X, y = data()
    model = ModelRegistry.create("lightgbm", {"rounds": 3})
    with pytest.raises(MissingFile, match=r"model\.json"):
        model.load(tmp_path)
    model.fit(X, y, None, None)
    model.save(tmp_path)
    with pytest.raises(BrokenArtifact, match="does not hold a logistic model"):
        ModelRegistry.create("logistic").load(tmp_path)
    (tmp_path / "booster.txt").write_text("not a booster")
    with pytest.raises(BrokenArtifact, match=r"booster\.txt"):
        ModelRegistry.create("lightgbm").load(tmp_path)
