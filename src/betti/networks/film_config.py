"""Sizes of the trigger network, frozen and checked, with a YAML round trip.

For use of the network outside the pipeline; a run in params.yaml has its knobs in `betti.models.film`. Plain
dataclasses, so that the network builds where torch and numpy are all there is; pydantic and yaml are needed only to
read and write files. What does not belong here: the network (`film.py`) and how it is trained (`film_training.py`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, ClassVar

from betti.errors import BadModelInput, BadParam, MissingFile, UnknownName, UnreadableFile

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FUSIONS", "FiLMConfig", "FiLMModelConfig"]

FUSIONS = ("concat", "film")
HEADS = 8  # of the attention, which a stack's share of the encoding is split among
OPTIONAL = ("volume_features", "technical_features")


@dataclass(frozen=True)
class FiLMModelConfig:
    """The network's sizes; the defaults give its published 15,284,238 parameters.

    Attributes:
        ohlcv_sequence_length: bars in a window.
        ohlcv_features: price columns of a bar.
        volume_features: volume columns of a bar.
        technical_features: technical columns of a bar.
        lstm_hidden_size: width of the bars' encoding, a multiple of 8 for each stack; the name is older than the
            N-BEATS encoder behind it.
        lstm_dropout: after each layer of the encoders and of the fusion.
        stack_types: kinds of the N-BEATS stacks.
        nbeats_num_blocks: blocks in each stack.
        nbeats_num_layers: ReLU layers in each block.
        attention: over the bars' encoding: "single" takes it as one token, "stacks" each stack's part, or "none".
        tda_encoder_dim: width of topology's encoding; its layer before is half as wide.
        complexity_features: complexity indicators.
        complexity_encoder_dim: width of complexity's encoding.
        shared_fc_dim: width between the fusion's layers; half of it goes out.
        fusion_type: "film" lets complexity modulate the rest, "concat" sets it beside the rest.
        film_generator_hidden: width inside the generator of the condition.
        film_conditioning_dim: width of the condition.
    """

    ohlcv_sequence_length: int = 96
    ohlcv_features: int = 4
    volume_features: int = 5
    technical_features: int = 5
    lstm_hidden_size: int = 1024
    lstm_dropout: float = 0.3
    stack_types: tuple[str, ...] = ("trend", "seasonality", "generic", "generic")
    nbeats_num_blocks: int = 4
    nbeats_num_layers: int = 4
    attention: str = "single"
    tda_encoder_dim: int = 256
    complexity_features: int = 6
    complexity_encoder_dim: int = 64
    shared_fc_dim: int = 512
    fusion_type: str = "film"
    film_generator_hidden: int = 128
    film_conditioning_dim: int = 256

    # Read by pydantic when a file is loaded: no other knobs than these.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = 0 if name in OPTIONAL else 1
            if isinstance(value, int) and value < least:
                raise BadModelInput("film", f"{name} = {value!r}", f"It takes a number from {least}")
        if not 0 <= self.lstm_dropout < 1:
            raise BadModelInput("film", f"lstm_dropout = {self.lstm_dropout!r}", "It takes a share from 0 to below 1")
        # An empty tuple of stacks is refused by the encoder, with its other sizes.
        step = HEADS * max(len(self.stack_types), 1)
        if self.lstm_hidden_size % step:
            found = f"lstm_hidden_size = {self.lstm_hidden_size!r}"
            raise BadModelInput("film", found, f"A multiple of {step}: {len(self.stack_types)} stacks share it")
        if self.fusion_type not in FUSIONS:
            raise UnknownName("fusion_type", self.fusion_type, FUSIONS)

    @property
    def channels(self) -> int:
        """Columns of a bar."""
        return self.ohlcv_features + self.volume_features + self.technical_features


@dataclass(frozen=True)
class FiLMConfig:
    """What `MultiTaskFiLM` is built from.

    Attributes:
        model: sizes of its parts.
        tda_feature_dim: topology columns that come in.

    >>> FiLMConfig.from_yaml("model: {fusion_type: concat}").model.fusion_type
    'concat'
    """

    model: FiLMModelConfig = field(default_factory=FiLMModelConfig)
    tda_feature_dim: int = 214

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.tda_feature_dim < 1:
            raise BadModelInput("film", f"tda_feature_dim = {self.tda_feature_dim!r}", "It takes a number from 1")

    def to_yaml(self) -> str:
        """Every knob as YAML."""
        import yaml

        plain = asdict(self)
        plain["model"]["stack_types"] = list(self.model.stack_types)
        text: str = yaml.safe_dump(plain, sort_keys=False)
        return text

    @classmethod
    def from_yaml(cls, text: str, file: str = "FiLM configuration") -> FiLMConfig:
        """What `to_yaml` wrote; knobs left out have their defaults.

        Args:
            text: YAML.
            file: where it is from, for the error.

        Raises:
            UnreadableFile: it is not YAML.
            BadParam: a knob that there is not, or a value of another type.
            BadModelInput, UnknownName: a value that a knob does not take.
        """
        import yaml
        from pydantic import TypeAdapter, ValidationError

        from betti.knobs import problem

        try:
            found = yaml.safe_load(text)
            return TypeAdapter(cls).validate_python({} if found is None else found)
        except yaml.YAMLError as cause:
            raise UnreadableFile(file, f"is not YAML: {cause}", "Mend it, or write it anew") from cause
        except ValidationError as error:
            raise BadParam(*problem(error), file=file) from error

    def save(self, path: Path) -> None:
        """Write every knob as a YAML file."""
        path.write_text(self.to_yaml(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> FiLMConfig:
        """Read a YAML file.

        Raises:
            MissingFile: it is not there.
            UnreadableFile, BadParam, BadModelInput, UnknownName: as `from_yaml`.
        """
        if not path.exists():
            raise MissingFile(path, "Write one with `FiLMConfig().save(path)`")
        return cls.from_yaml(path.read_text(encoding="utf-8"), str(path))
