"""Say what a training is expected to hold before it begins, and beside it what it held when it has ended.

What does not belong here: the estimate (`footprint.py`), and what is done when memory runs out (`memory.py`).
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from betti.training.engine import PRECISIONS
from betti.training.footprint import Footprint, of_network, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from betti.training.batches import Held
    from betti.training.problem import Problem

__all__ = ["foreseen", "weighed"]


def foreseen(network: nn.Module, problem: Problem, data: Held, rows: int, precision: str = "32") -> Footprint:
    """What a step with so many rows takes, asked of a copy: a batch norm remembers every batch it has seen."""
    copied = copy.deepcopy(network).train()
    device = data.weights.device

    def forward(count: int) -> object:
        with torch.autocast(device.type, dtype=PRECISIONS[precision], enabled=PRECISIONS[precision] is not None):
            return problem.call(copied, data.inputs.gather(torch.arange(count, device=device) % len(data)))

    return of_network(copied, forward, rows, inputs=data.inputs.nbytes)


@contextmanager
def weighed(network: nn.Module, problem: Problem, data: Held, rows: int, precision: str = "32") -> Iterator[None]:
    """Tell, around a training, what its steps of so many rows are expected to take and what they took.

    A training that is expected to take more than its device has is warned of, and begun all the same: batches are
    halved when memory runs out.
    """
    with told("training", foreseen(network, problem, data, rows, precision), str(data.weights.device)):
        yield
