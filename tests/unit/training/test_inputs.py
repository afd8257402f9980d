"""Several inputs out of one table: a row has them where each alone has its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from betti.training.inputs import model_inputs
from betti.training.manifest import InputFacts
from betti.training.prepare import MissingColumns, feature_rows
from betti.training.scaling import ONLY, fit_standard, kinds
from betti.windows import NamedInputs, Rows, Windows
from tests.several import Several

ROWS = 24


def table(missing: list[tuple[int, int]]) -> pd.DataFrame:
    stamps = pd.date_range("2020-01-01", periods=ROWS // 2, tz="UTC").as_unit("us")
    frame = pd.DataFrame({"timestamp": np.tile(stamps, 2), "symbol": np.repeat(["AAA", "BBB"], ROWS // 2)})
    values = np.random.default_rng(0).normal(size=(ROWS, 4)).astype("float32")
    for row, column in missing:
        values[row, column] = np.nan
    frame[["a", "b", "c", "d"]] = values
    return frame


def asked(length: int) -> dict[str, InputFacts]:
    return {
        "bars": InputFacts(set="one", columns=("a", "b"), length=length),
        "single": InputFacts(set="two", columns=("c", "b"), length=None),
    }


@given(st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(0, 3)), max_size=6), st.integers(1, 5))
def test_a_row_has_inputs_where_each_part_alone_has_one(missing: list[tuple[int, int]], length: int) -> None:
    features = table(missing)
    both = model_inputs(features, asked(length), None)
    alone = [feature_rows(features, one.columns, one.length).complete for one in asked(length).values()]
    for part in both.parts.values():
        np.testing.assert_array_equal(part.complete, alone[0] & alone[1])
    at = np.flatnonzero(both.anchor.complete)
    (inputs,) = both.several({}, at)
    assert isinstance(inputs, NamedInputs)
    for part in inputs.values():
        assert np.isfinite(part[np.arange(len(at))]).all()


def test_parts_are_views_over_matrices_that_are_scaled_once() -> None:
    both = model_inputs(table([]), asked(3), None)
    scaler = fit_standard(both.parts["single"].values)
    one, two = both.several({"single": scaler}, np.array([4, 5]), np.array([20]))
    assert isinstance(one, NamedInputs) and isinstance(two, NamedInputs)
    assert [type(part) for part in one.values()] == [Windows, Rows]
    assert one["bars"].values is two["bars"].values is both.parts["bars"].values
    assert one["single"].values is two["single"].values
    np.testing.assert_array_equal(two["single"][:], scaler.transform(both.parts["single"].values)[[20]])
    assert (one["bars"].shape, two.rows) == ((2, 3, 2), 1)


def test_columns_of_several_inputs_count_once_and_each_keeps_its_own() -> None:
    both = model_inputs(table([]), asked(2), None)
    assert both.columns == ("a", "b", "c")
    assert {name: part.columns for name, part in both.only(("b", "c")).parts.items()} == {
        "bars": ("b",), "single": ("c", "b"),
    }  # fmt: skip
    with pytest.raises(MissingColumns, match="c"):
        model_inputs(table([]).drop(columns="c"), asked(2), None)


def test_one_input_is_the_case_of_one_part() -> None:
    features = table([(3, 1)])
    one = model_inputs(features, {ONLY: InputFacts(set="s", columns=("a", "b"), length=2)}, None)
    plain = feature_rows(features, ("a", "b"), 2)
    np.testing.assert_array_equal(one.anchor.complete, plain.complete)
    (windows,) = one.several({}, np.array([7]))
    assert isinstance(windows, Windows)
    np.testing.assert_array_equal(windows[:], plain.inputs(np.array([7]), None)[:])


def test_an_input_s_own_scaling_comes_before_its_family_s() -> None:
    assert kinds(Several()) == {"bars": "robust", "complexity": "standard"}
