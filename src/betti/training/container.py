"""One fold of labelled features as arrays, for use outside the pipeline: what `train` gives its models, by hand.

The same joins, windows, drops and checks (`prepare.py`, `leaks.py`) as in the pipeline, so that a notebook and the
nightly run cannot differ. What does not belong here: scaling and fitting (`trainer.py`), and models of several inputs.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from betti.errors import BadInput, UnknownName
from betti.training import prepare
from betti.training.fold_roles import FoldRoles
from betti.training.leaks import refuse_leaks

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from betti.training.prepare import Labelled
    from betti.windows import Steps, Windows

    Floats = NDArray[np.float64]
    Classes = NDArray[np.int64]

__all__ = ["SPLITS", "FoldArrays", "FoldSequences", "FoldsOfOtherLabels", "TimeSeriesDataContainer"]

SPLITS = ("train", "valid", "test")
ALIASES = {"val": "valid", "validation": "valid"}


class FoldsOfOtherLabels(BadInput):
    """Folds that do not give every labelled row a role."""

    def __init__(self, fold: int, roles: int, labels: int) -> None:
        self.fold, self.roles, self.labels = fold, roles, labels
        super().__init__(
            f"fold {fold} has a role for {roles} of {labels} labelled rows. "
            "Cut the folds from these labels: betti.splits.split(scheme, labels)"
        )


class FoldArrays(NamedTuple):
    """X (n, features) float32, y (n,) classes, weights (n,): rows of one part of the fold, by symbol and time."""

    X: NDArray[np.float32]
    y: Classes
    weights: Floats


class FoldSequences(NamedTuple):
    """X: n lazy windows that index like (n, length, features); y (n,) classes, weights (n,); by symbol and time."""

    X: Windows
    y: Classes
    weights: Floats


class TimeSeriesDataContainer:
    """Features, labels and folds, seen through one fold.

    >>> import pandas as pd
    >>> days = pd.date_range("2020-01-01", periods=6, tz="UTC")
    >>> rows = pd.DataFrame({"timestamp": days, "symbol": "A"})
    >>> labels = rows.assign(span_start=days, span_end=days, up=[0, 1, 0, 1, 1, 0], weight=1.0)
    >>> folds = rows.assign(fold=0, role=["train"] * 3 + ["valid"] + ["test"] * 2)
    >>> container = TimeSeriesDataContainer(rows.assign(f__a=range(6)), labels, folds)
    >>> container.get_sklearn_arrays("train").X.tolist()
    [[0.0], [1.0], [2.0]]
    >>> container.get_pytorch_sequences("test", 3).X[:].tolist()
    [[[2.0], [3.0], [4.0]], [[3.0], [4.0], [5.0]]]
    """

    def __init__(
        self,
        feature_set: pd.DataFrame,
        labels: pd.DataFrame,
        folds: pd.DataFrame,
        *,
        fold: int = 0,
        classes: int | None = None,
    ) -> None:
        """Check the tables against each other; nothing is computed before it is asked for.

        Args:
            feature_set: columns as in `betti.schemas.FEATURES`.
            labels: columns as in `betti.schemas.LABELS`; the first target column is the class.
            folds: columns as in `betti.schemas.FOLDS`, cut from these labels.
            fold: which of them.
            classes: how many the target has (`CLASSES` of its file); None: as many as the labels show.

        Raises:
            UnknownName: there is no such fold.
            FoldsOfOtherLabels: a labelled row has no role in it.
            LeakError: a train or valid row's span overlaps a test row's.
        """
        mine = folds[folds["fold"] == fold]
        if not len(mine):
            raise UnknownName("fold", str(fold), [str(number) for number in sorted(folds["fold"].unique())])
        roles = FoldRoles.of(labels, mine)
        has_role = int((roles.codes[0] >= 0).sum())
        if has_role < len(labels):
            raise FoldsOfOtherLabels(fold, has_role, len(labels))
        spanned = [labels.iloc[roles.where(fold, role)].assign(role=role) for role in SPLITS]
        refuse_leaks(fold, _stacked(spanned))
        self.fold, self.label = fold, prepare.label_column(labels)
        self.columns = prepare.feature_columns(feature_set)
        known = labels[self.label].dropna()
        self.classes = classes if classes is not None else int(known.max()) + 1 if len(known) else 0
        self._features, self._labels, self._folds = feature_set, labels, mine
        self._prepared: dict[int | None, _Prepared] = {}

    def get_sklearn_arrays(self, split: str) -> FoldArrays:
        """The decision rows of one part of the fold, unscaled.

        Args:
            split: "train", "valid" (also "val") or "test".

        Raises:
            UnknownName: no such part.
            BrokenArtifact: a label that is no class, or a feature row that occurs twice.
        """
        whole = self._prepare(None)
        rows = whole.rows(_part(split), self.fold)
        X = whole.features.values[whole.data.positions[rows]]
        return FoldArrays(X, whole.data.y[rows], whole.data.weights[rows])

    def get_pytorch_sequences(self, split: str, seq_len: int) -> FoldSequences:
        """The windows of `seq_len` rows that end at the decision rows, unscaled; lazy views of one matrix.

        A window holds rows of one symbol without a gap. It may reach back over rows of another part: what they hold was
        known at its end.

        Args:
            split: "train", "valid" (also "val") or "test".
            seq_len: rows in a window.

        Raises:
            UnknownName, BrokenArtifact: as `get_sklearn_arrays`.
        """
        from betti.windows import Windows

        whole = self._prepare(seq_len)
        rows = whole.rows(_part(split), self.fold)
        X = Windows(whole.features.values, whole.data.positions[rows], seq_len)
        return FoldSequences(X, whole.data.y[rows], whole.data.weights[rows])

    def rows(self, split: str, seq_len: int | None = None) -> pd.DataFrame:
        """`timestamp`, `symbol`, `span_start`, `span_end` of the rows of one part, in the order of its arrays."""
        whole = self._prepare(seq_len)
        return whole.data.rows.iloc[whole.rows(_part(split), self.fold)].reset_index(drop=True)

    def spans(self, split: str, seq_len: int | None = None) -> tuple[Classes, Classes]:
        """(start, end) of each row's label in nanoseconds since 1970, in the order of its arrays."""
        whole = self._prepare(seq_len)
        rows = whole.rows(_part(split), self.fold)
        start, end = whole.data.spans()
        return start[rows], end[rows]

    @cached_property
    def bars_ahead(self) -> int:
        """How many bars after its decision bar the label that looks furthest ahead has read."""
        from betti.metrics._instants import span_bars

        return int(span_bars(self._labels, self._features).max(initial=0))

    @cached_property
    def steps(self) -> dict[str, Steps]:
        """Which steps between rows are no gap, by symbol: `betti.training.prepare.steps`."""
        return prepare.steps(self._features)

    def _prepare(self, length: int | None) -> _Prepared:
        if length not in self._prepared:
            steps = None if length is None else self.steps
            features = prepare.feature_rows(self._features, self.columns, length, steps)
            data = prepare.labelled(self._labels, self.label, features, self.classes)
            self._prepared[length] = _Prepared(features, data, FoldRoles.of(data.rows, self._folds))
        return self._prepared[length]


class _Prepared(NamedTuple):
    """The matrix for one length, the rows that have a label and an input, and their roles."""

    features: prepare.FeatureRows
    data: Labelled
    roles: FoldRoles

    def rows(self, role: str, fold: int) -> NDArray[np.int64]:
        return self.roles.where(fold, role)


def _stacked(tables: list[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(tables, ignore_index=True)


def _part(split: str) -> str:
    role = ALIASES.get(split, split)
    if role not in SPLITS:
        raise UnknownName("part of a fold", split, SPLITS)
    return role
