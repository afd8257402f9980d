"""The dual tower: does what surrounds a market support or oppose its move over the next 7 and 30 days?

One tower reads the context (news, policy, macro), the other the stock's own numbers; two heads, one for each horizon,
read both embeddings and say a score and a direction. All sizes stand in `dual_tower_config.py`; with the defaults the
network has 348,488 parameters. It is trained by the one trainer (`betti.models.dual_tower`); `create_data_loaders` is
for loops of one's own. What does not belong here: losses (`dual_tower_losses.py`), tables (`dual_tower_data.py`).
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from betti.errors import BadModelInput
from betti.networks.dual_tower_config import (
    ConfigManager,
    ContextTowerConfig,
    DataConfig,
    DualTowerModelConfig,
    LossConfig,
    OptimizerConfig,
    RelevanceHeadConfig,
    SchedulerConfig,
    StockTowerConfig,
    TrainingConfig,
)
from betti.networks.dual_tower_losses import (
    DIRECTIONS,
    DualTowerLoss,
    DualTowerOutput,
    EmbeddingMagnitudeLoss,
    RelevanceDirectionLoss,
    RelevanceLabels,
    RelevanceRegressionLoss,
    TowerRegularizationLoss,
    WeightedDualTowerLoss,
    logit_of_class,
)
from betti.training.device import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "CONTEXT_GROUPS",
    "DIRECTIONS",
    "STOCK_GROUPS",
    "ConfigManager",
    "ContextTower",
    "ContextTowerConfig",
    "DataConfig",
    "DualTowerLoss",
    "DualTowerModelConfig",
    "DualTowerOutput",
    "DualTowerRelevanceModel",
    "EmbeddingMagnitudeLoss",
    "LossConfig",
    "OptimizerConfig",
    "RelevanceDirectionLoss",
    "RelevanceHead",
    "RelevanceHeadConfig",
    "RelevanceLabels",
    "RelevanceRegressionLoss",
    "SchedulerConfig",
    "StockTower",
    "StockTowerConfig",
    "TowerRegularizationLoss",
    "TrainingConfig",
    "WeightedDualTowerLoss",
    "count_parameters",
    "create_model",
    "logit_of_class",
    "parameter_groups",
    "predict_with_embeddings",
]

# Columns of the sets `context` and `stock` that say the same kind of thing: the first, and the one after the last.
CONTEXT_GROUPS = {"news": (0, 8), "policy": (8, 13), "macro": (13, 25)}
STOCK_GROUPS = {
    "returns": (0, 9),
    "oscillators": (9, 18),
    "trend": (18, 33),
    "bands": (33, 38),
    "volatility": (38, 51),
    "volume": (51, 62),
}


# Parts -------------------------------------------------------------------------------------------------------------


def _blocks(widths: tuple[int, ...], dropout: float) -> list[nn.Module]:
    """Linear, BatchNorm, ReLU, dropout from each width to the next."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(), nn.Dropout(dropout)]
    return layers


class _Tower(nn.Module):
    """Dense blocks, then a plain linear map to the embedding, which may point anywhere."""

    def __init__(self, config: ContextTowerConfig | StockTowerConfig) -> None:
        super().__init__()
        self.config = config
        widths = (config.input_dim, *config.hidden_dims)
        self.layers = nn.Sequential(*_blocks(widths, config.dropout), nn.Linear(widths[-1], config.embedding_dim))

    def forward(self, features: Tensor) -> Tensor:
        """(B, input_dim) scaled features to (B, embedding_dim)."""
        embedding: Tensor = self.layers(features)
        return embedding


class ContextTower(_Tower):
    """(B, 25) of the set `context` to (B, 32): 129,376 parameters with the defaults."""

    def __init__(self, config: ContextTowerConfig | None = None) -> None:
        super().__init__(config or ContextTowerConfig())


