from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from betti.networks.balancing import (
    BALANCERS,
    LOSSES,
    Balancer,
    FixedScales,
    InitialLossNormalizer,
    KendallUncertainty,
    RunningLossNormalizer,
    StagedNormalizer,
)
from betti.networks.jade import JadeCompact
from betti.networks.jade_training import COLUMNS, JadeLearner, JadeLoss, parameter_groups, raw_losses, unfold
from betti.training import loop
from tests.unit.networks.planted import Planted, planted

RAW = torch.tensor([0.015, 1.22, 0.84, 0.72])
ASKED = torch.full((4,), 8.0)
NO_SIGMAS = torch.zeros(4)
WANTED = [0.7, 0.1, 0.1, 0.1]


def shares(balancer, losses=RAW, asked=ASKED, log_sigmas=NO_SIGMAS) -> list[float]:
    contributions = balancer(losses, asked, log_sigmas).factors.detach() * losses
    return (contributions / contributions.sum()).tolist()


# Factors


def test_fixed_scales_give_the_wanted_shares_at_the_documented_losses():
    assert shares(FixedScales()) == pytest.approx(WANTED, abs=0.002)


def test_scales_set_by_hand_left_the_pointers_a_third():
    found = shares(FixedScales(pointers=50.0, type=0.1, binary=1.0, countdown=1.0))
    assert found[0] == pytest.approx(0.31, abs=0.005)


def test_shares_alone_leave_the_pointers_next_to_nothing():
    """Why there are balancers: the losses' raw scales."""
    assert shares(FixedScales(*WANTED))[0] == pytest.approx(0.036, abs=0.001)


def test_initial_losses_are_those_of_the_first_epoch():
    balancer = InitialLossNormalizer()
    assert shares(balancer) == pytest.approx(WANTED)
    later = torch.tensor([0.005, 1.0, 0.6, 0.48])
    balancer(later, ASKED, NO_SIGMAS)
    balancer.epoch_ended()
    mean = (RAW + later) / 2
    for losses in (RAW, later, 100 * RAW):
        factors = balancer(losses, ASKED, NO_SIGMAS).factors
        torch.testing.assert_close(factors, torch.tensor(WANTED) / mean)


def test_a_mean_counts_the_rows_that_ask():
    balancer = InitialLossNormalizer()
    balancer(RAW, torch.tensor([6.0, 8, 8, 8]), NO_SIGMAS)
    balancer(torch.tensor([0.0, 1.22, 0.84, 0.72]), torch.tensor([0.0, 8, 8, 8]), NO_SIGMAS)
    balancer(3 * RAW, torch.tensor([2.0, 8, 8, 8]), NO_SIGMAS)
    assert float(balancer(RAW, ASKED * 0, NO_SIGMAS).factors[0]) == pytest.approx(0.7 / (0.015 * 1.5))


@pytest.mark.parametrize("kind", [InitialLossNormalizer, RunningLossNormalizer])
def test_a_loss_never_asked_has_no_factor_and_no_harm(kind):
    balance = kind()(torch.tensor([0.0, 1.22, 0.84, 0.72]), torch.tensor([0.0, 8, 8, 8]), NO_SIGMAS)
    assert balance.factors[0] == 0 and torch.isfinite(balance.factors).all()


def test_a_running_mean_follows_each_loss():
    balancer = RunningLossNormalizer()
    for step in range(200):
        losses = RAW * torch.tensor([0.97, 0.999, 0.99, 0.98]) ** step
        found = shares(balancer, losses)
    assert found == pytest.approx(WANTED, abs=0.12)
    fixed = InitialLossNormalizer()
    shares(fixed)
    assert shares(fixed, losses)[0] < 0.1  # what it is for


@pytest.mark.parametrize("kind", BALANCERS.values())
def test_nothing_is_learnt_from_validation(kind):
    balancer = kind()
    balancer(RAW, ASKED, NO_SIGMAS)
    before = copy.deepcopy(balancer.state_dict())
    balancer.eval()
    balancer(5 * RAW, ASKED, NO_SIGMAS)
    assert all(torch.equal(value, before[name]) for name, value in balancer.state_dict().items())


