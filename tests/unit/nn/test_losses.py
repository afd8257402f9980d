from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from betti.errors import BadModelInput
from betti.nn import losses
from betti.nn.losses import CrossEntropy, Focal, weighted_cross_entropy

seeds, gammas = st.integers(0, 2**32 - 1), st.floats(0, 10)


def batch(seed: int, rows: int = 12, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    logits = torch.tensor(rng.normal(scale=3, size=(rows, classes)), dtype=torch.float32)
    return logits, torch.tensor(rng.integers(0, classes, rows)), torch.tensor(rng.uniform(size=rows)).float()


def slope(loss: losses.Loss, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    at = logits.clone().requires_grad_()
    loss(at, targets, weights).sum().backward()
    assert at.grad is not None
    return at.grad


@given(seeds)
def test_focal_with_gamma_zero_is_cross_entropy_bit_for_bit(seed: int) -> None:
    given_rows = batch(seed)
    assert torch.equal(Focal(0.0)(*given_rows), weighted_cross_entropy(*given_rows))
    assert torch.equal(slope(Focal(0.0), *given_rows), slope(CrossEntropy(), *given_rows))


@given(seeds, gammas)
def test_focal_is_equation_5_of_lin_et_al(seed: int, gamma: float) -> None:
    logits, targets, weights = batch(seed)
    true = logits.double().softmax(dim=1).gather(1, targets[:, None])[:, 0]
    wanted = -weights.double() * (1 - true) ** gamma * true.log()
    torch.testing.assert_close(Focal(gamma)(logits, targets, weights).double(), wanted, rtol=1e-4, atol=1e-6)


@given(seeds, gammas)
def test_two_classes_are_the_papers_sigmoid(seed: int, gamma: float) -> None:
    """The binary form, written as in the paper's equations 1 to 5 for a logit x and labels of -1 and 1."""
    logits, targets, weights = batch(seed, classes=2)
    x, sign = (logits[:, 1] - logits[:, 0]).double(), 2 * targets - 1
    entropy = functional.binary_cross_entropy_with_logits(x, targets.double(), reduction="none")
    wanted = weights.double() * torch.sigmoid(-sign * x) ** gamma * entropy
    torch.testing.assert_close(Focal(gamma)(logits, targets, weights).double(), wanted, rtol=1e-4, atol=1e-6)


def test_the_papers_two_examples() -> None:
    """Section 3.2: with gamma 2 a row of p = .9 costs 100 times less, one of p = .968 about 1000 times less."""
    for true, less in ((0.9, 100), (0.968, 1000)):
        logits = torch.tensor([[true, 1 - true]]).log()
        given_row = logits, torch.tensor([0]), torch.ones(1)
        ratio = float(weighted_cross_entropy(*given_row) / Focal(2.0)(*given_row))
        assert ratio == pytest.approx(less, rel=0.03)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("classes", [2, 3])
def test_slopes_are_right(gamma: float, classes: int) -> None:
    logits, targets, weights = batch(3, rows=4, classes=classes)
    assert torch.autograd.gradcheck(
        lambda at: Focal(gamma)(at, targets, weights.double()), (logits.double().requires_grad_(),)
    )


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0, 10.0])
@pytest.mark.parametrize("size", [20.0, 200.0, 1e4])
def test_sure_rows_stay_finite(gamma: float, size: float) -> None:
    """Where p rounds to 1, a power below 1 of 1 - p would have an infinite slope."""
    logits = size * torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 1.0], [-1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])
    given_rows = logits, torch.tensor([0, 0, 2, 2]), torch.ones(4)
    values, slopes = Focal(gamma)(*given_rows), slope(Focal(gamma), *given_rows)
    assert torch.isfinite(values).all()
    assert torch.isfinite(slopes).all()
    assert (values[[0, 2]] < 1e-5).all()
    torch.testing.assert_close(values[[1, 3]], weighted_cross_entropy(*given_rows)[[1, 3]])


@given(seeds, gammas)
def test_weights_multiply(seed: int, gamma: float) -> None:
    logits, targets, weights = batch(seed)
    plain = Focal(gamma)(logits, targets, torch.ones(len(targets)))
    torch.testing.assert_close(Focal(gamma)(logits, targets, weights), weights * plain)
    assert torch.equal(Focal(gamma)(logits, targets, torch.zeros(len(targets))), torch.zeros(len(targets)))


@given(seeds)
def test_more_gamma_is_less_loss(seed: int) -> None:
    given_rows = batch(seed)
    values = torch.stack([Focal(gamma)(*given_rows) for gamma in (0.0, 0.5, 1.0, 2.0, 5.0)])
    assert (values.diff(dim=0) <= 1e-6).all()


# By name -----------------------------------------------------------------------------------------------------------


def test_a_configuration_chooses() -> None:
    assert losses.chosen("Lstm", {}) == losses.chosen("Lstm", {"loss": "cross_entropy", "epochs": 3}) == CrossEntropy()
    assert losses.chosen("Lstm", {"loss": "focal"}) == Focal(2.0)
    assert losses.chosen("Lstm", {"loss": "focal", "focal_gamma": 0.5}) == Focal(0.5)


def test_a_knob_of_another_loss_is_refused() -> None:
    with pytest.raises(BadModelInput, match=r"'Lstm': focal_gamma = 1\.0 with the loss cross_entropy"):
        losses.chosen("Lstm", {"focal_gamma": 1.0})


def test_every_loss_has_its_knobs_among_the_ranges() -> None:
    own = {name for loss in losses.LOSSES.values() for name in loss.__dataclass_fields__}
    assert set(losses.BOUNDS) == {"loss", *own}
    assert losses.BOUNDS["loss"] == tuple(losses.LOSSES)


def test_every_loss_gives_one_value_per_row() -> None:
    given_rows = batch(0)
    for loss in losses.LOSSES.values():
        values = loss()(*given_rows)
        assert values.shape == (12,)
        assert (values >= 0).all()
