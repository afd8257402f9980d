"""Small problems for the training loop, of a module's own functions: other processes can be sent them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from betti.nn.losses import Objective, weighted_cross_entropy
from betti.progress import listening
from betti.training import loop
from betti.training.optimisation import Group
from betti.training.resume import resuming
from betti.windows import NamedInputs, Rows

SETTINGS = loop.Settings(
    epochs=6,
    schedule_epochs=0,
    batch_size=16,
    learning_rate=0.05,
    weight_decay=0.0,
    clip=1.0,
    warmup_epochs=2,
    patience=3,
    min_delta=0.0,
    seed=1,
)


def examples(rows: int = 50, seed: int = 0) -> loop.Examples:
    X = np.random.default_rng(seed).normal(size=(rows, 3)).astype("float32")
    return loop.Examples(X, (X[:, 0] > 0).astype("int64"), np.ones(rows))


def linear() -> nn.Module:
    return nn.Linear(3, 2)


def dropping() -> nn.Module:
    """Draws in every batch."""
    return nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))


def problem(
    data: loop.Examples, valid: loop.Examples | None = None, build: Any = linear, loss: Any = weighted_cross_entropy
) -> loop.Problem:
    return loop.Problem(build, loss, data, valid)


def train(data: loop.Examples, valid: loop.Examples | None = None, **changed: Any) -> loop.Outcome:
    return loop.train(problem(data, valid), settings(**changed), "cpu")


def settings(**changed: Any) -> loop.Settings:
    return dataclasses.replace(SETTINGS, **changed)


def weights(outcome: loop.Outcome) -> bytes:
    return b"".join(value.numpy().tobytes() for value in outcome.network.state_dict().values())


# Several inputs, targets and outputs ---------------------------------------------------------------------------------


class Two(nn.Module):
    """A network of two inputs and two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.drop = nn.Linear(2, 4), nn.Linear(3, 4), nn.Dropout(0.2)
        self.kind, self.size = nn.Linear(8, 2), nn.Linear(8, 1)

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        joint = torch.cat([self.left(batch["left"]), self.right(batch["right"])], dim=1).relu()
        joint = self.drop(joint)
        return {"logits": self.kind(joint), "size": self.size(joint)[:, 0]}


class TwoLosses(Objective):
    """Cross-entropy and squared error with a scale that is learnt and a mean that is remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, outputs: Any, targets: Any, weights: torch.Tensor) -> torch.Tensor:
        kinds = nn.functional.cross_entropy(outputs["logits"], targets["classes"], reduction="none")
        known = ~targets["size"].isnan()
        sizes = torch.where(known, outputs["size"] - targets["size"].nan_to_num(), 0.0) ** 2
        if self.training:
            self.seen += known.sum()
        return weights * (kinds + torch.exp(-self.scale) * sizes + 0.1 * self.scale)

    def epoch_ended(self) -> dict[str, float]:
        return {"scale": float(self.scale.detach()), "seen": float(self.seen)}


def two_examples(rows: int = 60, seed: int = 0) -> loop.Examples:
    table = np.random.default_rng(seed).normal(size=(rows + 10, 5)).astype("float32")
    at = np.arange(5, rows + 5)
    inputs = NamedInputs({"left": Rows(table[:, :2], at), "right": table[at, 2:]})
    sizes = np.where(at % 3 == 0, np.nan, table[at, 3])
    return loop.Examples(inputs, {"classes": (table[at, 0] > 0).astype("int64"), "size": sizes}, np.ones(rows))


def mean_error(outputs: Any, targets: Any, weights: torch.Tensor) -> float:
    return float((outputs["size"] - targets["size"]).nan_to_num().abs().mean())


def first_column(network: Any, batch: Any) -> dict[str, float]:
    return {"left_mean": float(batch["left"][:, 0].mean()), "bias": float(network.size.bias.detach().sum())}


def left_group(network: Any, rate: float) -> list[Group]:
    return [Group(tuple(network.left.parameters()), learning_rate=rate, weight_decay=0.1)]


def two(data: loop.Examples, valid: loop.Examples | None, rate: float = 0.01, **changed: Any) -> loop.Problem:
    whole = loop.Problem(
        Two,
        TwoLosses(),
        data,
        valid,
        groups=partial(left_group, rate=rate),
        score=mean_error,
        watch=first_column,
        facts={"model": "two"},
    )
    return dataclasses.replace(whole, **changed)


# A training that is killed -------------------------------------------------------------------------------------------

EPOCHS = 120


def whole(outcome: loop.Outcome) -> str:
    """A hash of everything that came out."""
    found = hashlib.sha256(weights(outcome))
    for one in outcome.checkpoints:
        assert isinstance(one.weights, dict)
        for name, value in sorted(one.weights.items()):
            found.update(f"{one.epoch} {one.value!r} {name}".encode() + value.numpy().tobytes())
    facts = (outcome.epochs, outcome.best_epoch, outcome.early_stopped, outcome.history)
    found.update(json.dumps(facts).encode())
    return found.hexdigest()


def long_training() -> str:
    """Dropout, two heads, a loss that learns and remembers, groups, a score, a plateau: everything with a state."""
    known = settings(epochs=EPOCHS, patience=EPOCHS, schedule="plateau", plateau_patience=20)
    return whole(loop.train(two(two_examples(), two_examples(seed=1)), known, "cpu"))


def child(folder: Path) -> None:
    """What the processes below run."""

    def say(done: int, total: int, what: str) -> None:
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()

    torch.set_num_threads(1)
    with listening(say), resuming(folder, "code", every=0.0):
        sys.stdout.write(long_training() + "\n")
