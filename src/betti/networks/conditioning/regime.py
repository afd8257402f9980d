"""Which regime a market is in: the classifier, and the names of the regimes.

What does not belong here: the rules that make regimes to learn from, and what makes them steady (`regimes.py`).
"""

from __future__ import annotations

from torch import Tensor, nn

from betti.errors import BadModelInput

__all__ = ["REGIMES", "RegimeClassifier"]

REGIMES = (
    *("low_vol", "high_vol", "trending", "mean_reverting"),
    *("ssr_active", "luld_active", "illiquid", "normal"),
)
HIDDEN = 128


class RegimeClassifier(nn.Module):
    """(B, input_dim) descriptions of a market to (B, num_regimes) logits.

    Two hidden layers of 128; 20,744 parameters from 20 numbers to 8 regimes, with the LayerNorms. The numbers are the
    feature set `regime` as `regimes.against_own_past` gives it.
    """

    def __init__(self, input_dim: int = 20, num_regimes: int = 8) -> None:
        """Take at most as many regimes as there are names.

        Raises:
            BadModelInput: more regimes than names, or fewer than two.
        """
        if not 2 <= num_regimes <= len(REGIMES):
            raise BadModelInput("RegimeClassifier", f"num_regimes = {num_regimes}", f"It takes 2 to {len(REGIMES)}")
        super().__init__()
        self.num_regimes = num_regimes
        self.layers = nn.Sequential(
            *(nn.Linear(input_dim, HIDDEN), nn.LayerNorm(HIDDEN), nn.GELU()),
            *(nn.Linear(HIDDEN, HIDDEN), nn.LayerNorm(HIDDEN), nn.GELU()),
            nn.Linear(HIDDEN, num_regimes),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, input_dim) to (B, num_regimes)."""
        logits: Tensor = self.layers(features)
        return logits

    def get_regime_names(self) -> list[str]:
        """The names of the regimes, in the order of the logits."""
        return list(REGIMES[: self.num_regimes])
