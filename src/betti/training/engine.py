"""What carries out a training step: one device by itself, in full or mixed precision.

`Engine` is what the loop needs of it; `several.py` has the one for several devices. What does not belong here: which
rows a step sees and what is done between steps (`loop.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch

from betti.errors import BadModelInput
from betti.training.nested import floats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from betti.training.nested import Batch, Outputs

    Call = Callable[[nn.Module, Batch], Outputs]

__all__ = ["PRECISIONS", "Alone", "Engine", "refuse_precision"]

# The knob `precision` -> the type that matrices are multiplied in; weights stay in 32 bits.
PRECISIONS: dict[str, torch.dtype | None] = {"32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Engine(Protocol):
    """One of `ranks` equal processes, each with a device and a share of every batch."""

    device: str
    rank: int
    ranks: int

    def ready(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Take what is to be trained; called once, with the network on the device."""

    def outputs(self, call: Call, batch: Batch) -> Outputs:
        """What the network says of a batch, in float32."""

    def backward(self, loss: Tensor, last: bool) -> None:
        """Add the gradients of one part of a batch; `last` says that no other part follows."""

    def step(self, clip: float) -> None:
        """Clip the gradients at this norm, move the weights, forget the gradients."""

    def total(self, values: Tensor) -> Tensor:
        """The sum over all ranks."""

    def agreed(self, value: float) -> float:
        """The first rank's value, so that all ranks decide alike."""

    def mean(self, module: nn.Module) -> None:
        """Make the floating-point buffers of a module the ranks' mean, in place."""

    def facts(self) -> dict[str, Any]:
        """What it must know to go on after an interruption, for JSON."""

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take what `facts` gave."""


class Alone:
    """One process, one device; torch and nothing else."""

    rank, ranks = 0, 1

    def __init__(self, device: str, precision: str, compiled: bool) -> None:
        """Remember how to compute.

        Args:
            device: "cpu" or "cuda".
            precision: one of `PRECISIONS`.
            compiled: whether `torch.compile` makes the training step's kernels.

        Raises:
            BadModelInput: fp16 on the CPU, which has no fast arithmetic for it.
        """
        refuse_precision(device, precision)
        self.device = device
        self._kind = PRECISIONS[precision]
        self._compiled = compiled
        # fp16 has so small a range that gradients are scaled up; what overflows then is a step left out.
        self._scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")

    def ready(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Compile the network where that is asked for."""
        self._network, self._optimizer = network, optimizer
        self._run: Any = torch.compile(network) if self._compiled else network
        self._parameters = [one for group in optimizer.param_groups for one in group["params"]]

    def outputs(self, call: Call, batch: Batch) -> Outputs:
        """See `Engine`."""
        if self._kind is None:
            return call(self._run, batch)
        with torch.autocast(self.device, dtype=self._kind):
            said = call(self._run, batch)
        return floats(said)

    def backward(self, loss: Tensor, last: bool) -> None:  # noqa: ARG002  # one process has nobody to wait for
        """See `Engine`."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def step(self, clip: float) -> None:
        """See `Engine`."""
        self._scaler.unscale_(self._optimizer)
        torch.nn.utils.clip_grad_norm_(self._parameters, clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)

    def total(self, values: Tensor) -> Tensor:
        """The values themselves."""
        return values

    def agreed(self, value: float) -> float:
        """The value itself."""
        return value

    def mean(self, module: nn.Module) -> None:
        """Nothing to do."""

    def facts(self) -> dict[str, Any]:
        """The scale of the gradients."""
        return dict(self._scaler.state_dict())

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Set the scale of the gradients."""
        if facts:
            self._scaler.load_state_dict(dict(facts))


def refuse_precision(device: str, precision: str) -> None:
    """Refuse a precision that the device does not compute in.

    Raises:
        BadModelInput: fp16 on the CPU.
    """
    if precision == "fp16" and device == "cpu":
        raise BadModelInput("torch", "precision = 'fp16' on the CPU", "Use 'bf16' or '32', or a GPU")