# Staged


def factors_by_epoch(balancer: Balancer, epochs: int, first: int = 0) -> list[torch.Tensor]:
    """Factors of five batches an epoch, of losses that fall at different speeds."""
    found = []
    for epoch in range(first, epochs):
        for batch in range(5):
            losses = RAW * torch.tensor([0.8, 0.999, 0.98, 0.97]) ** (5 * epoch + batch)
            found.append(balancer(losses, ASKED, NO_SIGMAS).factors)
        balancer.epoch_ended()
    return found


def test_staged_is_initial_first_and_running_after_it():
    staged, initial, running = (
        torch.stack(factors_by_epoch(one, 6))
        for one in (StagedNormalizer(initial_epochs=4), InitialLossNormalizer(), RunningLossNormalizer())
    )
    torch.testing.assert_close(staged[:20], initial[:20], rtol=0.0, atol=0.0)
    torch.testing.assert_close(staged[20:], running[20:], rtol=0.0, atol=0.0)
    assert (staged[20] / staged[19])[0] > 5  # what a running mean of learnt pointers comes to


def test_its_turn_is_part_of_its_state():
    """A training that goes on after a kill is in the epoch it was in."""
    whole, begun, again = (StagedNormalizer(initial_epochs=4) for _ in range(3))
    wanted = factors_by_epoch(whole, 6)
    factors_by_epoch(begun, 3)
    again.load_state_dict(begun.state_dict())
    torch.testing.assert_close(torch.stack(factors_by_epoch(again, 6, first=3)), torch.stack(wanted[15:]))


def pull(balancer: Balancer, error: float) -> tuple[float, float]:
    """Sizes of the gradients at the pointers and at the type's logits, of pointers this far off, once it is known."""
    columns = {name: torch.zeros(8) for name in COLUMNS} | {
        "start": torch.full((8,), 50.0),
        "end": torch.full((8,), 65.0),
    }
    asked = unfold(columns, 105)
    balancer(RAW, ASKED, NO_SIGMAS)
    balancer.epoch_ended()
    said = {
        "pointers": (asked.pointers + error).requires_grad_(),
        "logits": torch.zeros(8, 3, requires_grad=True),
        "expansion_binary_logits": torch.zeros(8, 105),
        "expansion_countdown": torch.zeros(8, 105),
    }
    losses = raw_losses(said, asked)[0].mean(dim=1)
    for _ in range(200):
        factors = balancer(losses.detach(), ASKED, NO_SIGMAS).factors
    (factors @ losses).backward()
    return float(said["pointers"].grad.norm()), float(said["logits"].grad.norm())


def test_a_running_mean_lets_pointers_pull_the_more_the_better_they_are():
    """Why there is a stage before it: a squared error e held at one contribution pulls as 1 / e, the type as ever."""
    near, far = pull(RunningLossNormalizer(), 0.001), pull(RunningLossNormalizer(), 0.1)
    assert near[0] / far[0] == pytest.approx(100, rel=1e-3) and near[1] / far[1] == pytest.approx(1, rel=1e-3)
    near, far = pull(StagedNormalizer(), 0.001), pull(StagedNormalizer(), 0.1)
    assert near[0] / far[0] == pytest.approx(0.01, rel=1e-3) and near[1] / far[1] == pytest.approx(1, rel=1e-3)


# Kendall


