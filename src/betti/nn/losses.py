"""Losses that several models share. A loss takes outputs, targets and row weights, and gives one value per row.

Rows are averaged by the training loop, which knows how many rows an epoch has. What does not belong here: balancing
several losses against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["weighted_cross_entropy"]


def weighted_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weight times negative log probability of the true class, in nats, per row.

    Args:
        logits: (B, classes) unnormalised.
        targets: (B,) int64 classes.
        weights: (B,) row weights; weights of mean 1 leave the scale of the loss as it is.

    Returns:
        (B,) not averaged.

    >>> import torch
    >>> logits = torch.zeros(2, 2)
    >>> weighted_cross_entropy(logits, torch.tensor([0, 1]), torch.tensor([1.0, 2.0])).mul(1000).round().tolist()
    [693.0, 1386.0]
    """
    return weights * functional.cross_entropy(logits, targets, reduction="none")
