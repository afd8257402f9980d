"""Training on several devices of one machine: as many processes, each with a share of every batch (data parallel).

Lightning Fabric starts them and averages their gradients; it is an extra and takes seconds to import, so that one
device never asks for it (`engine.py`). What does not belong here: the training itself (`loop.py`).
"""

from __future__ import annotations

import multiprocessing
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

from torch.multiprocessing.spawn import ProcessRaisedException

from betti.errors import BadModelInput, BettiError
from betti.progress import listening, tell
from betti.training.device import PIP, refuse_absent
from betti.training.memory import ran_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch
    from lightning.fabric import Fabric
    from torch import Tensor, nn

    from betti.training.engine import Call
    from betti.training.nested import Batch, Outputs

__all__ = ["Several", "launched"]

FABRIC_PRECISION = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


class Several:
    """One of the processes; follows `engine.Engine`."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self.device = str(fabric.device)
        self.rank, self.ranks = fabric.global_rank, fabric.world_size

    def ready(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Wrap both: gradients of all ranks are averaged as they come."""
        self._run: Any = self._fabric.setup_module(network)
        self._optimizer: Any = self._fabric.setup_optimizers(optimizer)
        inside = {id(one) for one in network.parameters()}
        # What the objective learns lies outside the network, where nobody averages its gradients.
        self._outside = [one for group in optimizer.param_groups for one in group["params"] if id(one) not in inside]

    def outputs(self, call: Call, batch: Batch) -> Outputs:
        """See `Engine`."""
        return call(self._run, batch)

    def backward(self, loss: Tensor, last: bool) -> None:
        """See `Engine`; ranks wait for each other in the last part only."""
        with self._fabric.no_backward_sync(self._run, enabled=not last):
            self._fabric.backward(loss)

    def step(self, clip: float) -> None:
        """See `Engine`."""
        for parameter in self._outside:
            if parameter.grad is not None:
                parameter.grad = self.total(parameter.grad) / self.ranks
        self._fabric.clip_gradients(self._run, self._optimizer, max_norm=clip, error_if_nonfinite=False)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def total(self, values: Tensor) -> Tensor:
        """See `Engine`."""
        return cast("Tensor", self._fabric.all_reduce(values.clone(), reduce_op="sum"))

    def agreed(self, value: float) -> float:
        """See `Engine`."""
        return float(self._fabric.broadcast(value, src=0))

    def mean(self, module: nn.Module) -> None:
        """See `Engine`."""
        for values in module.buffers():
            if values.is_floating_point():
                values.copy_(self.total(values) / self.ranks)

    def facts(self) -> dict[str, Any]:
        """The scale of the gradients."""
        return dict(self._fabric.strategy.precision.state_dict())

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Set the scale of the gradients."""
        if facts:
            self._fabric.strategy.precision.load_state_dict(dict(facts))


# Starting them -----------------------------------------------------------------------------------------------------


def launched(work: Callable[..., None], device: str, devices: int, precision: str, *arguments: Any) -> None:
    """Run `work(engine, *arguments)` in so many processes; what it finds it leaves on the disk.

    Args:
        work: a module's function; it and its arguments are sent to processes that start afresh.
        device: "cpu" or "cuda".
        devices: processes, and GPUs where the device is "cuda".
        precision: one of `engine.PRECISIONS`.
        *arguments: of `work`.

    Raises:
        BadModelInput: Fabric is not installed, or there are fewer GPUs.
        RuntimeError: a process ran out of memory (`memory.ran_out`).
        BettiError: what a process raised.
    """
    fabric = _fabric(device, devices, precision)
    told: Any = multiprocessing.get_context("spawn").SimpleQueue()
    failures: list[BaseException] = []
    context = copy_context()
    listener = threading.Thread(target=lambda: context.run(_listen, told, failures))
    listener.start()
    started: Any = _on_rank  # Fabric's own type leaves out the arguments
    try:
        fabric.launch(started, _Sealed(work, arguments, told))
    except ProcessRaisedException as cause:
        _stop(listener, told)
        if failures:
            raise failures[0] from cause
        raise
    finally:
        _stop(listener, told)


def _fabric(device: str, devices: int, precision: str) -> Fabric:
    refuse_absent(device, precision, devices)
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.strategies.ddp import DDPStrategy
    except ImportError as cause:
        raise BadModelInput("torch", f"devices = {devices} needs Lightning Fabric", PIP) from cause
    # A network may have parts that a batch does not use, such as a head without labels in it.
    strategy = DDPStrategy(start_method="spawn", find_unused_parameters=True)
    wanted: Any = FABRIC_PRECISION[precision]
    return Fabric(accelerator=device, devices=devices, strategy=strategy, precision=wanted)


class _Sealed:
    """What a process is sent. Fabric looks into the collections and dataclasses it is given, and must not into ours."""

    def __init__(self, work: Callable[..., None], arguments: tuple[Any, ...], told: Any) -> None:
        self.work, self.arguments, self.told = work, arguments, told


def _on_rank(fabric: Fabric, sent: _Sealed) -> None:
    """Inside a process: run, and send on what the one that started it must know."""
    engine, told = Several(fabric), sent.told

    def tell_on(done: int, total: int, what: str) -> None:
        if engine.rank == 0:
            told.put((done, total, what))

    try:
        with listening(tell_on):
            sent.work(engine, *sent.arguments)
    except (BettiError, RuntimeError) as error:
        if isinstance(error, BettiError) or ran_out(error):
            # By its parts: an error that writes its own sentence is not built again from that sentence.
            told.put((type(error), error.args, dict(vars(error))))
        raise


def _listen(told: Any, failures: list[BaseException]) -> None:
    """Tell here what the first process tells, and take what any of them raised, until None comes."""
    while (message := told.get()) is not None:
        first, *rest = message
        if isinstance(first, int):
            tell(first, *rest)
            continue
        error = first.__new__(first)
        error.args = rest[0]
        vars(error).update(rest[1])
        failures.append(error)


def _stop(listener: threading.Thread, told: Any) -> None:
    if listener.is_alive():
        told.put(None)
        listener.join()
