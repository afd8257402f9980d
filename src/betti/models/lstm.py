"""A long short-term memory network over windows of scaled features (Hochreiter and Schmidhuber 1997)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import nn

from betti.models import ModelRegistry, _recurrent

if TYPE_CHECKING:
    from betti.models._checks import Bounds

__all__ = ["Lstm"]

BOUNDS: Bounds = _recurrent.BOUNDS


@ModelRegistry.register("lstm", family="neural", description="stacked LSTM over windows, head on the last state")
class Lstm(_recurrent.RecurrentModel):
    """Stacked LSTM layers and a head on the last state."""

    NAME: ClassVar[str] = "lstm"
    LAYERS: ClassVar[type[nn.LSTM]] = nn.LSTM
