"""Tables to model inputs: the one way that training, evaluation and live prediction all take.

A feature table becomes one matrix in (symbol, time) order; a row asked for by (timestamp, symbol) is answered with the
features, or the window of features, that end at it. Rows without a complete, finite input are dropped and counted.
What does not belong here: models of several inputs (`inputs.py` puts several of these matrices together), choosing rows
by role (`betti.stages.train`), and models.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from betti.errors import BadInput, BrokenArtifact
from betti.models._protocol import Answers
from betti.schemas import FEATURES, LABELS
from betti.windows import Rows, Steps, Windows, breaks, complete, usual_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from betti.models._protocol import Labels, Single
    from betti.training.scaling import Scaler

__all__ = [
    "INCOMPLETE",
    "NO_FEATURES",
    "FeatureRows",
    "Found",
    "Labelled",
    "MissingColumns",
    "Ordered",
    "ValuelessColumns",
    "feature_columns",
    "feature_rows",
    "label_column",
    "labelled",
    "ordered",
    "valueless_columns",
]

INCOMPLETE, NO_FEATURES, NO_LABEL = "incomplete_input", "no_features", "no_label"


class ValuelessColumns(BadInput):
    """Features that have no finite value in any row to learn from, such as volume in a market without any."""

    def __init__(self, feature_set: str, columns: list[str], needed_by: str | None = None) -> None:
        self.columns = columns
        remedy = "Leave them out: list the set's columns under `sets` in params.yaml"
        if needed_by is not None:
            remedy = (
                f"The model '{needed_by}' needs them: bring the data that they are made of, or choose another model"
            )
        super().__init__(
            f"feature set '{feature_set}': {len(columns)} columns have no value in any labelled row: "
            f"{', '.join(columns)}. {remedy}"
        )


class MissingColumns(BadInput):
    """A feature table that lacks columns a model was trained on."""

    def __init__(self, columns: list[str]) -> None:
        self.columns = columns
        super().__init__(
            f"the feature table lacks {len(columns)} columns that the model was trained on: {', '.join(columns)}. "
            "Give the run's own feature set, or train the run again: `betti run --stages train --downstream`"
        )


@dataclass(frozen=True)
class Found:
    """Rows that have an input, out of those asked for.

    Attributes:
        kept: (asked,) whether the row has one.
        positions: (kept,) where it ends in the matrix.
        dropped: rows without one, by reason.
    """

    kept: NDArray[np.bool_]
    positions: NDArray[np.int64]
    dropped: dict[str, int]


@dataclass(frozen=True)
class FeatureRows:
    """A feature table as one matrix.

    Attributes:
        columns: feature names, in order.
        values: (rows, columns) float32 by symbol and time, a row in one stretch of memory; NaN in warm-up rows.
        index: (symbol, timestamp) of each row.
        complete: (rows,) whether a full, finite input ends at the row.
        length: rows in an input; None for single rows.
    """

    columns: tuple[str, ...]
    values: NDArray[np.float32]
    index: pd.MultiIndex
    complete: NDArray[np.bool_]
    length: int | None

    def find(self, rows: pd.DataFrame) -> Found:
        """Where the inputs of these rows (`timestamp`, `symbol`) end."""
        at = self.index.get_indexer(_index(rows))
        kept = at >= 0
        kept[kept] = self.complete[at[kept]]
        dropped = {NO_FEATURES: int((at < 0).sum()), INCOMPLETE: int(((at >= 0) & ~kept).sum())}
        return Found(kept, at[kept].astype("int64"), {reason: n for reason, n in dropped.items() if n})

    def only(self, columns: tuple[str, ...]) -> FeatureRows:
        """The same rows with these columns alone; itself where they are all.

        `complete` stays: which rows have an input is told by the whole set, so that models which keep other columns
        of it are judged on the same rows.
        """
        if columns == self.columns:
            return self
        place = {name: at for at, name in enumerate(self.columns)}
        # `take` keeps rows in one stretch; indexing with brackets would lay the columns so.
        values = np.take(self.values, [place[name] for name in columns], axis=1)
        return replace(self, columns=columns, values=values)

    def inputs(self, positions: NDArray[np.int64], scaler: Scaler | None) -> Single:
        """Scaled inputs that end at these positions: (n, columns), or `Windows` where there is a length."""
        return self.several(scaler, positions)[0]

    def several(self, scaler: Scaler | None, *positions: NDArray[np.int64]) -> tuple[Single, ...]:
        """What `inputs` gives for each of these, the windows over one matrix that is scaled once."""
        if self.length is None:
            picked = [self.values[at] for at in positions]
            return tuple(rows if scaler is None else scaler.transform(rows) for rows in picked)
        values = self.values if scaler is None else scaler.transform(self.values)
        return tuple(Windows(values, at, self.length) for at in positions)

    def views(self, scaler: Scaler | None, *positions: NDArray[np.int64]) -> tuple[Windows | Rows, ...]:
        """What `several` gives, single rows too as views over one matrix that is scaled once."""
        values = self.values if scaler is None else scaler.transform(self.values)
        if self.length is None:
            return tuple(Rows(values, at) for at in positions)
        return tuple(Windows(values, at, self.length) for at in positions)


@dataclass(frozen=True)
class Labelled:
    """Rows that have both a label and an input, by symbol and time.

    Attributes:
        rows: `timestamp`, `symbol`, `span_start`, `span_end` per row, index 0 .. n - 1.
        positions: (n,) where each input ends in the feature matrix.
        y: (n,) int64 classes.
        weights: (n,) sample weights.
        dropped: label rows that are not here, by reason.
        heads: label column -> (n,) float64, NaN where the label does not say; what other heads of the model learn.
    """

    rows: pd.DataFrame
    positions: NDArray[np.int64]
    y: NDArray[np.int64]
    weights: NDArray[np.float64]
    dropped: dict[str, int]
    heads: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def answers(self, rows: NDArray[np.int64]) -> Labels:
        """What these rows teach: their classes, with heads as `Answers`."""
        return Answers(self.y, self.heads).take(rows) if self.heads else self.y[rows]

    def spans(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(start, end) of each row's label in nanoseconds since 1970."""
        start, end = (
            self.rows[name].dt.as_unit("ns").astype("int64").to_numpy() for name in ("span_start", "span_end")
        )
        return start, end


