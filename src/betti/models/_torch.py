"""What torch models share: a file of this folder gives the network and its knobs, everything else stands here.

`TorchModel` is for networks with heads of their own, `TorchClassifier` for those that give class logits. A subclass
says:

    NAME       its file's name.
    KNOBS      its own knobs with their defaults; a knob of the loop may be given another default here.
    BOUNDS     the ranges of its own knobs, with `**_torch.BOUNDS` (a module's constant of that name, for the tests).
    SMALL      knobs that make it small enough to be fitted in a second.
    inputs, heads   where it takes several inputs or learns more than the class (`_protocol.BaseModel`).
    network    (shape) to a new network, called under the seed.
    loss       (outputs, targets, weights) to (k,) values, or a `betti.nn.losses.Objective`.
    output     what the network says of all rows, as float64 arrays, to a `PredictionOutput`.

and, where the defaults do not do: `targets`, `call`, `groups`, `score`, `watch`, `warm`. The network takes a batch as
it comes: a tensor (k, ...), or of several inputs a mapping of such by name. Targets are the classes, or for a model
with heads a mapping of `classes` and of each head (float32, NaN where the label does not say).

Imports where torch and numpy are all there is; safetensors is needed only to save and load. What does not belong here:
the loop (`betti.training`), blocks and losses (`betti.nn`, `betti.networks`), and what any one model is.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch

from betti.errors import BadModelInput, BrokenArtifact
from betti.models import _checks, _config, _files, _weights
from betti.models._protocol import BaseModel, PredictionOutput, TrainingMetrics
from betti.nn import losses
from betti.training import loop
from betti.training.checkpoints import read_checkpoints, write_checkpoints
from betti.training.device import DEVICES, resolve
from betti.training.engine import PRECISIONS
from betti.training.optimisation import SCHEDULES
from betti.training.problem import Examples, Problem, Settings, in_one_group, plainly
from betti.training.scores import Course, scores, softmax, training_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from betti.models._checks import Bounds, NamedTraining, Training
    from betti.models._protocol import Inputs, Labels, Spans
    from betti.training.checkpoints import Checkpoint
    from betti.training.nested import Arrays, Batch, Outputs
    from betti.training.optimisation import Group
    from betti.training.problem import Loss, Score, Targets

__all__ = ["BOUNDS", "CLASSIFICATION", "SMALL", "TRAINING", "Shape", "TorchClassifier", "TorchModel", "answering"]

# The loop's knobs (`training.problem.Settings` says what each does), and those of every model.
TRAINING: Mapping[str, Any] = {
    "epochs": 100,
    "patience": 15,
    "min_delta": 1e-4,
    "batch_size": 256,
    "accumulate": 1,
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "clip": 1.0,
    "schedule": "cosine",
    "schedule_epochs": 0,  # epochs the learning rate falls over; 0 takes `epochs`
    "warmup_epochs": 5,
    "plateau_factor": None,  # of the schedule plateau, which has 0.5 without it
    "plateau_patience": None,  # likewise 5
    "checkpoints": 3,
    "precision": "32",  # 32, bf16 or fp16
    "compile": False,
    "device": "auto",  # auto, cpu or cuda
    "devices": 1,
    "seed": 7,
    "classes": 0,  # 0 counts the classes in the labels
}
# What a classifier chooses beside them.
CLASSIFICATION: Mapping[str, Any] = {
    "loss": None,  # cross_entropy, which None is, or focal
    "focal_gamma": None,  # of the focal loss, which has 2 without it
    "class_weight": None,  # balanced gives every class the same total weight
}
BOUNDS: Bounds = {
    "epochs": (1, 1e6),
    "patience": (1, 1e6),
    "min_delta": (0, 100),
    "batch_size": (2, 1e7),
    "accumulate": (1, 1e6),
    "learning_rate": (1e-9, 10),
    "weight_decay": (0, 10),
    "clip": (1e-9, 1e9),
    "schedule": SCHEDULES,
    "schedule_epochs": (0, 1e6),
    "warmup_epochs": (0, 1e6),
    "plateau_factor": (0.01, 0.99),
    "plateau_patience": (0, 1e6),
    "checkpoints": (0, 100),
    "precision": tuple(PRECISIONS),
    "device": DEVICES,
    "devices": (1, 1024),
}
# Knobs of the loop with which a small network learns in a second (`BaseModel.SMALL`).
SMALL: Mapping[str, Any] = {
    "epochs": 12,
    "warmup_epochs": 1,
    "batch_size": 64,
    "learning_rate": 0.02,
    "device": "cpu",
}
NETWORK = "network.safetensors"
ONE = "X"  # the name of the only input in a `Shape`


@dataclass(frozen=True)
class Shape:
    """What a network is built for.

    Attributes:
        inputs: name -> shape of one row of it: (features,) or (length, features). The only one is called "X".
        classes: of the target.
    """

    inputs: Mapping[str, tuple[int, ...]]
    classes: int

    @property
    def features(self) -> int:
        """Columns of the only input."""
        return self.inputs[ONE][-1]

    @property
    def length(self) -> int:
        """Rows in a window of the only input."""
        return self.inputs[ONE][0]


@dataclass(frozen=True)
class _Fitted:
    network: nn.Module
    shape: Shape
    checkpoints: tuple[Checkpoint, ...]


class TorchModel(BaseModel):
    """A network trained by the one loop on scaled inputs."""

    NAME: ClassVar[str]
    KNOBS: ClassVar[Mapping[str, Any]] = {}
    BOUNDS: ClassVar[Bounds] = BOUNDS

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        _checks.ranges(type(self).__name__, self.config, self.BOUNDS)
        self._fitted: _Fitted | None = None
        # Refuse here what `fit` would refuse.
        self._settings()
        self.loss()

    # What a model says of itself

    @property
    def model_family(self) -> str:
        """Neural, which the robust scaler belongs to."""
        return "neural"

    @property
    def requires_scaling(self) -> bool:
        """Networks learn from numbers of one size."""
        return True

    @property
    def requires_sequences(self) -> bool:
        """Windows, unless the model names inputs of which none is."""
        return not self.inputs or any(one.length is not None for one in self.inputs.values())

    def get_default_config(self) -> dict[str, Any]:
        """The model's own knobs beside those of the loop."""
        return {**TRAINING, **self.KNOBS}

    def _settings(self) -> Settings:
        """The loop's knobs.

        A warm-up of the default length may be longer than a training of few epochs, and a single epoch, which is a look
        at a model, is never long enough for one: the loop warns of both.

        Raises:
            BadModelInput: knobs that do not go together; a warm-up of another length than the default that does not end
                in time.
        """
        found, usual = Settings.of(self.config), self.get_default_config()["warmup_epochs"]
        if found.rate_reached or found.course == 1 or found.warmup_epochs == usual:
            return found
        told = f"warmup_epochs = {found.warmup_epochs} of {found.course} epochs"
        raise BadModelInput(type(self).__name__, told, "The learning rate would never reach its value: give it fewer")

    @abstractmethod
    def network(self, shape: Shape) -> nn.Module:
        """A new network of the configured size, for inputs of this shape."""

    @abstractmethod
    def loss(self) -> Loss:
        """What the network is to make small; a new one each time, where it has a state."""

    @abstractmethod
    def output(self, said: Arrays) -> PredictionOutput:
        """What the network has said of n rows, as float64 arrays, as classes and whatever other heads say."""

    def targets(self, y: NDArray[np.int64], heads: Mapping[str, NDArray[np.float64]]) -> Targets:
        """What the loss is given of n rows: the classes, or of a model with heads `classes` and each head by name."""
        return {"classes": y, **heads} if self.heads else y

    def call(self, network: nn.Module, batch: Batch) -> Outputs:
        """What the network says of a batch, in training and in answers."""
        return plainly(network, batch)

    def groups(self, network: nn.Module) -> Sequence[Group]:
        """Parameters with a learning rate or a weight decay of their own."""
        return in_one_group(network)

    def score(self) -> Score | None:
        """What early stopping watches in place of the validation loss (`Problem.score`)."""
        return None

    def watch(self) -> Callable[[nn.Module, Batch], Mapping[str, float]] | None:
        """What goes into the history after each epoch (`Problem.watch`)."""
        return None

    def warm(self, X: Inputs) -> Callable[[nn.Module, str], None] | None:  # noqa: ARG002  # subclasses use it
        """What is done with a new network and the training inputs before training (`Problem.warm`)."""
        return None

    # Learning

    def fit(
        self,
        X_train: Inputs,
        y_train: Labels,
        X_val: Inputs | None,
        y_val: Labels | None,
        sample_weights: NDArray[np.float64] | None = None,
        config: Mapping[str, Any] | None = None,
        spans: Spans | None = None,
    ) -> TrainingMetrics:
        """Train; without validation rows for exactly `epochs` epochs.

        Raises:
            BadModelInput: as every model.
            LossNotFinite: the loss left the numbers.
        """
        began = time.perf_counter()
        self.config = _checks.configured(self, config, self.BOUNDS)
        self._fitted = None
        device = resolve(self.config["device"])
        check = _checks.named_training if self.inputs else _checks.training
        data = check(self, X_train, y_train, X_val, y_val, sample_weights, self.config["classes"], spans)
        shape = _shape(data)
        if not self.inputs and "length" in self.config:
            # The windows that came are what was trained on, whatever was configured to cut them.
            self.config["length"] = shape.length
        outcome = loop.train(self._problem(data, shape), self._settings(), device)
        self._fitted = _Fitted(outcome.network, shape, outcome.checkpoints)
        course = Course(outcome.epochs, outcome.best_epoch, outcome.early_stopped, outcome.history)
        train, valid = scores(data.y, self._answered(data.X).class_probabilities, data.weights), None
        if data.X_val is not None and data.y_val is not None:
            valid = scores(data.y_val, self._answered(data.X_val).class_probabilities)
        return training_metrics(train, valid, course, time.perf_counter() - began)

    def _problem(self, data: Training | NamedTraining, shape: Shape) -> Problem:
        weights = _weights.row_weights(data, self.config.get("class_weight"))
        valid = None
        if data.X_val is not None and data.y_val is not None:
            valid = Examples(data.X_val, self.targets(data.y_val, data.heads_val), weights.valid)
        return Problem(
            build=partial(self.network, shape),
            loss=self.loss(),
            train=Examples(data.X, self.targets(data.y, data.heads), weights.train),
            valid=valid,
            call=self.call,
            groups=self.groups,
            score=self.score(),
            watch=self.watch(),
            warm=self.warm(data.X),
            facts={"model": self.NAME, "config": self.config},
        )

    def final_config(self, folds: Sequence[TrainingMetrics]) -> dict[str, Any]:
        """As many epochs as the folds found best, in the median, at the learning rates the folds had in them."""
        found = [metrics.best_epoch for metrics in folds if metrics.best_epoch]
        schedule = self.config["schedule_epochs"] or self.config["epochs"]
        return {"epochs": round(median(found)), "schedule_epochs": schedule} if found else {}

    # Answering

    def predict(self, X: Inputs) -> PredictionOutput:
        """Answers for inputs of the shape seen in `fit`."""
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        shapes = self._fitted.shape.inputs
        if self.inputs:
            return self._answered(_checks.named_answerable(self, X, shapes))
        return self._answered(_checks.answerable(self, X, shapes[ONE]))

    def _answered(self, X: Inputs) -> PredictionOutput:
        assert self._fitted is not None
        return self.output(loop.outputs(self._fitted.network, X, answering(self.config), self.call))

    # Files

    def save(self, path: Path) -> None:
        """`network.safetensors`, `model.json`, and the best epochs' weights in `checkpoints`."""
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        shape = {"inputs": {name: list(one) for name, one in self._fitted.shape.inputs.items()}}
        kept = write_checkpoints(path, self._fitted.checkpoints)
        facts = {**shape, "classes": self._fitted.shape.classes, "checkpoints": kept}
        weights = {name: value.cpu().numpy() for name, value in self._fitted.network.state_dict().items()}
        _files.write_facts(path, self.NAME, {"config": self.config, **facts})
        _files.write_arrays(path / NETWORK, weights)

    def load(self, path: Path) -> None:
        """Read what `save` wrote.

        Raises:
            MissingFile, BrokenArtifact: files that are not there, or not what they should be.
        """
        facts = _files.read_facts(path, self.NAME, ("config", "inputs", "classes", "checkpoints"))
        arrays = _files.read_arrays(path / NETWORK)
        with _config.stored(path):
            self.config = _config.restored(self, facts, self.BOUNDS)
            shape = self._stored_shape(facts)
            network = self.network(shape)
        try:
            network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
        except RuntimeError as cause:
            raise BrokenArtifact(path / NETWORK, f"does not fit its model.json: {cause}") from cause
        try:
            checkpoints = read_checkpoints(path, facts["checkpoints"])
        except (TypeError, KeyError, ValueError) as cause:
            raise BrokenArtifact(path / _files.FACTS, f"has checkpoints = {facts['checkpoints']!r}") from cause
        self._fitted = _Fitted(network.eval(), shape, checkpoints)

    def _stored_shape(self, facts: Mapping[str, Any]) -> Shape:
        """The inputs that the model was fitted on.

        Raises:
            BadModelInput: they are not its inputs.
        """
        name, told = type(self).__name__, facts["inputs"]
        counts = {own: 1 if one.length is None else 2 for own, one in self.inputs.items()}
        counts = counts or {ONE: 2 if self.requires_sequences else 1}
        if not isinstance(told, dict) or set(told) != set(counts):
            raise BadModelInput(name, f"inputs = {told!r}", f"It takes {', '.join(counts)}")
        return Shape(
            {own: _config.sizes(name, f"inputs.{own}", told[own], counts[own]) for own in told}, facts["classes"]
        )


