from __future__ import annotations

from betti.models import ModelRegistry


def test_defaults_are_the_published_ones() -> None:
    config = ModelRegistry.get_model_info("gru").default_config
    wanted = {"hidden": 128, "layers": 2, "dropout": 0.3, "learning_rate": 1e-3, "weight_decay": 1e-4, "patience": 15}
    assert {name: config[name] for name in wanted} == wanted
    assert config == ModelRegistry.get_model_info("lstm").default_config