def _index(rows: pd.DataFrame) -> pd.MultiIndex:
    import pandas as pd

    # One unit and one string type, so that equal instants and names are equal keys wherever the table came from.
    return pd.MultiIndex.from_arrays(
        [rows["symbol"].astype("object"), rows["timestamp"].dt.as_unit("us")], names=["symbol", "timestamp"]
    )


def feature_columns(feature_set: pd.DataFrame) -> tuple[str, ...]:
    """Names of the feature columns, in the table's order."""
    return tuple(str(name) for name in feature_set.columns if name not in FEATURES.names)


def steps(feature_set: pd.DataFrame) -> dict[str, Steps]:
    """Which steps between rows are no gap for windows, by symbol.

    Found once, when a model is trained, and kept with it: `betti.windows.Steps` says why. They tell of clocks alone,
    so that rows after a fold may take part.
    """
    return usual_steps(*_clocks(feature_set.sort_values(["symbol", "timestamp"], kind="stable")))


@dataclass(frozen=True)
class Ordered:
    """A feature table in (symbol, time) order, from which matrices are taken.

    Attributes:
        table: the rows in order.
        index: (symbol, timestamp) of each row.
    """

    table: pd.DataFrame
    index: pd.MultiIndex

    def rows(
        self, columns: tuple[str, ...], length: int | None, steps: Mapping[str, Steps] | None = None
    ) -> FeatureRows:
        """These columns as a matrix; arguments and errors as those of `feature_rows`."""
        absent = [name for name in columns if name not in self.table.columns]
        if absent:
            raise MissingColumns(absent)
        # pandas lays a table out by columns; a batch gathers rows.
        values = np.array(self.table[list(columns)].to_numpy(dtype="float32"), order="C")
        full = np.isfinite(values).all(axis=1)
        if length is not None:
            symbols, times = _clocks(self.table)
            broken = None if steps is None else breaks(symbols, times, steps)
            full = complete(symbols, full, length, broken)
        return FeatureRows(columns, values, self.index, full, length)


