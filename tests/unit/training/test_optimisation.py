from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from betti.errors import BadModelInput
from betti.nn.losses import objective_of, weighted_cross_entropy
from betti.training.optimisation import Group, adamw, cosine, plateau, rate_factor, set_rates
from betti.training.problem import Settings
from tests.unit.training._problems import Two, TwoLosses, settings

PLAIN = objective_of(weighted_cross_entropy)


def test_warm_up_then_half_a_cosine() -> None:
    factors = [cosine(epoch, settings()) for epoch in range(1, 7)]
    np.testing.assert_allclose(
        factors, [1 / 3, 2 / 3, 1.0, 0.5 * (1 + np.cos(np.pi / 4)), 0.5, 0.5 * (1 - np.cos(np.pi / 4))]
    )
    longer = settings(epochs=3, schedule_epochs=6)
    assert [cosine(epoch, longer) for epoch in range(1, 4)] == factors[:3]


@given(
    values=st.lists(st.floats(0, 2), min_size=1, max_size=40),
    patience=st.integers(0, 4),
    factor=st.floats(0.1, 0.9),
    min_delta=st.sampled_from([0.0, 0.1]),
)
def test_the_plateau_is_torchs(values: list[float], patience: int, factor: float, min_delta: float) -> None:
    known = settings(
        schedule="plateau", plateau_patience=patience, plateau_factor=factor, min_delta=min_delta, warmup_epochs=0
    )
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    judge = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=factor, patience=patience, threshold=min_delta, threshold_mode="abs", eps=0.0
    )
    for epoch, value in enumerate(values, start=1):
        assert plateau(epoch, known, values[: epoch - 1]) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        judge.step(value)


def test_the_plateau_warms_up_too_and_is_chosen_by_name() -> None:
    known = settings(schedule="plateau", plateau_patience=0, plateau_factor=0.5)
    factors = [rate_factor(epoch, known, [1.0] * (epoch - 1)) for epoch in (1, 2, 3)]
    assert factors == [1 / 3, 2 / 3, 0.5]  # the second epoch brought no gain
    assert rate_factor(4, settings(), [1.0] * 3) == cosine(4, settings())


def test_groups_keep_their_rates_and_follow_one_schedule() -> None:
    network, objective = Two(), TwoLosses()
    groups = [Group(tuple(network.left.parameters()), learning_rate=0.2), Group((network.kind.bias,), weight_decay=0.3)]
    optimizer = adamw(network, objective, groups, settings(weight_decay=0.01))
    set_rates(optimizer, 0.5)
    found = [(len(group["params"]), group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    assert found == [(2, 0.1, 0.01), (1, 0.025, 0.3), (5, 0.025, 0.01), (1, 0.025, 0.0)]
    everything = {id(one) for group in optimizer.param_groups for one in group["params"]}
    assert everything == {id(one) for part in (network, objective) for one in part.parameters()}


def test_what_is_frozen_stays() -> None:
    network = Two()
    network.left.requires_grad_(False)
    optimizer = adamw(network, PLAIN, [Group(tuple(network.left.parameters()))], settings())
    assert [len(group["params"]) for group in optimizer.param_groups] == [6]
    network.requires_grad_(False)
    with pytest.raises(BadModelInput, match="no parameter may learn"):
        adamw(network, PLAIN, [], settings())


def test_a_parameter_in_two_groups_is_refused() -> None:
    network = Two()
    groups = [Group(tuple(network.left.parameters())), Group((network.left.bias,))]
    with pytest.raises(BadModelInput, match="two groups"):
        adamw(network, PLAIN, groups, settings())


def test_a_knob_of_another_schedule_is_refused() -> None:
    config = {**vars(settings()), "plateau_factor": 0.5}
    del config["plateau_patience"]
    with pytest.raises(BadModelInput, match=r"plateau_factor = 0\.5.*the schedule cosine"):
        Settings.of(config)
    assert Settings.of({**config, "schedule": "plateau"}).plateau_patience == 5
