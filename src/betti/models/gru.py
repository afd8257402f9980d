"""A gated recurrent unit network over windows of scaled features (Cho et al. 2014)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import nn

from betti.models import ModelRegistry, _recurrent

if TYPE_CHECKING:
    from betti.models._checks import Bounds

__all__ = ["Gru"]

BOUNDS: Bounds = _recurrent.BOUNDS


@ModelRegistry.register("gru", family="neural", description="stacked GRU over windows, head on the last state")
class Gru(_recurrent.RecurrentModel):
    """Stacked GRU layers and a head on the last state."""

    NAME: ClassVar[str] = "gru"
    LAYERS: ClassVar[type[nn.GRU]] = nn.GRU
