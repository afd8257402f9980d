"""What is done when a device has too little memory for a batch: compute it in twice as many parts.

Gradients of the parts add up to those of the batch, so the step stays the step. Training begins anew with more parts,
and does not go on in the middle: the result is then that of a run whose knob `accumulate` said so from the start, to
the last bit, wherever memory ran out. It nearly always does so in the first batch, where nothing is lost. What does
not belong here: foreseeing how much memory a model takes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

import torch

from betti.errors import BettiError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OutOfMemory", "in_parts", "ran_out"]

log = logging.getLogger(__name__)
# The CPU's memory runs out as a plain RuntimeError of this beginning ("can't allocate memory", "not enough memory").
CPU = "DefaultCPUAllocator: "
T = TypeVar("T")


class OutOfMemory(BettiError):
    """Not even two rows at a time fit into the device's memory."""

    def __init__(self, device: str, rows: int, parts: int) -> None:
        self.device, self.rows, self.parts = device, rows, parts
        super().__init__(
            f"the memory of {device} does not hold one of {parts} parts of a batch of {rows} rows. "
            "Use a smaller network or shorter windows, free the device's memory, or set device: cpu"
        )


def ran_out(error: RuntimeError) -> bool:
    """Whether torch means by it that memory ran out, on a GPU or on the CPU.

    >>> ran_out(torch.OutOfMemoryError()), ran_out(RuntimeError("size mismatch"))
    (True, False)
    """
    return isinstance(error, torch.OutOfMemoryError) or CPU in str(error)


def in_parts(work: Callable[[int], T], what: str, rows: int, parts: int, device: str) -> T:
    """`work(parts)`, again with twice as many parts whenever memory runs out.

    Args:
        work: computes batches of `rows` rows in so many parts.
        what: its name in the notice: "training", "answering".
        rows: in a batch.
        parts: to begin with.
        device: for the notice.

    Raises:
        OutOfMemory: parts of two rows are too large.
    """
    while True:
        try:
            return work(parts)
        except RuntimeError as cause:
            if not ran_out(cause):
                raise
            if rows <= 2 * parts:
                raise OutOfMemory(device, rows, parts) from cause
        # Outside the handler: its traceback holds the tensors that are to go.
        parts *= 2
        log.warning(
            "out of memory on %s: %s begins anew, with batches of %d rows in %d parts; "
            "the knob `accumulate` sets the parts to begin with",
            *(device, what, rows, parts),
        )
        if device == "cuda":
            torch.cuda.empty_cache()
