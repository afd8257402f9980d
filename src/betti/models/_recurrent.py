"""What the recurrent classifiers share: their knobs and their network, but for the kind of its layers.

What does not belong here: the layers (`betti.nn.recurrent`), and the loop's knobs (`_torch.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from betti.models import _torch
from betti.models._search import Real, Whole
from betti.nn.recurrent import RecurrentNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from betti.models._checks import Bounds
    from betti.models._search import Choice

__all__ = ["BOUNDS", "RecurrentModel"]

BOUNDS: Bounds = {
    **_torch.TorchClassifier.BOUNDS,
    "hidden": (1, 1e5),
    "layers": (1, 100),
    "dropout": (0, 0.95),
    "length": (1, 1e5),
}


class RecurrentModel(_torch.TorchClassifier):
    """`RecurrentNetwork` trained by the one torch loop on windows of (n, length, features).

    Attributes:
        LAYERS: the kind of its layers.
    """

    LAYERS: ClassVar[type[nn.LSTM | nn.GRU]]
    KNOBS: ClassVar[Mapping[str, Any]] = {
        "hidden": 128,
        "layers": 2,
        "dropout": 0.3,
        "length": 30,  # rows in a window
    }
    BOUNDS: ClassVar[Bounds] = BOUNDS
    SMALL: ClassVar[Mapping[str, Any]] = {**_torch.SMALL, "hidden": 16, "layers": 1, "length": 4, "dropout": 0.1}
    SEARCH: ClassVar[Mapping[str, Choice]] = {
        "learning_rate": Real(1e-4, 1e-2, log=True),
        "hidden": Whole(16, 256, log=True),
        "layers": Whole(1, 3),
        "dropout": Real(0.0, 0.5),
        "weight_decay": Real(1e-6, 1e-1, log=True),
    }

    def network(self, shape: _torch.Shape) -> nn.Module:
        """As many layers as configured, and the head."""
        sizes = (self.config[name] for name in ("hidden", "layers", "dropout"))
        return RecurrentNetwork(self.LAYERS, shape.features, shape.classes, *sizes)
