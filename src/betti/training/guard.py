"""Whether the rows carry the columns: warns where a model has many columns for few samples, and refuses by knob.

Samples are the train rows of a run's smallest fold, columns those that its model is given. 20 samples a column are
the optimum and 10 the least that is usual (Harrell 2015, 4.4, has 10 to 20 for regressions); how many columns at most
is a table of steps. A sequence counts its columns once: its rows share their weights. What does not belong here:
counting rows, dropping columns (`pruning.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from betti.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Size", "Thin", "TooFewSamples", "most_columns", "thinness"]

OPTIMUM = 20.0
# Samples from which on so many columns are the most.
MOST = ((500_000, 500), (200_000, 400), (100_000, 200), (0, 100))


class TooFewSamples(BadInput):
    """A run whose smallest fold has fewer samples per column than the run's own limit."""

    def __init__(self, run: str, size: Size, least: float) -> None:
        self.run, self.size, self.least = run, size, least
        super().__init__(
            f"run '{run}': {size.fold} has {size.samples:,} train rows for {size.columns} columns, {_told(size)} "
            f"a column; least_samples_per_feature is {least:g}. Fetch more bars, choose a smaller set, set `prune`, "
            "or lower the limit"
        )


class Size(BaseModel):
    """Train rows of one fold, and the columns that its model is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fold: str
    samples: int
    columns: int

    @property
    def ratio(self) -> float:
        """Samples per column."""
        return self.samples / self.columns


def _told(size: Size) -> str:
    """The ratio rounded down: 9.99 is no 10."""
    return f"{size.samples * 10 // size.columns / 10:g}"


class Thin(BaseModel):
    """One thing to know when the run's scores are read.

    Attributes:
        kind: "few_samples" a column, or "many_columns" for the number of samples.
        size: the fold it was found in.
        limit: samples a column at least, or columns at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["few_samples", "many_columns"]
    size: Size
    limit: float

    @property
    def found(self) -> float:
        """What the limit is held against."""
        return self.size.ratio if self.kind == "few_samples" else float(self.size.columns)

    @property
    def message(self) -> str:
        """What was found, and what it should be."""
        rows = f"{self.size.fold} has {self.size.samples:,} train rows"
        if self.kind == "few_samples":
            return (
                f"{rows} for {self.size.columns} columns: {_told(self.size)} samples a column, {self.limit:g} are good"
            )
        return f"{rows} and {self.size.columns} columns: at most {self.limit:g} columns for so many rows"


def most_columns(samples: int) -> int:
    """How many columns so many samples carry at most: 100 below 100,000 samples, then 200, 400 and 500, in steps.

    >>> [most_columns(samples) for samples in (3_000, 99_999, 100_000, 200_000, 500_000, 10**7)]
    [100, 100, 200, 400, 500, 500]
    """
    return next(columns for least, columns in MOST if samples >= least)


def thinness(run: str, folds: Mapping[str, tuple[int, int]], least: float | None) -> tuple[Thin, ...]:
    """What there is to warn of: in the fold with the fewest samples a column, and in the first of too many columns.

    Args:
        run: its name, for the error.
        folds: "fold_0" ... -> its train rows, and the columns that its model is given; one fold at least, no zeros.
        least: samples per column below which the run is refused; None refuses nothing.

    Raises:
        TooFewSamples: fewer than `least`.

    >>> [(one.kind, one.limit) for one in thinness("r", {"fold_0": (1500, 118), "fold_1": (3000, 118)}, None)]
    [('few_samples', 20.0), ('many_columns', 100.0)]
    """
    sizes = [Size(fold=fold, samples=samples, columns=columns) for fold, (samples, columns) in folds.items()]
    thinnest = min(sizes, key=lambda size: size.ratio)  # pruned folds have columns of their own
    if least is not None and thinnest.ratio < least:
        raise TooFewSamples(run, thinnest, least)
    found = [Thin(kind="few_samples", size=thinnest, limit=OPTIMUM)] if thinnest.ratio < OPTIMUM else []
    wide = [size for size in sizes if size.columns > most_columns(size.samples)][:1]
    return (*found, *(Thin(kind="many_columns", size=size, limit=most_columns(size.samples)) for size in wide))
