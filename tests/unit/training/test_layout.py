"""What a run leaves beside its models: every knob once, equal runs in equal bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from betti.stages.train import train
from betti.training import layout
from betti.training.run import TrainedRun
from tests.unit.test_tuning import tables

CONFIGS = {
    "logistic": {},
    "lightgbm": {"rounds": 15},
    "lstm": {"hidden": 2, "layers": 1, "length": 3, "epochs": 1, "device": "cpu"},
}


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def run(request: pytest.FixtureRequest) -> TrainedRun:
    features, labels, folds = tables(rows=200)
    model = request.param
    return train(
        features, labels, folds,
        run="one", model=model, set="made", target="up", seed=7, config=CONFIGS[model], classes=2,
    ).models  # fmt: skip


def test_every_knob_stands_in_one_part(run: TrainedRun):
    parts = layout.configs(run.manifest)
    told = [*parts.training["knobs"], *parts.model["knobs"]]
    assert sorted(told) == sorted(set(run.manifest.config) - {"seed", "classes"})
    assert parts.training["seed"] == 7 and parts.model["classes"] == 2 and parts.feature["target"] == "up"
    (only,) = parts.feature["inputs"].values()
    assert only["columns"] == run.manifest.columns
    if run.manifest.model == "lstm":
        assert {"epochs", "patience", "device"} <= set(parts.training["knobs"])
        assert {"hidden", "length"} <= set(parts.model["knobs"])


def test_equal_runs_leave_equal_bytes(run: TrainedRun, tmp_path: Path):
    for name in ("one", "two"):
        layout.write_configs(run.manifest, tmp_path / name)
    files = [sorted((tmp_path / name / "config").iterdir()) for name in ("one", "two")]
    assert [file.name for file in files[0]] == ["feature.json", "model.json", "training.json"]
    assert [file.read_bytes() for file in files[0]] == [file.read_bytes() for file in files[1]]
    assert all(json.loads(file.read_text()) for file in files[0])
