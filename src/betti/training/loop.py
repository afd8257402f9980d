"""The one torch training loop: AdamW, warm-up and cosine, clipping, early stopping, the best epoch's weights restored.

A model hands in how to build its network and its loss; everything else is the same for all. Same seed, same weights on
the CPU. What does not belong here: networks (`betti.models`, `betti.nn`), and choosing or scaling rows (`prepare.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch

from betti.errors import BettiError
from betti.progress import tell
from betti.training.batches import Resident, in_order, shuffled
from betti.training.device import seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from betti.models._protocol import Inputs

    Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

__all__ = ["Examples", "LossNotFinite", "Outcome", "Settings", "learning_rate_factor", "outputs", "train"]

EVALUATION_BATCH = 1024


class LossNotFinite(BettiError):
    """A loss or a weight became NaN or infinite; going on would only spread it."""

    def __init__(self, what: str, epoch: int, batch: int | None) -> None:
        self.what, self.epoch, self.batch = what, epoch, batch
        where = f"epoch {epoch}" if batch is None else f"epoch {epoch}, batch {batch}"
        super().__init__(
            f"training stopped at {where}: {what} is not finite. "
            "Lower learning_rate or clip in the run's config, or look for extreme values among the features"
        )


@dataclass(frozen=True)
class Settings:
    """The knobs of the loop; models name theirs the same.

    Attributes:
        epochs: passes over the training rows, at most (exactly, where there are no validation rows).
        schedule_epochs: epochs over which the learning rate falls; 0 takes `epochs`. A final model trained for the
            folds' median best epoch follows the folds' schedule, so it keeps theirs.
        batch_size: rows in a batch.
        learning_rate: of AdamW, at its highest.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
        warmup_epochs: epochs over which the learning rate rises.
        patience: epochs without improvement before stopping.
        min_delta: smaller gains of validation loss are no improvement.
        seed: of weights, dropout and batch order.
    """

    epochs: int
    schedule_epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    clip: float
    warmup_epochs: int
    patience: int
    min_delta: float
    seed: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Settings:
        """The loop's knobs out of a model's configuration."""
        return cls(**{field.name: config[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class Examples:
    """Rows to learn from: n inputs, their (n,) targets and (n,) weights of mean 1."""

    inputs: Inputs
    targets: NDArray[Any]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """A trained network and how it went; `best_epoch` (from 1) is None without validation rows."""

    network: nn.Module
    epochs: int
    best_epoch: int | None
    early_stopped: bool
    history: dict[str, list[float]]


@dataclass(frozen=True)
class _Best:
    epoch: int
    loss: float
    weights: dict[str, Tensor]


class _OnDevice:
    """Examples moved to the device once; a matrix that others have there already is shared."""

    def __init__(self, examples: Examples, device: str, beside: _OnDevice | None = None) -> None:
        self.inputs: Resident = Resident(examples.inputs, device, beside=beside.inputs if beside else None)
        self.targets = torch.from_numpy(examples.targets).to(device)
        self.weights = torch.from_numpy(examples.weights.astype("float32")).to(device)

    def losses(self, network: nn.Module, loss: Loss, rows: Tensor) -> Tensor:
        """(k,) weighted loss of these rows."""
        return loss(network(self.inputs.gather(rows)), self.targets[rows], self.weights[rows])


def train(
    build: Callable[[], nn.Module],
    loss: Loss,
    examples: Examples,
    valid: Examples | None,
    settings: Settings,
    device: str,
) -> Outcome:
    """Build a network and train it.

    Args:
        build: makes the network; called once, under the seed.
        loss: (outputs, targets, weights) to one value per row.
        examples: training rows.
        valid: validation rows; None trains for exactly `settings.epochs` and keeps the last epoch.
        settings: the loop's knobs.
        device: "cpu" or "cuda".

    Raises:
        LossNotFinite: names the epoch, and the batch where a batch is at fault.
    """
    with seeded(settings.seed, device):
        network = build().to(device)
        learnt = _OnDevice(examples, device)
        held_out = None if valid is None else _OnDevice(valid, device, beside=learnt)
        return _fit(network, loss, learnt, held_out, settings, device)


def _fit(
    network: nn.Module, loss: Loss, data: _OnDevice, valid: _OnDevice | None, settings: Settings, device: str
) -> Outcome:
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    order = torch.Generator().manual_seed(settings.seed)
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": [], "learning_rate": []}
    best, early_stopped, epoch = _Best(0, math.inf, {}), False, 0
    for epoch in range(1, settings.epochs + 1):
        rate = settings.learning_rate * learning_rate_factor(epoch, settings)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batches = shuffled(len(data.inputs), settings.batch_size, order, device)
        history["train_loss"].append(_epoch(network, loss, data, batches, optimizer, settings.clip, epoch))
        history["learning_rate"].append(rate)
        if valid is not None:
            found = _mean_loss(network, loss, valid, epoch, device)
            history["val_loss"].append(found)
            if found < best.loss - settings.min_delta:
                best = _Best(epoch, found, {name: value.clone() for name, value in network.state_dict().items()})
            early_stopped = epoch - best.epoch >= settings.patience
        tell(epoch, settings.epochs, "epochs")
        if early_stopped:
            break
    if valid is not None:
        network.load_state_dict(best.weights)
    return Outcome(network.eval(), epoch, best.epoch or None, early_stopped, history)


def learning_rate_factor(epoch: int, settings: Settings) -> float:
    """Share of the learning rate in this epoch (from 1): a straight warm-up, then half a cosine down to zero.

    Loshchilov and Hutter 2017, equation 5, without restarts, after Goyal et al. 2017's gradual warm-up.
    """
    warm = settings.warmup_epochs
    if epoch <= warm:
        return epoch / (warm + 1)
    whole = max((settings.schedule_epochs or settings.epochs) - warm, 1)
    return 0.5 * (1 + math.cos(math.pi * min((epoch - 1 - warm) / whole, 1.0)))


def _epoch(
    network: nn.Module,
    loss: Loss,
    data: _OnDevice,
    batches: list[Tensor],
    optimizer: torch.optim.Optimizer,
    clip: float,
    epoch: int,
) -> float:
    """One pass over the training rows; the mean weighted loss per row as it went."""
    network.train()
    sums = []
    for rows in batches:
        losses = data.losses(network, loss, rows)
        optimizer.zero_grad(set_to_none=True)
        losses.mean().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
        sums.append(losses.detach().sum())
    # Asked once an epoch: asking after every batch would make a GPU wait for it.
    whole = torch.stack(sums).double().cpu()
    if not torch.isfinite(whole).all():
        raise LossNotFinite("the loss", epoch, int((~torch.isfinite(whole)).nonzero()[0]) + 1)
    if not all(bool(torch.isfinite(parameter).all()) for parameter in network.parameters()):
        raise LossNotFinite("a weight", epoch, len(batches))
    return float(whole.sum()) / len(data.inputs)


@torch.no_grad()
def _mean_loss(network: nn.Module, loss: Loss, data: _OnDevice, epoch: int, device: str) -> float:
    network.eval()
    sums = [data.losses(network, loss, rows).sum() for rows in in_order(len(data.inputs), EVALUATION_BATCH, device)]
    mean = float(torch.stack(sums).double().sum()) / len(data.inputs)
    if not math.isfinite(mean):
        raise LossNotFinite("the validation loss", epoch, None)
    return mean


@torch.no_grad()
def outputs(network: nn.Module, inputs: Inputs, device: str) -> NDArray[np.float64]:
    """What the network says of all rows, in order, as float64."""
    network.to(device).eval()
    resident = Resident(inputs, device)
    found = [network(resident.gather(rows)) for rows in in_order(len(resident), EVALUATION_BATCH, device)]
    values: NDArray[np.float64] = torch.cat(found).double().cpu().numpy()
    return values
