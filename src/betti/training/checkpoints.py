"""The best epochs of a training: which one the network goes back to, and the few whose weights are kept beside it.

What does not belong here: going on after an interruption (`resume.py`), and the network's own file (`betti.models`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betti.errors import BrokenArtifact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

__all__ = ["FOLDER", "Best", "Checkpoint", "read_checkpoints", "write_checkpoints"]

FOLDER = "checkpoints"


@dataclass(frozen=True)
class Checkpoint:
    """A network's weights after one epoch.

    Attributes:
        epoch: from 1.
        value: what early stopping watches, in that epoch: the validation loss, or the model's own score.
        weights: by name, or the safetensors file that holds them.
    """

    epoch: int
    value: float
    weights: Mapping[str, Tensor] | Path

    @property
    def file(self) -> str:
        """Its file's name."""
        return f"epoch_{self.epoch:04d}.safetensors"


@dataclass
class Best:
    """Follows a training.

    Attributes:
        keep: checkpoints to keep.
        min_delta: a smaller gain is none.
        epoch: the best one so far, from 1; 0 before the first.
        value: what was watched in it.
        values: epoch -> value, of the epochs whose weights are held.
        weights: epoch -> weights: the best epoch's, and those of the `keep` smallest values.
    """

    keep: int
    min_delta: float
    epoch: int = 0
    value: float = math.inf
    values: dict[int, float] = field(default_factory=dict)
    weights: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    def offer(self, epoch: int, value: float, network: nn.Module) -> None:
        """Look at an epoch; its weights are copied only where they are kept."""
        if value < self.value - self.min_delta:
            self.epoch, self.value = epoch, value
        values = {**self.values, epoch: value}
        kept = {*sorted(values, key=lambda one: (values[one], one))[: self.keep], self.epoch}
        if epoch in kept:
            self.weights[epoch] = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        self.values = {one: found for one, found in values.items() if one in kept}
        self.weights = {one: found for one, found in self.weights.items() if one in kept}

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Those to keep, the smallest value first; of equal ones the earlier."""
        ranked = sorted(self.values, key=lambda one: (self.values[one], one))[: self.keep]
        return tuple(Checkpoint(one, self.values[one], self.weights[one]) for one in ranked)


def write_checkpoints(folder: Path, checkpoints: Sequence[Checkpoint]) -> list[dict[str, Any]]:
    """Write `checkpoints/epoch_NNNN.safetensors` inside a model's folder; returns what `read_checkpoints` is told."""
    for one in checkpoints:
        path = folder / FOLDER / one.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(one.weights, Path):
            path.write_bytes(one.weights.read_bytes())
            continue
        from safetensors.torch import save_file

        save_file({name: tensor.cpu().contiguous() for name, tensor in sorted(one.weights.items())}, path)
    return [{"epoch": one.epoch, "value": one.value} for one in checkpoints]


def read_checkpoints(folder: Path, told: Sequence[Mapping[str, Any]]) -> tuple[Checkpoint, ...]:
    """The checkpoints of a model's folder; their weights stay on disk until they are asked for.

    Raises:
        BrokenArtifact: a file is not there.
    """
    found = []
    for entry in told:
        one = Checkpoint(int(entry["epoch"]), float(entry["value"]), folder)
        path = folder / FOLDER / one.file
        if not path.is_file():
            raise BrokenArtifact(path, "is not there")
        found.append(Checkpoint(one.epoch, one.value, path))
    return tuple(found)
