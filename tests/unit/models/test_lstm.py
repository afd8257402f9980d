from __future__ import annotations

import subprocess
import sys

import pytest

from betti.errors import BadModelInput
from betti.models import ModelRegistry

SMALL = {"hidden": 8, "layers": 2, "length": 5, "epochs": 3, "warmup_epochs": 1, "device": "cpu"}


def test_defaults_are_the_published_ones() -> None:
    config = ModelRegistry.get_model_info("lstm").default_config
    wanted = {"hidden": 128, "layers": 2, "dropout": 0.3, "learning_rate": 1e-3, "weight_decay": 1e-4, "patience": 15}
    assert {name: config[name] for name in wanted} == wanted


def test_bad_knobs_are_named() -> None:
    with pytest.raises(BadModelInput, match="dropout"):
        ModelRegistry.create("lstm", {"dropout": 1.5})


def test_trains_where_torch_and_numpy_are_all_there_is() -> None:
    absent = ["lightning", "pandas", "sklearn", "pydantic", "safetensors", "lightgbm", "pyarrow", "scipy", "yaml"]
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
