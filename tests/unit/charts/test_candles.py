"""Candles: what many bars become when they are drawn as one, and places among bars."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.charts import candles
from tests.conftest import random_bars
from tests.unit.charts import samples

BARS = random_bars(300, 5)


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 300), most=st.integers(1, 120))
def test_merged_candles_hold_every_bar_once(rows: int, most: int):
    bars = BARS.iloc[:rows]
    drawn, each = candles.merged(bars, most)
    assert len(drawn) <= most
    assert (len(drawn) - 1) * each < rows <= len(drawn) * each
    for k in range(len(drawn)):
        part = bars.iloc[k * each : (k + 1) * each]
        one = drawn.iloc[k]
        assert (one["open"], one["close"]) == (part["open"].iloc[0], part["close"].iloc[-1])
        assert (one["high"], one["low"]) == (part["high"].max(), part["low"].min())
        assert one["timestamp"] == part["timestamp"].iloc[0]


def test_few_bars_are_drawn_as_they_are():
    figure = go.Figure()
    candles.add(figure, BARS[:100], 120)
    (drawn,) = figure.data
    np.testing.assert_array_equal(drawn.x, np.arange(100))
    np.testing.assert_array_equal(drawn.close, BARS["close"][:100].to_numpy(dtype=np.float32))
    assert figure.layout.xaxis.title.text == "open of the bar, UTC"
    assert figure.layout.yaxis.title.text == "price"
    assert drawn.text[7] == "2001-01-08"
    assert list(figure.layout.xaxis.ticktext)[-1] == "2001-04-10"


def test_a_merged_candle_stands_in_the_middle_of_its_bars():
    figure = go.Figure()
    candles.add(figure, BARS[:9], 3)
    np.testing.assert_array_equal(figure.data[0].x, [1, 4, 7])
    assert figure.data[0].name == "3 bars each" and figure.data[0].showlegend


def test_labels_whose_times_are_not_among_the_bars_have_no_places():
    labels = samples.labels(BARS, 3)
    found = candles.spans(BARS.drop(index=[50]).reset_index(drop=True), labels)
    gone = {BARS["timestamp"][50], BARS["timestamp"][45]}
    assert set(labels["timestamp"][:295]) - set(found["timestamp"]) == gone
    at = candles.spans(BARS, labels.sample(frac=1, random_state=0))
    assert at["timestamp"].is_monotonic_increasing
    assert (at["last_row"] - at["row"] == 5).all() and (at["first_row"] == at["row"]).all()
    assert (BARS["timestamp"].iloc[at["row"]].to_numpy() == at["timestamp"].to_numpy()).all()


def test_bars_of_one_symbol_come_in_order_and_numbered():
    mixed = samples.bars(60).sample(frac=1, random_state=1)
    found = candles.bars_of(mixed, "BBB")
    assert set(found["symbol"]) == {"BBB"} and found["timestamp"].is_monotonic_increasing
    assert found.index.tolist() == list(range(len(found)))


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_hardly_any_bars_make_a_picture(rows: int):
    figure = candles.spanned(BARS[:rows], 0, 0, rows - 1)
    assert len(figure.data[0].x) == rows
    assert figure.data[1].y[0] == pytest.approx(BARS["close"][0])
    (shape,) = figure.layout.shapes
    assert (shape.x0, shape.x1) == (-0.5, rows - 0.5)


def test_inputs_are_not_changed():
    bars, labels = BARS.copy(), samples.labels(BARS, 3)
    before = labels.copy()
    candles.spans(bars, labels)
    candles.merged(bars, 7)
    pd.testing.assert_frame_equal(bars, BARS)
    pd.testing.assert_frame_equal(labels, before)
