"""The four networks' own steps: film beside a loop by hand and a DataLoader, jade's step, one row of the dual tower.

`python benchmarks/networks.py`. Everything on one core and one thread, as models train in the pipeline, but for jade's
step, which has all cores: on a machine where something else computes, two threads wait for each other. A GPU is taken
where torch sees one. `conditioning.py` has hrm's latencies, `expansion.py` what jade learns.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable
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

from benchmarks._figure import against, in_turn, single, speedup, timed
from betti.networks.dual_tower import DualTowerRelevanceModel
from betti.networks.film import create_model_from_config
from betti.networks.film_config import FiLMConfig, FiLMModelConfig
from betti.networks.film_training import FiLMLearner, FiLMLoss, parameter_groups
from betti.networks.jade import JadeCompact
from betti.training import loop
from betti.training.batches import shuffled
from betti.training.device import resolve
from betti.training.problem import Settings
from betti.windows import NamedInputs, Rows, Windows

BATCH, STEPS, PAIRS, LENGTH = 256, 15, 3, 96
WIDTHS = {"bars": 14, "topology": 214, "complexity": 6}
RATE, FILM_RATE = 3e-4, 1.5e-3
MOST, JADE_S, ROW_MS = 1.1, 0.2, 1.0
CALLS = 300
FILMS = {
    "film": FiLMModelConfig(),
    "film of one block a stack, 128 wide": FiLMModelConfig(
        lstm_hidden_size=128, nbeats_num_blocks=1, nbeats_num_layers=1, tda_encoder_dim=64, shared_fc_dim=128
    ),
}
Named = dict[str, Tensor]


def examples() -> loop.Examples:
    """As many windows as the steps need, with a trigger in a tenth of them."""
    rng, count = np.random.default_rng(0), STEPS * BATCH
    at = np.arange(LENGTH - 1, LENGTH - 1 + count)
    flat = {name: rng.standard_normal((at[-1] + 1, width), dtype="float32") for name, width in WIDTHS.items()}
    inputs = NamedInputs(
        {name: Windows(flat[name], at, LENGTH) if name == "bars" else Rows(flat[name], at) for name in WIDTHS}
    )
    happened = rng.random(count) < 0.1
    targets = {"classes": happened.astype("int64"), "max_pct": np.where(happened, 2.5, 0.3)}
    return loop.Examples(inputs, targets, np.ones(count))


def settings() -> Settings:
    return Settings(
        epochs=1,
        schedule_epochs=0,
        batch_size=BATCH,
        learning_rate=RATE,
        weight_decay=1e-4,
        clip=1.0,
        warmup_epochs=0,
        patience=1,
        min_delta=0.0,
        seed=7,
    )


def film(sizes: FiLMModelConfig) -> nn.Module:
    return FiLMLearner(create_model_from_config(FiLMConfig(sizes)))


class PerItem(Dataset):
    """One decision's inputs and targets, as views of the same tensors."""

    def __init__(self, data: loop.Examples) -> None:
        inputs, targets = data.inputs, data.targets
        assert isinstance(inputs, NamedInputs)
        assert not isinstance(targets, np.ndarray)
        bars = inputs["bars"]
        assert isinstance(bars, Windows)
        self.bars, self.ends = torch.from_numpy(bars.values), bars.ends.tolist()
        self.flat = {name: torch.from_numpy(inputs[name].values) for name in WIDTHS if name != "bars"}  # type: ignore[union-attr]
        self.targets = {name: torch.from_numpy(values) for name, values in targets.items()}

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> tuple[Named, Named]:
        end = self.ends[row]
        inputs = {"bars": self.bars[end - LENGTH + 1 : end + 1]}
        inputs |= {name: values[end] for name, values in self.flat.items()}
        return inputs, {name: values[row] for name, values in self.targets.items()}


def resident(data: loop.Examples, device: str) -> Callable[[], Iterable[tuple[Named, Named]]]:
    """Every window laid out in memory; batches in random order."""
    everything = [PerItem(data)[row] for row in range(len(data))]
    inputs = {name: torch.stack([one[name] for one, _ in everything]).to(device) for name in WIDTHS}
    targets = {name: torch.stack([one[name] for _, one in everything]).to(device) for name in everything[0][1]}
    order = shuffled(len(data), BATCH, torch.Generator().manual_seed(7), device)

    def batches() -> Iterable[tuple[Named, Named]]:
        for rows in order:
            yield {k: v[rows] for k, v in inputs.items()}, {k: v[rows] for k, v in targets.items()}

    return batches


def by_hand(build: Callable[[], nn.Module], batches: Callable[[], Iterable[tuple[Named, Named]]], device: str) -> None:
    """One epoch of film as anybody would write it."""
    torch.manual_seed(7)
    network = build().to(device).train()
    fast = [parameter for group in parameter_groups(network, FILM_RATE) for parameter in group.parameters]
    known = {id(one) for one in fast}
    slow = [one for one in network.parameters() if id(one) not in known]
    groups = [{"params": slow}, {"params": fast, "lr": FILM_RATE, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, weight_decay=1e-4)
    loss_of, ones = FiLMLoss(), torch.ones(BATCH, device=device)
    for inputs, targets in batches():
        inputs = {name: part.to(device) for name, part in inputs.items()}
        targets = {name: part.to(device) for name, part in targets.items()}
        loss = loss_of(network(inputs), targets, ones).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()


def film_steps(name: str, data: loop.Examples, device: str) -> None:
    build = partial(film, FILMS[name])
    problem = loop.Problem(build, FiLMLoss(), data, groups=partial(parameter_groups, film_rate=FILM_RATE))

    def ours() -> float:
        return timed(lambda: loop.train(problem, settings(), device))

    batches = resident(data, device)
    pairs = in_turn(ours, lambda: timed(lambda: by_hand(build, batches, device)), PAIRS)
    step = min(seconds for _, seconds in pairs) / STEPS * 1e3
    against("networks", f"{name}, batch {BATCH}, {step:.0f} ms a step, beside a loop by hand", pairs, MOST).show()
    loader = DataLoader(PerItem(data), BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    next(iter(loader))
    pairs = in_turn(ours, lambda: timed(lambda: by_hand(build, lambda: loader, device)), PAIRS)
    speedup("networks", f"{name}, beside a DataLoader with 2 workers", pairs, 1.0, "ms", STEPS).show()


def jade_step(cores: int) -> None:
    torch.manual_seed(7)
    network, windows = JadeCompact().train(), torch.randn(174, 105, 12)

    def step() -> None:
        said = network(windows)
        sum(part.mean() for part in said.values()).backward()

    for count in sorted({1, cores}):
        torch.set_num_threads(count)
        step()
        case = f"jade, forward and back, 174 windows of 105, {count} thread{'s' if count > 1 else ''}"
        single("networks", case, [timed(step) for _ in range(15)], "s", JADE_S).show()
    torch.set_num_threads(1)


def tower_row() -> None:
    network = DualTowerRelevanceModel().eval()
    context, stock = torch.randn(1, 25), torch.randn(1, 62)
    with torch.inference_mode():
        for _ in range(30):
            network(context, stock)
        spent = [1e3 * timed(lambda: network(context, stock)) for _ in range(CALLS)]
    single("networks", "dual tower, one row", spent, "ms", ROW_MS).show()


def main() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jade_step(cores)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="This DataLoader will create 2 worker")  # they share the one core
    tower_row()
    data, device = examples(), resolve("auto")
    for name in FILMS:
        film_steps(name, data, device)


if __name__ == "__main__":
    main()
