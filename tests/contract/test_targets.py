"""The laws of labels, over every registered target: a new file in the folder is under test the moment it is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import labelling
from betti.errors import UnknownName
from tests.conftest import random_bars

# Each target at its defaults, and at what else reaches other code in it.
ALSO: dict[str, list[dict[str, Any]]] = {
    "direction": [{"measure": "atr", "horizon": 7, "width": 0.7}],
    "trigger": [{"side": "either", "threshold": 0.04}, {"measure": "sigma", "side": "down", "threshold": 0.5}],
}
CASES = [(name, knobs) for name in labelling.FOLDER.names() for knobs in [{}, *ALSO.get(name, [])]]
every_target = pytest.mark.parametrize(("name", "knobs"), CASES, ids=[f"{n}-{len(k)}" for n, k in CASES])
few = settings(max_examples=20, deadline=None)

PRICES = ["open", "high", "low", "close"]


def bars_of(name: str, knobs: dict[str, Any], seed: int = 1, more: int = 80) -> pd.DataFrame:
    return random_bars(sum(labelling.reach(name, **knobs)) + more, seed)


def label_columns(name: str) -> list[str]:
    return ["timestamp", "symbol", "span_start", "span_end", *labelling.FOLDER.load(name).COLUMNS]


def corrupted(bars: pd.DataFrame, rows: np.ndarray, factor: float) -> pd.DataFrame:
    copy = bars.copy()
    copy.loc[rows, PRICES] *= factor
    return copy


def test_the_targets_that_ship_are_registered_and_import():
    assert {"direction", "trigger"} <= set(labelling.FOLDER.names())
    assert labelling.FOLDER.failures() == {}


@every_target
def test_the_table_has_the_agreed_columns(name, knobs):
    bars = pd.concat([bars_of(name, knobs), bars_of(name, knobs, 2).assign(symbol="BBB")], ignore_index=True)
    before = bars.copy()
    labels = labelling.label(name, bars, **knobs)
    pd.testing.assert_frame_equal(bars, before)
    assert list(labels.columns) == [*label_columns(name), "weight"]
    assert len(labels) > 0
    assert not labels.isna().to_numpy().any()
    assert (labels["span_start"] <= labels["timestamp"]).all()
    assert (labels["span_end"] >= labels["timestamp"]).all()
    assert ((labels["weight"] > 0) & (labels["weight"] <= 1)).all()
    assert not labels.duplicated(["symbol", "timestamp"]).any()


@every_target
def test_classes_are_whole_numbers_from_zero(name, knobs):
    module = labelling.FOLDER.load(name)
    if module.CLASSES is None:
        pytest.skip("a regression")
    answers = labelling.label(name, bars_of(name, knobs, more=400), **knobs)[module.COLUMNS[0]]
    assert set(answers) <= set(range(module.CLASSES))
    assert answers.nunique() > 1


@every_target
@few
@given(data=st.data())
def test_bars_after_a_spans_end_do_not_touch_its_label(name, knobs, data):
    bars = bars_of(name, knobs, data.draw(st.integers(0, 50), label="seed"))
    labels = labelling.label(name, bars, **knobs)
    row = labels.iloc[data.draw(st.integers(0, len(labels) - 1), label="row")]
    after = np.flatnonzero(bars["timestamp"] > row["span_end"])
    if len(after) == 0:
        return
    rows = after if data.draw(st.booleans(), label="all") else after[[data.draw(st.integers(0, len(after) - 1))]]
    changed = labelling.label(name, corrupted(bars, rows, data.draw(st.sampled_from([0.2, 5.0]))), **knobs)
    again = changed[changed["timestamp"] == row["timestamp"]].iloc[0]
    assert again[label_columns(name)].tolist() == row[label_columns(name)].tolist()


@every_target
@few
@given(data=st.data())
def test_bars_up_to_a_span_s_end_do_touch_some_label(name, knobs, data):
    bars = bars_of(name, knobs, data.draw(st.integers(0, 50), label="seed"))
    labels = labelling.label(name, bars, **knobs)
    row = labels.iloc[data.draw(st.integers(0, len(labels) - 1), label="row")]
    inside = np.flatnonzero((bars["timestamp"] > row["span_start"]) & (bars["timestamp"] <= row["span_end"]))
    answers = labels[["timestamp", *labelling.FOLDER.load(name).COLUMNS]]
    differs = [
        not answers.equals(labelling.label(name, corrupted(bars, inside, factor), **knobs)[answers.columns])
        for factor in (0.2, 5.0)
    ]
    assert any(differs)


@every_target
@few
@given(data=st.data())
def test_a_slice_within_reach_gives_the_row_that_all_bars_give(name, knobs, data):
    bars = bars_of(name, knobs, data.draw(st.integers(0, 50), label="seed"))
    back, ahead = labelling.reach(name, **knobs)
    labels = labelling.label(name, bars, **knobs)
    t = data.draw(st.integers(0, len(bars) - 1), label="t")
    stamp = bars["timestamp"][t]
    part = labelling.label(name, bars.iloc[max(0, t - back) : t + ahead + 1].reset_index(drop=True), **knobs)
    whole, cut = (table[table["timestamp"] == stamp].reset_index(drop=True) for table in (labels, part))
    pd.testing.assert_frame_equal(whole, cut, check_exact=True)


@every_target
def test_few_bars_give_no_rows_and_no_error(name, knobs):
    for rows in (0, 1, 2):
        assert labelling.label(name, random_bars(3).iloc[:rows], **knobs).empty


@every_target
def test_it_is_documented(name, knobs):
    module = labelling.FOLDER.load(name)
    assert module.__doc__
    assert "Returns:" in module.label.__doc__
    with pytest.raises(UnknownName, match="no_such_knob"):
        labelling.label(name, random_bars(3), no_such_knob=1)
