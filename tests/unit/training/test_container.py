"""One fold as arrays: the rows, windows, classes and weights that a plain reading of the tables gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti.errors import LeakError, UnknownName
from betti.training.container import FoldsOfOtherLabels, TimeSeriesDataContainer
from betti.windows import Windows
from tests.unit.training.folded import HORIZON, KEY, LENGTH, tables

every_part = pytest.mark.parametrize("split", ["train", "valid", "test"])


@pytest.fixture(scope="module")
def container() -> TimeSeriesDataContainer:
    return TimeSeriesDataContainer(*tables(), fold=1)


def plainly(split: str) -> pd.DataFrame:
    """Labelled rows of one part of fold 1 with a complete input, joined by key."""
    feature_set, labels, folds = tables()
    mine = folds[(folds["fold"] == 1) & (folds["role"] == split)].astype({"symbol": "str"})
    rows = mine.merge(labels, on=KEY).merge(feature_set.dropna(), on=KEY)
    return rows.sort_values(["symbol", "timestamp"], ignore_index=True)


@every_part
def test_arrays_are_those_of_a_join(container: TimeSeriesDataContainer, split: str) -> None:
    wanted, found = plainly(split), container.get_sklearn_arrays(split)
    assert len(wanted) > 100
    np.testing.assert_array_equal(found.X, wanted[list(container.columns)].to_numpy("float32"))
    np.testing.assert_array_equal(found.y, wanted["direction"].to_numpy("int64"))
    np.testing.assert_array_equal(found.weights, wanted["weight"].to_numpy())
    pd.testing.assert_frame_equal(container.rows(split)[KEY], wanted[KEY], check_dtype=False)
    start, end = container.spans(split)
    assert (pd.to_datetime(end, utc=True) == wanted["span_end"]).all()
    assert (pd.to_datetime(start, utc=True) == wanted["span_start"]).all()


@every_part
def test_windows_end_at_the_decision_rows(container: TimeSeriesDataContainer, split: str) -> None:
    feature_set = tables()[0].sort_values(["symbol", "timestamp"], ignore_index=True)
    X, y, weights = container.get_pytorch_sequences(split, LENGTH)
    rows = container.rows(split, LENGTH)
    assert isinstance(X, Windows)
    assert X.shape == (len(rows), LENGTH, len(container.columns)) and len(y) == len(weights) == len(rows)
    for at in range(0, len(rows), 37):
        row = rows.iloc[at]
        before = feature_set[(feature_set["symbol"] == row["symbol"]) & (feature_set["timestamp"] <= row["timestamp"])]
        wanted = before[list(container.columns)].tail(LENGTH).to_numpy("float32")
        np.testing.assert_array_equal(X[np.array([at])][0], wanted)


def test_validation_has_two_names(container: TimeSeriesDataContainer) -> None:
    np.testing.assert_array_equal(container.get_sklearn_arrays("val").y, container.get_sklearn_arrays("valid").y)
    with pytest.raises(UnknownName, match="part of a fold 'tests'; did you mean 'test'"):
        container.get_sklearn_arrays("tests")


def test_classes_and_how_far_labels_look(container: TimeSeriesDataContainer) -> None:
    feature_set, labels, folds = tables()
    assert container.classes == 3 and container.bars_ahead == HORIZON
    poor = labels.assign(direction=labels["direction"].clip(upper=1.0))
    assert TimeSeriesDataContainer(feature_set, poor, folds).classes == 2
    assert TimeSeriesDataContainer(feature_set, poor, folds, classes=3).classes == 3


def test_folds_are_checked_before_anything_else() -> None:
    feature_set, labels, folds = tables()
    with pytest.raises(UnknownName, match=r"unknown fold '2'.*Available: 0, 1"):
        TimeSeriesDataContainer(feature_set, labels, folds, fold=2)
    with pytest.raises(FoldsOfOtherLabels, match=r"fold 0 has a role for \d+ of \d+ labelled rows"):
        TimeSeriesDataContainer(feature_set, labels, folds[folds["role"] != "purged"])
    role = folds["role"].astype("str")
    leaking = folds.assign(role=role.where(role != "purged", "train"))
    with pytest.raises(LeakError):
        TimeSeriesDataContainer(feature_set, labels, leaking)


def test_tables_are_left_as_they_are(container: TimeSeriesDataContainer) -> None:
    before = [table.copy() for table in tables()]
    container.get_pytorch_sequences("train", 3)
    container.get_sklearn_arrays("test")
    for table, copy in zip(tables(), before, strict=True):
        pd.testing.assert_frame_equal(table, copy)
