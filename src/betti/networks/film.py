"""The trigger network: bars, topology and complexity to the chance of a move and its size.

Complexity is no further feature: it says how the others are read (FiLM, `film_fusion.py`). What does not belong here:
the loss, parameter groups and what training watches (`film_training.py`), rows and scaling (`betti.training`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from betti.errors import BadModelInput
from betti.networks.film_config import FiLMConfig, FiLMModelConfig
from betti.networks.film_fusion import (
    ConcatFusion,
    FiLMConditioningFusion,
    FiLMGenerator,
    FiLMLayer,
    Modulation,
)
from betti.networks.nbeats import ComplexityEncoder, OHLCVNBEATSEncoder, TDAEncoder

__all__ = [
    "FiLMConditioningFusion",
    "FiLMConfig",
    "FiLMGenerator",
    "FiLMLayer",
    "FiLMModelConfig",
    "Modulation",
    "ModulationStatistics",
    "MultiTask",
    "MultiTaskFiLM",
    "MultiTaskNBEATS",
    "MultiTaskOutput",
    "create_model_from_config",
]

HEAD = 32


@dataclass(frozen=True)
class MultiTaskOutput:
    """What the network says of a batch.

    Attributes:
        trigger_logits: (B, 1), the log odds of a move.
        max_pct: (B, 1), its size in per cent.
        modulations: what complexity did to each encoding, by name; nothing where nothing modulates.
    """

    trigger_logits: Tensor
    max_pct: Tensor
    modulations: dict[str, Modulation] = field(default_factory=dict)


@dataclass(frozen=True)
class ModulationStatistics:
    """Gamma and beta of one encoding over rows and features; gamma 1 and beta 0 leave it as it is."""

    gamma_mean: float
    gamma_std: float
    gamma_min: float
    gamma_max: float
    beta_mean: float
    beta_std: float
    beta_min: float
    beta_max: float

    @classmethod
    def of(cls, modulation: Modulation) -> ModulationStatistics:
        """Of (B, features) gammas and betas; deviations divide by the count, so that one number has none."""
        gamma, beta = modulation
        return cls(*_moments(gamma), *_moments(beta))


def _moments(values: Tensor) -> tuple[float, float, float, float]:
    found = values.detach().double()
    return float(found.mean()), float(found.std(correction=0)), float(found.min()), float(found.max())


class MultiTask(nn.Module):
    """Three encoders, a fusion, and a head each for the trigger and for the size of the move.

    Args:
        config: sizes of the parts.
        fusion: of the three encodings.
    """

    def __init__(self, config: FiLMConfig, fusion: FiLMConditioningFusion | ConcatFusion) -> None:
        super().__init__()
        sizes = config.model
        self.config = config
        self.ohlcv_encoder = OHLCVNBEATSEncoder(
            input_size=sizes.ohlcv_sequence_length,
            num_channels=sizes.channels,
            hidden_size=sizes.lstm_hidden_size,
            stack_types=sizes.stack_types,
            num_blocks=sizes.nbeats_num_blocks,
            num_layers=sizes.nbeats_num_layers,
            dropout=sizes.lstm_dropout,
            attention=sizes.attention,
        )
        between = max(sizes.tda_encoder_dim // 2, 1)
        self.tda_encoder = TDAEncoder(config.tda_feature_dim, between, sizes.tda_encoder_dim, sizes.lstm_dropout)
        self.complexity_encoder = ComplexityEncoder(sizes.complexity_features, sizes.complexity_encoder_dim)
        self.fusion = fusion
        self.trigger_head = _head(fusion.output_dim)
        self.max_pct_head = _head(fusion.output_dim)

    def answer(self, ohlcv_seq: Tensor, tda_features: Tensor, complexity: Tensor) -> MultiTaskOutput:
        """What `forward` gives, with the modulations that led to it."""
        fused = self.fusion.fused(
            self.ohlcv_encoder(ohlcv_seq), self.tda_encoder(tda_features), self.complexity_encoder(complexity)
        )
        return MultiTaskOutput(self.trigger_head(fused.features), self.max_pct_head(fused.features), fused.modulations)

    def forward(self, ohlcv_seq: Tensor, tda_features: Tensor, complexity: Tensor) -> tuple[Tensor, Tensor]:
        """Log odds of the trigger, (B, 1), and the move in per cent, (B, 1).

        Args:
            ohlcv_seq: (B, bars, channels).
            tda_features: (B, topology columns).
            complexity: (B, indicators).
        """
        said = self.answer(ohlcv_seq, tda_features, complexity)
        return said.trigger_logits, said.max_pct

    def predict(self, ohlcv_seq: Tensor, tda_features: Tensor, complexity: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, with the probability of the trigger in the log odds' place."""
        logits, max_pct = self(ohlcv_seq, tda_features, complexity)
        return torch.sigmoid(logits), max_pct

    def get_num_parameters(self) -> tuple[int, int]:
        """Parameters that learn, and all."""
        counts = [(parameter.numel(), parameter.requires_grad) for parameter in self.parameters()]
        return sum(count for count, learns in counts if learns), sum(count for count, _ in counts)


