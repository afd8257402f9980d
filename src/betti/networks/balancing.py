"""How the expansion network's four losses share the total: pointers 70 %, type, mask and countdown 10 % each.

Their raw scales differ eighty-fold, so each balancer finds factors for them. A loss's contribution is its factor times
its value, its share that of all contributions. What does not belong here: the losses themselves (`jade_training.py`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = [
    "BALANCERS",
    "LOSSES",
    "SHARES",
    "Balance",
    "Balancer",
    "FixedScales",
    "InitialLossNormalizer",
    "KendallUncertainty",
    "RunningLossNormalizer",
    "StagedNormalizer",
]

LOSSES = ("pointers", "type", "binary", "countdown")
SHARES = (0.7, 0.1, 0.1, 0.1)
INITIAL_EPOCHS = 15
MEMORY = 0.9
SMALLEST = 1e-8  # a loss below is as good as none, and would be divided by


class Balance(NamedTuple):
    """The total is the sum of factors x losses + offsets; both (4,), in the order of `LOSSES`."""

    factors: Tensor
    offsets: Tensor


class Balancer(nn.Module, ABC):
    """Finds the factors of a batch."""

    @abstractmethod
    def forward(self, losses: Tensor, asked: Tensor, log_sigmas: Tensor) -> Balance:
        """The factors of this batch; in training mode it may learn from the batch first.

        Args:
            losses: (4,) mean losses of the batch, without gradients; 0 where nothing is asked.
            asked: (4,) how many rows ask each.
            log_sigmas: (4,) of the network; only one balancer looks at them.
        """

    def epoch_ended(self) -> None:
        """An epoch of training is over."""


class InitialLossNormalizer(Balancer):
    """Divides each loss by its mean over the first epoch; within that epoch by its mean so far.

    Args:
        shares: of the total, in the order of `LOSSES`.
    """

    shares: Tensor
    sums: Tensor
    counts: Tensor
    settled: Tensor

    def __init__(self, shares: tuple[float, ...] = SHARES) -> None:
        super().__init__()
        self.register_buffer("shares", torch.tensor(shares), persistent=False)
        self.register_buffer("sums", torch.zeros(len(LOSSES)))
        self.register_buffer("counts", torch.zeros(len(LOSSES)))
        self.register_buffer("settled", torch.zeros((), dtype=torch.bool))

    def forward(self, losses: Tensor, asked: Tensor, log_sigmas: Tensor) -> Balance:  # noqa: ARG002
        """Shares over mean losses; 0 for a loss that was never asked."""
        if self.training:
            # By arithmetic, not by a branch: a GPU need not wait for the answer.
            learning = asked * ~self.settled
            self.sums += losses * learning
            self.counts += learning
        means = (self.sums / self.counts.clamp_min(1)).clamp_min(SMALLEST)
        return Balance(self.shares / means * (self.counts > 0), torch.zeros_like(means))

    def epoch_ended(self) -> None:
        """The first epoch settles it."""
        self.settled.fill_(True)


class RunningLossNormalizer(Balancer):
    """Divides each loss by its running mean, so that shares stay what they are while losses fall at different speeds.

    Args:
        shares: of the total, in the order of `LOSSES`.
        memory: share of the running mean that a batch leaves in place.
    """

    shares: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(self, shares: tuple[float, ...] = SHARES, memory: float = MEMORY) -> None:
        super().__init__()
        self.memory = memory
        self.register_buffer("shares", torch.tensor(shares), persistent=False)
        self.register_buffer("sums", torch.zeros(len(LOSSES)))
        self.register_buffer("counts", torch.zeros(len(LOSSES)))

    def forward(self, losses: Tensor, asked: Tensor, log_sigmas: Tensor) -> Balance:  # noqa: ARG002
        """Shares over running means; 0 for a loss that was never asked."""
        if self.training:
            # A loss that this batch does not ask keeps its mean.
            kept = torch.where(asked > 0, self.memory, 1.0)
            self.sums.copy_(kept * self.sums + losses * asked)
            self.counts.copy_(kept * self.counts + asked)
        means = (self.sums / self.counts.clamp_min(1)).clamp_min(SMALLEST)
        return Balance(self.shares / means * (self.counts > 0), torch.zeros_like(means))


class StagedNormalizer(Balancer):
    """`InitialLossNormalizer` for the first epochs, `RunningLossNormalizer` from then on.

    Pointers are learnt within a few epochs. A running mean keeps their share all the same, and the pull of a squared
    error held at one value grows as one over the error: on planted expansions it was 900 times the type's after six
    epochs, and the projection that both heads read had lost the type, which the encoder still told. Over the first
    epoch's means a loss that is learnt steps back, so that the others are learnt too; what is learnt by then, the
    running means keep, and bring the shares to where they are wanted.

    Args:
        shares: of the total, in the order of `LOSSES`.
        initial_epochs: how many are the first.
        memory: share of the running mean that a batch leaves in place.
    """

    epochs: Tensor

    def __init__(
        self, shares: tuple[float, ...] = SHARES, initial_epochs: int = INITIAL_EPOCHS, memory: float = MEMORY
    ) -> None:
        super().__init__()
        self.initial_epochs = initial_epochs
        self.first = InitialLossNormalizer(shares)
        self.later = RunningLossNormalizer(shares, memory)
        self.register_buffer("epochs", torch.zeros((), dtype=torch.int64))

    def forward(self, losses: Tensor, asked: Tensor, log_sigmas: Tensor) -> Balance:
        """Those of the balancer whose turn it is; the running means are warm when theirs comes."""
        first, later = self.first(losses, asked, log_sigmas), self.later(losses, asked, log_sigmas)
        factors = torch.where(self.epochs < self.initial_epochs, first.factors, later.factors)
        return Balance(factors, torch.zeros_like(factors))

    def epoch_ended(self) -> None:
        """Counts it."""
        self.first.epoch_ended()
        self.epochs += 1


class _Bounded(torch.autograd.Function):
    """Clamp whose gradient is cut only where following it would lead further out: a bound holds nobody for good."""

    @staticmethod
    def forward(ctx, values: Tensor, low: Tensor, high: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(values, low, high)
        return torch.minimum(torch.maximum(values, low), high)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[no-untyped-def]
        values, low, high = ctx.saved_tensors
        outward = ((values <= low) & (gradient > 0)) | ((values >= high) & (gradient < 0))
        return gradient.masked_fill(outward, 0.0), None, None


class KendallUncertainty(Balancer):
    """Learns a sigma for each loss: share x (loss / (2 sigma^2) + log sigma).

    Kendall, Gal and Cipolla 2018, "Multi-task learning using uncertainty to weigh losses", equation 7. By itself that
    drives every loss to the same contribution, 1/2, where sigma^2 equals the loss; the shares in front make it share/2.
    Bounds keep it from the known failures: without its floor the pointers' sigma collapses and they outshout all, and
    without its ceiling the sigma of an ambiguous type grows until nothing asks for it.

    Args:
        shares: of the total, in the order of `LOSSES`.
        pointer_floor: least sigma of the pointers; at 0.01 their factor stops growing when they err by 1 to 2 bars.
        type_ceiling: largest sigma of the type; guessing evenly has a loss of 1.1 and asks for a sigma of 1.05.
    """

    shares: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self, shares: tuple[float, ...] = SHARES, pointer_floor: float = 0.01, type_ceiling: float = 1.5
    ) -> None:
        super().__init__()
        low = [math.log(pointer_floor) if name == "pointers" else -math.inf for name in LOSSES]
        high = [math.log(type_ceiling) if name == "type" else math.inf for name in LOSSES]
        self.register_buffer("shares", torch.tensor(shares), persistent=False)
        self.register_buffer("low", torch.tensor(low), persistent=False)
        self.register_buffer("high", torch.tensor(high), persistent=False)

    def forward(self, losses: Tensor, asked: Tensor, log_sigmas: Tensor) -> Balance:  # noqa: ARG002
        """Shares / (2 sigma^2), and shares x log sigma beside; a loss that the batch does not ask moves no sigma."""
        bounded: Tensor = _Bounded.apply(log_sigmas, self.low, self.high)  # type: ignore[no-untyped-call]
        shares = self.shares * (asked > 0)
        return Balance(shares * (-2 * bounded).exp() / 2, shares * bounded)


class FixedScales(Balancer):
    """Factors given beforehand; the defaults give the wanted shares at raw losses of .015, 1.22, .84 and .72.

    Args:
        pointers: of the pointers' loss.
        type: of the type's.
        binary: of the mask's.
        countdown: of the countdown's.
    """

    scales: Tensor

    def __init__(
        self,
        pointers: float = 46.7,
        type: float = 0.082,  # noqa: A002  # the loss's name
        binary: float = 0.119,
        countdown: float = 0.139,
    ) -> None:
        super().__init__()
        self.register_buffer("scales", torch.tensor([pointers, type, binary, countdown]), persistent=False)

    def forward(self, losses: Tensor, asked: Tensor, log_sigmas: Tensor) -> Balance:  # noqa: ARG002
        """The scales."""
        return Balance(self.scales, torch.zeros_like(self.scales))


# What a model's configuration calls them.
BALANCERS: dict[str, type[Balancer]] = {
    "initial": InitialLossNormalizer,
    "running": RunningLossNormalizer,
    "staged": StagedNormalizer,
    "kendall": KendallUncertainty,
    "fixed": FixedScales,
}
