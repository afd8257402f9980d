"""How weights are moved: AdamW over groups of parameters, and the learning rate of each epoch.

What does not belong here: gradients (`engine.py`), and when training stops (`loop.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from betti.errors import BadModelInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from betti.training.loop import Settings

__all__ = ["SCHEDULES", "Group", "adamw", "cosine", "plateau", "rate_factor", "set_rates"]

SCHEDULES = ("cosine", "plateau")


@dataclass(frozen=True)
class Group:
    """Parameters that learn at a rate of their own.

    Attributes:
        parameters: each in one group alone; those in none form the last group, with the run's rates.
        learning_rate: at its highest; None takes the run's. All groups follow one schedule.
        weight_decay: None takes the run's.
    """

    parameters: tuple[nn.Parameter, ...]
    learning_rate: float | None = None
    weight_decay: float | None = None


def adamw(network: nn.Module, objective: nn.Module, groups: Sequence[Group], settings: Settings) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019) over everything that may learn; `initial_lr` of a group is its highest rate.

    What the objective learns itself (scales of losses) does not decay: a decay would pull the scales to 1.

    Raises:
        BadModelInput: a parameter stands in two groups, or nothing may learn.
    """
    named = [(one.parameters, one.learning_rate, one.weight_decay) for one in groups]
    taken = {id(parameter) for parameters, _, _ in named for parameter in parameters}
    if len(taken) != sum(len(parameters) for parameters, _, _ in named):
        raise BadModelInput(type(network).__name__, "a parameter stands in two groups", "Put it into one group")
    named.append((tuple(one for one in network.parameters() if id(one) not in taken), None, None))
    named.append((tuple(objective.parameters()), None, 0.0))
    whole = []
    for parameters, rate, decay in named:
        learning = [one for one in parameters if one.requires_grad]
        if learning:
            rate = settings.learning_rate if rate is None else rate
            decay = settings.weight_decay if decay is None else decay
            whole.append({"params": learning, "lr": rate, "initial_lr": rate, "weight_decay": decay})
    if not whole:
        raise BadModelInput(type(network).__name__, "no parameter may learn", "Leave some of them unfrozen")
    return torch.optim.AdamW(whole)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give each group this share of its highest rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def rate_factor(epoch: int, settings: Settings, watched: Sequence[float]) -> float:
    """Share of the learning rate in this epoch, by the schedule that the settings name.

    Args:
        epoch: from 1.
        settings: the loop's.
        watched: what early stopping saw in the epochs before this one, or without validation rows the training loss.
    """
    return cosine(epoch, settings) if settings.schedule == "cosine" else plateau(epoch, settings, watched)


def cosine(epoch: int, settings: Settings) -> float:
    """A straight warm-up, then half a cosine down to zero.

    Loshchilov and Hutter 2017, equation 5, without restarts, after Goyal et al. 2017's gradual warm-up.
    """
    warm = settings.warmup_epochs
    if epoch <= warm:
        return epoch / (warm + 1)
    whole = max((settings.schedule_epochs or settings.epochs) - warm, 1)
    return 0.5 * (1 + math.cos(math.pi * min((epoch - 1 - warm) / whole, 1.0)))


def plateau(epoch: int, settings: Settings, watched: Sequence[float]) -> float:
    """A straight warm-up, then a cut by `plateau_factor` after each `plateau_patience` + 1 epochs without a gain.

    The rule of `torch.optim.lr_scheduler.ReduceLROnPlateau` with an absolute threshold of `min_delta`. It follows from
    the values alone, so that a training that goes on after an interruption needs no state for it.
    """
    best, idle, factor = math.inf, 0, 1.0
    for value in watched:
        if value < best - settings.min_delta:
            best, idle = value, 0
        else:
            idle += 1
        if idle > settings.plateau_patience:
            factor, idle = factor * settings.plateau_factor, 0
    return factor * min(epoch / (settings.warmup_epochs + 1), 1.0)
