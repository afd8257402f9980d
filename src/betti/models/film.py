"""The trigger network: bars, topology and complexity to the chance of a move and its size, complexity modulating.

For the target `trigger`. The network stands in `betti.networks.film`; its knobs here have the names they have there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from betti.errors import BadModelInput
from betti.models import ModelRegistry, _torch, _weights
from betti.models._protocol import InputSpec, PredictionOutput
from betti.models._search import OneOf, Real
from betti.networks.film import create_model_from_config
from betti.networks.film_config import FUSIONS, FiLMConfig, FiLMModelConfig
from betti.networks.film_training import FiLMLearner, FiLMLoss, modulation_told, parameter_groups, posterior
from betti.networks.nbeats import ATTENTIONS
from betti.training.scores import SMALLEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from betti.models._checks import Bounds
    from betti.models._search import Choice
    from betti.training.nested import Arrays, Batch, Outputs
    from betti.training.optimisation import Group
    from betti.training.problem import Score

__all__ = ["Film"]

# Knobs that are the network's own, by the names of `FiLMModelConfig`.
SIZES: Mapping[str, Any] = {
    "fusion_type": "film",  # concat, or film: complexity modulates the rest
    "attention": "single",  # over the bars' encoding as one token, or "stacks": over each stack's part, or "none"
    "lstm_hidden_size": 1024,  # width of the bars' encoding; a multiple of 32
    "lstm_dropout": 0.3,
    "nbeats_num_blocks": 4,
    "nbeats_num_layers": 4,
    "tda_encoder_dim": 256,
    "complexity_encoder_dim": 64,
    "shared_fc_dim": 512,
    "film_generator_hidden": 128,
    "film_conditioning_dim": 256,
}
BOUNDS: Bounds = {
    **_torch.BOUNDS,
    **_weights.BOUNDS,
    **{name: (1, 1e5) for name, value in SIZES.items() if isinstance(value, int)},
    "fusion_type": FUSIONS,
    "attention": tuple(ATTENTIONS),
    "lstm_dropout": (0, 0.95),
    "length": (1, 1e5),
    "trigger_gamma": (0, 10),
    "trigger_weight": (0, 1e6),
    "max_pct_weight": (0, 1e6),
    "gamma_pull": (0, 1e6),
    "film_rate": (1e-3, 1e3),
    "mute": ("bars", "topology", "complexity"),
}


@ModelRegistry.register("film", family="neural", description="bars and topology, modulated by complexity (FiLM)")
class Film(_torch.TorchModel):
    """`MultiTaskFiLM`, or with `fusion_type` concat what it is compared with, on three inputs."""

    NAME: ClassVar[str] = "film"
    KNOBS: ClassVar[Mapping[str, Any]] = {
        **SIZES,
        "length": 96,  # bars in a window
        "trigger_gamma": 2.0,  # of the trigger's focal loss; 0 is the cross-entropy
        "trigger_weight": 1.0,
        "max_pct_weight": 0.5,  # of the squared error of moves, in per cent squared
        "gamma_pull": 0.01,  # of the mean square of gamma - 1
        "film_rate": 5.0,  # learning rate of the FiLM layers, as a multiple of the others'
        "learning_rate": 3e-4,
        "class_weight": None,  # balanced gives both classes the same total weight
        "mute": None,  # an input that says nothing, in training and after: bars, topology or complexity
    }
    BOUNDS: ClassVar[Bounds] = BOUNDS
    SMALL: ClassVar[Mapping[str, Any]] = {
        **{"length": 4, "lstm_hidden_size": 32, "nbeats_num_blocks": 1, "nbeats_num_layers": 1, "lstm_dropout": 0.0},
        **{"tda_encoder_dim": 8, "complexity_encoder_dim": 8, "shared_fc_dim": 32},
        **{"film_generator_hidden": 8, "film_conditioning_dim": 8},
        **{"epochs": 8, "warmup_epochs": 1, "batch_size": 64, "learning_rate": 3e-3, "max_pct_weight": 0.05},
    }
    SEARCH: ClassVar[Mapping[str, Choice]] = {
        "learning_rate": Real(3e-5, 3e-3, log=True),
        "lstm_dropout": Real(0.0, 0.5),
        "film_rate": Real(1.0, 20.0, log=True),
        "gamma_pull": Real(1e-4, 1.0, log=True),
        "attention": OneOf(tuple(ATTENTIONS)),
        "trigger_gamma": Real(0.0, 3.0),
        "max_pct_weight": Real(0.01, 1.0, log=True),
    }
    # What `betti ablate` trains beside a run: knobs that take a part of the network away.
    VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "concat": {"fusion_type": "concat"},
        "without topology": {"mute": "topology"},
        "without complexity": {"mute": "complexity"},
    }

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self._sizes()  # refuses here what `fit` would refuse

    def _sizes(self) -> FiLMModelConfig:
        """The network's sizes, but for those of its inputs."""
        return FiLMModelConfig(**{name: self.config[name] for name in SIZES})

    @property
    def inputs(self) -> Mapping[str, InputSpec]:
        """Windows of bars; the decision row's topology and complexity.

        A bin of a Betti curve that is mostly 0 has no quartiles to scale by: those two are scaled by the deviation.
        """
        return {
            "bars": InputSpec("film_bars", self.config["length"]),
            "topology": InputSpec("film_topology", scaling="standard"),
            "complexity": InputSpec("film_complexity", scaling="standard"),
        }

    @property
    def heads(self) -> tuple[str, ...]:
        """The size of the move, in per cent."""
        return ("max_pct",)

    def network(self, shape: _torch.Shape) -> nn.Module:
        """The configured network for inputs of these widths.

        Raises:
            BadModelInput: a target of more than two classes.
        """
        if shape.classes != 2:
            raise BadModelInput(self.NAME, f"{shape.classes} classes", "It takes the target `trigger`, which has two")
        length, columns = shape.inputs["bars"]
        sizes = replace(
            self._sizes(),
            # Which of the columns are prices, volumes or indicators makes no difference to the network.
            ohlcv_features=columns,
            volume_features=0,
            technical_features=0,
            ohlcv_sequence_length=length,
            complexity_features=shape.inputs["complexity"][0],
        )
        return FiLMLearner(create_model_from_config(FiLMConfig(sizes, shape.inputs["topology"][0])))

    def loss(self) -> FiLMLoss:
        """Focal loss of the trigger, squared error of the move, pull of gamma to 1."""
        names = ("trigger_gamma", "trigger_weight", "max_pct_weight", "gamma_pull")
        return FiLMLoss(*(self.config[name] for name in names))

    def score(self) -> Score:
        """Early stopping watches the trigger's log loss: errors of the move, in per cent squared, would drown it."""
        return partial(_log_loss, self.config["trigger_gamma"])

    def groups(self, network: nn.Module) -> Sequence[Group]:
        """The FiLM layers at a higher rate."""
        return parameter_groups(network, self.config["film_rate"] * self.config["learning_rate"])

    def call(self, network: nn.Module, batch: Batch) -> Outputs:
        """What the network says where the muted input is 0: scaled, that is what training rows have in the middle."""
        return super().call(network, _muted(self.config.get("mute"), batch))

    def watch(self) -> Callable[[nn.Module, Batch], Mapping[str, float]]:
        """Mean and deviation of gamma and beta by encoding."""
        return partial(_told, self.config.get("mute"))

    def output(self, said: Arrays) -> PredictionOutput:
        """The trigger's probability; `max_pct`, the move where there is one; `gamma_...`, each row's mean gammas.

        What a focal loss makes of a probability is undone.
        """
        arrays = cast("dict[str, np.ndarray[Any, np.dtype[np.float64]]]", said)
        chance = posterior(arrays["trigger_logits"][:, 0], self.config["trigger_gamma"])
        found = PredictionOutput.from_probabilities(np.column_stack([1 - chance, chance]))
        gammas = {name: arrays[name] for name in arrays if name.startswith("gamma_") and name != "gamma_away"}
        found.outputs.update({"max_pct": arrays["max_pct"][:, 0], **gammas})
        return found


def _log_loss(gamma: float, said: Mapping[str, Tensor], targets: Mapping[str, Tensor], weights: Tensor) -> float:
    """Weighted mean log loss in nats."""
    chance = posterior(said["trigger_logits"][:, 0].double().cpu().numpy(), gamma)
    happened = targets["classes"].cpu().numpy() > 0
    losses = -np.log(np.where(happened, chance, 1 - chance).clip(SMALLEST))
    return float(np.average(losses, weights=weights.cpu().numpy()))


def _told(mute: str | None, network: nn.Module, batch: Batch) -> Mapping[str, float]:
    return modulation_told(cast("FiLMLearner", network), cast("dict[str, Any]", _muted(mute, batch)))


def _muted(mute: str | None, batch: Batch) -> Batch:
    """The batch with one input of it at 0; without a name as it is."""
    if mute is None:
        return batch
    parts = cast("dict[str, Tensor]", batch)
    return {**parts, mute: parts[mute].new_zeros(()).expand_as(parts[mute])}
