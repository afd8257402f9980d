"""Knob groups of the dual tower, frozen and checked, with a YAML round trip.

For use of the network outside the pipeline; a run in params.yaml has its knobs in `betti.models.dual_tower`. The
defaults are the published figures. Plain dataclasses, so that the network builds where torch and numpy are all there
is; pydantic and yaml are needed only to read and write files. What does not belong here: the network itself
(`dual_tower.py`) and its losses (`dual_tower_losses.py`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from betti.errors import BadModelInput, BadParam, MissingFile, UnreadableFile

__all__ = [
    "ConfigManager",
    "ContextTowerConfig",
    "DataConfig",
    "DualTowerModelConfig",
    "LossConfig",
    "OptimizerConfig",
    "RelevanceHeadConfig",
    "SchedulerConfig",
    "StockTowerConfig",
    "TrainingConfig",
]

MODEL = "dual_tower"


@dataclass(frozen=True)
class _Group:
    """What all groups share: a file may hold none but their own knobs."""

    # Read by pydantic when a file is loaded.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def _within(self, low: float, high: float, *knobs: str) -> None:
        for knob in knobs:
            value = getattr(self, knob)
            for one in value if isinstance(value, tuple) else (value,):
                if not low <= one <= high:
                    raise BadModelInput(MODEL, f"{knob} = {value!r}", f"It takes values from {low:g} to {high:g}")


@dataclass(frozen=True)
class ContextTowerConfig(_Group):
    """The tower of the context.

    Attributes:
        input_dim: columns of the set `context`.
        hidden_dims: widths of the dense blocks.
        embedding_dim: width of what comes out.
        dropout: share of activations set to zero in training.
    """

    input_dim: int = 25
    hidden_dims: tuple[int, ...] = (256, 256, 192)
    embedding_dim: int = 32
    dropout: float = 0.2

    def __post_init__(self) -> None:
        self._within(1, 1e6, "input_dim", "hidden_dims", "embedding_dim")
        self._within(0, 0.95, "dropout")


@dataclass(frozen=True)
class StockTowerConfig(_Group):
    """The tower of the stock; attributes as those of `ContextTowerConfig`."""

    input_dim: int = 62
    hidden_dims: tuple[int, ...] = (256, 256, 224)
    embedding_dim: int = 64
    dropout: float = 0.3

    def __post_init__(self) -> None:
        self._within(1, 1e6, "input_dim", "hidden_dims", "embedding_dim")
        self._within(0, 0.95, "dropout")


@dataclass(frozen=True)
class RelevanceHeadConfig(_Group):
    """One horizon's head: widths of its dense blocks, and their dropout."""

    hidden_dims: tuple[int, ...] = (160, 96)
    dropout: float = 0.2

    def __post_init__(self) -> None:
        self._within(1, 1e6, "hidden_dims")
        self._within(0, 0.95, "dropout")


@dataclass(frozen=True)
class DualTowerModelConfig(_Group):
    """The whole network: two towers and the shape of both heads."""

    context_tower: ContextTowerConfig = field(default_factory=ContextTowerConfig)
    stock_tower: StockTowerConfig = field(default_factory=StockTowerConfig)
    relevance_head: RelevanceHeadConfig = field(default_factory=RelevanceHeadConfig)


@dataclass(frozen=True)
class LossConfig(_Group):
    """How much each part of the loss counts."""

    regression_weight_7d: float = 1.0
    regression_weight_30d: float = 1.0
    classification_weight_7d: float = 0.5
    classification_weight_30d: float = 0.5
    regularization_weight: float = 0.01

    def __post_init__(self) -> None:
        self._within(0, 1e6, *asdict(self))


@dataclass(frozen=True)
class OptimizerConfig(_Group):
    """Learning rates and weight decays by part.

    Attributes:
        base_learning_rate: what the three shares are of.
        context_share: of the context tower's rate in the base rate.
        stock_share: of the stock tower's: it has more inputs, of which fewer tell.
        head_share: of the heads'.
        weight_decay: of both towers.
        head_weight_decay: of the heads.
    """

    base_learning_rate: float = 1e-3
    context_share: float = 1.0
    stock_share: float = 0.5
    head_share: float = 1.0
    weight_decay: float = 1e-5
    head_weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        self._within(1e-9, 10, "base_learning_rate")
        self._within(0, 1e3, "context_share", "stock_share", "head_share")
        self._within(0, 10, "weight_decay", "head_weight_decay")


