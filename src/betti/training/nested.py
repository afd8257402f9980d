"""What goes into a network and comes out of it: one tensor, or several by name or by place; all of equally many rows.

What does not belong here: where they come from (`batches.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    # What one batch holds: a tensor, or for named inputs one of each name; of targets likewise.
    Batch: TypeAlias = Tensor | dict[str, Tensor]
    # What a network says of a batch: (k, ...) tensors. A named tuple is a tuple.
    Outputs: TypeAlias = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor]
    # The same of all rows, as arrays.
    Arrays: TypeAlias = NDArray[np.float64] | tuple[NDArray[np.float64], ...] | dict[str, NDArray[np.float64]]

__all__ = ["arrays", "floats", "joined"]


def joined(batches: list[Outputs]) -> Outputs:
    """The outputs of several batches as those of all their rows.

    >>> joined([{"a": torch.zeros(2)}, {"a": torch.ones(1)}])
    {'a': tensor([0., 0., 1.])}
    """
    first = batches[0]
    if isinstance(first, Tensor):
        return torch.cat([batch for batch in batches if isinstance(batch, Tensor)])
    if isinstance(first, tuple):
        whole: Outputs = _tuple(first, [torch.cat(parts) for parts in zip(*batches, strict=True)])
        return whole
    return {name: torch.cat([batch[name] for batch in batches if isinstance(batch, Mapping)]) for name in first}


def floats(said: Outputs) -> Outputs:
    """Outputs with every number that has a fraction in float32."""
    found: Outputs = _mapped(said, lambda one: one.float() if one.is_floating_point() else one)
    return found


def arrays(said: Outputs) -> Arrays:
    """Outputs as float64 arrays on the CPU."""
    found: Arrays = _mapped(said, lambda one: one.double().cpu().numpy())
    return found


def _mapped(said: Outputs, work: Callable[[Tensor], Any]) -> Any:
    if isinstance(said, Tensor):
        return work(said)
    if isinstance(said, tuple):
        return _tuple(said, [work(one) for one in said])
    return {name: work(one) for name, one in said.items()}


def _tuple(like: tuple[Any, ...], parts: list[Any]) -> Any:
    """A tuple of the same kind: a named one keeps its names."""
    return like._make(parts) if hasattr(like, "_make") else tuple(parts)
