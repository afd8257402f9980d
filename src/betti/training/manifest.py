"""What a trained run says of itself: the facts in its manifest.json. No times, no paths: equal runs, equal bytes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict

from betti.training.guard import Thin  # noqa: TC001  # pydantic needs it at runtime
from betti.training.pruning import Choice  # noqa: TC001  # likewise
from betti.training.scaling import ONLY
from betti.windows import Steps  # noqa: TC001  # likewise

if TYPE_CHECKING:
    from betti.models._protocol import TrainingMetrics

__all__ = ["FitFacts", "InputFacts", "RunManifest", "library_versions"]

LIBRARIES = (
    *(
        "catboost",
        "hnswlib",
        "lightgbm",
        "lightning",
        "numpy",
        "pandas",
        "safetensors",
        "scikit-learn",
        "torch",
        "xgboost",
        "xgboost-cpu",
    ),
)


class FitFacts(BaseModel):
    """How one fit went; scores as in `betti.models.TrainingMetrics`, None where there were no validation rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_loss: float | None
    val_loss: float | None
    train_accuracy: float | None
    val_accuracy: float | None
    train_f1: float | None
    val_f1: float | None
    epochs_trained: int
    early_stopped: bool
    best_epoch: int | None

    @classmethod
    def of(cls, metrics: TrainingMetrics) -> Self:
        """The facts that depend on data and seed alone: neither seconds nor the history, which has its own table."""
        values: dict[str, Any] = {name: getattr(metrics, name) for name in cls.model_fields}
        return cls.model_validate({name: None if _nan(value) else value for name, value in values.items()})


def _nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


class InputFacts(BaseModel):
    """One input of a model.

    Attributes:
        set: the feature set that it is.
        columns: its columns, in order.
        length: rows in a window of it; None for single rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    set: str
    columns: tuple[str, ...]
    length: int | None


class RunManifest(BaseModel):
    """What was trained, on what, and how it went.

    Attributes:
        run: its name in params.yaml.
        model: registered model.
        target: its labels.
        set: its feature set.
        seed: of every fit.
        config: every knob of the fold models.
        final_config: knobs that the final model has otherwise, fixed from the folds.
        columns: feature columns of the set that the model takes, in order; a row has an input where all of them are
            finite, in a window in all of its rows.
        inputs: the inputs of a model that takes several, by name; empty for a model of one.
        prune: the run's limit of likeness; None where every model was given all columns.
        pruned: "fold_0", ..., "final" -> the columns that this model was given; empty without a limit.
        classes: how many there are.
        label: the label column.
        length: rows in an input, in the longest of several; None for single rows.
        heads: label columns that are learnt beside `label`.
        steps: which steps between two rows of a window are no gap, by symbol; None for single rows.
        device: "cpu" or "cuda".
        folds: fold numbers.
        fits: "fold_0", ..., "final" -> how it went.
        rows: "fold_0", ... -> role -> rows with a complete input; "final" has only "train".
        dropped: labelled rows without a complete input, by reason.
        warnings: what to know when its scores are read.
        libraries: what computed it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    model: str
    target: str
    set: str
    seed: int
    config: dict[str, Any]
    final_config: dict[str, Any]
    columns: tuple[str, ...]
    inputs: dict[str, InputFacts] = {}
    prune: float | None = None
    pruned: dict[str, Choice] = {}
    classes: int
    label: str
    heads: tuple[str, ...] = ()
    length: int | None
    steps: dict[str, Steps] | None = None
    device: str
    folds: tuple[int, ...]
    fits: dict[str, FitFacts]
    rows: dict[str, dict[str, int]]
    dropped: dict[str, int]
    warnings: tuple[Thin, ...] = ()
    libraries: dict[str, str]

    @property
    def parts(self) -> dict[str, InputFacts]:
        """The inputs by name; the only one of a model of one has the name `ONLY`."""
        return self.inputs or {ONLY: InputFacts(set=self.set, columns=self.columns, length=self.length)}

    def kept(self, member: str) -> tuple[str, ...]:
        """Columns that one model ("fold_0", "final") takes, in order."""
        found = self.pruned.get(member)
        return self.columns if found is None else found.kept


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that a fit can depend on, without importing them."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