class MultiTaskFiLM(MultiTask):
    """The network with FiLM: complexity modulates how bars and topology are read.

    Args:
        config: sizes; None takes the published ones, 15,284,238 parameters.

    Raises:
        BadModelInput: a configuration of another fusion.
    """

    fusion: FiLMConditioningFusion

    def __init__(self, config: FiLMConfig | None = None) -> None:
        config = config or FiLMConfig()
        _same("MultiTaskFiLM", "film", config)
        sizes = config.model
        fusion = FiLMConditioningFusion(
            nbeats_dim=sizes.lstm_hidden_size,
            tda_dim=sizes.tda_encoder_dim,
            complexity_dim=sizes.complexity_encoder_dim,
            hidden_dim=sizes.shared_fc_dim,
            output_dim=max(sizes.shared_fc_dim // 2, 1),
            dropout=sizes.lstm_dropout,
            generator_hidden=sizes.film_generator_hidden,
            conditioning_dim=sizes.film_conditioning_dim,
        )
        super().__init__(config, fusion)

    def modulations(self, complexity: Tensor) -> dict[str, Modulation]:
        """What these (B, indicators) do to each encoding: `nbeats`, `tda`, `shared`."""
        return self.fusion.modulations(self.complexity_encoder(complexity))

    @torch.no_grad()
    def modulation_statistics(self, complexity: Tensor) -> dict[str, ModulationStatistics]:
        """Gamma and beta of each encoding over a batch of (B, indicators)."""
        return {name: ModulationStatistics.of(found) for name, found in self.modulations(complexity).items()}


class MultiTaskNBEATS(MultiTask):
    """The network FiLM is compared with: the three encodings side by side.

    Args:
        config: sizes; None takes those of `MultiTaskFiLM`.

    Raises:
        BadModelInput: a configuration of another fusion.
    """

    def __init__(self, config: FiLMConfig | None = None) -> None:
        config = config or FiLMConfig(FiLMModelConfig(fusion_type="concat"))
        _same("MultiTaskNBEATS", "concat", config)
        sizes = config.model
        fusion = ConcatFusion(
            nbeats_dim=sizes.lstm_hidden_size,
            tda_dim=sizes.tda_encoder_dim,
            complexity_dim=sizes.complexity_encoder_dim,
            hidden_dim=sizes.shared_fc_dim,
            output_dim=max(sizes.shared_fc_dim // 2, 1),
            dropout=sizes.lstm_dropout,
        )
        super().__init__(config, fusion)


_NETWORKS: dict[str, type[MultiTaskFiLM] | type[MultiTaskNBEATS]] = {"film": MultiTaskFiLM, "concat": MultiTaskNBEATS}


def create_model_from_config(config: FiLMConfig) -> MultiTask:
    """The network of this configuration's `fusion_type`."""
    return _NETWORKS[config.model.fusion_type](config)


def _same(network: str, fusion: str, config: FiLMConfig) -> None:
    if config.model.fusion_type != fusion:
        found = f"fusion_type = {config.model.fusion_type!r}"
        raise BadModelInput(network, found, f"It takes {fusion!r}; `create_model_from_config` builds either")


def _head(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, HEAD), nn.ReLU(), nn.Linear(HEAD, 1))
