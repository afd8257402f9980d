"""Batches by index: inputs lie on the device once, and a batch is gathered there when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
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
        self._ends: Tensor | None = None
        self._offsets: Tensor | None = None
        values = inputs
        if isinstance(inputs, Windows):
            values = inputs.values
            self._ends = torch.from_numpy(inputs.ends).to(device)
            self._offsets = torch.arange(1 - inputs.length, 1, device=device)
        # torch shares memory with the array and wants it writable, though nothing here writes.
        self._values = torch.from_numpy(np.require(values, requirements=["C", "W"])).to(device)
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
    return list(torch.split(torch.arange(rows, device=device), size))


def shuffled(rows: int, size: int, generator: Generator, device: str) -> list[Tensor]:
    """All row numbers in an order drawn from `generator` (on the CPU, so that the order is the same on any device).

    A last batch of a single row joins the one before it: normalising over a batch needs two rows.
    """
    batches = list(torch.split(torch.randperm(rows, generator=generator).to(device), size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
