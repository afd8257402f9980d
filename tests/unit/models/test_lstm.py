from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from betti.errors import BadModelInput, BrokenArtifact
from betti.models import ModelRegistry
from betti.models.lstm import LstmNetwork

SMALL = {"hidden": 8, "layers": 2, "length": 5, "epochs": 3, "warmup_epochs": 1, "device": "cpu"}


def data(rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(rows, 5, 3)).astype("float32")
    return X, (X[:, -1, 0] > 0).astype("int64")


def test_defaults_are_the_published_ones() -> None:
    config = ModelRegistry.get_model_info("lstm").default_config
    wanted = {"hidden": 128, "layers": 2, "dropout": 0.3, "learning_rate": 1e-3, "weight_decay": 1e-4, "patience": 15}
    assert {name: config[name] for name in wanted} == wanted


def test_shapes_and_parameter_count() -> None:
    network = LstmNetwork(features=7, classes=3, hidden=16, layers=1, dropout=0.0)
    assert network(torch.zeros(4, 9, 7)).shape == (4, 3)
    lstm = 4 * 16 * (7 + 16 + 2)
    head = 2 * 16 + (16 * 8 + 8) + (8 * 3 + 3)
    assert sum(p.numel() for p in network.parameters()) == lstm + head


def test_global_generators_are_left_alone() -> None:
    X, y = data()
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    ModelRegistry.create("lstm", SMALL).fit(X, y, None, None)
    assert torch.equal(torch.rand(1), wanted)
    assert not torch.are_deterministic_algorithms_enabled()


def test_another_seed_gives_another_network() -> None:
    X, y = data()
    answers = []
    for seed in (1, 2):
        model = ModelRegistry.create("lstm", {**SMALL, "seed": seed})
        model.fit(X, y, None, None)
        answers.append(model.predict(X).class_probabilities)
    assert not np.array_equal(*answers)


def test_the_final_model_keeps_the_folds_schedule() -> None:
    X, y = data()
    model = ModelRegistry.create("lstm", {**SMALL, "epochs": 6})
    metrics = model.fit(X, y, X, y)
    assert metrics.best_epoch
    assert model.final_config([metrics]) == {"epochs": metrics.best_epoch, "schedule_epochs": 6}
    last = ModelRegistry.create("lstm", {**SMALL, "epochs": 2, "schedule_epochs": 6})
    found = last.fit(X, y, None, None)
    assert found.epochs_trained == 2
    assert found.best_epoch is None
    assert found.history["learning_rate"] == metrics.history["learning_rate"][:2]


def test_bad_knobs_are_named() -> None:
    with pytest.raises(BadModelInput, match="dropout"):
        ModelRegistry.create("lstm", {"dropout": 1.5})
    with pytest.raises(BadModelInput, match="device = 'tpu'"):
        ModelRegistry.create("lstm", {**SMALL, "device": "tpu"}).fit(*data(), None, None)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    X, y = data()
    model = ModelRegistry.create("lstm", SMALL)
    model.fit(X, y, None, None)
    model.save(tmp_path)
    text = (tmp_path / "model.json").read_text().replace('"hidden": 8', '"hidden": 9')
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(BrokenArtifact, match="does not fit"):
        ModelRegistry.create("lstm").load(tmp_path)


def test_trains_where_torch_and_numpy_are_all_there_is() -> None:
    absent = ["pandas", "sklearn", "pydantic", "safetensors", "lightgbm", "pyarrow", "scipy", "yaml"]
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({absent!r}))\n"
        "import numpy as np, betti.training.run, betti.training.prepare, betti.training.scaling, betti.training.leaks\n"
        "from betti.models import ModelRegistry\n"
        "X = np.random.default_rng(0).normal(size=(64, 5, 3)).astype('float32')\n"
        "y = (X[:, -1, 0] > 0).astype('int64')\n"
        f"model = ModelRegistry.create('lstm', {SMALL!r})\n"
        "model.fit(X, y, X, y)\n"
        "print(model.predict(X).class_probabilities.shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.strip() == "(64, 2)", done.stderr
