"""Batches by index: inputs lie on the device once, and a batch is gathered there when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from betti.windows import Windows

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from betti.models._protocol import Inputs

__all__ = ["Resident", "in_order", "shuffled"]


class Resident:
    """Model inputs on a device: the resident matrix and, for windows, where each one ends.

    Memory is that of the matrix, not of n x length rows.
    """

    def __init__(self, inputs: Inputs, device: str) -> None:
        windows = isinstance(inputs, Windows)
        self._values = torch.from_numpy(inputs.values if windows else inputs).to(device)
        self._ends = torch.from_numpy(inputs.ends).to(device) if windows else None
        self._offsets = torch.arange(1 - inputs.length, 1, device=device) if windows else None
        self._rows = len(inputs)

    def __len__(self) -> int:
        return self._rows

    def gather(self, rows: Tensor) -> Tensor:
        """(k, features) or (k, length, features) of these rows; `rows` lies on the same device."""
        if self._ends is None or self._offsets is None:
            return self._values[rows]
        return self._values[self._ends[rows].unsqueeze(1) + self._offsets]


def in_order(rows: int, size: int, device: str) -> list[Tensor]:
    """Row numbers 0 .. rows - 1 in batches of `size`."""
    return list(torch.arange(rows, device=device).split(size))


def shuffled(rows: int, size: int, generator: Generator, device: str) -> list[Tensor]:
    """All row numbers in an order drawn from `generator` (on the CPU, so that the order is the same on any device).

    A last batch of a single row joins the one before it: normalising over a batch needs two rows.
    """
    batches = list(torch.randperm(rows, generator=generator).to(device).split(size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
