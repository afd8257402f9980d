"""Batches by index: inputs lie on the device once, and a batch is gathered there when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from betti.windows import NamedInputs, Rows, Windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Generator

    from betti.models._protocol import Inputs, Single
    from betti.training.nested import Batch
    from betti.training.problem import Examples

__all__ = ["Held", "NamedResident", "Resident", "in_order", "portions", "resident", "shuffled"]


class Resident:
    """Model inputs on a device: the resident matrix and, for `Windows` and `Rows`, which of its rows they are.

    Memory is that of the matrix and of one number per window, not of n x length rows; on the CPU it is the inputs' own.

    Attributes:
        values: (rows, features), the whole matrix on the device.
    """

    def __init__(self, inputs: Single | Rows, device: str, beside: Resident | None = None) -> None:
        """Move the inputs to the device, but for a matrix that already lies there.

        Args:
            inputs: (n, features), (n, length, features), or views over a matrix.
            device: where batches are gathered.
            beside: inputs on the same device; the validation windows of a fold look into its training windows' matrix.
        """
        self._device = device
        self._matrix = inputs.values if isinstance(inputs, Windows | Rows) else inputs
        shares = beside is not None and beside._device == device and _same(beside._matrix, self._matrix)
        self.values: Tensor = beside.values if beside is not None and shares else _tensor(self._matrix).to(device)
        self._rows = len(inputs)
        self._source: Tensor = self.values
        self._at: Tensor | None = None
        self._reach = 0
        if isinstance(inputs, Windows):
            self._source = _every_window(self.values, inputs.length)
            self._at, self._reach = _tensor(inputs.ends).to(device), inputs.length - 1
        elif isinstance(inputs, Rows):
            self._at = _tensor(inputs.at).to(device)

    def __len__(self) -> int:
        return self._rows

    @property
    def nbytes(self) -> int:
        """What it takes on its device; on the CPU nothing, where it is the inputs' own memory."""
        return 0 if self._device == "cpu" else int(self.values.numel() * self.values.element_size())

    def gather(self, rows: Tensor) -> Tensor:
        """(k, features) or (k, length, features) of these rows; `rows` lies on the same device."""
        at = rows if self._at is None else self._at.index_select(0, rows) - self._reach
        return self._source.index_select(0, at)


class NamedResident:
    """Several named inputs on a device; a batch is a mapping of tensors."""

    def __init__(self, inputs: NamedInputs, device: str, beside: NamedResident | None = None) -> None:
        """Move each input as `Resident` does."""
        others: dict[str, Resident] = {} if beside is None else beside._parts
        self._parts: dict[str, Resident] = {
            name: Resident(part, device, others.get(name)) for name, part in inputs.items()
        }
        self._rows = inputs.rows

    def __len__(self) -> int:
        return self._rows

    @property
    def nbytes(self) -> int:
        """What they take on their device."""
        return sum(part.nbytes for part in self._parts.values())

    def gather(self, rows: Tensor) -> dict[str, Tensor]:
        """What `Resident.gather` gives of these rows, by name."""
        return {name: part.gather(rows) for name, part in self._parts.items()}


def resident(inputs: Inputs, device: str, beside: Resident | NamedResident | None = None) -> Resident | NamedResident:
    """One input or several on a device; what lies there `beside` it is shared."""
    if isinstance(inputs, NamedInputs):
        return NamedResident(inputs, device, beside if isinstance(beside, NamedResident) else None)
    return Resident(inputs, device, beside if isinstance(beside, Resident) else None)


class Held:
    """Examples on a device: what their rows show, what they teach and what they count."""

    def __init__(self, examples: Examples, device: str, beside: Held | None = None) -> None:
        """Move them there once; a matrix that lies there `beside` them is shared."""
        self.inputs: Resident | NamedResident = resident(examples.inputs, device, beside.inputs if beside else None)
        targets = examples.targets
        self.targets: Batch = (
            _sent(targets, device)
            if isinstance(targets, np.ndarray)
            else {name: _sent(values, device) for name, values in targets.items()}
        )
        self.weights = _sent(examples.weights, device)

    def __len__(self) -> int:
        return len(self.weights)

    def answers(self, rows: Tensor) -> Batch:
        """The targets of these rows."""
        if isinstance(self.targets, Tensor):
            return self.targets[rows]
        return {name: values[rows] for name, values in self.targets.items()}


def _sent(values: NDArray[np.generic], device: str) -> Tensor:
    """On the device; numbers with a fraction in the precision of the network's own."""
    found = torch.from_numpy(np.ascontiguousarray(values))
    return (found.float() if found.is_floating_point() else found).to(device)


def _every_window(values: Tensor, length: int) -> Tensor:
    """(rows - length + 1, length, features): all windows of a matrix as a view of it.

    A window is one stretch of memory there, and `index_select` copies it as fast as memory allows; indexing with
    brackets takes twice as long.
    """
    row, column = values.stride()
    places = max(len(values) - length + 1, 0)
    return values.as_strided((places, length, values.shape[1]), (row, row, column))


def _tensor(values: NDArray[np.generic]) -> Tensor:
    """A tensor of the array's own memory, or of a copy where it is laid out by columns: rows would be gathered slowly.

    torch wants the memory writable, though nothing here writes.
    """
    by_rows = values.strides[-1] == values.itemsize and values.strides[0] > 0
    return torch.from_numpy(values if by_rows and values.flags.writeable else values.copy(order="C"))


def _same(one: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    """Whether two arrays are the same numbers in the same memory."""
    return one is other or (
        one.__array_interface__["data"] == other.__array_interface__["data"]
        and (one.shape, one.strides, one.dtype) == (other.shape, other.strides, other.dtype)
    )


def in_order(rows: int, size: int, device: str) -> Iterator[Tensor]:
    """Row numbers 0 .. rows - 1 in batches of `size`; one empty batch of no rows."""
    for first in range(0, max(rows, 1), size):
        yield torch.arange(first, min(first + size, rows), device=device)


def shuffled(rows: int, size: int, generator: Generator, device: str, least: int = 2) -> list[Tensor]:
    """All row numbers in an order drawn from `generator` (on the CPU, so that the order is the same on any device).

    A last batch of fewer than `least` rows joins the one before it: normalising over a batch needs two rows, on each
    of several devices.
    """
    return portions(torch.randperm(rows, generator=generator).to(device), size, least)


def portions(rows: Tensor, size: int, least: int = 2) -> list[Tensor]:
    """Row numbers in portions of `size`, of which the last has up to `least` - 1 more where too few would be left.

    >>> [len(portion) for portion in portions(torch.arange(9), 4)]
    [4, 5]
    """
    found = list(torch.split(rows, max(size, least)))
    if len(found) > 1 and len(found[-1]) < least:
        found[-2:] = [torch.cat(found[-2:])]
    return found