def settled(balancer, losses, steps=600) -> torch.Tensor:
    """Log sigmas after so many steps on the same losses."""
    log_sigmas = torch.nn.Parameter(torch.tensor([-0.30, 0.0, 0.0, 0.0]))
    optimizer = torch.optim.Adam([log_sigmas], lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        factors, offsets = balancer(losses, ASKED, log_sigmas)
        (factors @ losses + offsets.sum()).backward()
        optimizer.step()
    return log_sigmas.detach()


def test_kendall_finds_the_wanted_shares():
    balancer = KendallUncertainty()
    found = settled(balancer, RAW)
    torch.testing.assert_close((2 * found).exp(), RAW, rtol=0.02, atol=0.0)
    assert shares(balancer, log_sigmas=found) == pytest.approx(WANTED, abs=0.01)


def test_the_pointers_cannot_outshout_all_and_the_type_cannot_fall_silent():
    balancer = KendallUncertainty()
    log_sigmas = settled(balancer, torch.tensor([1e-9, 50.0, 0.84, 0.72]), steps=1500)
    factors = balancer(RAW, ASKED, log_sigmas).factors
    assert float(factors[0]) == pytest.approx(0.7 / (2 * 0.01**2), rel=1e-4)
    assert float(factors[1]) == pytest.approx(0.1 / (2 * 1.5**2), rel=1e-4)


def test_a_bound_lets_go_when_the_loss_says_so():
    balancer = KendallUncertainty()
    log_sigmas = torch.nn.Parameter(torch.tensor([-9.0, 9.0, 0.0, 0.0]))
    losses = torch.tensor([0.5, 0.5, 0.84, 0.72])
    factors, offsets = balancer(losses, ASKED, log_sigmas)
    (factors @ losses + offsets.sum()).backward()
    assert log_sigmas.grad[0] < 0 < log_sigmas.grad[1]


def test_a_loss_that_is_not_asked_moves_no_sigma():
    log_sigmas = torch.nn.Parameter(torch.full((4,), 0.7))
    factors, offsets = KendallUncertainty()(RAW * 0, torch.tensor([0.0, 8, 8, 8]), log_sigmas)
    (factors.sum() + offsets.sum()).backward()
    assert log_sigmas.grad[0] == 0 and (log_sigmas.grad[1:] != 0).all()


# In training


def trained(balancer: Balancer, epochs: int = 3, sigma_rate: float = 0.05) -> dict[str, list[float]]:
    made, held = planted(256), planted(64, seed=1)

    def examples(some: Planted) -> loop.Examples:
        return loop.Examples(some.windows, {name: some.labels[name] for name in COLUMNS}, np.ones(len(some.windows)))

    problem = loop.Problem(
        build=lambda: JadeLearner(JadeCompact(hidden_size=16)),
        loss=JadeLoss(balancer),
        train=examples(made),
        valid=examples(held),
        groups=lambda learner: parameter_groups(learner.network, sigma_rate),
    )
    settings = loop.Settings(
        **{"epochs": epochs, "schedule_epochs": 99, "batch_size": 32, "learning_rate": 1e-3, "weight_decay": 0.0},
        **{"clip": 1.0, "warmup_epochs": 0, "patience": 99, "min_delta": 0.0, "seed": 7},
    )
    return loop.train(problem, settings, "cpu").history


# The balancers that look at losses are warm after an epoch; sigmas have to travel first, and stages to pass.
WARM = {"kendall": {"epochs": 10, "sigma_rate": 0.1}, "staged": {"epochs": 5}}
OF = {"staged": {"initial_epochs": 2}}


@pytest.mark.parametrize("name", BALANCERS)
def test_measured_shares_after_warm_up_on_planted_expansions(name):
    history = trained(BALANCERS[name](**OF.get(name, {})), **WARM.get(name, {}))
    found = {loss: history[f"share_{loss}"][-1] for loss in LOSSES}
    assert 0.6 < found["pointers"] < 0.8, found
    assert found["type"] < 0.2
    assert min(found.values()) > 0.05
    assert sum(found.values()) == pytest.approx(1.0)


def test_measured_shares_of_scales_set_by_hand():
    """What went wrong before there were balancers: not even a third for what matters most."""
    history = trained(FixedScales(pointers=50.0, type=0.1, binary=1.0, countdown=1.0), epochs=2)
    assert 0.2 < history["share_pointers"][-1] < 0.45
    assert trained(FixedScales(*WANTED), epochs=2)["share_pointers"][-1] < 0.1


def test_all_balancers_are_judged_by_the_same_yardstick():
    """Validation is not to look better because a factor got smaller."""
    first = {name: trained(BALANCERS[name](), epochs=1)["val_loss"][0] for name in BALANCERS}
    assert max(first.values()) / min(first.values()) < 1.05
