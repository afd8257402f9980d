"""What the parts of a model are worth: a run beside the same run with a part taken away, on the same test rows.

A model says beside its knobs what may be taken away, by knobs that differ:

    VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"without topology": {"mute": "topology"}}

One variant is the run itself with another seed: differences no larger than that one's are luck. What does not belong
here: training and evaluating them (the stages), and where that is asked for (`flows.ablation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel as Record
from pydantic import ConfigDict

from betti.errors import BadInput, BettiError
from betti.metrics._instants import instants, span_bars
from betti.metrics.classification import log_losses
from betti.metrics.significance import Bootstrap, difference_interval
from betti.records import Interval  # noqa: TC001  # pydantic needs it at runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from betti.models import BaseModel

__all__ = ["Ablation", "NothingToAblate", "OtherRows", "Variant", "VariantScore", "bootstrap", "compared", "variants"]

KEY = ["fold", "symbol", "timestamp"]
OTHER_SEED = "another seed"


class NothingToAblate(BadInput):
    """A model whose file names nothing that may be taken away, or nothing that this run has."""

    def __init__(self, run: str, model: str) -> None:
        super().__init__(
            f"run '{run}': the model '{model}' has no variants, or the run is one of them already. Add `VARIANTS` to "
            "its file (docs/networks.md), or choose another run"
        )


class OtherRows(BettiError):
    """A variant that was judged on other rows than the run."""

    def __init__(self, variant: str, rows: int, shared: int) -> None:
        super().__init__(
            f"variant '{variant}' answers for {rows} test rows, and the run for {shared} of them: they cannot be "
            "compared row by row. Bring the run up to date with `betti run`"
        )


@dataclass(frozen=True)
class Variant:
    """A run with a part taken away.

    Attributes:
        name: what was taken away.
        changed: knobs that differ from the run's.
        config: all knobs that are given to the model.
        seed: of its fits.
    """

    name: str
    changed: Mapping[str, Any]
    config: Mapping[str, Any]
    seed: int


class _Record(Record):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VariantScore(_Record):
    """One variant on the run's test rows.

    Attributes:
        name: what was taken away.
        config: the knobs that differ from the run's.
        seed: of its fits.
        log_loss: mean over the rows, in nats.
        loss: its log loss minus the run's, paired by row, with its interval: positive says that the part helps.
    """

    name: str
    config: dict[str, Any]
    seed: int
    log_loss: float
    loss: Interval


class Ablation(_Record):
    """What the parts of a run's model are worth over `rows` test rows; log losses in nats.

    `confidence` is that of each interval by itself, two-sided.
    """

    run: str
    model: str
    target: str
    rows: int
    confidence: float
    log_loss: float
    variants: list[VariantScore]


def variants(run: str, model: str, prototype: BaseModel, config: Mapping[str, Any], seed: int) -> tuple[Variant, ...]:
    """What to train beside a run, the run with another seed last.

    Args:
        run: its name, for the error.
        model: the model's name, likewise.
        prototype: the model with the run's knobs.
        config: the knobs that the run gives it.
        seed: the run's.

    Raises:
        NothingToAblate: no variant differs from the run.
    """
    declared: Mapping[str, Mapping[str, Any]] = getattr(type(prototype), "VARIANTS", {})
    found = [
        Variant(name, changed, {**config, **changed}, seed)
        for name, changed in declared.items()
        if any(prototype.config.get(knob) != value for knob, value in changed.items())
    ]
    if not found:
        raise NothingToAblate(run, model)
    return (*found, Variant(OTHER_SEED, {}, dict(config), seed + 1))


def bootstrap(labels: pd.DataFrame, clean: pd.DataFrame, repetitions: int, confidence: float, seed: int) -> Bootstrap:
    """How intervals are drawn: blocks as long as the longest span at least, as in evaluation."""
    return Bootstrap(repetitions, confidence, seed, int(span_bars(labels, clean).max(initial=1)))


def compared(variant: Variant, run: pd.DataFrame, other: pd.DataFrame, draws: Bootstrap) -> VariantScore:
    """A variant's predictions against the run's.

    Args:
        variant: what was trained.
        run: the run's predictions: `fold`, `symbol`, `timestamp`, `p_0` ... and `label`.
        other: the variant's.
        draws: how the interval is drawn; rows of one time are drawn together.

    Raises:
        OtherRows: they do not answer for the same rows.
    """
    both = run[KEY].merge(other, on=KEY, how="inner", validate="one_to_one")
    if len(both) != len(run) or len(both) != len(other):
        raise OtherRows(variant.name, len(other), len(both))
    ordered = run.set_index(KEY).loc[other.set_index(KEY).index].reset_index()
    mine, others = _losses(ordered), _losses(other)
    return VariantScore(
        name=variant.name,
        config=dict(variant.changed),
        seed=variant.seed,
        log_loss=float(others.mean()),
        loss=difference_interval(instants(other["timestamp"]), others - mine, draws),
    )


def _losses(predictions: pd.DataFrame) -> NDArray[np.float64]:
    names = [name for name in predictions.columns if str(name).startswith("p_")]
    return log_losses(predictions["label"].to_numpy(dtype="int64"), predictions[names].to_numpy(dtype="float64"))
