from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from betti.labelling import relevance
from betti.networks.dual_tower import (
    DIRECTIONS,
    DualTowerLoss,
    DualTowerOutput,
    EmbeddingMagnitudeLoss,
    LossConfig,
    RelevanceDirectionLoss,
    RelevanceLabels,
    RelevanceRegressionLoss,
    TowerRegularizationLoss,
    WeightedDualTowerLoss,
    logit_of_class,
)

ROWS = 12


def output(seed: int = 0, rows: int = ROWS) -> DualTowerOutput:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).requires_grad_()

    return DualTowerOutput(draw(rows), draw(rows, 3), draw(rows), draw(rows, 3), draw(rows, 32), draw(rows, 64))


def labels(seed: int = 1, rows: int = ROWS) -> RelevanceLabels:
    generator = torch.Generator().manual_seed(seed)
    return RelevanceLabels(
        torch.rand(rows, generator=generator) * 2 - 1, torch.randint(0, 3, (rows,), generator=generator)
    )


# Against other libraries -------------------------------------------------------------------------------------------


def test_where_everything_is_known_they_are_the_usual_losses():
    said, told = output(), labels()
    assert torch.equal(
        RelevanceRegressionLoss()(said.score_7d, told.score), functional.mse_loss(said.score_7d, told.score)
    )
    wanted = functional.cross_entropy(said.direction_logits_7d, told.direction)
    assert RelevanceDirectionLoss()(said.direction_logits_7d, told.direction).item() == pytest.approx(wanted.item())
    weights = torch.rand(ROWS)
    errors = ((said.score_7d - told.score) ** 2).detach().numpy()
    wanted = float(np.average(errors, weights=weights.numpy()))
    assert RelevanceRegressionLoss()(said.score_7d, told.score, weights).item() == pytest.approx(
        float(wanted), rel=1e-5
    )


def test_orthogonality_is_the_mean_squared_correlation():
    said = output()
    context, stock = said.context_embedding.detach().numpy(), said.stock_embedding.detach().numpy()
    between = np.corrcoef(context, stock, rowvar=False)[:32, 32:]
    found = TowerRegularizationLoss()(said.context_embedding, said.stock_embedding).item()
    assert found == pytest.approx(float((between**2).mean()), rel=1e-4)


def test_orthogonality_knows_neither_scale_nor_constant_embeddings():
    said = output()
    loss = TowerRegularizationLoss()
    plain = loss(said.context_embedding, said.stock_embedding)
    moved = loss(100 * said.context_embedding + 3, 0.5 * said.stock_embedding - 1)
    assert moved.item() == pytest.approx(plain.item(), rel=1e-4)
    constant = torch.ones(ROWS, 32, requires_grad=True)
    still = loss(constant, said.stock_embedding)
    still.backward()
    assert still.item() == 0
    assert torch.isfinite(constant.grad).all()


def test_magnitude_is_the_mean_square_of_both():
    found = EmbeddingMagnitudeLoss()(torch.full((4, 32), 2.0), torch.full((4, 64), 4.0))
    assert found.item() == pytest.approx((4 + 16) / 2)


def test_going_down_parts_the_towers_and_bounds_them():
    torch.manual_seed(0)
    base = torch.randn(64, 4)
    context, stock = base.clone().requires_grad_(), (base + 0.1 * torch.randn(64, 4)).requires_grad_()
    apart, small = TowerRegularizationLoss(), EmbeddingMagnitudeLoss()
    optimizer = torch.optim.Adam([context, stock], lr=0.05)
    before = apart(context, stock).item(), small(context, stock).item()
    for _ in range(60):
        optimizer.zero_grad()
        (apart(context, stock) + small(context, stock)).backward()
        optimizer.step()
    assert apart(context, stock).item() < before[0] / 4
    assert small(context, stock).item() < before[1] / 4


