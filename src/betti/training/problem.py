"""What a model hands to the training loop, what its knobs of the loop are, and what it gets back.

What does not belong here: doing it (`loop.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from betti.errors import BadModelInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from betti.models._protocol import Inputs
    from betti.nn.losses import Objective
    from betti.training.checkpoints import Checkpoint
    from betti.training.nested import Batch, Outputs
    from betti.training.optimisation import Group

    Targets: TypeAlias = NDArray[Any] | Mapping[str, NDArray[Any]]
    # The loss's own types are its own: a tensor, or tensors by name.
    Loss: TypeAlias = Objective | Callable[[Any, Any, Tensor], Tensor]
    Score: TypeAlias = Callable[[Any, Any, Tensor], float]

__all__ = ["Examples", "Outcome", "Problem", "Settings", "plainly"]


@dataclass(frozen=True)
class Settings:
    """The knobs of the loop; models name theirs the same.

    Attributes:
        epochs: passes over the training rows, at most (exactly, where there are no validation rows).
        schedule_epochs: epochs over which the learning rate falls; 0 takes `epochs`. A final model trained for the
            folds' median best epoch follows the folds' schedule, so it keeps theirs.
        batch_size: rows that one step learns from.
        learning_rate: of AdamW, at its highest.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
        warmup_epochs: epochs over which the learning rate rises.
        patience: epochs without improvement before stopping.
        min_delta: smaller gains of what is watched are no improvement.
        seed: of weights, dropout and batch order.
        schedule: "cosine", or "plateau": the rate is cut when what is watched stops falling.
        plateau_factor: the cut.
        plateau_patience: epochs without a gain that the plateau schedule bears.
        accumulate: parts that a batch is computed in. Their gradients add up to the batch's, for less memory.
        precision: "32", "bf16" or "fp16": what matrices are multiplied in while training; weights stay in 32 bits,
            and validation and answers are in 32 bits.
        compile: whether `torch.compile` makes the training step's kernels; of one device alone.
        devices: processes that share each batch, each with a GPU where there are GPUs.
        checkpoints: best epochs whose weights are kept.
    """

    epochs: int
    schedule_epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    clip: float
    warmup_epochs: int
    patience: int
    min_delta: float
    seed: int
    schedule: str = "cosine"
    plateau_factor: float = 0.5
    plateau_patience: int = 5
    accumulate: int = 1
    precision: str = "32"
    compile: bool = False
    devices: int = 1
    checkpoints: int = 3

    def __post_init__(self) -> None:
        if self.compile and self.devices > 1:
            found = f"compile with devices = {self.devices}"
            raise BadModelInput("torch", found, "One device alone is compiled for: leave one of the two out")

    @property
    def course(self) -> int:
        """Epochs that the learning rate's schedule goes over."""
        return self.schedule_epochs or self.epochs

    @property
    def rate_reached(self) -> bool:
        """Whether the warm-up ends before the schedule does."""
        return self.warmup_epochs < self.course

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Settings:
        """The loop's knobs out of a model's configuration; one that it does not have keeps its default.

        Raises:
            BadModelInput: a knob of another schedule is set, which would do nothing; `compile` with several devices.
        """
        stray = [f"{knob} = {config[knob]!r}" for knob in config if str(knob).startswith("plateau_")]
        if stray and config["schedule"] != "plateau":
            found = f"{', '.join(stray)} with the schedule {config['schedule']}"
            raise BadModelInput("torch", found, "Leave it out, or change `schedule`")
        return cls(**{one.name: config[one.name] for one in fields(cls) if one.name in config})


@dataclass(frozen=True)
class Examples:
    """Rows to learn from.

    Attributes:
        inputs: n rows: an array, `Windows`, or `NamedInputs`.
        targets: (n, ...) array, or arrays by name; a batch of floating-point ones is float32.
        weights: (n,) of mean 1.
    """

    inputs: Inputs
    targets: Targets
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.weights)


def plainly(network: nn.Module, batch: Batch) -> Outputs:
    """The network called with a batch as it is."""
    said: Outputs = network(batch)
    return said


def in_one_group(network: nn.Module) -> Sequence[Group]:  # noqa: ARG001  # the default of `Problem.groups`
    """No groups: everything learns at the run's rates."""
    return ()


@dataclass(frozen=True)
class Problem:
    """A network, what it is to learn, and from which rows.

    With several devices all of it is sent to other processes: functions must then be a module's own, methods of a
    model, or `functools.partial` of such.

    Attributes:
        build: makes the network; called under the seed.
        loss: (outputs, targets, weights) of a batch to a (k,) value per row, not averaged, or to one scalar. A loss
            that learns or remembers something is a `betti.nn.losses.Objective`; each training begins with a copy of it.
        train: training rows.
        valid: validation rows; None trains for exactly `Settings.epochs` and keeps the last epoch.
        call: (network, batch) to outputs.
        groups: network to the groups of parameters with rates of their own.
        score: (outputs, targets, weights) of all validation rows, tensors on the device, to the number that early
            stopping watches in place of the validation loss. Smaller is better.
        watch: (network, batch) to numbers by name that go into the history, after each epoch. The network is in
            evaluation mode, the batch is the first of the validation rows, or of the training rows without such.
        warm: (network, device) before the first step, such as pre-training; it is not repeated after a kill.
        facts: what JSON can say of the model, such as its configuration: a state of other facts is not gone on from.
    """

    build: Callable[[], nn.Module]
    loss: Loss
    train: Examples
    valid: Examples | None = None
    call: Callable[[nn.Module, Batch], Outputs] = plainly
    groups: Callable[[nn.Module], Sequence[Group]] = in_one_group
    score: Score | None = None
    watch: Callable[[nn.Module, Batch], Mapping[str, float]] | None = None
    warm: Callable[[nn.Module, str], None] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """A trained network and how it went.

    Attributes:
        network: with the best epoch's weights, in evaluation mode.
        epochs: that were trained.
        best_epoch: from 1; None without validation rows.
        early_stopped: whether patience ended it.
        history: name -> a number per epoch: `train_loss`, `learning_rate`; `val_loss` (empty without validation rows),
            `val_score` where the model has one, and what the objective and `watch` say.
        checkpoints: the best epochs' weights, best first.
    """

    network: nn.Module
    epochs: int
    best_epoch: int | None
    early_stopped: bool
    history: dict[str, list[float]]
    checkpoints: tuple[Checkpoint, ...] = ()