class StockTower(_Tower):
    """(B, 62) of the set `stock` to (B, 64): 155,360 parameters with the defaults."""

    def __init__(self, config: StockTowerConfig | None = None) -> None:
        super().__init__(config or StockTowerConfig())


class RelevanceHead(nn.Module):
    """One horizon: both embeddings side by side to a score and a direction; 31,876 parameters with the defaults.

    Args:
        input_dim: width of both embeddings together.
        config: widths and dropout of its dense blocks.
    """

    def __init__(self, input_dim: int = 96, config: RelevanceHeadConfig | None = None) -> None:
        super().__init__()
        config = config or RelevanceHeadConfig()
        widths = (input_dim, *config.hidden_dims)
        self.trunk = nn.Sequential(*_blocks(widths, config.dropout))
        self.score = nn.Linear(widths[-1], 1)
        self.direction = nn.Linear(widths[-1], len(DIRECTIONS))

    def forward(self, joint: Tensor) -> tuple[Tensor, Tensor]:
        """(B, input_dim) to the score (B,) from -1 to 1 and the logits (B, 3) in the order of `DIRECTIONS`."""
        hidden = self.trunk(joint)
        return torch.tanh(self.score(hidden)).squeeze(1), self.direction(hidden)


# The network -------------------------------------------------------------------------------------------------------


class DualTowerRelevanceModel(nn.Module):
    """Two towers and two heads.

    Args:
        config: sizes and dropout; None takes the published ones.
    """

    def __init__(self, config: DualTowerModelConfig | None = None) -> None:
        super().__init__()
        self.config = config or DualTowerModelConfig()
        self.context_tower = ContextTower(self.config.context_tower)
        self.stock_tower = StockTower(self.config.stock_tower)
        joint = self.config.context_tower.embedding_dim + self.config.stock_tower.embedding_dim
        self.head_7d = RelevanceHead(joint, self.config.relevance_head)
        self.head_30d = RelevanceHead(joint, self.config.relevance_head)

    def forward(self, context_features: Tensor, stock_features: Tensor) -> DualTowerOutput:
        """What the network says of B rows.

        Args:
            context_features: (B, 25) of the set `context`, scaled.
            stock_features: (B, 62) of the set `stock`, scaled.

        Raises:
            BadModelInput: another width.
        """
        _refuse_width("context", context_features, self.config.context_tower.input_dim)
        _refuse_width("stock", stock_features, self.config.stock_tower.input_dim)
        context, stock = self.context_tower(context_features), self.stock_tower(stock_features)
        joint = torch.cat((context, stock), dim=1)
        (week, week_logits), (month, month_logits) = self.head_7d(joint), self.head_30d(joint)
        return DualTowerOutput(week, week_logits, month, month_logits, context, stock)

    def predict_with_embeddings(
        self, context_features: Tensor, stock_features: Tensor
    ) -> tuple[DualTowerOutput, dict[str, Tensor]]:
        """What it says without dropout and without gradients, and its embeddings by tower.

        Returns:
            The output, and {"context": (B, 32), "stock": (B, 64)}.
        """
        with _answering(self):
            output: DualTowerOutput = self(context_features, stock_features)
        return output, {"context": output.context_embedding, "stock": output.stock_embedding}

    def get_feature_importance(self, context_features: Tensor, stock_features: Tensor) -> dict[str, float]:
        """How far the scores of these rows move, on average, when one group of columns is silenced.

        Silenced means 0, which is the training mean of scaled columns. The change is absolute, over rows and both
        horizons; it says what the network listens to, not whether it is right to.

        Returns:
            "context:news", ..., "stock:volume" -> change, 0 to 2.

        Raises:
            BadModelInput: the network does not read the sets `context` and `stock`, whose columns are grouped.
        """
        before = self._scores(context_features, stock_features)
        found = {}
        for name, (first, end) in _spans(CONTEXT_GROUPS, self.config.context_tower.input_dim).items():
            after = self._scores(_silenced(context_features, first, end), stock_features)
            found[f"context:{name}"] = float((after - before).abs().mean())
        for name, (first, end) in _spans(STOCK_GROUPS, self.config.stock_tower.input_dim).items():
            after = self._scores(context_features, _silenced(stock_features, first, end))
            found[f"stock:{name}"] = float((after - before).abs().mean())
        return found

    def count_parameters(self) -> int:
        """How many numbers training changes."""
        return count_parameters(self)

    def _scores(self, context_features: Tensor, stock_features: Tensor) -> Tensor:
        """(B, 2) scores over 7 and 30 days."""
        output, _ = self.predict_with_embeddings(context_features, stock_features)
        return torch.stack((output.score_7d, output.score_30d), dim=1)


