from __future__ import annotations

from dataclasses import asdict, fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch import Tensor, nn
from torch.nn import functional

from betti.errors import BadModelInput, BadParam, MissingFile, UnknownName, UnreadableFile
from betti.networks.film import (
    FiLMConditioningFusion,
    FiLMConfig,
    FiLMGenerator,
    FiLMLayer,
    FiLMModelConfig,
    MultiTaskFiLM,
    MultiTaskNBEATS,
    create_model_from_config,
)
from betti.networks.film_fusion import ConcatFusion
from betti.networks.film_training import FiLMLearner, FiLMLoss, focal, modulation_told, parameter_groups, posterior

SMALL = FiLMModelConfig(
    ohlcv_sequence_length=12,
    lstm_hidden_size=32,
    nbeats_num_blocks=1,
    nbeats_num_layers=1,
    tda_encoder_dim=8,
    complexity_encoder_dim=4,
    shared_fc_dim=16,
    film_generator_hidden=4,
    film_conditioning_dim=8,
)
BARS, TOPOLOGY, COMPLEXITY = (5, 12, 14), (5, 214), (5, 6)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(shape, generator=draw) for shape in (BARS, TOPOLOGY, COMPLEXITY))


def small() -> MultiTaskFiLM:
    torch.manual_seed(0)
    return MultiTaskFiLM(FiLMConfig(SMALL))


# Counts and shapes


def test_every_part_has_its_published_parameters():
    network = MultiTaskFiLM()
    fusion = network.fusion
    assert count(network.ohlcv_encoder) == 13_450_380
    assert count(network.tda_encoder) == 61_312
    assert count(network.complexity_encoder) == 4_864
    assert count(fusion.film_generator) == count(FiLMGenerator()) == 41_344
    assert [count(layer) for layer in fusion.layers.values()] == [526_336, 131_584, 263_168]
    assert [count(FiLMLayer(width)) for width in (1024, 256, 512)] == [526_336, 131_584, 263_168]
    assert count(fusion) == count(FiLMConditioningFusion()) == 1_751_168
    assert count(network.trigger_head) + count(network.max_pct_head) == 16_514
    assert network.get_num_parameters() == (15_284_238, 15_284_238)


def test_the_fusion_it_is_compared_with_has_its_published_parameters():
    assert count(ConcatFusion()) == 820_736
    assert count(MultiTaskNBEATS()) == 15_284_238 - 1_751_168 + 820_736


def test_frozen_parameters_are_not_counted_as_learning():
    network = small()
    network.tda_encoder.requires_grad_(False)
    learning, whole = network.get_num_parameters()
    assert whole - learning == count(network.tda_encoder)


def test_shapes_of_the_published_sizes():
    network = MultiTaskFiLM().eval()
    bars, topology, complexity = torch.randn(2, 96, 14), torch.randn(2, 214), torch.randn(2, 6)
    with torch.no_grad():
        logits, size = network(bars, topology, complexity)
        chance, same = network.predict(bars, topology, complexity)
    assert logits.shape == size.shape == (2, 1)
    assert torch.equal(chance, torch.sigmoid(logits)) and torch.equal(same, size)


@pytest.mark.parametrize("attention", ["single", "stacks", "none"])
@pytest.mark.parametrize(("fusion", "kind"), [("film", MultiTaskFiLM), ("concat", MultiTaskNBEATS)])
def test_a_configuration_builds_its_network(attention, fusion, kind):
    config = FiLMConfig(FiLMModelConfig(**{**asdict(SMALL), "attention": attention, "fusion_type": fusion}))
    network = create_model_from_config(config)
    assert type(network) is kind
    assert [said.shape for said in network(*batch())] == [(5, 1), (5, 1)]


def test_a_network_refuses_the_configuration_of_the_other():
    with pytest.raises(BadModelInput, match="create_model_from_config"):
        MultiTaskFiLM(FiLMConfig(FiLMModelConfig(fusion_type="concat")))
    with pytest.raises(BadModelInput, match="create_model_from_config"):
        MultiTaskNBEATS(FiLMConfig())


