"""Losses of which some rows are not asked: labels hold NaN there.

What does not belong here: which loss a head has (`film_training.py`, `jade_training.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["filled", "spread"]


def filled(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Labels with 0 for NaN, and where they say something.

    A loss of NaN times 0 is NaN, and so is its gradient: what is not asked must not be computed with.

    >>> values, asked = filled(torch.tensor([1.0, torch.nan]))
    >>> values.tolist(), asked.tolist()
    ([1.0, 0.0], [True, False])
    """
    asked = ~labels.isnan()
    return torch.where(asked, labels, 0.0), asked


def spread(losses: Tensor, asked: Tensor, weights: Tensor) -> Tensor:
    """Losses whose mean over the batch is the weighted mean over the rows that are asked; all 0 where none is.

    So the training loop may average rows as it always does, and a head that few rows ask counts as much as others.

    Args:
        losses: (B,) finite, also where nothing is asked.
        asked: (B,) whether the row counts.
        weights: (B,) row weights.

    >>> spread(torch.tensor([2.0, 8.0, 5.0]), torch.tensor([True, True, False]), torch.ones(3)).tolist()
    [3.0, 12.0, 0.0]
    """
    counted = asked * weights
    # The smallest number keeps 0 / 0 at 0; weights are around 1.
    return losses * (len(losses) * counted / counted.sum().clamp_min(torch.finfo(losses.dtype).tiny))
