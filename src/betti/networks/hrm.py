"""A hierarchical reasoning model over windows of a market: a slow module guides a fast one, which a context modulates.

What does not belong here: the conditioning (`betti.networks.conditioning`), and training (`betti.models.hrm`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from betti.errors import BadModelInput
from betti.networks.conditioning.config import ConditioningConfig
from betti.networks.conditioning.film import Modulation, modulated
from betti.networks.conditioning.system import ConditioningSystem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HierarchicalReasoningModel", "HrmConfig", "ReasoningModule", "StackConfig"]

NAME = "HierarchicalReasoningModel"


@dataclass(frozen=True)
class StackConfig:
    """A stack of transformer blocks; the feed-forward layer inside is four times as wide as the stack."""

    width: int
    layers: int
    heads: int


@dataclass(frozen=True)
class HrmConfig:
    """What the model is made of; the defaults are its full size.

    Attributes:
        token_features: numbers in a row of the window, which becomes a token.
        classes: logits that go out: 3 for a direction, 2 for a trigger.
        high: the slow module.
        low: the fast module, whose tokens are modulated.
        high_cycles: updates of the slow module.
        low_steps: updates of the fast module in each of them.
        dropout: share of activations set to zero in training.
        conditioning: the conditioning system; its `film.target_dim` is the fast module's width.
    """

    token_features: int = 40
    classes: int = 3
    high: StackConfig = StackConfig(width=384, layers=4, heads=6)
    low: StackConfig = StackConfig(width=512, layers=4, heads=8)
    high_cycles: int = 2
    low_steps: int = 2
    dropout: float = 0.1
    conditioning: ConditioningConfig = field(default_factory=ConditioningConfig)

    def __post_init__(self) -> None:
        for name in ("token_features", "high_cycles", "low_steps"):
            if getattr(self, name) < 1:
                raise BadModelInput(NAME, f"{name} = {getattr(self, name)}", "It takes 1 or more")
        if self.classes < 2:
            raise BadModelInput(NAME, f"classes = {self.classes}", "It takes 2 or more")
        for stack in (self.high, self.low):
            if min(stack.width, stack.layers, stack.heads) < 1 or stack.width % (2 * stack.heads):
                raise BadModelInput(NAME, f"{stack}", "Give an even width for each of its heads, and a layer at least")
        if self.conditioning.film.target_dim != self.low.width:
            found = f"film.target_dim = {self.conditioning.film.target_dim}, low.width = {self.low.width}"
            raise BadModelInput(NAME, found, "Give both the same width: modulation acts on the fast module's tokens")

    @classmethod
    def small(cls, token_features: int, classes: int, conditioning: ConditioningConfig | None = None) -> HrmConfig:
        """A size for a CPU: 32 and 48 wide, one layer each; the modulation's width follows."""
        return cls(
            token_features,
            classes,
            high=StackConfig(width=32, layers=1, heads=4),
            low=StackConfig(width=48, layers=1, heads=4),
            conditioning=_widened(conditioning or ConditioningConfig(), 48),
        )

    @classmethod
    def full(cls, token_features: int, classes: int, conditioning: ConditioningConfig | None = None) -> HrmConfig:
        """The full size: 384 and 512 wide, four layers each."""
        return cls(token_features, classes, conditioning=_widened(conditioning or ConditioningConfig(), 512))


def _widened(conditioning: ConditioningConfig, width: int) -> ConditioningConfig:
    return replace(conditioning, film=replace(conditioning.film, target_dim=width))


class ReasoningModule(nn.Module):
    """A stack of transformer blocks (Vaswani et al. 2017): attention over all tokens, then a feed-forward layer.

    Normalisation stands after each sum, as in the paper: a state that is fed back must not grow with every step. A
    block has 12 width^2 + 13 width parameters.
    """

    def __init__(self, config: StackConfig, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.width,
                config.heads,
                4 * config.width,
                dropout,
                activation="gelu",
                batch_first=True,
            )
            for _ in range(config.layers)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, width) to (B, T, width)."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens


