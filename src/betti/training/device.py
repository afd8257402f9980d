"""Where torch computes, and under which rules: the device behind its name, and a seeded, deterministic block."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from betti.errors import BadModelInput

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEVICES", "epoch_seed", "refuse_absent", "resolve", "seeded"]

DEVICES = ("auto", "cpu", "cuda")
PIP = "pip install 'betti[torch]'"


def resolve(name: str) -> str:
    """The device to use: "cpu" or "cuda". "auto" takes a GPU where torch sees one.

    Raises:
        BadModelInput: not one of `DEVICES`, or "cuda" where torch sees no GPU.
    """
    import torch

    if name not in DEVICES:
        raise BadModelInput("torch", f"device = {name!r}", f"It takes one of {', '.join(DEVICES)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise BadModelInput("torch", "device = 'cuda', but torch sees no GPU", "Use 'auto' or 'cpu'")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def refuse_absent(device: str, precision: str, devices: int) -> None:
    """Refuse to train with what this machine does not have.

    Args:
        device: "cpu" or "cuda", as `resolve` gives it.
        precision: the knob.
        devices: the knob.

    Raises:
        BadModelInput: a precision that the device does not compute in, fewer GPUs, or several devices without Fabric.
    """
    import torch

    from betti.training.engine import refuse_precision

    refuse_precision(device, precision)
    if device == "cuda" and torch.cuda.device_count() < devices:
        raise BadModelInput("torch", f"devices = {devices} of {torch.cuda.device_count()} GPUs", "Ask for fewer")
    if devices > 1 and find_spec("lightning") is None:
        raise BadModelInput("torch", f"devices = {devices} needs Lightning Fabric", PIP)


def epoch_seed(seed: int, epoch: int, stream: int) -> int:
    """A seed for one epoch: what it draws then follows from its number, not from the epochs before.

    So a training that was interrupted goes on with the same draws, and no generator's state needs to be kept. Streams
    are independent (numpy's SeedSequence).
    """
    import numpy as np

    return int(np.random.SeedSequence((seed, epoch, stream)).generate_state(1, "uint64")[0] >> np.uint64(1))


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Inside, torch's global generators start from `seed` and only deterministic algorithms run; then all is as before.

    Initial weights and dropout draw from the global generators and take no generator of their own.
    """
    import torch

    # cuBLAS is deterministic only with a fixed workspace, which it reads when its first handle is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    filling: Any = torch.utils.deterministic  # its one attribute is made when it is imported
    before = torch.are_deterministic_algorithms_enabled(), filling.fill_uninitialized_memory
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.startswith("cuda") else []):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        # Filling new memory before it is written costs a tenth of an LSTM's step, and changes what only a fault reads.
        filling.fill_uninitialized_memory = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0])
            filling.fill_uninitialized_memory = before[1]
