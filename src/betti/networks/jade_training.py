"""How the expansion network is trained: pointers, type, mask and countdown, each where the label asks it, balanced.

What does not belong here: how they are balanced (`balancing.py`), and the labels (`betti.labelling.expansion`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from betti.networks.balancing import LOSSES, SHARES, Balancer, InitialLossNormalizer
from betti.networks.jade import COUNTDOWN_UNIT
from betti.networks.masked import filled, spread
from betti.nn.losses import Objective
from betti.training.optimisation import Group

if TYPE_CHECKING:
    from collections.abc import Mapping

    from betti.networks.jade import JadeCompact

__all__ = ["COLUMNS", "ExpansionTargets", "JadeLearner", "JadeLoss", "parameter_groups", "raw_losses", "unfold"]

# Of a row of the target `expansion`.
COLUMNS = ("start", "end", "type", "begun", "ahead")


class ExpansionTargets(NamedTuple):
    """What B windows ask; NaN is not asked.

    Attributes:
        mask: (B, length) 1 from the expansion's first bar to its last, else 0.
        countdown: (B, length) bars until it starts.
        pointers: (B, 2) centre and length as shares of the window.
        type: (B,) 0, 1 or 2.
    """

    mask: Tensor
    countdown: Tensor
    pointers: Tensor
    type: Tensor


def unfold(labels: Mapping[str, Tensor], length: int) -> ExpansionTargets:
    """Rows of the target `expansion` as what each bar is asked: `betti.labelling.expansion.sequences` on a device.

    A batch is unfolded when it comes, so that training holds six numbers a window and not two hundred.

    Args:
        labels: (B,) float tensors of `COLUMNS`.
        length: bars in a window.
    """
    start, end = labels["start"].float()[:, None], labels["end"].float()[:, None]
    begun, ahead = labels["begun"][:, None] > 0, labels["ahead"][:, None] > 0
    bars = torch.arange(length, device=start.device, dtype=start.dtype)
    inside = ~start.isnan() & ~begun & ~ahead
    # Comparisons with the NaN of a window without an expansion are false.
    mask = (bars >= start) & (bars <= end) & ~ahead
    nothing = torch.tensor(torch.nan, device=start.device)
    pointers = torch.cat([(start + end) / 2 / (length - 1), (end - start + 1) / length], dim=1)
    return ExpansionTargets(
        mask.float(),
        torch.where(inside | ahead, start - bars, nothing),
        torch.where(inside, pointers, nothing),
        torch.where((inside | ahead)[:, 0], labels["type"].float(), nothing),
    )


class JadeLearner(nn.Module):
    """The network as the training loop sees it: with its log sigmas among what it says.

    Args:
        network: with all heads.
    """

    def __init__(self, network: JadeCompact) -> None:
        super().__init__()
        self.network = network

    def forward(self, bars: Tensor) -> dict[str, Tensor]:
        """What `JadeCompact` says of (B, length, columns), and `log_sigmas` (B, 4), the same in each row.

        Without `expansion_binary`: whoever wants it has the log odds, and answers for all windows at once are large.
        """
        said: dict[str, Tensor] = self.network(bars)
        said.pop("expansion_binary")
        return {**said, "log_sigmas": self.network.log_sigmas().expand(len(bars), -1)}


def parameter_groups(network: JadeCompact, sigma_rate: float) -> list[Group]:
    """The log sigmas at a rate of their own, without decay; all else follows the run's.

    Four numbers that have to travel by two or three would take thousands of steps at a network's rate.

    Args:
        network: owns the log sigmas.
        sigma_rate: their learning rate.
    """
    own = (network.log_sigma_ptr, network.log_sigma_type, network.log_sigma_binary, network.log_sigma_countdown)
    return [Group(own, sigma_rate, 0.0)]


class JadeLoss(Objective):
    """The balanced sum of four losses, one value a window.

    Huber with delta 1 on pointers and on the countdown (in units of 30 bars), cross-entropy in nats on each bar's mask
    and on the type; each averaged over the windows that ask it. Validation is judged by one fixed yardstick, the
    wanted shares over the first epoch's mean losses: factors that move would hide whether the network gets better.

    Args:
        balancer: finds the factors; None takes `InitialLossNormalizer`.
        shares: the wanted ones, for the yardstick.
    """

    contributions: Tensor

    def __init__(self, balancer: Balancer | None = None, shares: tuple[float, ...] = SHARES) -> None:
        super().__init__()
        self.balancer = balancer or InitialLossNormalizer(shares)
        self.yardstick = InitialLossNormalizer(shares)
        self.register_buffer("contributions", torch.zeros(len(LOSSES)))

    def forward(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], weights: Tensor) -> Tensor:
        """(B,) losses.

        Args:
            outputs: by `JadeLearner`.
            targets: `COLUMNS` of the target `expansion`, (B,) each.
            weights: (B,) row weights.
        """
        parts, asked = raw_losses(outputs, unfold(targets, outputs["expansion_binary_logits"].shape[1]))
        rows = torch.stack([spread(part, where, weights) for part, where in zip(parts, asked, strict=True)])
        means, counts, log_sigmas = rows.detach().mean(dim=1), asked.sum(dim=1).float(), outputs["log_sigmas"][0]
        fixed = self.yardstick(means, counts, log_sigmas)
        if not self.training:
            judged: Tensor = fixed.factors @ rows
            return judged
        balance = self.balancer(means, counts, log_sigmas)
        self.contributions += balance.factors.detach() * means * len(weights)
        total: Tensor = balance.factors @ rows + balance.offsets.sum()
        return total

    def epoch_ended(self) -> dict[str, float]:
        """Each loss's share of the epoch's contributions; then it begins to count anew."""
        self.balancer.epoch_ended()
        self.yardstick.epoch_ended()
        whole = self.contributions.sum().clamp_min(torch.finfo(torch.float32).tiny)
        shares = (self.contributions / whole).double().cpu().tolist()
        self.contributions.zero_()
        return {f"share_{name}": share for name, share in zip(LOSSES, shares, strict=True)}


def raw_losses(said: Mapping[str, Tensor], targets: ExpansionTargets) -> tuple[Tensor, Tensor]:
    """The four losses of each window, and whether it asks them; both (4, B), in the order of `LOSSES`."""
    pointers, pointed = filled(targets.pointers)
    countdown, counted = filled(targets.countdown)
    kinds, typed = filled(targets.type)
    masks, masked = filled(targets.mask)
    units = said["expansion_countdown"] / COUNTDOWN_UNIT, countdown / COUNTDOWN_UNIT
    bits = functional.binary_cross_entropy_with_logits(said["expansion_binary_logits"], masks, reduction="none")
    losses = [
        functional.huber_loss(said["pointers"], pointers, reduction="none").mean(dim=1),
        functional.cross_entropy(said["logits"], kinds.long(), reduction="none"),
        bits.mean(dim=1),
        functional.huber_loss(*units, reduction="none").mean(dim=1),
    ]
    return torch.stack(losses), torch.stack([pointed.all(1), typed, masked.all(1), counted.all(1)])