class HierarchicalReasoningModel(nn.Module):
    """Windows (B, T, token_features) and what conditions them to logits (B, classes).

    Wang et al. 2025, "Hierarchical reasoning model", section 2: in each of `high_cycles` cycles the fast module takes
    `low_steps` steps from its own state, the slow state and the tokens; then the slow module takes one from the fast
    state. Both states start from fixed draws. Only the last step of each is learnt through (their one-step gradient),
    so that memory does not grow with the steps. Before each fast step the tokens are modulated by the context (FiLM).
    The logits are read from the slow state of the last token, which stands at the decision.

    Blocks are the usual ones: attention and a feed-forward layer of four times the width, with LayerNorm and biases,
    where the paper has rotary positions, RMSNorm and gated layers; positions are the usual waves. Since the two modules
    differ in width, a linear map stands each way between them. Left out are halting by a learnt score and supervision
    at several depths. With its defaults it has 20,329,740 parameters: 12,609,536 in the fast module, 7,097,856 in the
    slow one, 205,321 in the conditioning and 417,027 in maps, tokens and head.
    """

    low_start: Tensor
    high_start: Tensor

    def __init__(self, config: HrmConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HrmConfig()
        high, low = config.high, config.low
        self.tokens = nn.Linear(config.token_features, low.width)
        self.high_to_low = nn.Linear(high.width, low.width)
        self.low_to_high = nn.Linear(low.width, high.width)
        self.high = ReasoningModule(high, config.dropout)
        self.low = ReasoningModule(low, config.dropout)
        self.conditioning = ConditioningSystem(config.conditioning)
        self.head = nn.Sequential(
            nn.LayerNorm(high.width), nn.Dropout(config.dropout), nn.Linear(high.width, config.classes)
        )
        self.register_buffer("high_start", nn.init.trunc_normal_(torch.empty(high.width)))
        self.register_buffer("low_start", nn.init.trunc_normal_(torch.empty(low.width)))

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits (B, classes).

        Args:
            inputs: `tokens` (B, T, token_features), and what `ConditioningSystem` takes.

        Raises:
            BadModelInput: there are no such tokens, or features that an enabled path needs are not there.
        """
        if "tokens" not in inputs:
            raise BadModelInput(NAME, f"inputs {', '.join(inputs) or 'none'}", "Give `tokens` (B, T, token_features)")
        rows = inputs["tokens"]
        if rows.ndim != 3 or rows.shape[2] != self.config.token_features:
            wanted = f"It takes (B, T, {self.config.token_features})"
            raise BadModelInput(NAME, f"tokens of {tuple(rows.shape)}", wanted)
        modulation = self.conditioning.film_layer.get_params(self.conditioning(inputs))
        tokens = self.tokens(rows)
        tokens = tokens + _positions(tokens)
        low, high = self._before_the_last(tokens, modulation)
        low = self._low_step(low, high, tokens, modulation)
        high = self._high_step(low, high)
        logits: Tensor = self.head(high[:, -1])
        return logits

    @torch.no_grad()
    def _before_the_last(self, tokens: Tensor, modulation: Modulation) -> tuple[Tensor, Tensor]:
        """Both states before the last step of each, through which nothing is learnt."""
        low = self.low_start.expand(tokens.shape)
        high = self.high_start.expand(*tokens.shape[:2], -1)
        for cycle in range(1, self.config.high_cycles + 1):
            last = cycle == self.config.high_cycles
            for _ in range(self.config.low_steps - last):
                low = self._low_step(low, high, tokens, modulation)
            if not last:
                high = self._high_step(low, high)
        return low, high

    def _low_step(self, low: Tensor, high: Tensor, tokens: Tensor, modulation: Modulation) -> Tensor:
        state: Tensor = self.low(modulated(low + self.high_to_low(high) + tokens, modulation))
        return state

    def _high_step(self, low: Tensor, high: Tensor) -> Tensor:
        state: Tensor = self.high(high + self.low_to_high(low))
        return state


def _positions(tokens: Tensor) -> Tensor:
    """(T, width) sines and cosines of each token's place (Vaswani et al. 2017, section 3.5)."""
    places = torch.arange(tokens.shape[1], device=tokens.device, dtype=torch.float32)
    rates = torch.arange(0, tokens.shape[2], 2, device=tokens.device, dtype=torch.float32)
    angles = places[:, None] * torch.exp(-math.log(10_000.0) / tokens.shape[2] * rates)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1).to(tokens.dtype)