class TorchClassifier(TorchModel):
    """A `TorchModel` whose network gives (B, classes) logits, with the losses and class weights that are to be had."""

    BOUNDS: ClassVar[Bounds] = {**BOUNDS, **_weights.BOUNDS, **losses.BOUNDS}

    def get_default_config(self) -> dict[str, Any]:
        """The model's own knobs beside those of the loop and of its loss."""
        return {**TRAINING, **CLASSIFICATION, **self.KNOBS}

    def loss(self) -> Loss:
        """The one that the knobs `loss` and `focal_gamma` name."""
        return losses.chosen(type(self).__name__, self.config)

    def output(self, said: Arrays) -> PredictionOutput:
        """Probabilities by the softmax."""
        return PredictionOutput.from_probabilities(softmax(cast("NDArray[np.float64]", said)))


def answering(config: Mapping[str, Any]) -> str:
    """The device that a model answers on: trained on a GPU, it still answers where there is none."""
    return "cpu" if config["device"] == "cpu" else resolve("auto")


def _shape(data: Training | NamedTraining) -> Shape:
    """What the training inputs are like."""
    from betti.windows import NamedInputs

    parts = data.X if isinstance(data.X, NamedInputs) else {ONE: data.X}
    return Shape({name: tuple(int(size) for size in part.shape[1:]) for name, part in parts.items()}, data.classes)
