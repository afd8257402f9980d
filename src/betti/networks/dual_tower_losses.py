"""Losses of the dual tower: what it says of a row, what the label says, and how far they are apart.

A label may leave a horizon open (NaN): such a row adds nothing there. Each loss gives one number to go down with
`loss(...)`; what falls to each row stands in `rows(...)`, for a loop that weighs and averages rows itself. What does
not belong here: the network (`dual_tower.py`), and the losses of classifiers in general (`betti.nn.losses`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from betti.networks.dual_tower_config import LossConfig

__all__ = [
    "DIRECTIONS",
    "DualTowerLoss",
    "DualTowerOutput",
    "EmbeddingMagnitudeLoss",
    "LossTerms",
    "RelevanceDirectionLoss",
    "RelevanceLabels",
    "RelevanceRegressionLoss",
    "TowerRegularizationLoss",
    "WeightedDualTowerLoss",
    "logit_of_class",
]

# The order of the direction logits. The label `relevance` counts otherwise: 0 negative, 1 none, 2 positive.
DIRECTIONS = ("positive", "negative", "none")
LOGIT_OF_CLASS = (1, 2, 0)
# Below this variance an embedding counts as constant, and is correlated with nothing.
LEAST_VARIANCE = 1e-6


class DualTowerOutput(NamedTuple):
    """What the network says of B rows.

    Attributes:
        score_7d: (B,) from -1 to 1.
        direction_logits_7d: (B, 3) unnormalised, in the order of `DIRECTIONS`.
        score_30d: (B,) likewise over 30 days.
        direction_logits_30d: (B, 3) likewise.
        context_embedding: (B, 32) what the context tower made of its inputs.
        stock_embedding: (B, 64) likewise the stock tower.
    """

    score_7d: Tensor
    direction_logits_7d: Tensor
    score_30d: Tensor
    direction_logits_30d: Tensor
    context_embedding: Tensor
    stock_embedding: Tensor


class RelevanceLabels(NamedTuple):
    """What the label says of B rows over one horizon.

    Attributes:
        score: (B,) from -1 to 1; NaN where it does not say.
        direction: (B,) place in `DIRECTIONS`, of any number type; NaN or negative where it does not say.
    """

    score: Tensor
    direction: Tensor


def logit_of_class(classes: Tensor) -> Tensor:
    """(B,) classes of the label `relevance` as places in `DIRECTIONS`, float; NaN stays NaN.

    >>> logit_of_class(torch.tensor([0.0, 1.0, 2.0, float("nan")])).tolist()
    [1.0, 2.0, 0.0, nan]
    """
    known = torch.isfinite(classes)
    places = torch.tensor(LOGIT_OF_CLASS, dtype=torch.float32, device=classes.device)
    found = places.index_select(0, torch.where(known, classes, torch.zeros_like(classes)).long())
    return torch.where(known, found, torch.nan)


class RelevanceRegressionLoss(nn.Module):
    """Squared error of the score."""

    def rows(self, scores: Tensor, targets: Tensor) -> Tensor:
        """(B,) squared errors; 0 where the target is NaN."""
        known = torch.isfinite(targets)
        # The target goes first: an error of NaN would put NaN into the gradient, masked or not.
        return (scores - torch.where(known, targets, scores.detach())).square()

    def forward(self, scores: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """The mean over the rows whose target is known, weighted where weights are given; 0 where there is none.

        >>> loss = RelevanceRegressionLoss()
        >>> loss(torch.tensor([0.5, 0.0]), torch.tensor([0.0, float("nan")])).item()
        0.25
        """
        return _mean(self.rows(scores, targets), torch.isfinite(targets), weights)


class RelevanceDirectionLoss(nn.Module):
    """Cross-entropy of the direction, in nats."""

    def rows(self, logits: Tensor, directions: Tensor) -> Tensor:
        """(B,) negative log probability of the true direction; 0 where it is not known.

        Args:
            logits: (B, 3) unnormalised.
            directions: (B,) place of the true logit, of any number type; NaN or negative where it is not known.
        """
        known = _told(directions)
        places = torch.where(known, directions, torch.zeros_like(directions)).long()
        return functional.cross_entropy(logits, places, reduction="none") * known

    def forward(self, logits: Tensor, directions: Tensor, weights: Tensor | None = None) -> Tensor:
        """The mean over the rows whose direction is known, weighted where weights are given; 0 where there is none."""
        return _mean(self.rows(logits, directions), _told(directions), weights)


class TowerRegularizationLoss(nn.Module):
    """How much the towers repeat each other: the mean squared correlation between their dimensions, 0 to 1.

    The orthogonality constraint of Bousmalis et al. 2016, "Domain separation networks", the squared Frobenius norm of
    the product of two representations, over a batch and with both standardised: without that it would be cheapest to
    shrink them, which `EmbeddingMagnitudeLoss` does.
    """

    def forward(self, context_embedding: Tensor, stock_embedding: Tensor) -> Tensor:
        """One number of (B, a) and (B, b) embeddings. In a batch of B unrelated rows it is about 1 / (B - 1).

        >>> same = torch.tensor([[1.0], [2.0], [4.0]])
        >>> round(TowerRegularizationLoss()(same, -same).item(), 3)
        1.0
        """
        products = _standardised(context_embedding).T @ _standardised(stock_embedding)
        return (products / len(context_embedding)).square().mean()


class EmbeddingMagnitudeLoss(nn.Module):
    """Keeps embeddings bounded: their mean square."""

    def rows(self, context_embedding: Tensor, stock_embedding: Tensor) -> Tensor:
        """(B,) mean square of both embeddings, each tower counting the same."""
        return (context_embedding.square().mean(dim=1) + stock_embedding.square().mean(dim=1)) / 2

    def forward(self, context_embedding: Tensor, stock_embedding: Tensor) -> Tensor:
        """The mean over rows."""
        return self.rows(context_embedding, stock_embedding).mean()


class LossTerms(NamedTuple):
    """What the whole loss is made of, (B,) per row or one number each.

    Attributes:
        week: score and direction over 7 days, with their weights.
        month: the same over 30 days.
        regularization: orthogonality and magnitude, without their weight: of all rows together.
    """

    week: Tensor
    month: Tensor
    regularization: Tensor


class _Combined(nn.Module):
    """What both whole losses share: their parts and how much each counts."""

    def __init__(
        self,
        regression_weight_7d: float = 1.0,
        regression_weight_30d: float = 1.0,
        classification_weight_7d: float = 0.5,
        classification_weight_30d: float = 0.5,
        regularization_weight: float = 0.01,
    ) -> None:
        super().__init__()
        self.week = (regression_weight_7d, classification_weight_7d)
        self.month = (regression_weight_30d, classification_weight_30d)
        self.regularization_weight = regularization_weight
        self.regression = RelevanceRegressionLoss()
        self.direction = RelevanceDirectionLoss()
        self.orthogonality = TowerRegularizationLoss()
        self.magnitude = EmbeddingMagnitudeLoss()

    @classmethod
    def from_config(cls, config: LossConfig) -> Self:
        """The loss with the weights of a knob group."""
        return cls(
            config.regression_weight_7d,
            config.regression_weight_30d,
            config.classification_weight_7d,
            config.classification_weight_30d,
            config.regularization_weight,
        )

    def terms(
        self,
        output: DualTowerOutput,
        labels_7d: RelevanceLabels,
        labels_30d: RelevanceLabels,
        weights: Tensor | None = None,
    ) -> LossTerms:
        """The three parts, each one number: the mean over the rows whose label says."""
        week, month = (
            score * self.regression(scores, labels.score, weights)
            + direction * self.direction(logits, labels.direction, weights)
            for (score, direction), scores, logits, labels in self._horizons(output, labels_7d, labels_30d)
        )
        return LossTerms(week, month, self.regularization(output))

    def row_terms(self, output: DualTowerOutput, labels_7d: RelevanceLabels, labels_30d: RelevanceLabels) -> LossTerms:
        """The parts of each row, (B,), unweighted; the regularisation is one number, that of all rows together."""
        week, month = (
            score * self.regression.rows(scores, labels.score)
            + direction * self.direction.rows(logits, labels.direction)
            for (score, direction), scores, logits, labels in self._horizons(output, labels_7d, labels_30d)
        )
        return LossTerms(week, month, self.regularization(output))

    def rows(
        self, output: DualTowerOutput, labels_7d: RelevanceLabels, labels_30d: RelevanceLabels, weights: Tensor
    ) -> Tensor:
        """(B,) loss of each row, whose mean is the loss where every label says and weights have mean 1."""
        week, month, regularization = self.row_terms(output, labels_7d, labels_30d)
        return weights * (week + month) + self.regularization_weight * regularization

    def regularization(self, output: DualTowerOutput) -> Tensor:
        """Orthogonality and magnitude of the embeddings."""
        embeddings = output.context_embedding, output.stock_embedding
        found: Tensor = self.orthogonality(*embeddings) + self.magnitude(*embeddings)
        return found

    def _horizons(
        self, output: DualTowerOutput, labels_7d: RelevanceLabels, labels_30d: RelevanceLabels
    ) -> tuple[tuple[tuple[float, float], Tensor, Tensor, RelevanceLabels], ...]:
        return (
            (self.week, output.score_7d, output.direction_logits_7d, labels_7d),
            (self.month, output.score_30d, output.direction_logits_30d, labels_30d),
        )

    def _whole(self, terms: LossTerms) -> Tensor:
        return terms.week + terms.month + self.regularization_weight * terms.regularization


class DualTowerLoss(_Combined):
    """Scores, directions and regularisation, by default 1, 1, .5, .5 and .01 of them; every row counts the same."""

    def forward(self, output: DualTowerOutput, labels_7d: RelevanceLabels, labels_30d: RelevanceLabels) -> Tensor:
        """One number to go down."""
        return self._whole(self.terms(output, labels_7d, labels_30d))


class WeightedDualTowerLoss(_Combined):
    """`DualTowerLoss` in which each row counts by its weight; the regularisation is of all rows alike."""

    def forward(
        self,
        output: DualTowerOutput,
        labels_7d: RelevanceLabels,
        labels_30d: RelevanceLabels,
        sample_weights: Tensor,
    ) -> Tensor:
        """One number to go down; only the ratios of the (B,) non-negative weights count."""
        return self._whole(self.terms(output, labels_7d, labels_30d, sample_weights))


def _told(directions: Tensor) -> Tensor:
    return torch.isfinite(directions) & (directions >= 0)


def _mean(values: Tensor, known: Tensor, weights: Tensor | None) -> Tensor:
    """The weighted mean of the known values; 0 where there is none, with a gradient of 0."""
    counts = known.to(values.dtype) if weights is None else known * weights
    total = counts.sum()
    return (values * counts).sum() / torch.where(total > 0, total, torch.ones_like(total))


def _standardised(embedding: Tensor) -> Tensor:
    centred = embedding - embedding.mean(dim=0)
    variance = centred.square().mean(dim=0)
    return centred / (variance + LEAST_VARIANCE).sqrt()
