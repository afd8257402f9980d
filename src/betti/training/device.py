"""Where torch computes, and under which rules: the device behind its name, and a seeded, deterministic block."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from betti.errors import BadModelInput

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEVICES", "resolve", "seeded"]

DEVICES = ("auto", "cpu", "cuda")


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


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Inside, torch's global generators start from `seed` and only deterministic algorithms run; then all is as before.

    Initial weights and dropout draw from the global generators and take no generator of their own.
    """
    import torch

    # cuBLAS is deterministic only with a fixed workspace, which it reads when its first handle is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
