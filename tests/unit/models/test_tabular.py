"""What the models of single rows share, and what the boosters do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from betti.errors import BrokenArtifact, MissingFile, PartUnavailable
from betti.models import FOLDER, ModelRegistry
from betti.models._tabular import SCORED_ROWS, needs, scored
from betti.progress import listening

BOOSTERS = {"lightgbm": "booster.txt", "xgboost": "booster.ubj", "catboost": "booster.cbm"}
STORED = {**BOOSTERS, "logistic": "coefficients.safetensors", "random_forest": "forest.safetensors",
          "svm": "machine.safetensors"}  # fmt: skip
boosters = pytest.mark.parametrize("name", BOOSTERS)
every = pytest.mark.parametrize("name", STORED)


def data(rows: int = 800) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(rows, 4)).astype("float32")
    return X, (X[:, 2] + 0.5 * np.random.default_rng(1).normal(size=rows) > 0).astype("int64")


def saved(name: str, folder: Path) -> Path:
    X, y = data(300)
    model = ModelRegistry.create(name, {"rounds": 3} if name in BOOSTERS else {})
    model.fit(X, y, None, None)
    model.save(folder)
    return folder


# Boosters ----------------------------------------------------------------------------------------------------------


@boosters
def test_stops_early_and_keeps_the_best_rounds_trees(name: str) -> None:
    X, y = data()
    model = ModelRegistry.create(name, {"early_stopping_rounds": 5, "learning_rate": 0.3})
    metrics = model.fit(X[:500], y[:500], X[500:], y[500:])
    assert metrics.early_stopped
    assert metrics.best_epoch == int(np.argmin(metrics.history["val_loss"])) + 1
    assert metrics.epochs_trained == metrics.best_epoch + 5 == len(metrics.history["train_loss"])
    assert metrics.val_loss == pytest.approx(min(metrics.history["val_loss"]), abs=1e-6)


@boosters
def test_trains_to_the_end_without_validation_rows(name: str) -> None:
    X, y = data()
    metrics = ModelRegistry.create(name, {"rounds": 7}).fit(X, y, None, None)
    assert metrics.epochs_trained == len(metrics.history["train_loss"]) == 7
    assert metrics.best_epoch is None
    assert not metrics.early_stopped
    # CatBoost estimates its own on the way.
    assert metrics.train_loss == pytest.approx(metrics.history["train_loss"][-1], abs=1e-3)


@boosters
def test_rounds_are_told(name: str) -> None:
    X, y = data()
    told: list[tuple[int, int, str]] = []
    with listening(lambda done, total, what: told.append((done, total, what))):
        ModelRegistry.create(name, {"rounds": 3}).fit(X, y, None, None)
    assert told == [(1, 3, "rounds"), (2, 3, "rounds"), (3, 3, "rounds")]


@boosters
def test_median_of_the_folds_best_rounds(name: str) -> None:
    X, y = data()
    model = ModelRegistry.create(name, {"rounds": 30, "learning_rate": 0.3})
    found = [model.fit(X[:400], y[:400], X[cut:], y[cut:]) for cut in (400, 500, 600)]
    assert model.final_config(found) == {"rounds": round(float(np.median([m.best_epoch for m in found])))}
    assert model.final_config([model.fit(X, y, None, None)]) == {}


@boosters
def test_a_booster_that_is_not_the_one_saved_is_not_read(name: str, tmp_path: Path) -> None:
    file = saved(name, tmp_path) / BOOSTERS[name]
    content = file.read_bytes()
    for broken in (b"not a booster", content[: len(content) // 2], content[:-1] + b"?"):
        file.write_bytes(broken)
        with pytest.raises(BrokenArtifact, match=BOOSTERS[name]):
            ModelRegistry.create(name).load(tmp_path)


@boosters
def test_what_the_library_cannot_read_is_named(name: str, tmp_path: Path) -> None:
    from betti.models._tabular import _digest

    facts = json.loads((saved(name, tmp_path) / "model.json").read_text())
    (tmp_path / BOOSTERS[name]).write_bytes(b"\xff not a booster")
    (tmp_path / "model.json").write_text(json.dumps({**facts, "digest": _digest(b"\xff not a booster")}))
    with pytest.raises(BrokenArtifact, match=rf"{BOOSTERS[name]}.*is not a"):
        ModelRegistry.create(name).load(tmp_path)


# Any of them -------------------------------------------------------------------------------------------------------


@every
def test_files_that_are_absent_or_anothers_are_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"model\.json"):
        ModelRegistry.create(name).load(tmp_path)
    saved(name, tmp_path)
    other = next(one for one in STORED if one != name)
    with pytest.raises(BrokenArtifact, match=f"does not hold a {other} model"):
        ModelRegistry.create(other).load(tmp_path)
    (tmp_path / STORED[name]).unlink()
    with pytest.raises(MissingFile, match=STORED[name]):
        ModelRegistry.create(name).load(tmp_path)


@pytest.mark.parametrize("name", sorted(set(STORED) - set(BOOSTERS)))
def test_arrays_of_other_names_are_refused(name: str, tmp_path: Path) -> None:
    from betti.models import _files

    file = saved(name, tmp_path) / STORED[name]
    _files.write_arrays(file, {"weights": np.zeros(3)})
    with pytest.raises(BrokenArtifact, match="holds weights, not"):
        ModelRegistry.create(name).load(tmp_path)


@every
def test_the_feature_that_matters_is_found(name: str) -> None:
    X, y = data()
    model = ModelRegistry.create(name)
    assert model.get_feature_importance() is None
    model.fit(X, y, None, None)
    importance = model.get_feature_importance()
    assert importance is not None
    assert list(importance) == ["0", "1", "2", "3"]
    assert max(importance, key=lambda position: importance[position]) == "2"


@pytest.mark.parametrize("name", ["xgboost", "catboost"])
def test_an_absent_library_is_named_with_the_command_that_brings_it(name: str, monkeypatch) -> None:
    ModelRegistry.create(name)
    monkeypatch.delitem(ModelRegistry._entries, name)
    monkeypatch.delitem(sys.modules, f"betti.models.{name}")
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(PartUnavailable, match=rf"library '{name}'\. Install it: pip install 'betti\[boosting\]'"):
        ModelRegistry.create(name)
    assert name in FOLDER.failures()


def test_a_library_that_is_there_is_not_imported() -> None:
    needs("wave", extra="anything")
    assert "wave" not in sys.modules


def test_scored_rows_are_spread_evenly_and_few() -> None:
    for rows in (1, SCORED_ROWS, SCORED_ROWS + 1, 5 * SCORED_ROWS + 3):
        found = np.arange(rows)[scored(rows)]
        assert min(rows, SCORED_ROWS / 2) <= len(found) <= SCORED_ROWS
        assert len(set(np.diff(found))) <= 1
