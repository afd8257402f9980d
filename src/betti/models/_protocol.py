"""What a model is: the protocol every file in this folder follows, and the two values that cross its border."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    from betti.windows import NamedInputs, Windows

    # What a model of one input takes: `betti.models._checks` narrows to it.
    Single: TypeAlias = NDArray[np.float32] | Windows
    # One input, or for a model that names several (`BaseModel.inputs`) all of them.
    Inputs: TypeAlias = Single | NamedInputs
    Spans: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
    # Classes alone, or for a model with other heads (`BaseModel.heads`) what those learn too.
    Labels: TypeAlias = "NDArray[np.int64] | Answers"

__all__ = ["Answers", "BaseModel", "InputSpec", "PredictionOutput", "TrainingMetrics"]


@dataclass(frozen=True)
class InputSpec:
    """One input of a model that takes several.

    Attributes:
        set: the declared feature set (`betti.features.sets`) whose columns it takes, in order, out of the run's set.
        length: rows in a window of it; None takes the decision row alone.
        scaling: how it is scaled on the training rows; None as the model's family is scaled, where it is at all.
    """

    set: str
    length: int | None = None
    scaling: Literal["standard", "robust", "none"] | None = None


@dataclass(frozen=True)
class Answers:
    """What n rows teach a model of several heads.

    Attributes:
        classes: (n,) int64, the class of the target's first column.
        heads: label column -> (n,) float64, NaN where the label does not say; those that `BaseModel.heads` names.
    """

    classes: NDArray[np.int64]
    heads: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, rows: NDArray[np.int64]) -> Answers:
        """The same answers for fewer rows."""
        return Answers(self.classes[rows], {name: values[rows] for name, values in self.heads.items()})


@dataclass(frozen=True)
class PredictionOutput:
    """What a model says about n rows.

    Attributes:
        class_predictions: (n,) int64, the most probable class.
        class_probabilities: (n, classes) float64, each row sums to 1.
        confidence: (n,) float64, the largest probability.
        metadata: facts about the prediction, by name.
        outputs: what other heads say of each row, by name, (n,) or (n, ...); those of (n,) are stored with the
            predictions as columns of that name.
    """

    class_predictions: NDArray[np.int64]
    class_probabilities: NDArray[np.float64]
    confidence: NDArray[np.float64]
    metadata: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def from_probabilities(cls, probabilities: NDArray[np.float64], **metadata: Any) -> PredictionOutput:
        """The output whose predictions and confidence follow from (n, classes) probabilities."""
        return cls(probabilities.argmax(axis=1), probabilities, probabilities.max(axis=1), metadata)


@dataclass(frozen=True)
class TrainingMetrics:
    """How training went. Losses are mean log losses in nats; F1 is macro.

    `training_time_seconds` is a fact about the machine: it is reported and never stored beside the model, whose bytes
    must depend on data and seed alone.
    """

    train_loss: float
    val_loss: float
    train_accuracy: float
    val_accuracy: float
    train_f1: float
    val_f1: float
    epochs_trained: int
    training_time_seconds: float
    early_stopped: bool
    best_epoch: int | None
    history: dict[str, list[float]] = field(default_factory=dict)


class BaseModel(ABC):
    """One model. Subclass it in a new file here, decorate it with `ModelRegistry.register`, and it is registered.

    A model is built with a configuration (its defaults with some replaced) and knows its number of classes from
    `fit`. Labels are integers 0 .. classes - 1; a class may be missing in a fold, so the caller says how many there
    are by `config["classes"]`.

    Attributes:
        SMALL: knobs that make the model small enough to be fitted in a second, and still learn: the tests that hold
            for every model fit it with these. None are needed where the defaults are quick.
    """

    SMALL: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        """Take the default configuration with these values replaced.

        Raises:
            UnknownName: `config` names a knob that the model does not have.
            BadModelInput: a value has the wrong type or lies outside its range.
        """
        from betti.models._config import merged

        self.config: dict[str, Any] = merged(type(self).__name__, self.get_default_config(), config or {})

    @property
    @abstractmethod
    def model_family(self) -> str:
        """boosting, neural, classical, ..."""

    @property
    @abstractmethod
    def requires_scaling(self) -> bool:
        """Whether inputs must be scaled on the training rows first."""

    @property
    @abstractmethod
    def requires_sequences(self) -> bool:
        """Whether inputs are (n, length, features) rather than (n, features); of several inputs, whether any is."""

    @property
    def inputs(self) -> Mapping[str, InputSpec]:
        """The inputs of a model that takes several, by name; none for a model of one.

        Then X is `NamedInputs` of these names, and the run's set holds the columns of all of them.
        """
        return {}

    @property
    def heads(self) -> tuple[str, ...]:
        """Label columns that the model learns beside the class; then y is `Answers` with these."""
        return ()

    @abstractmethod
    def get_default_config(self) -> dict[str, Any]:
        """Every knob with its default, `seed` and `classes` among them."""

    @abstractmethod
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
        """Train.

        Args:
            X_train: (n, features) float32, or (n, length, features) as an array or as lazy `Windows`; `NamedInputs`
                where the model names several.
            y_train: (n,) integer classes; `Answers` where the model has other heads.
            X_val: validation inputs; None trains for exactly the configured number of rounds or epochs.
            y_val: the same of the validation rows.
            sample_weights: (n,) non-negative weights; only their ratios count, and a row of weight 0 is left out.
            config: knobs to replace for this fit.
            spans: (start, end) of each training row's label in nanoseconds since 1970, for models that split again.

        Raises:
            BadModelInput: NaN or infinity in the inputs, shapes that do not fit, labels out of range, one class.
        """

    @abstractmethod
    def predict(self, X: Inputs) -> PredictionOutput:
        """Class probabilities for n rows.

        Raises:
            BadModelInput: not fitted yet, another width or length than in `fit`, NaN or infinity.
        """

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the model into the folder `path`; equal models give equal bytes. Never pickle."""

    @abstractmethod
    def load(self, path: Path) -> None:
        """Read what `save` wrote; loading executes no code from the files."""

    def get_feature_importance(self) -> dict[str, float] | None:
        """Importance by feature position as text ("0", "1", ...), or None where the model has none."""
        return None

    def final_config(self, folds: Sequence[TrainingMetrics]) -> dict[str, Any]:  # noqa: ARG002  # subclasses use it
        """Knobs for the final model, fixed from the folds: it has no validation rows to stop on."""
        return {}
