"""What the training loop costs beside one written out by hand, and what resident windows save beside a DataLoader.

`python benchmarks/trainer.py`. The same network, rows, order and number of steps on both sides, everything on one core;
seconds are those of whole trainings without validation. The steps by hand: gather, forward, loss, backward, clip,
AdamW. Beside the DataLoader, it has two workers and a Dataset that cuts a window per item. A GPU is taken where torch
sees one.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from betti import threads

threads.pin()

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks._figure import against, in_turn, speedup, timed
from betti.models.tcn import TcnNetwork
from betti.nn.losses import weighted_cross_entropy
from betti.nn.recurrent import RecurrentNetwork
from betti.training import loop
from betti.training.batches import shuffled
from betti.training.device import resolve
from betti.training.problem import Settings
from betti.windows import Windows

MOST, LEAST = 1.1, 1.4
BATCH, CLASSES, FEATURES = 256, 3, 40
SETTINGS = Settings(
    epochs=1,
    schedule_epochs=0,
    batch_size=BATCH,
    learning_rate=1e-3,
    weight_decay=1e-4,
    clip=1.0,
    warmup_epochs=0,
    patience=1,
    min_delta=0.0,
    seed=7,
)


@dataclass(frozen=True)
class Case:
    """A network, the length of its windows, and how many steps are timed."""

    name: str
    build: Callable[[], nn.Module]
    length: int
    steps: int
    pairs: int


def recurrent(kind: type[nn.LSTM | nn.GRU], hidden: int, layers: int) -> nn.Module:
    return RecurrentNetwork(kind, FEATURES, CLASSES, hidden, layers, 0.3)


def convolutional(channels: int) -> nn.Module:
    return TcnNetwork(FEATURES, CLASSES, channels, 4, 3, 0.3)


SHORT = (
    Case("GRU 16 x 1, windows of 10", partial(recurrent, nn.GRU, 16, 1), 10, 100, 11),
    Case("TCN 8 x 4, windows of 10", partial(convolutional, 8), 10, 60, 11),
    Case("LSTM 64 x 1, windows of 30", partial(recurrent, nn.LSTM, 64, 1), 30, 20, 7),
)
LONG = (
    Case("TCN 64 x 4, windows of 120", partial(convolutional, 64), 120, 4, 5),
    Case("LSTM 128 x 2, windows of 120", partial(recurrent, nn.LSTM, 128, 2), 120, 3, 5),
    Case("TCN 8 x 2, windows of 120", lambda: TcnNetwork(FEATURES, CLASSES, 8, 2, 3, 0.3), 120, 20, 5),
    Case("LSTM 16 x 1, windows of 120", partial(recurrent, nn.LSTM, 16, 1), 120, 20, 5),
)


class PerItem(Dataset):
    """A window and its class per item, as views of the same tensors."""

    def __init__(self, examples: loop.Examples) -> None:
        windows = examples.inputs
        assert isinstance(windows, Windows)
        self.values, self.ends, self.length = torch.from_numpy(windows.values), windows.ends.tolist(), windows.length
        self.targets = torch.from_numpy(examples.targets)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        end = self.ends[row]
        return self.values[end - self.length + 1 : end + 1], self.targets[row]


def examples(case: Case) -> loop.Examples:
    rows = case.steps * BATCH
    values = np.random.default_rng(0).standard_normal((rows + case.length - 1, FEATURES), dtype="float32")
    targets = np.random.default_rng(1).integers(0, CLASSES, rows)
    return loop.Examples(Windows(values, np.arange(case.length - 1, len(values)), case.length), targets, np.ones(rows))


def by_hand(case: Case, batches: Callable[[], Iterable[tuple[Tensor, Tensor]]], device: str) -> None:
    """One epoch as anybody would write it."""
    torch.manual_seed(7)
    network = case.build().to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4)
    whole = torch.zeros((), device=device)
    for inputs, targets in batches():
        loss = nn.functional.cross_entropy(network(inputs.to(device)), targets.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        whole += loss.detach()
    assert torch.isfinite(whole)


def ours(case: Case, data: loop.Examples, device: str) -> float:
    problem = loop.Problem(case.build, weighted_cross_entropy, data)
    return timed(lambda: loop.train(problem, SETTINGS, device))


def overhead(case: Case, device: str) -> None:
    """Ours beside the same batches out of a tensor that holds every window."""
    data = examples(case)
    assert isinstance(data.inputs, Windows)
    whole = torch.from_numpy(data.inputs[:]).to(device)
    targets = torch.from_numpy(np.asarray(data.targets)).to(device)
    order = shuffled(len(data), BATCH, torch.Generator().manual_seed(7), device)

    def reference() -> float:
        return timed(lambda: by_hand(case, lambda: ((whole[rows], targets[rows]) for rows in order), device))

    pairs = in_turn(partial(ours, case, data, device), reference, case.pairs)
    step = min(seconds for _, seconds in pairs) / case.steps * 1e3
    against("trainer", f"{case.name}, {step:.1f} ms a step, beside a loop by hand", pairs, MOST).show()


def loading(case: Case, device: str) -> None:
    """Ours beside the same loop over a DataLoader whose workers run already."""
    data = examples(case)
    loader = DataLoader(PerItem(data), BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    next(iter(loader))

    def reference() -> float:
        return timed(lambda: by_hand(case, lambda: loader, device))

    pairs = in_turn(partial(ours, case, data, device), reference, case.pairs)
    speedup("trainer", f"{case.name}, beside a DataLoader with 2 workers", pairs, LEAST, "ms", case.steps).show()


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="This DataLoader will create 2 worker")  # they share the one core
    device = resolve("auto")
    for case in SHORT:
        overhead(case, device)
    for case in LONG:
        loading(case, device)


if __name__ == "__main__":
    main()
