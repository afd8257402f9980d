"""The dual tower for the target `relevance`: does the context support or oppose the move over 7 and 30 days?

One tower reads the set `context`, the other the set `stock`, both as single rows; two heads say a score and a direction
for each horizon (`betti.networks.dual_tower`). The class is the direction over the horizon that the target learns
first (its knob `learn`), which the knob `horizon` names here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch

from betti.errors import BadModelInput, BrokenArtifact
from betti.models import ModelRegistry, _checks, _files, _torch
from betti.models._protocol import InputSpec, PredictionOutput
from betti.models._search import Real
from betti.networks.dual_tower import (
    ContextTowerConfig,
    DualTowerModelConfig,
    DualTowerOutput,
    DualTowerRelevanceModel,
    LossConfig,
    OptimizerConfig,
    RelevanceHeadConfig,
    RelevanceLabels,
    StockTowerConfig,
    WeightedDualTowerLoss,
    logit_of_class,
    parameter_groups,
)
from betti.training.optimisation import Group
from betti.training.scores import softmax

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from betti.models._checks import Bounds, NamedTraining, Training
    from betti.models._search import Choice
    from betti.training.nested import Arrays, Batch, Outputs
    from betti.training.problem import Loss, Problem, Score, Targets
    from betti.windows import NamedInputs

    Floats = NDArray[np.float64]

__all__ = ["DualTower"]

CLASSES = 3
PLANE = "embedding.safetensors"
HORIZONS = ("7d", "30d")
LOSS_KNOBS = (
    *("regression_weight_7d", "regression_weight_30d"),
    *("classification_weight_7d", "classification_weight_30d", "regularization_weight"),
)
STOP_KNOBS = ("stop_weight_7d", "stop_weight_30d", "stop_weight_regularization")
BOUNDS: Bounds = {
    **_torch.BOUNDS,
    "horizon": HORIZONS,
    "context_dropout": (0, 0.95),
    "stock_dropout": (0, 0.95),
    "head_dropout": (0, 0.95),
    **dict.fromkeys((*LOSS_KNOBS, *STOP_KNOBS), (0, 1e6)),
    **dict.fromkeys(("context_share", "stock_share", "head_share"), (0, 1e3)),
    "head_weight_decay": (0, 10),
}


@dataclass(frozen=True)
class Plane:
    """Where embeddings spread most: their mean (k,) and their two first principal components (k, 2).

    Pearson 1901, "On lines and planes of closest fit". Components point to where their largest part is positive.
    """

    mean: Floats
    axes: Floats

    @classmethod
    def fitted(cls, embeddings: Floats) -> Plane:
        """The plane of (n, k) embeddings.

        >>> plane = Plane.fitted(np.array([[0.0, 0.0, 1.0], [0.0, 2.0, 1.0], [1.0, 0.0, 1.0], [1.0, 2.0, 1.0]]))
        >>> plane.of(np.array([[1.0, 2.0, 1.0]])).round(6).tolist()
        [[1.0, 0.5]]
        """
        mean = embeddings.mean(axis=0)
        away = embeddings - mean
        axes = np.linalg.eigh(away.T @ away)[1][:, [-1, -2]]
        return cls(mean, axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]]))

    def of(self, embeddings: Floats) -> Floats:
        """(n, 2) places in the plane."""
        places: Floats = (embeddings - self.mean) @ self.axes
        return places


@ModelRegistry.register(
    "dual_tower", family="neural", description="context and stock towers, relevance over 7 and 30 days"
)
class DualTower(_torch.TorchModel):
    """`DualTowerRelevanceModel` on named inputs `context` and `stock`, trained by the one torch loop."""

    NAME: ClassVar[str] = "dual_tower"
    KNOBS: ClassVar[Mapping[str, Any]] = {
        "horizon": "7d",  # 7d or 30d: whose direction is the class, as `learn` of the target says
        "context_dropout": 0.2,
        "stock_dropout": 0.3,
        "head_dropout": 0.2,
        "regression_weight_7d": 1.0,
        "regression_weight_30d": 1.0,
        "classification_weight_7d": 0.5,
        "classification_weight_30d": 0.5,
        "regularization_weight": 0.01,
        "stop_weight_7d": 0.4,  # early stopping watches these shares of the three parts of the validation loss
        "stop_weight_30d": 0.4,
        "stop_weight_regularization": 0.2,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "context_share": 1.0,  # each part's learning rate, as a share of `learning_rate`
        "stock_share": 0.5,
        "head_share": 1.0,
        "weight_decay": 1e-5,  # of the towers
        "head_weight_decay": 1e-4,
        "classes": CLASSES,
    }
    BOUNDS: ClassVar[Bounds] = BOUNDS
    SMALL: ClassVar[Mapping[str, Any]] = {
        "epochs": 10,
        "warmup_epochs": 1,
        "batch_size": 64,
        "learning_rate": 4e-3,
        "context_dropout": 0.0,
        "stock_dropout": 0.0,
        "head_dropout": 0.0,
        "device": "cpu",
    }
    SEARCH: ClassVar[Mapping[str, Choice]] = {
        "learning_rate": Real(1e-4, 1e-2, log=True),
        "context_share": Real(0.1, 10.0, log=True),
        "stock_share": Real(0.1, 10.0, log=True),
        "context_dropout": Real(0.0, 0.5),
        "stock_dropout": Real(0.0, 0.5),
        "head_dropout": Real(0.0, 0.5),
        "weight_decay": Real(1e-6, 1e-2, log=True),
        "regularization_weight": Real(1e-4, 0.1, log=True),
    }

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self._plane: Plane | None = None

    @property
    def inputs(self) -> Mapping[str, InputSpec]:
        """Single rows of two sets, each scaled by mean and deviation."""
        return {name: InputSpec(name, scaling="standard") for name in ("context", "stock")}

    @property
    def heads(self) -> tuple[str, ...]:
        """Scores and directions of both horizons, columns of the label `relevance`."""
        return tuple(f"{what}_{horizon}" for what in ("score", "direction") for horizon in HORIZONS)

    def network(self, shape: _torch.Shape) -> nn.Module:
        """The network for inputs as wide as they came.

        Raises:
            BadModelInput: the target has another number of classes than three directions.
        """
        if shape.classes != CLASSES:
            found = f"{shape.classes} classes"
            raise BadModelInput(type(self).__name__, found, "It learns the three directions of the target `relevance`")
        config = self.config
        context, stock = (shape.inputs[name][-1] for name in ("context", "stock"))
        return DualTowerRelevanceModel(
            DualTowerModelConfig(
                ContextTowerConfig(input_dim=context, dropout=config["context_dropout"]),
                StockTowerConfig(input_dim=stock, dropout=config["stock_dropout"]),
                RelevanceHeadConfig(dropout=config["head_dropout"]),
            )
        )

    def call(self, network: nn.Module, batch: Batch) -> Outputs:
        """Each tower its own input."""
        parts = cast("dict[str, Tensor]", batch)
        said: DualTowerOutput = network(parts["context"], parts["stock"])
        return said

    # Learning

    def targets(self, y: NDArray[np.int64], heads: Mapping[str, NDArray[np.float64]]) -> Targets:
        """Scores as they are, directions as places of their logits; the class stands for its own horizon's direction.

        Raises:
            BadModelInput: a direction that is no class, or classes of the other horizon.
        """
        own = f"direction_{self.config['horizon']}"
        classes = {f"direction_{horizon}": heads[f"direction_{horizon}"] for horizon in HORIZONS}
        for name, values in classes.items():
            if not np.isin(values[~np.isnan(values)], range(CLASSES)).all():
                found = f"head '{name}' holds values that are no directions"
                raise BadModelInput(type(self).__name__, found, "0 is negative, 1 none, 2 positive")
        self._refuse_the_other_horizon(y, classes)
        directions = {**classes, own: y.astype("float64")}
        places = {name: logit_of_class(torch.from_numpy(values)).numpy() for name, values in directions.items()}
        return {**heads, **places}

    def _refuse_the_other_horizon(self, y: NDArray[np.int64], classes: Mapping[str, NDArray[np.float64]]) -> None:
        """Classes that are the other horizon's directions to the last one, and not this one's."""
        horizon = self.config["horizon"]
        other = next(name for name in HORIZONS if name != horizon)
        if np.array_equal(y, classes[f"direction_{other}"]) and not np.array_equal(y, classes[f"direction_{horizon}"]):
            found = f"horizon = {horizon!r}, and the classes are the directions over {other}"
            raise BadModelInput(type(self).__name__, found, f"Set horizon: {other} in the run's config")

    def loss(self) -> Loss:
        """The combined loss, per row."""
        return partial(_row_losses, self._combined())

    def _combined(self) -> WeightedDualTowerLoss:
        return WeightedDualTowerLoss.from_config(LossConfig(*(self.config[name] for name in LOSS_KNOBS)))

    def _problem(self, data: Training | NamedTraining, shape: _torch.Shape) -> Problem:
        self._plane = None
        return super()._problem(data, shape)

    def score(self) -> Score | None:
        """Shares of what is lost over 7 days, over 30 days and in regularisation."""
        return partial(_stop_score, self._combined(), tuple(self.config[name] for name in STOP_KNOBS))

    def groups(self, network: nn.Module) -> Sequence[Group]:
        """Context tower, stock tower, heads, each at its own rate."""
        config = self.config
        rates = OptimizerConfig(
            config["learning_rate"],
            *(config[name] for name in ("context_share", "stock_share", "head_share")),
            *(config[name] for name in ("weight_decay", "head_weight_decay")),
        )
        found = parameter_groups(cast("DualTowerRelevanceModel", network), rates)
        return [Group(tuple(one["params"]), one["lr"], one["weight_decay"]) for one in found]

    # Answering

    def output(self, said: Arrays) -> PredictionOutput:
        """Probabilities in the order of the label's classes, and the scores of both horizons.

        `embedding_1` and `embedding_2` say where both embeddings, side by side, lie in the plane in which those of the
        training rows spread most. These are the first rows that a trained network is asked about, by `fit`.
        """
        told = cast("DualTowerOutput", said)
        logits = cast("Floats", getattr(told, f"direction_logits_{self.config['horizon']}"))
        order = logit_of_class(torch.arange(float(CLASSES))).long().numpy()
        plain = PredictionOutput.from_probabilities(softmax(logits[:, order]))
        joint = np.column_stack(cast("tuple[Floats, Floats]", (told.context_embedding, told.stock_embedding)))
        if self._plane is None:
            self._plane = Plane.fitted(joint)
        first, second = self._plane.of(joint).T
        scores = cast("dict[str, Floats]", {"score_7d": told.score_7d, "score_30d": told.score_30d})
        return replace(plain, outputs={**scores, "embedding_1": first, "embedding_2": second})

    def ablation(self, X: NamedInputs) -> dict[str, float]:
        """How far the scores of these rows move when a group of columns is silenced.

        As `DualTowerRelevanceModel.get_feature_importance`; the rows are scaled as in `fit`.

        Raises:
            BadModelInput: not fitted yet, or inputs of another shape.
        """
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        checked = _checks.named_answerable(self, X, self._fitted.shape.inputs)
        network = cast("DualTowerRelevanceModel", self._fitted.network).cpu()
        context, stock = (torch.from_numpy(np.array(checked[name][:])) for name in ("context", "stock"))
        return network.get_feature_importance(context, stock)

    # Files

    def save(self, path: Path) -> None:
        """What every torch model writes, and the plane of the embeddings."""
        super().save(path)
        assert self._plane is not None
        _files.write_arrays(path / PLANE, {"mean": self._plane.mean, "axes": self._plane.axes})

    def load(self, path: Path) -> None:
        """Read what `save` wrote."""
        super().load(path)
        arrays = _files.read_arrays(path / PLANE)
        if set(arrays) != {"mean", "axes"} or arrays["axes"].shape != (*arrays["mean"].shape, 2):
            raise BrokenArtifact(path / PLANE, "holds no plane: a mean (k,) and axes (k, 2)")
        self._plane = Plane(arrays["mean"], arrays["axes"])


def _labels(targets: Mapping[str, Tensor]) -> tuple[RelevanceLabels, RelevanceLabels]:
    week, month = (RelevanceLabels(targets[f"score_{one}"], targets[f"direction_{one}"]) for one in HORIZONS)
    return week, month


def _row_losses(
    loss: WeightedDualTowerLoss, said: DualTowerOutput, targets: Mapping[str, Tensor], weights: Tensor
) -> Tensor:
    return loss.rows(said, *_labels(targets), weights)


def _stop_score(
    loss: WeightedDualTowerLoss,
    shares: tuple[float, ...],
    said: DualTowerOutput,
    targets: Mapping[str, Tensor],
    weights: Tensor,
) -> float:
    terms = loss.terms(said, *_labels(targets), weights)
    return float(sum(share * term for share, term in zip(shares, terms, strict=True)))
