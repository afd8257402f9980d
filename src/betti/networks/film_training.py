"""How the trigger network is trained: its loss, its rates by part, and what is watched while it learns.

What does not belong here: the network (`film.py`), and the training loop (`betti.training`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from betti.networks.film import MultiTaskFiLM
from betti.networks.film_fusion import FiLMLayer
from betti.networks.masked import filled, spread
from betti.nn.losses import Objective
from betti.training.optimisation import Group

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from betti.networks.film import MultiTask

__all__ = ["FiLMLearner", "FiLMLoss", "focal", "modulation_told", "parameter_groups", "posterior"]

SURE = 30.0


class FiLMLearner(nn.Module):
    """The network as the training loop sees it: named inputs go in, named tensors come out.

    Args:
        network: with or without FiLM.
    """

    def __init__(self, network: MultiTask) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`trigger_logits` (B, 1) and `max_pct` (B, 1); with FiLM also what the loss and a reader want to know of it.

        These are `gamma_away` (B,), the mean square of gamma - 1, each encoding counting alike, and by encoding the
        mean gamma: `gamma_nbeats`, `gamma_tda`, `gamma_shared` (B,).

        Args:
            inputs: `bars` (B, bars, channels), `topology` (B, columns) and `complexity` (B, indicators).
        """
        said = self.network.answer(inputs["bars"], inputs["topology"], inputs["complexity"])
        named = {"trigger_logits": said.trigger_logits, "max_pct": said.max_pct}
        if said.modulations:
            gammas = {name: modulation.gamma for name, modulation in said.modulations.items()}
            away = torch.stack([((gamma - 1) ** 2).mean(dim=1) for gamma in gammas.values()])
            named["gamma_away"] = away.mean(dim=0)
            named |= {f"gamma_{name}": gamma.mean(dim=1) for name, gamma in gammas.items()}
        return named


def focal(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    """Binary focal loss in nats per row: (1 - p)^gamma x -log p, p the probability of what is true.

    Lin et al. 2017, "Focal loss for dense object detection", equation 4.

    Args:
        logits: (B,) log odds.
        targets: (B,) 0 or 1.
        gamma: how much sure rows are forgotten; 0 is the cross-entropy.

    >>> focal(torch.zeros(1), torch.ones(1), 2.0).div(torch.tensor(2.0).log()).tolist()
    [0.25]
    """
    toward = logits * (2 * targets - 1)
    # By logarithms: 1 - p rounds to 0 for a sure row, where a power below 1 has an infinite slope.
    return (gamma * functional.logsigmoid(-toward)).exp() * -functional.logsigmoid(toward)


def posterior(logits: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    """The probability behind log odds that were learnt with a focal loss.

    That loss is least at log odds nearer to 0 than the truth's. Where its expected slope is 0, the true odds are those
    of its slopes on either side (Charoenphakdee et al. 2021, "On focal loss for class-posterior probability
    estimation: a theoretical perspective").

    Args:
        logits: (n,) log odds.
        gamma: of the loss; 0 is the cross-entropy, whose log odds are true.

    >>> posterior(np.array([0.0, 1.0]), gamma=2.0).round(3).tolist()
    [0.5, 0.936]
    """
    # Beyond, every answer is 0 or 1 to the last digit that anybody reads, and exponentials overflow.
    odds = np.clip(logits, -SURE, SURE)
    chance: NDArray[np.float64] = 1 / (1 + np.exp(_slope(odds, gamma) - _slope(-odds, gamma) - odds))
    return chance


def _slope(odds: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    """(n,) log of the focal loss's slope in log p over that of the cross-entropy, at p = sigmoid(odds)."""
    entropy = np.logaddexp(0, -odds)
    slope: NDArray[np.float64] = np.log1p(gamma * np.exp(odds) * entropy) - gamma * np.logaddexp(0, odds)
    return slope


class FiLMLoss(Objective):
    """Focal loss of the trigger, squared error of the move where there is one, and a pull of gamma to 1.

    Args:
        focal_gamma: of the focal loss.
        trigger_weight: of the focal loss.
        max_pct_weight: of the squared error in per cent squared, averaged over the rows with a trigger alone: how far
            price went where it went nowhere is no answer.
        gamma_pull: of the mean square of gamma - 1.
    """

    def __init__(
        self,
        focal_gamma: float = 2.0,
        trigger_weight: float = 1.0,
        max_pct_weight: float = 0.5,
        gamma_pull: float = 0.01,
    ) -> None:
        super().__init__()
        self.focal_gamma, self.gamma_pull = focal_gamma, gamma_pull
        self.trigger_weight, self.max_pct_weight = trigger_weight, max_pct_weight

    def forward(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], weights: Tensor) -> Tensor:
        """(B,) losses.

        Args:
            outputs: by `FiLMLearner`.
            targets: `classes` (B,) 0 or 1, and `max_pct` (B,) in per cent, NaN where the label does not say.
            weights: (B,) row weights.
        """
        trigger = targets["classes"].float()
        losses = self.trigger_weight * weights * focal(outputs["trigger_logits"][:, 0], trigger, self.focal_gamma)
        moved, told = filled(targets["max_pct"].float())
        errors = (outputs["max_pct"][:, 0] - moved) ** 2
        losses = losses + self.max_pct_weight * spread(errors, told & (trigger > 0), weights)
        return losses + self.gamma_pull * outputs["gamma_away"] if "gamma_away" in outputs else losses


def modulation_told(learner: FiLMLearner, batch: Mapping[str, Tensor]) -> dict[str, float]:
    """Mean and deviation of gamma and beta over a batch, by encoding; nothing without FiLM."""
    if not isinstance(learner.network, MultiTaskFiLM):
        return {}
    told = {}
    for name, found in learner.network.modulation_statistics(batch["complexity"]).items():
        told[f"gamma_mean_{name}"], told[f"gamma_std_{name}"] = found.gamma_mean, found.gamma_std
        told[f"beta_mean_{name}"], told[f"beta_std_{name}"] = found.beta_mean, found.beta_std
    return told


def parameter_groups(network: nn.Module, film_rate: float) -> list[Group]:
    """The FiLM layers, which begin by doing nothing, at a higher rate; all else follows the run's.

    Their weights do not decay: decay would pull gamma to 0, and the loss pulls it to 1.

    Args:
        network: holds FiLM layers, or none.
        film_rate: their learning rate.
    """
    layers = [module for module in network.modules() if isinstance(module, FiLMLayer)]
    if not layers:
        return []
    return [Group(tuple(one for layer in layers for one in layer.parameters()), film_rate, 0.0)]
