"""Learning the expansion network's encoder without labels: bars are hidden, and guessed from those around them.

After He et al. 2022, "Masked autoencoders are scalable vision learners", section 3: only what was hidden counts. Runs
of bars are hidden, since a single one is a blend of its neighbours. Hidden windows must come from the training rows
alone: what an encoder has seen of a later time is a leak. What does not belong here: the network (`jade.py`), and
learning from labels (`jade_training.py`).
"""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from betti.networks.jade import read_encoder, write_encoder
from betti.training import loop

if TYPE_CHECKING:
    from betti.models._protocol import Inputs
    from betti.networks.jade import JadeCompact

__all__ = ["MaskedReconstruction", "pretrain", "read_encoder", "write_encoder"]

SHARE = 0.15
RUN = 5


class MaskedReconstruction(nn.Module):
    """(B, length, columns) to (B,) mean squared errors of hidden bars, which a linear layer guesses from the states.

    Training hides other bars each time. Evaluation hides the same bars in every window, so that errors can be compared.

    Args:
        network: whose encoder learns.
        share: of the bars that are hidden, about.
        run: adjacent bars that are hidden together.
    """

    def __init__(self, network: JadeCompact, share: float = SHARE, run: int = RUN) -> None:
        super().__init__()
        self.share, self.run = share, run
        self.network = network
        self.decoder = nn.Linear(2 * network.lstm.hidden_size, network.input_size)

    def forward(self, bars: Tensor) -> Tensor:
        """How wrong the guesses are; 0 for a window of which nothing was hidden."""
        hidden = self.drawn(bars) if self.training else self.fixed(bars)
        guessed = self.decoder(self.network.encode(bars.masked_fill(hidden[:, :, None], 0.0)))
        errors = ((guessed - bars) ** 2).mean(dim=2) * hidden
        mean: Tensor = errors.sum(dim=1) / hidden.sum(dim=1).clamp_min(1)
        return mean

    def drawn(self, bars: Tensor) -> Tensor:
        """(B, length) whether each bar is hidden: any of the `run` bars up to it begins a run."""
        begins = torch.rand(bars.shape[:2], device=bars.device) < 1 - (1 - self.share) ** (1 / self.run)
        behind = nn.functional.pad(begins, (self.run - 1, 0))
        return behind.unfold(1, self.run, 1).any(dim=2)

    def fixed(self, bars: Tensor) -> Tensor:
        """(B, length): every so many runs one, the first among them."""
        runs = torch.arange(bars.shape[1], device=bars.device) // self.run
        return (runs % max(round(1 / self.share), 1) == 0).expand(len(bars), -1)


def pretrain(
    network: JadeCompact,
    windows: Inputs,
    settings: loop.Settings,
    device: str,
    valid: Inputs | None = None,
) -> loop.Outcome:
    """Teach the network's encoder, in place; its heads stay as they are.

    Args:
        network: of as many columns as the windows.
        windows: (n, length, columns) of training rows, scaled as they will be later.
        settings: the training loop's knobs; labels and rates by part have no place in it.
        device: "cpu" or "cuda".
        valid: windows to stop on.

    Returns:
        How it went. The losses are squared errors, 1 where columns of deviation 1 are guessed by their mean.
    """
    problem = loop.Problem(
        build=partial(_over_a_copy, network),
        loss=_weighted,
        train=_unlabelled(windows),
        valid=None if valid is None else _unlabelled(valid),
    )
    outcome = loop.train(problem, settings, device)
    learnt: nn.Module = outcome.network.get_submodule("network.lstm")
    network.lstm.load_state_dict(learnt.state_dict())
    return outcome


def _over_a_copy(network: JadeCompact) -> MaskedReconstruction:
    """The loop may begin anew, when memory runs out, and must then begin where it began.

    An encoder that labels shall not change learns here all the same.
    """
    judge = MaskedReconstruction(copy.deepcopy(network))
    judge.network.lstm.requires_grad_(True)
    return judge


def _weighted(errors: Tensor, _targets: Tensor, weights: Tensor) -> Tensor:
    return errors * weights


def _unlabelled(windows: Inputs) -> loop.Examples:
    return loop.Examples(windows, np.zeros(len(windows), dtype="int64"), np.ones(len(windows)))