# What the label leaves open ----------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(open_rows=st.sets(st.integers(0, ROWS - 1), max_size=ROWS), seed=st.integers(0, 99))
def test_an_open_row_neither_counts_nor_pulls(open_rows, seed):
    said, told = output(seed), labels(seed + 1)
    known = torch.tensor([row not in open_rows for row in range(ROWS)])
    score = torch.where(known, told.score, torch.nan)
    direction = torch.where(known, told.direction.float(), torch.nan)
    regression, cross = RelevanceRegressionLoss(), RelevanceDirectionLoss()
    found = regression(said.score_7d, score) + cross(said.direction_logits_7d, direction)
    found.backward()
    if known.any():
        wanted = functional.mse_loss(said.score_7d[known], told.score[known]) + functional.cross_entropy(
            said.direction_logits_7d[known], told.direction[known]
        )
        assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    else:
        assert found.item() == 0
    for gradient in (said.score_7d.grad, said.direction_logits_7d.grad):
        assert torch.isfinite(gradient).all()
        assert (gradient[~known] == 0).all()


def test_a_negative_direction_is_open_too():
    said = output()
    loss = RelevanceDirectionLoss()
    told = torch.tensor([0, -1, 2, -100, *[1] * (ROWS - 4)])
    rows = loss.rows(said.direction_logits_7d, told)
    assert rows[1] == rows[3] == 0
    assert (rows[[0, 2, 4]] > 0).all()


def test_classes_of_the_label_find_their_logits():
    classes = torch.tensor([float(relevance.NEGATIVE), float(relevance.NONE), float(relevance.POSITIVE)])
    assert [DIRECTIONS[int(place)] for place in logit_of_class(classes)] == ["negative", "none", "positive"]


# The whole ---------------------------------------------------------------------------------------------------------


def test_the_whole_is_its_parts_with_their_weights():
    said, week, month = output(), labels(1), labels(2)
    wanted = (
        functional.mse_loss(said.score_7d, week.score)
        + functional.mse_loss(said.score_30d, month.score)
        + 0.5 * functional.cross_entropy(said.direction_logits_7d, week.direction)
        + 0.5 * functional.cross_entropy(said.direction_logits_30d, month.direction)
        + 0.01
        * (
            TowerRegularizationLoss()(said.context_embedding, said.stock_embedding)
            + EmbeddingMagnitudeLoss()(said.context_embedding, said.stock_embedding)
        )
    )
    assert DualTowerLoss()(said, week, month).item() == pytest.approx(wanted.item(), rel=1e-6)
    assert DualTowerLoss.from_config(LossConfig())(said, week, month).item() == pytest.approx(wanted.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("knob", "part"),
    [
        ("regression_weight_7d", "score_7d"),
        ("regression_weight_30d", "score_30d"),
        ("classification_weight_7d", "direction_logits_7d"),
        ("classification_weight_30d", "direction_logits_30d"),
        ("regularization_weight", "context_embedding"),
        ("regularization_weight", "stock_embedding"),
    ],
)
def test_every_weight_is_that_of_its_part(knob, part):
    silent = {field.name: 0.0 for field in dataclasses.fields(LossConfig)}
    said = output()
    DualTowerLoss(**{**silent, knob: 1.0})(said, labels(1), labels(2)).backward()
    moved = {name for name, value in said._asdict().items() if value.grad is not None and value.grad.abs().sum() > 0}
    assert part in moved
    assert moved <= {part, "context_embedding", "stock_embedding"} if "embedding" in part else moved == {part}


def test_only_the_ratios_of_weights_count():
    said, week, month = output(), labels(1), labels(2)
    weights = torch.rand(ROWS) + 0.1
    loss = WeightedDualTowerLoss()
    plain = loss(said, week, month, weights).item()
    assert loss(said, week, month, 8 * weights).item() == pytest.approx(plain, rel=1e-6)
    assert loss(said, week, month, torch.ones(ROWS)).item() == pytest.approx(
        DualTowerLoss()(said, week, month).item(), rel=1e-6
    )
    alone = torch.zeros(ROWS)
    alone[3] = 5.0
    weekly = loss.terms(said, week, month, alone).week.item()
    assert weekly == pytest.approx(loss.row_terms(said, week, month).week[3].item(), rel=1e-6)


def test_rows_average_to_the_whole():
    said, week, month = output(), labels(1), labels(2)
    weights = torch.rand(ROWS)
    weights /= weights.mean()
    loss = WeightedDualTowerLoss()
    rows = loss.rows(said, week, month, weights)
    assert rows.shape == (ROWS,)
    assert rows.mean().item() == pytest.approx(loss(said, week, month, weights).item(), rel=1e-5)
