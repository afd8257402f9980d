from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from betti.errors import BadModelInput
from betti.networks.conditioning import ConditioningConfig, ExactIndex, PatternLibrary, PatternRAG
from betti.networks.hrm import HierarchicalReasoningModel, HrmConfig, StackConfig

WIDTH, LENGTH = 6, 12


def parameters(module: nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


def small(classes: int = 2, **flags: bool) -> HierarchicalReasoningModel:
    torch.manual_seed(0)
    return HierarchicalReasoningModel(HrmConfig.small(WIDTH, classes, ConditioningConfig(**flags)))


def inputs(rows: int = 4) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return {
        "tokens": torch.randn(rows, LENGTH, WIDTH, generator=draw),
        "regime_features": torch.randn(rows, 20, generator=draw),
    }


def test_the_full_size() -> None:
    model = HierarchicalReasoningModel()
    assert parameters(model) == 20_329_740
    assert parameters(model.low) == 4 * (12 * 512**2 + 13 * 512) == 12_609_536
    assert parameters(model.high) == 4 * (12 * 384**2 + 13 * 384) == 7_097_856
    assert parameters(model.conditioning) == 205_321
    assert model.conditioning.film_layer.target_dim == 512


@pytest.mark.parametrize("classes", [2, 3])
def test_logits_of_a_trigger_and_of_a_direction(classes: int) -> None:
    model = small(classes)
    assert parameters(model) < 200_000
    assert model(inputs()).shape == (4, classes)
    assert model({"tokens": torch.randn(3, 5, WIDTH)}).shape == (3, classes)  # any length


def test_the_two_modules_step_at_their_own_pace() -> None:
    model = HierarchicalReasoningModel(replace(HrmConfig.small(WIDTH, 2), high_cycles=3, low_steps=4)).eval()
    order: list[str] = []
    model.low.register_forward_hook(lambda *_: order.append("low"))
    model.high.register_forward_hook(lambda *_: order.append("high"))
    model(inputs())
    assert order == [*["low"] * 4, "high"] * 3


def test_only_the_last_step_of_each_is_learnt_through() -> None:
    model = HierarchicalReasoningModel(replace(HrmConfig.small(WIDTH, 2), high_cycles=3, low_steps=4)).train()
    graphs: list[bool] = []
    model.low.register_forward_hook(lambda _, __, out: graphs.append(out.requires_grad))
    model.high.register_forward_hook(lambda _, __, out: graphs.append(out.requires_grad))
    model(inputs()).sum().backward()
    assert graphs == [False] * 13 + [True, True]
    without = [
        name
        for name, one in model.named_parameters()
        if one.grad is None and not name.startswith(("conditioning.regime", "conditioning.pattern", "conditioning.mix"))
    ]
    assert without == []


def test_more_steps_reach_another_answer() -> None:
    few, many = small(), small()
    many.config = replace(many.config, high_cycles=5)
    given = inputs()
    few.eval(), many.eval()
    assert not torch.allclose(few(given), many(given))


def test_the_order_of_tokens_counts() -> None:
    model = small().eval()
    given = inputs()["tokens"]
    turned = torch.cat([given[:, :-1].flip(1), given[:, -1:]], dim=1)
    assert not torch.allclose(model({"tokens": given}), model({"tokens": turned}), atol=1e-4)


def test_conditioning_modulates_the_fast_module() -> None:
    model = small(enable_regime=True).eval()
    given = inputs()
    other = {**given, "regime_features": -given["regime_features"]}
    assert torch.equal(model(given), model(other))  # modulation starts as the identity
    with torch.no_grad():
        model.conditioning.film_layer.wide.weight.normal_(std=0.3)
    assert not torch.allclose(model(given), model(other), atol=1e-4)
    model.conditioning.enable_regime = False
    assert torch.equal(model(given), model(other))


def test_what_does_not_fit_is_refused() -> None:
    model = small(enable_regime=True)
    with pytest.raises(BadModelInput, match="Give `tokens`"):
        model({"regime_features": torch.zeros(2, 20)})
    with pytest.raises(BadModelInput, match=r"\(B, T, 6\)"):
        model({"tokens": torch.zeros(2, LENGTH, WIDTH + 1)})
    with pytest.raises(BadModelInput, match="no regime_features"):
        model({"tokens": torch.zeros(2, LENGTH, WIDTH)})
    with pytest.raises(BadModelInput, match=r"low\.width = 256"):
        HrmConfig(low=StackConfig(256, 4, 8))
    with pytest.raises(BadModelInput, match="even width"):
        HrmConfig(high=StackConfig(100, 4, 6))
    with pytest.raises(BadModelInput, match="classes = 1"):
        HrmConfig(classes=1)


# Learning -----------------------------------------------------------------------------------------------------------


def planted(rows: int, seed: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The class is the sign of the tokens' trend, turned around in one of two regimes: it needs both."""
    rng = np.random.default_rng(seed)
    trend, regime = rng.choice([-1.0, 1.0], rows), rng.choice([-1.0, 1.0], rows)
    tokens = rng.normal(size=(rows, LENGTH, WIDTH))
    tokens[:, -4:, 0] += 2 * trend[:, None]
    numbers = rng.normal(size=(rows, 20))
    numbers[:, 0] += 3 * regime
    given = {"tokens": tokens.astype("float32"), "regime_features": numbers.astype("float32")}
    return {name: torch.from_numpy(one) for name, one in given.items()}, torch.from_numpy(trend * regime > 0).long()


def learnt(model: HierarchicalReasoningModel, given: dict[str, torch.Tensor], answers: torch.Tensor) -> None:
    model.config = replace(model.config, high_cycles=1, low_steps=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    draw = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(60):
        rows = torch.randint(0, len(answers), (64,), generator=draw)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model({name: one[rows] for name, one in given.items()}), answers[rows]).backward()
        optimizer.step()
    model.eval()


@torch.no_grad()
def gain(model: HierarchicalReasoningModel) -> float:
    """Accuracy above a coin's on rows that were not learnt from."""
    given, answers = planted(1000, seed=99)
    return float((model(given).argmax(dim=1) == answers).float().mean()) - 0.5


def test_it_learns_what_needs_tokens_and_regime_and_nothing_from_shuffled_labels() -> None:
    given, answers = planted(1500, seed=0)
    conditioned, plain, shuffled = small(enable_regime=True), small(), small(enable_regime=True)
    learnt(conditioned, given, answers)
    learnt(plain, given, answers)
    learnt(shuffled, given, answers[torch.randperm(len(answers), generator=torch.Generator().manual_seed(3))])
    assert gain(conditioned) > 0.35
    assert gain(plain) < 0.1  # without its regime a bar says nothing
    assert gain(shuffled) < gain(conditioned) / 2  # more than half of it is lost


def test_patterns_condition_it_too() -> None:
    rng = np.random.default_rng(0)
    model = small(enable_rag=True).eval()
    model.conditioning.pattern_rag = PatternRAG(index=ExactIndex())
    library = PatternLibrary.empty(128, 3).with_rows(
        rng.normal(size=(40, 128)), np.eye(3)[rng.integers(0, 3, 40)], np.arange(40)
    )
    model.conditioning.pattern_rag.use(library)
    model.conditioning.timeout_ms = None
    with torch.no_grad():
        model.conditioning.film_layer.wide.weight.normal_(std=0.3)
    given = {"tokens": inputs()["tokens"], "pattern_features": torch.randn(4, 128)}
    early = model({**given, "as_of": torch.full((4,), -1)})
    late = model({**given, "as_of": torch.full((4,), 40)})
    assert not torch.allclose(early, late, atol=1e-5)
    assert torch.equal(late, model(given))
