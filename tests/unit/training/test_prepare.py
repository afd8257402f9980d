from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti.errors import BrokenArtifact
from betti.training import prepare
from betti.training.scaling import fit_standard
from betti.windows import DAY, Steps, Windows

STAMPS = pd.date_range("2020-01-01", periods=6, tz="UTC").as_unit("us")


@pytest.fixture
def table() -> pd.DataFrame:
    """Two symbols of six rows, interleaved by time; the first row of AAA is a warm-up row."""
    frame = pd.DataFrame(
        {
            "timestamp": np.repeat(STAMPS, 2),
            "symbol": ["BBB", "AAA"] * 6,
            "a": np.arange(12, dtype="float32"),
            "b": np.arange(100, 112, dtype="float32"),
        }
    )
    frame.loc[1, "b"] = np.nan
    return frame


def asked(symbol: str, rows: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"timestamp": STAMPS[rows], "symbol": symbol})


def test_single_rows(table: pd.DataFrame) -> None:
    features = prepare.feature_rows(table, ("a", "b"), None)
    found = features.find(asked("AAA", [2, 0, 1]))
    assert found.kept.tolist() == [True, False, True]
    assert found.dropped == {"incomplete_input": 1}
    assert features.inputs(found.positions, None).tolist() == [[5.0, 105.0], [3.0, 103.0]]


def test_windows_stay_within_their_symbol(table: pd.DataFrame) -> None:
    features = prepare.feature_rows(table, ("a",), 3)
    found = features.find(asked("BBB", [0, 1, 2, 5]))
    assert found.kept.tolist() == [False, False, True, True]
    windows = features.inputs(found.positions, None)
    assert windows[np.array([0, 1])][..., 0].tolist() == [[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]]
    scaler = fit_standard(features.values)
    np.testing.assert_allclose(
        features.inputs(found.positions, scaler)[np.array([0])][0], scaler.transform(windows[np.array([0])][0])
    )


def test_rows_without_features_are_counted(table: pd.DataFrame) -> None:
    features = prepare.feature_rows(table, ("a", "b"), 2)
    rows = pd.concat([asked("CCC", [0, 1]), asked("AAA", [0, 1, 2])], ignore_index=True)
    assert features.find(rows).dropped == {"no_features": 2, "incomplete_input": 2}
    # The unit of a timestamp is no part of the instant.
    other = rows.assign(timestamp=rows["timestamp"].dt.as_unit("ns"))
    np.testing.assert_array_equal(features.find(other).positions, features.find(rows).positions)
    nothing = prepare.feature_rows(table[:0], ("a",), None)
    assert nothing.find(rows).dropped == {"no_features": 5}


def test_row_order_of_the_table_does_not_matter(table: pd.DataFrame) -> None:
    rows = asked("AAA", [3, 4])
    for length in (None, 2):
        one = prepare.feature_rows(table, ("a", "b"), length)
        two = prepare.feature_rows(table.sample(frac=1, random_state=0), ("a", "b"), length)
        np.testing.assert_array_equal(one.values, two.values)
        np.testing.assert_array_equal(one.find(rows).positions, two.find(rows).positions)


def test_missing_columns_and_repeated_rows_are_named(table: pd.DataFrame) -> None:
    with pytest.raises(prepare.MissingColumns, match="x, y"):
        prepare.feature_rows(table, ("a", "x", "y"), None)
    with pytest.raises(BrokenArtifact, match=r"AAA 2020-01-01.* occurs twice"):
        prepare.feature_rows(pd.concat([table, table[1:2]]), ("a",), None)


def labels(values: list[float]) -> pd.DataFrame:
    stamps = STAMPS[: len(values)]
    return pd.DataFrame(
        {
            "timestamp": stamps,
            "symbol": "AAA",
            "span_start": stamps,
            "span_end": stamps,
            "trigger": values,
            "max_pct": 1.0,
            "weight": 0.5,
        }
    )


def test_labelled_rows(table: pd.DataFrame) -> None:
    features = prepare.feature_rows(table, ("a", "b"), None)
    found = prepare.labelled(labels([1, 0, np.nan, 1]), "trigger", features, 2)
    assert found.y.tolist() == [0, 1]
    assert found.rows["timestamp"].tolist() == [STAMPS[1], STAMPS[3]]
    assert found.dropped == {"no_label": 1, "incomplete_input": 1}
    assert found.spans()[0].tolist() == [STAMPS[1].value, STAMPS[3].value]
    with pytest.raises(BrokenArtifact, match="other than the classes 0 to 1"):
        prepare.labelled(labels([0.5]), "trigger", features, 2)