@dataclass(frozen=True)
class SchedulerConfig(_Group):
    """Half a cosine down to zero after a straight warm-up, in epochs."""

    warmup_epochs: int = 5

    def __post_init__(self) -> None:
        self._within(0, 1e6, "warmup_epochs")


@dataclass(frozen=True)
class TrainingConfig(_Group):
    """How long and how training goes.

    Attributes:
        batch_size: rows in a batch.
        epochs: passes over the training rows, at most.
        early_stopping_patience: epochs without improvement before stopping.
        min_delta: smaller gains are no improvement.
        max_grad_norm: largest norm of the gradient.
        keep_checkpoints: the best epochs kept.
        stop_weight_7d: share of the 7 days' validation loss in what early stopping looks at.
        stop_weight_30d: of the 30 days'.
        stop_weight_regularization: of the regularisation.
        optimizer: rates by part.
        scheduler: the rates' course.
        loss: weights of its parts.
    """

    batch_size: int = 32
    epochs: int = 100
    early_stopping_patience: int = 15
    min_delta: float = 1e-4
    max_grad_norm: float = 1.0
    keep_checkpoints: int = 3
    stop_weight_7d: float = 0.4
    stop_weight_30d: float = 0.4
    stop_weight_regularization: float = 0.2
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        self._within(2, 1e7, "batch_size")
        self._within(1, 1e6, "epochs", "early_stopping_patience")
        self._within(0, 1e6, "min_delta", "keep_checkpoints")
        self._within(1e-9, 1e9, "max_grad_norm")
        self._within(0, 1e6, "stop_weight_7d", "stop_weight_30d", "stop_weight_regularization")


@dataclass(frozen=True)
class DataConfig(_Group):
    """What is learnt from, and how it is cut.

    Attributes:
        tickers: symbols to keep; none keeps all.
        normalize: whether inputs are scaled by mean and deviation of the training rows.
        valid_share: share of all instants that validates.
        test_share: share of all instants that is tested, the last ones.
        embargo: distance in time between a training label's end and the next part.
    """

    tickers: tuple[str, ...] = ()
    normalize: bool = True
    valid_share: float = 0.15
    test_share: float = 0.15
    embargo: str = "1D"

    def __post_init__(self) -> None:
        self._within(0, 0.9, "valid_share", "test_share")


@dataclass
class ConfigManager:
    """All groups in one place; a group is frozen, and replaced as a whole.

    >>> config = ConfigManager(training_config=TrainingConfig(batch_size=64))
    >>> config.training_config.batch_size, config.model_config.context_tower.embedding_dim
    (64, 32)
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    model_config: DualTowerModelConfig = field(default_factory=DualTowerModelConfig)
    training_config: TrainingConfig = field(default_factory=TrainingConfig)
    data_config: DataConfig = field(default_factory=DataConfig)

    def to_dict(self) -> dict[str, Any]:
        """Every knob by group, in plain values that YAML and JSON know."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    def save_config(self, path: str | Path) -> None:
        """Write every knob as YAML."""
        import yaml

        Path(path).write_text(yaml.safe_dump(self.to_dict(), sort_keys=False), encoding="utf-8")

    @classmethod
    def load_config(cls, path: str | Path) -> ConfigManager:
        """Read what `save_config` wrote; knobs that the file leaves out have their defaults.

        Raises:
            MissingFile: there is no such file.
            UnreadableFile: it is not YAML.
            BadParam: a knob that there is not, or a value that it does not take.
            BadModelInput: a value outside its range.
        """
        import yaml
        from pydantic import TypeAdapter, ValidationError

        from betti.knobs import problem

        file = Path(path)
        if not file.exists():
            raise MissingFile(file, "Write one with `ConfigManager().save_config(path)`")
        try:
            found = yaml.safe_load(file.read_text(encoding="utf-8"))
            return TypeAdapter(cls).validate_python({} if found is None else found)
        except yaml.YAMLError as cause:
            raise UnreadableFile(file, f"is not YAML: {cause}", "Mend it, or write it anew") from cause
        except ValidationError as error:
            knob, value, wrong = problem(error)
            raise BadParam(knob or "the whole file", value, wrong, file=str(file)) from error


def _plain(value: Any) -> Any:
    """Tuples become lists, which YAML writes without a tag."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
