"""A long short-term memory network over windows of scaled features (Hochreiter and Schmidhuber 1997).

Imports where torch and numpy are all there is; safetensors is needed only to save and load.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from betti.errors import BrokenArtifact
from betti.models import ModelRegistry, _checks, _files, _weights
from betti.models._protocol import BaseModel, PredictionOutput, TrainingMetrics
from betti.nn import losses
from betti.nn.recurrent import ClassificationHead
from betti.training import loop
from betti.training.device import resolve
from betti.training.scores import Course, scores, softmax, training_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from betti.models._checks import Bounds
    from betti.models._protocol import Inputs, Spans

__all__ = ["Lstm", "LstmNetwork"]

BOUNDS: Bounds = {
    "hidden": (1, 1e5),
    "layers": (1, 100),
    "dropout": (0, 0.95),
    "length": (1, 1e5),
    "epochs": (1, 1e6),
    "patience": (1, 1e6),
    "batch_size": (2, 1e7),
    "learning_rate": (1e-9, 10),
    "clip": (1e-9, 1e9),
    **_weights.BOUNDS,
    **losses.BOUNDS,
}
NETWORK = "network.safetensors"


class LstmNetwork(nn.Module):
    """(B, length, features) to (B, classes) logits: stacked LSTM layers, then a head on the last state.

    Args:
        features: width of a row.
        classes: logits that go out.
        hidden: width of the state.
        layers: stacked layers.
        dropout: between layers and in the head.
    """

    def __init__(self, features: int, classes: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        # torch warns of dropout without a second layer to put it before.
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(features, hidden, layers, batch_first=True, dropout=between)
        self.head = ClassificationHead(hidden, classes, dropout)

    def forward(self, windows: Tensor) -> Tensor:
        """Logits from what the last layer holds after the window's last row."""
        states, _ = self.lstm(windows)
        logits: Tensor = self.head(states[:, -1])
        return logits


@dataclass(frozen=True)
class _Fitted:
    network: nn.Module
    length: int
    features: int
    classes: int


@ModelRegistry.register("lstm", family="neural", description="stacked LSTM over windows, head on the last state")
class Lstm(BaseModel):
    """`LstmNetwork` trained by the one torch loop on scaled windows of (n, length, features)."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        _checks.ranges(type(self).__name__, self.config, BOUNDS)
        losses.chosen(type(self).__name__, self.config)  # refuses here what `fit` would refuse
        self._fitted: _Fitted | None = None

    @property
    def model_family(self) -> str:
        """Neural, which the robust scaler belongs to."""
        return "neural"

    @property
    def requires_scaling(self) -> bool:
        """Gates saturate on large inputs."""
        return True

    @property
    def requires_sequences(self) -> bool:
        """Windows of `length` rows."""
        return True

    def get_default_config(self) -> dict[str, Any]:
        """The network's size, then the knobs of the training loop; `classes` = 0 counts the classes in the labels."""
        return {
            "hidden": 128,
            "layers": 2,
            "dropout": 0.3,
            "length": 30,  # rows in a window
            "epochs": 100,
            "schedule_epochs": 0,  # epochs the learning rate falls over; 0 takes `epochs`
            "patience": 15,
            "batch_size": 256,
            "learning_rate": 1e-3,
            "weight_decay": 1e-4,
            "clip": 1.0,
            "warmup_epochs": 5,
            "min_delta": 1e-4,
            "loss": None,  # cross_entropy, which None is, or focal
            "focal_gamma": None,  # of the focal loss, which has 2 without it
            "class_weight": None,  # balanced gives every class the same total weight
            "device": "auto",  # auto, cpu or cuda
            "seed": 7,
            "classes": 0,
        }

    def fit(
        self,
        X_train: Inputs,
        y_train: NDArray[np.int64],
        X_val: Inputs | None,
        y_val: NDArray[np.int64] | None,
        sample_weights: NDArray[np.float64] | None = None,
        config: Mapping[str, Any] | None = None,
        spans: Spans | None = None,  # noqa: ARG002  # it does not split again
    ) -> TrainingMetrics:
        """Train; without validation rows for exactly `epochs` epochs.

        Raises:
            BadModelInput: as every model.
            LossNotFinite: the loss left the numbers.
        """
        began = time.perf_counter()
        self.config = _checks.configured(self, config, BOUNDS)
        device = resolve(self.config["device"])
        data = _checks.training(self, X_train, y_train, X_val, y_val, sample_weights, self.config["classes"])
        _, length, features = data.X.shape
        # The windows that came are what was trained on, whatever was configured to cut them.
        self.config["length"] = length
        weights = _weights.row_weights(data, self.config.get("class_weight"))
        valid = None
        if data.X_val is not None and data.y_val is not None:
            valid = loop.Examples(data.X_val, data.y_val, weights.valid)
        outcome = loop.train(
            lambda: self._network(features, data.classes),
            losses.chosen(type(self).__name__, self.config),
            loop.Examples(data.X, data.y, weights.train),
            valid,
            loop.Settings.of(self.config),
            device,
        )
        self._fitted = _Fitted(outcome.network, length, features, data.classes)
        course = Course(outcome.epochs, outcome.best_epoch, outcome.early_stopped, outcome.history)
        train = scores(data.y, self._probabilities(data.X), data.weights)
        other = scores(valid.targets, self._probabilities(valid.inputs)) if valid else None
        return training_metrics(train, other, course, time.perf_counter() - began)

    def _network(self, features: int, classes: int) -> LstmNetwork:
        sizes = (self.config[name] for name in ("hidden", "layers", "dropout"))
        return LstmNetwork(features, classes, *sizes)

    def predict(self, X: Inputs) -> PredictionOutput:
        """Probabilities of (n, length, features) windows."""
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        checked = _checks.answerable(self, X, (self._fitted.length, self._fitted.features))
        return PredictionOutput.from_probabilities(self._probabilities(checked))

    def _probabilities(self, X: Inputs) -> NDArray[np.float64]:
        assert self._fitted is not None
        # Trained on a GPU, it still answers where there is none.
        device = "cpu" if self.config["device"] == "cpu" else resolve("auto")
        return softmax(loop.outputs(self._fitted.network, X, device))

    def save(self, path: Path) -> None:
        """`network.safetensors` and `model.json`."""
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        sizes = {name: getattr(self._fitted, name) for name in ("length", "features", "classes")}
        weights = {name: value.cpu().numpy() for name, value in self._fitted.network.state_dict().items()}
        _files.write_facts(path, "lstm", {"config": self.config, **sizes})
        _files.write_arrays(path / NETWORK, weights)

    def load(self, path: Path) -> None:
        """Read what `save` wrote."""
        facts = _files.read_facts(path, "lstm", ("config", "length", "features", "classes"))
        arrays = _files.read_arrays(path / NETWORK)
        self.config = facts["config"]
        network = self._network(facts["features"], facts["classes"])
        try:
            network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
        except RuntimeError as cause:
            raise BrokenArtifact(path / NETWORK, f"does not fit its model.json: {cause}") from cause
        self._fitted = _Fitted(network.eval(), facts["length"], facts["features"], facts["classes"])

    def final_config(self, folds: Sequence[TrainingMetrics]) -> dict[str, Any]:
        """As many epochs as the folds found best, in the median, at the learning rates the folds had in them."""
        found = [metrics.best_epoch for metrics in folds if metrics.best_epoch]
        schedule = self.config["schedule_epochs"] or self.config["epochs"]
        return {"epochs": round(median(found)), "schedule_epochs": schedule} if found else {}