# Identity at the start


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-30, 1e-3, 1.0, 1e4, 1e30]))
def test_a_fresh_film_layer_is_the_identity_to_the_bit(seed, scale):
    draw = torch.Generator().manual_seed(seed)
    features, condition = scale * torch.randn(3, 7, generator=draw), scale * torch.randn(3, 5, generator=draw)
    layer = FiLMLayer(7, 5)
    gamma, beta = layer.modulation(condition)
    assert torch.equal(gamma, torch.ones(3, 7)) and torch.equal(beta, torch.zeros(3, 7))
    assert torch.equal(layer(features, condition), features)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_fresh_fusion_is_the_one_without_modulation_to_the_bit(seed):
    torch.manual_seed(seed)
    fusion = FiLMConditioningFusion(32, 8, 4, 16, 8).eval()
    nbeats, tda, complexity = torch.randn(6, 32), torch.randn(6, 8), torch.randn(6, 4)
    plain = functional.relu(fusion.norm1(fusion.fc1(torch.cat([nbeats, tda], dim=1))))
    plain = functional.relu(fusion.norm2(fusion.fc2(plain)))
    assert torch.equal(fusion(nbeats, tda, complexity), plain)


def test_complexity_says_nothing_at_first_and_something_after_a_step():
    network = small().eval()
    bars, topology, complexity = batch()
    before = network(bars, topology, complexity)[0]
    assert torch.equal(before, network(bars, topology, complexity + 1)[0])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network(bars, topology, complexity)[0].sum().backward()
    optimizer.step()
    assert not torch.equal(network(bars, topology, complexity)[0], network(bars, topology, complexity + 1)[0])


def test_modulation_statistics_are_those_of_the_numbers():
    network = small().eval()
    complexity = batch()[2]
    for found in network.modulation_statistics(complexity).values():
        assert list(asdict(found).values()) == [1, 0, 1, 1, 0, 0, 0, 0]
    for parameter in network.fusion.parameters():
        nn.init.normal_(parameter)
    found = network.modulation_statistics(complexity)
    assert list(found) == ["nbeats", "tda", "shared"]
    gamma, beta = network.modulations(complexity)["tda"]
    wanted = [
        *(gamma.mean(), gamma.std(correction=0), gamma.min(), gamma.max()),
        *(beta.mean(), beta.std(correction=0), beta.min(), beta.max()),
    ]
    assert list(asdict(found["tda"]).values()) == pytest.approx([value.item() for value in wanted], rel=1e-5)


# Configuration


def test_every_knob_survives_a_yaml_round_trip(tmp_path):
    changed = FiLMConfig(
        FiLMModelConfig(
            **{
                field.name: {
                    "stack_types": ("generic", "trend"),
                    "attention": "stacks",
                    "fusion_type": "concat",
                    "lstm_dropout": 0.15,
                }.get(field.name, 64)
                for field in fields(FiLMModelConfig)
            }
        ),
        tda_feature_dim=7,
    )
    assert FiLMConfig.from_yaml(changed.to_yaml()) == changed != FiLMConfig()
    changed.save(tmp_path / "film.yaml")
    assert FiLMConfig.load(tmp_path / "film.yaml") == changed
    assert FiLMConfig.from_yaml("") == FiLMConfig()


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("model: {layers: 3}", BadParam, "layers"),
        ("model: {shared_fc_dim: many}", BadParam, "model.shared_fc_dim = 'many'"),
        ("model: {shared_fc_dim: 0}", BadModelInput, "shared_fc_dim = 0"),
        ("model: {lstm_dropout: 1.5}", BadModelInput, "lstm_dropout"),
        ("model: {fusion_type: flim}", UnknownName, "did you mean 'film'"),
        ("tda_feature_dim: 0", BadModelInput, "tda_feature_dim"),
        ("model: [", UnreadableFile, "not YAML"),
    ],
)
def test_bad_configurations_are_named(text, error, told):
    with pytest.raises(error, match=told):
        FiLMConfig.from_yaml(text, "film.yaml")


def test_a_missing_configuration_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"film\.yaml"):
        FiLMConfig.load(tmp_path / "film.yaml")


# Training


def test_focal_loss_is_the_formula():
    logits, targets = torch.linspace(-6, 6, 13), (torch.arange(13) % 2).float()
    chance = torch.sigmoid(logits.double())
    true = torch.where(targets > 0, chance, 1 - chance)
    for gamma in (0.0, 0.5, 2.0):
        torch.testing.assert_close(focal(logits, targets, gamma).double(), -((1 - true) ** gamma) * true.log())
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    torch.testing.assert_close(focal(logits, targets, 0.0), entropy)


