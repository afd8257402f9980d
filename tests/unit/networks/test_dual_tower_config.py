from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import BadModelInput, BadParam, MissingFile, UnreadableFile
from betti.networks.dual_tower import (
    ConfigManager,
    ContextTowerConfig,
    DataConfig,
    DualTowerModelConfig,
    LossConfig,
    OptimizerConfig,
    RelevanceHeadConfig,
    SchedulerConfig,
    StockTowerConfig,
    TrainingConfig,
)

SHARE = st.floats(0, 0.9)
WIDTHS = st.lists(st.integers(1, 512), min_size=1, max_size=4).map(tuple)
MODELS = st.builds(
    DualTowerModelConfig,
    context_tower=st.builds(ContextTowerConfig, hidden_dims=WIDTHS, dropout=SHARE),
    stock_tower=st.builds(StockTowerConfig, input_dim=st.integers(1, 99), embedding_dim=st.integers(1, 99)),
    relevance_head=st.builds(RelevanceHeadConfig, hidden_dims=WIDTHS),
)
TRAININGS = st.builds(
    TrainingConfig,
    batch_size=st.integers(2, 4096),
    min_delta=st.floats(0, 1),
    optimizer=st.builds(OptimizerConfig, base_learning_rate=st.floats(1e-8, 1)),
    loss=st.builds(LossConfig, regularization_weight=st.floats(0, 10)),
    scheduler=st.builds(SchedulerConfig, warmup_epochs=st.integers(0, 50)),
)
NAMES = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=5), max_size=3).map(tuple)
DATA = st.builds(DataConfig, tickers=NAMES, normalize=st.booleans(), valid_share=SHARE)


def test_defaults_are_the_published_ones():
    config = ConfigManager()
    training, loss = config.training_config, config.training_config.loss
    assert (training.batch_size, training.epochs, training.early_stopping_patience) == (32, 100, 15)
    assert (training.min_delta, training.max_grad_norm, training.keep_checkpoints) == (1e-4, 1.0, 3)
    assert dataclasses.astuple(loss) == (1, 1, 0.5, 0.5, 0.01)
    assert training.scheduler.warmup_epochs == 5
    stops = training.stop_weight_7d, training.stop_weight_30d, training.stop_weight_regularization
    assert stops == (0.4, 0.4, 0.2)
    assert (config.model_config.context_tower.dropout, config.model_config.stock_tower.dropout) == (0.2, 0.3)
    assert (config.model_config.context_tower.embedding_dim, config.model_config.stock_tower.embedding_dim) == (32, 64)


@settings(max_examples=40, deadline=None)
@given(config=st.builds(ConfigManager, model_config=MODELS, training_config=TRAININGS, data_config=DATA))
def test_what_is_written_is_read_again(tmp_path_factory, config):
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    config.save_config(path)
    assert ConfigManager.load_config(path) == config


def test_what_a_file_leaves_out_has_its_default(tmp_path: Path):
    (tmp_path / "empty.yaml").write_text("")
    assert ConfigManager.load_config(tmp_path / "empty.yaml") == ConfigManager()
    (tmp_path / "one.yaml").write_text("training_config: {optimizer: {base_learning_rate: 5e-4}}\n")
    found = ConfigManager.load_config(str(tmp_path / "one.yaml"))
    assert found == ConfigManager(training_config=TrainingConfig(optimizer=OptimizerConfig(base_learning_rate=5e-4)))


def test_groups_are_frozen_and_replaced_as_a_whole():
    config = ConfigManager()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.training_config.epochs = 3  # type: ignore[misc]
    config.training_config = TrainingConfig(batch_size=64, epochs=200, early_stopping_patience=20)
    assert config.to_dict()["training_config"]["epochs"] == 200


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("training_config: {batch: 3}", BadParam, r"bad\.yaml: training_config\.batch = 3"),
        ("training_config: {batch_size: many}", BadParam, "training_config.batch_size = 'many'"),
        ("data_configuration: {}", BadParam, "data_configuration"),
        ("model_config: {stock_tower: {dropout: 2}}", BadModelInput, "dropout = 2.0.*0 to 0.95"),
        ("training_config: {optimizer: {base_learning_rate: .nan}}", BadModelInput, "base_learning_rate = nan"),
        ("model_config: {context_tower: {hidden_dims: [64, 0]}}", BadModelInput, r"hidden_dims = \(64, 0\)"),
        ("a: [", UnreadableFile, "is not YAML"),
        ("- 3", BadParam, "the whole file"),
    ],
)
def test_a_bad_file_says_which_knob(tmp_path: Path, text, error, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(error, match=message):
        ConfigManager.load_config(path)


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(MissingFile, match=r"nothing\.yaml"):
        ConfigManager.load_config(tmp_path / "nothing.yaml")