@contextmanager
def _answering(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; then the mode of before."""
    before = network.training
    # Asked first: to set the mode walks through all modules, which takes as long as one row's answer.
    if before:
        network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if before:
            network.train()


def _refuse_width(tower: str, features: Tensor, width: int) -> None:
    if features.ndim != 2 or features.shape[1] != width:
        found = f"{tower} features of shape {tuple(features.shape)}"
        raise BadModelInput("dual_tower", found, f"It takes (rows, {width}): the columns of the set `{tower}`")


def _spans(groups: Mapping[str, tuple[int, int]], width: int) -> Mapping[str, tuple[int, int]]:
    known = max(end for _, end in groups.values())
    if width != known:
        raise BadModelInput("dual_tower", f"a tower of {width} columns", f"Groups are known of {known} columns")
    return groups


def _silenced(features: Tensor, first: int, end: int) -> Tensor:
    quiet = features.clone()
    quiet[:, first:end] = 0
    return quiet


# Outside the pipeline ----------------------------------------------------------------------------------------------


def create_model(device: str = "auto", config: DualTowerModelConfig | None = None) -> DualTowerRelevanceModel:
    """A fresh network on a device: "auto" takes a GPU where there is one.

    Raises:
        BadModelInput: there is no such device.
    """
    return DualTowerRelevanceModel(config).to(resolve(device))


def count_parameters(model: nn.Module) -> int:
    """How many numbers training changes.

    >>> count_parameters(DualTowerRelevanceModel())
    348488
    """
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def parameter_groups(model: DualTowerRelevanceModel, config: OptimizerConfig | None = None) -> list[dict[str, Any]]:
    """What a torch optimizer takes: the parameters by part, each with its learning rate and weight decay."""
    config = config or OptimizerConfig()
    rate = config.base_learning_rate
    heads = [*model.head_7d.parameters(), *model.head_30d.parameters()]
    return [
        {
            "params": list(model.context_tower.parameters()),
            "lr": rate * config.context_share,
            "weight_decay": config.weight_decay,
        },
        {
            "params": list(model.stock_tower.parameters()),
            "lr": rate * config.stock_share,
            "weight_decay": config.weight_decay,
        },
        {"params": heads, "lr": rate * config.head_share, "weight_decay": config.head_weight_decay},
    ]


def predict_with_embeddings(
    model: DualTowerRelevanceModel, batches: Iterable[Mapping[str, Any]]
) -> tuple[DualTowerOutput, dict[str, Tensor]]:
    """The method of that name over batches of `create_data_loaders`, joined on the CPU.

    Raises:
        BadModelInput: there is no batch.
    """
    device = next(model.parameters()).device
    found = [
        model.predict_with_embeddings(batch["context_features"].to(device), batch["stock_features"].to(device))[0]
        for batch in batches
    ]
    if not found:
        raise BadModelInput("dual_tower", "no batches", "Give at least one row to answer for")
    output = DualTowerOutput(*(torch.cat(parts).cpu() for parts in zip(*found, strict=True)))
    return output, {"context": output.context_embedding, "stock": output.stock_embedding}