def test_label_column_is_the_first_target() -> None:
    assert prepare.label_column(labels([1.0])) == "trigger"
    with pytest.raises(BrokenArtifact, match="no target column"):
        prepare.label_column(labels([1.0])[["timestamp", "symbol", "weight"]])


# Layout, gaps and columns ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [("a",), ("b", "a")])
def test_a_row_is_one_stretch_of_memory_and_windows_are_not_copied(
    table: pd.DataFrame, columns: tuple[str, ...]
) -> None:
    features = prepare.feature_rows(table, columns, 2)
    assert features.values.flags.c_contiguous
    assert features.values.flags.writeable
    windows = features.inputs(np.array([3]), None)
    assert isinstance(windows, Windows)
    assert windows.values is features.values


def test_train_and_valid_windows_share_one_scaled_matrix(table: pd.DataFrame) -> None:
    features = prepare.feature_rows(table, ("a", "b"), 2)
    scaler = fit_standard(features.values[1:])
    one, two = features.several(scaler, np.array([2, 3]), np.array([8]))
    assert isinstance(one, Windows)
    assert isinstance(two, Windows)
    assert one.values is two.values
    np.testing.assert_array_equal(one[:], features.inputs(np.array([2, 3]), scaler)[:])
    np.testing.assert_array_equal(two[0][-1], scaler.transform(features.values)[8])
    single = prepare.feature_rows(table, ("a", "b"), None)
    rows, none = single.several(scaler, np.array([2, 3]), np.array([], dtype="int64"))
    np.testing.assert_array_equal(rows[:], scaler.transform(single.values)[[2, 3]])
    assert none.shape == (0, 2)


def test_fewer_columns_of_the_same_rows(table: pd.DataFrame) -> None:
    features = prepare.feature_rows(table.assign(c=table["a"] * 2), ("a", "b", "c"), 2)
    fewer = features.only(("c", "a"))
    assert fewer.values.flags.c_contiguous
    np.testing.assert_array_equal(fewer.values, features.values[:, [2, 0]])
    # The first row of AAA lacks b: it has no input for those either that do not look at b.
    np.testing.assert_array_equal(fewer.complete, features.complete)
    assert features.only(features.columns) is features


@pytest.fixture
def with_a_gap(table: pd.DataFrame) -> pd.DataFrame:
    """BBB pauses for ten days after its third row."""
    late = (table["symbol"] == "BBB") & (table["timestamp"] > STAMPS[2])
    return table.assign(timestamp=table["timestamp"].where(~late, table["timestamp"] + pd.Timedelta(days=10)))


def ends_of_windows(table: pd.DataFrame, steps: dict[str, Steps] | None) -> list[int]:
    features = prepare.feature_rows(table, ("a",), 3, steps)
    return np.flatnonzero(features.complete[6:]).tolist()


def test_windows_do_not_cross_gaps(with_a_gap: pd.DataFrame) -> None:
    assert ends_of_windows(with_a_gap, None) == [2, 3, 4, 5]
    assert ends_of_windows(with_a_gap, {"AAA": Steps(DAY, 2, ())}) == [2, 5]
    assert ends_of_windows(with_a_gap, {"AAA": Steps(11 * DAY, 2, ())}) == [2, 3, 4, 5]
    # Single rows have nothing to cross.
    assert prepare.feature_rows(with_a_gap, ("a",), None, {}).complete.all()


def test_usual_steps_do_not_depend_on_the_order_of_rows_nor_on_the_unit_of_times() -> None:
    days = pd.bdate_range("2020-01-01", periods=300, tz="UTC").as_unit("us")
    table = pd.DataFrame({"timestamp": days, "symbol": "AAA", "a": 1.0})
    assert prepare.steps(table.sample(frac=1, random_state=0)) == {"AAA": Steps(DAY, 2, (3,))}
    nanoseconds = table.assign(timestamp=table["timestamp"].dt.as_unit("ns"))
    assert prepare.steps(nanoseconds) == {"AAA": Steps(DAY, 2, (3,))}
