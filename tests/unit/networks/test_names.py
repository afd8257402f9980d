from __future__ import annotations

import subprocess
import sys

import pytest

import betti.networks
from betti.networks import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_network_is_importable_by_name(name):
    found = getattr(betti.networks, name)
    assert found.__name__ == name
    assert name in dir(betti.networks)


def test_two_classes_of_one_name_are_told_apart():
    with pytest.raises(AttributeError, match=r"networks\.film\.FiLMLayer and .*networks\.conditioning\.FiLMLayer"):
        betti.networks.FiLMLayer  # noqa: B018
    from betti.networks.conditioning import FiLMLayer as OnTokens
    from betti.networks.film import FiLMLayer as OnFeatures

    assert OnTokens is not OnFeatures


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(betti.networks, "MultiTaskFilm")


def test_names_cost_nothing_until_they_are_asked_for():
    asked = "print('torch' in sys.modules)"
    program = f"import betti.networks, sys; {asked}; betti.networks.JadeCompact; {asked}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["False", "True"]


def test_networks_train_where_torch_and_numpy_are_all_there_is():
    absent = ["pandas", "sklearn", "pydantic", "safetensors", "lightgbm", "pyarrow", "scipy", "yaml"]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r}))\n"
        "import numpy as np, betti.networks.pretraining\n"
        "from betti.models import ModelRegistry\n"
        "from betti.models._protocol import Answers\n"
        "from betti.windows import NamedInputs\n"
        "draw = np.random.default_rng(0)\n"
        "numbers = lambda *shape: draw.normal(size=shape).astype('float32')\n"
        "y = np.arange(12) % 2\n"
        "film = ModelRegistry.create('film'); film.config |= film.SMALL | {'epochs': 1, 'device': 'cpu'}\n"
        "X = NamedInputs({'bars': numbers(12, 4, 14), 'topology': numbers(12, 214), 'complexity': numbers(12, 6)})\n"
        "film.fit(X, Answers(y, {'max_pct': numbers(12).astype('float64')}), None, None)\n"
        "jade = ModelRegistry.create('jade'); jade.config |= jade.SMALL | {'epochs': 1, 'device': 'cpu'}\n"
        "heads = {name: np.where(y, 2.0, np.nan) for name in jade.heads}\n"
        "heads |= dict.fromkeys(('begun', 'ahead', 'censored'), 0.0 * y)\n"
        "jade.fit(numbers(12, 105, 12), Answers(y, heads), None, None)\n"
        "print(film.predict(X).class_probabilities.shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.strip() == "(12, 2)", done.stderr
