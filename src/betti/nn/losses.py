"""Losses that several models share. A loss takes outputs, targets and row weights, and gives one value per row.

`LOSSES` has those of classifiers by name: a model has the knobs in `BOUNDS` and asks `chosen`. Rows are averaged by the
training loop, which knows how many rows an epoch has. A loss that learns or remembers something is an `Objective`. What
does not belong here: how several losses are balanced against each other (`betti.networks`), and class weights
(`betti.models._weights`), which come in with the row weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from betti.errors import BadModelInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "BOUNDS",
    "LOSSES",
    "CrossEntropy",
    "Focal",
    "Loss",
    "Objective",
    "Stateless",
    "chosen",
    "objective_of",
    "weighted_cross_entropy",
]

DEFAULT = "cross_entropy"


def weighted_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weight times negative log probability of the true class, in nats, per row.

    Args:
        logits: (B, classes) unnormalised.
        targets: (B,) int64 classes.
        weights: (B,) row weights; weights of mean 1 leave the scale of the loss as it is.

    Returns:
        (B,) not averaged.

    >>> import torch
    >>> logits = torch.zeros(2, 2)
    >>> weighted_cross_entropy(logits, torch.tensor([0, 1]), torch.tensor([1.0, 2.0])).mul(1000).round().tolist()
    [693.0, 1386.0]
    """
    return weights * functional.cross_entropy(logits, targets, reduction="none")


@dataclass(frozen=True)
class Loss(ABC):
    """A classifier's loss; its fields are its knobs, named as in a model's configuration."""

    @abstractmethod
    def __call__(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """(B, classes) logits, (B,) int64 classes and (B,) row weights to (B,) values, not averaged."""


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """`weighted_cross_entropy`."""

    def __call__(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """As `weighted_cross_entropy`."""
        return weighted_cross_entropy(logits, targets, weights)


@dataclass(frozen=True)
class Focal(Loss):
    """Cross-entropy that forgets rows which are already right: -a (1 - p)^gamma log p, p that of the true class.

    Lin et al. 2017, "Focal loss for dense object detection", equation 5, with the softmax in the sigmoid's place; the
    row weight is its alpha. Gamma 0 is cross-entropy; the paper found 2 best.
    """

    focal_gamma: float = 2.0

    def __call__(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Focal loss per row, in nats before the factor.

        >>> even = torch.zeros(1, 2)
        >>> float(Focal(2.0)(even, torch.tensor([0]), torch.ones(1)) / torch.tensor(2.0).log())
        0.25
        """
        true = targets[:, None] == torch.arange(logits.shape[1], device=logits.device)
        # log(1 - p) from the other classes' logits: 1 - p itself rounds to 0 for a sure row, and there the power has
        # an infinite slope where gamma < 1.
        rest = logits.masked_fill(true, -torch.inf).logsumexp(dim=1) - logits.logsumexp(dim=1)
        entropy = functional.cross_entropy(logits, targets, reduction="none")
        return weights * ((self.focal_gamma * rest).exp() * entropy)


LOSSES: dict[str, type[Loss]] = {DEFAULT: CrossEntropy, "focal": Focal}
# What the knobs of losses take, for a model's own BOUNDS.
BOUNDS: dict[str, tuple[float, float] | tuple[str, ...]] = {"loss": tuple(LOSSES), "focal_gamma": (0.0, 10.0)}


def chosen(model: str, config: Mapping[str, Any]) -> Loss:
    """The loss that a configuration names by `loss`, with its knobs; cross-entropy where it names none.

    Raises:
        BadModelInput: a knob of another loss is set, which would do nothing.

    >>> chosen("Lstm", {"loss": "focal", "focal_gamma": 1.5})
    Focal(focal_gamma=1.5)
    """
    name = config.get("loss", DEFAULT)
    own = {field.name for field in fields(LOSSES[name])}
    stray = [f"{knob} = {config[knob]!r}" for knob in BOUNDS if knob in config and knob not in {*own, "loss"}]
    if stray:
        raise BadModelInput(model, f"{', '.join(stray)} with the loss {name}", "Leave it out, or change `loss`")
    return LOSSES[name](**{knob: config[knob] for knob in own if knob in config})


# Losses with a state -----------------------------------------------------------------------------------------------


class Objective(nn.Module, ABC):
    """A loss with a state: several losses that balance themselves, scales that are learnt, means that are remembered.

    Subclass it and give `forward`. Its parameters learn with the network's, without weight decay; what it remembers
    belongs into buffers, so that a training that was interrupted goes on with it. `self.training` is false while
    validation rows are judged: nothing may be remembered of those.
    """

    @abstractmethod
    def forward(self, outputs: Any, targets: Any, weights: Tensor) -> Tensor:
        """Outputs and targets of k rows and (k,) row weights to (k,) values, not averaged, or to one scalar."""

    def epoch_ended(self) -> Mapping[str, float]:
        """Called after the training rows of each epoch, before validation rows are judged.

        Returns:
            Numbers by name for the history, the same names each time, such as each loss's share of the whole.
        """
        return {}


class Stateless(Objective):
    """A loss that is only a function, as an objective."""

    def __init__(self, loss: Callable[[Any, Any, Tensor], Tensor]) -> None:
        super().__init__()
        self._loss = loss

    def forward(self, outputs: Any, targets: Any, weights: Tensor) -> Tensor:
        """What the function says."""
        return self._loss(outputs, targets, weights)


def objective_of(loss: Objective | Callable[[Any, Any, Tensor], Tensor]) -> Objective:
    """The loss itself where it is an objective, else a `Stateless` around it.

    Raises:
        BadModelInput: it wants to know when an epoch ends and is no objective: nobody would tell it.
    """
    if isinstance(loss, Objective):
        return loss
    if hasattr(loss, "epoch_ended"):
        raise BadModelInput(type(loss).__name__, "it has epoch_ended and is no Objective", "Make it a subclass of one")
    return Stateless(loss)