def ordered(feature_set: pd.DataFrame) -> Ordered:
    """The table in (symbol, time) order, for one matrix or several.

    Raises:
        BrokenArtifact: a (timestamp, symbol) occurs twice.
    """
    table = feature_set.sort_values(["symbol", "timestamp"], kind="stable")
    index = _index(table)
    if not index.is_unique:
        symbol, timestamp = index[index.duplicated()][0]
        raise BrokenArtifact("feature_set", f"the row {symbol} {timestamp} occurs twice")
    return Ordered(table, index)


def feature_rows(
    feature_set: pd.DataFrame,
    columns: tuple[str, ...],
    length: int | None,
    steps: Mapping[str, Steps] | None = None,
) -> FeatureRows:
    """The table as a matrix of these columns, ready for inputs of `length` rows.

    Args:
        feature_set: columns as in `schemas.FEATURES`, in any order of rows.
        columns: those to take.
        length: rows in an input; None for single rows.
        steps: what is no gap, by symbol; None: only the end of a symbol stops a window.

    Raises:
        MissingColumns: the table lacks some.
        BrokenArtifact: a (timestamp, symbol) occurs twice.
    """
    return ordered(feature_set).rows(columns, length, steps)


def _clocks(ordered: pd.DataFrame) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Symbol and microseconds since 1970 of each row."""
    return ordered["symbol"].to_numpy(dtype="object"), ordered["timestamp"].dt.as_unit("us").astype("int64").to_numpy()


def label_column(labels: pd.DataFrame) -> str:
    """The column that is learnt: the first one beyond the keys, the span and the weight.

    Raises:
        BrokenArtifact: there is none.
    """
    found = [str(name) for name in labels.columns if name not in LABELS.names]
    if not found:
        raise BrokenArtifact("labels", "there is no target column")
    return found[0]


def labelled(
    labels: pd.DataFrame, label: str, features: FeatureRows, classes: int, heads: tuple[str, ...] = ()
) -> Labelled:
    """Label rows joined with where their inputs are; rows without a label or an input are counted.

    Args:
        labels: columns as in `schemas.LABELS`.
        label: the column of classes, which alone decides whether a row has a label.
        features: where inputs end.
        classes: how many there are.
        heads: further label columns to take along, NaN where they do not say.

    Raises:
        BrokenArtifact: a label that is none of these so many classes.
    """
    known = labels[labels[label].notna()].sort_values(["symbol", "timestamp"], kind="stable")
    values = known[label].to_numpy(dtype="float64")
    if not np.isin(values, np.arange(classes)).all():
        raise BrokenArtifact("labels", f"column {label} holds values other than the classes 0 to {classes - 1}")
    found = features.find(known)
    unlabelled = len(labels) - len(known)
    dropped = found.dropped | ({NO_LABEL: unlabelled} if unlabelled else {})
    kept = known[found.kept].reset_index(drop=True)
    return Labelled(
        kept[["timestamp", "symbol", "span_start", "span_end"]],
        found.positions,
        values[found.kept].astype("int64"),
        kept["weight"].to_numpy(dtype="float64"),
        dropped,
        {name: kept[name].to_numpy(dtype="float64") for name in heads},
    )


def valueless_columns(features: FeatureRows, labels: pd.DataFrame) -> list[str]:
    """Columns without a finite value in any row that has a label."""
    at = features.index.get_indexer(_index(labels))
    at = at[at >= 0]
    if not len(at):
        return []
    seen = np.isfinite(features.values[at]).any(axis=0)
    return [name for name, any_value in zip(features.columns, seen, strict=True) if not any_value]