def test_focal_loss_keeps_its_slope_finite_for_sure_rows():
    logits = torch.tensor([-200.0, 200.0], requires_grad=True)
    focal(logits, torch.tensor([0.0, 1.0]), 0.5).sum().backward()
    assert torch.isfinite(logits.grad).all()


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-3, 0.999), st.floats(0.0, 5.0))
def test_the_posterior_undoes_what_the_loss_does(chance, gamma):
    """Log odds of least expected loss, found by search, give the probability back."""

    def expected(logit):
        both = focal(torch.tensor([logit, logit], dtype=torch.float64), torch.tensor([1.0, 0.0]), gamma)
        return float(chance * both[0] + (1 - chance) * both[1])

    least = minimize_scalar(expected, bounds=(-12, 12), method="bounded", options={"xatol": 1e-9}).x
    assert posterior(np.array([least]), gamma)[0] == pytest.approx(chance, abs=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_the_posterior_rises_with_the_log_odds(gamma):
    found = posterior(np.array([-1e9, -1000.0, -20.0, -1.0, 0.0, 1.0, 20.0, 1000.0, 1e9]), gamma)
    assert (np.diff(found) >= 0).all() and found[0] < 1e-9 and found[-1] > 1 - 1e-9
    np.testing.assert_allclose(found + found[::-1], 1.0)


def losses(said: dict[str, Tensor], classes: list[int], moved: list[float], weights: list[float]) -> Tensor:
    targets = {"classes": torch.tensor(classes), "max_pct": torch.tensor(moved)}
    return FiLMLoss(gamma_pull=0.0)(said, targets, torch.tensor(weights))


def test_the_size_of_a_move_is_asked_where_there_was_one():
    said = {"trigger_logits": torch.zeros(4, 1), "max_pct": torch.ones(4, 1)}
    nan = float("nan")
    found = losses(said, [1, 1, 0, 1], [3.0, 2.0, 9.0, nan], [1.0, 3.0, 1.0, 1.0])
    # (3 - 1)^2 once and (2 - 1)^2 three times, of four: the other rows have no move, or none that is known.
    sizes = 0.5 * (1 * 4 + 3 * 1) / 4
    chances = 0.25 * torch.tensor(2.0).log() * (1 + 3 + 1 + 1) / 4
    assert float(found.mean()) == pytest.approx(float(chances + sizes))


def test_a_batch_without_moves_still_learns_the_trigger():
    head = torch.zeros(2, 1, requires_grad=True)
    said = {"trigger_logits": head, "max_pct": 7 * head}
    losses(said, [0, 0], [float("nan"), 1.0], [1.0, 1.0]).mean().backward()
    assert torch.isfinite(head.grad).all() and (head.grad > 0).all()


def test_gamma_is_pulled_to_one():
    network = small()
    for layer in network.fusion.layers.values():
        nn.init.constant_(layer.gamma_fc.bias, 1.5)
    learner, loss = FiLMLearner(network), FiLMLoss(trigger_weight=0.0, max_pct_weight=0.0, gamma_pull=1.0)
    bars, topology, complexity = batch()
    inputs = {"bars": bars, "topology": topology, "complexity": complexity}
    targets = {"classes": torch.zeros(5), "max_pct": torch.zeros(5)}
    found = loss(learner(inputs), targets, torch.ones(5))
    torch.testing.assert_close(found, torch.full((5,), 0.25))
    found.mean().backward()
    for layer in network.fusion.layers.values():
        assert (layer.gamma_fc.bias.grad > 0).all() and not layer.beta_fc.bias.grad.any()


def test_what_is_told_of_an_epoch_is_the_statistics():
    network = small().eval()
    for parameter in network.fusion.parameters():
        nn.init.normal_(parameter)
    bars, topology, complexity = batch()
    inputs = {"bars": bars, "topology": topology, "complexity": complexity}
    told, learner = modulation_told(FiLMLearner(network), inputs), FiLMLearner(network)
    for name, found in network.modulation_statistics(complexity).items():
        assert told[f"gamma_mean_{name}"] == found.gamma_mean and told[f"gamma_std_{name}"] == found.gamma_std
        assert told[f"beta_mean_{name}"] == found.beta_mean and told[f"beta_std_{name}"] == found.beta_std
        assert learner(inputs)[f"gamma_{name}"].mean().item() == pytest.approx(found.gamma_mean, rel=1e-5)
    concat = create_model_from_config(FiLMConfig(FiLMModelConfig(**{**asdict(SMALL), "fusion_type": "concat"})))
    assert modulation_told(FiLMLearner(concat), inputs) == {}
    assert list(FiLMLearner(concat)(inputs)) == ["trigger_logits", "max_pct"]


def test_film_layers_learn_faster_and_do_not_decay():
    network = small()
    (group,) = parameter_groups(FiLMLearner(network), film_rate=0.02)
    wanted = {id(one) for layer in network.fusion.layers.values() for one in layer.parameters()}
    assert {id(one) for one in group.parameters} == wanted
    assert (group.learning_rate, group.weight_decay) == (0.02, 0.0)
    concat = create_model_from_config(FiLMConfig(FiLMModelConfig(fusion_type="concat")))
    assert parameter_groups(concat, film_rate=0.02) == []
