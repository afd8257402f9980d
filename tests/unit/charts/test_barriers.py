"""Pictures of the triple barrier: barriers read back from labels lie where the labels put them, and marks on them."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.charts import barriers, candles
from betti.charts.barrier_levels import read_back
from betti.labelling import direction, label
from tests.conftest import random_bars
from tests.unit.charts import samples

KNOBS = {"horizon": 10, "width": 1.0, "upper": 2.5, "lower": 1.5, "measure": "atr"}
BARS = random_bars(2500, 11)
LABELS = label("direction", BARS, **KNOBS)


def told(bars: pd.DataFrame, labels: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    rows = candles.spans(bars, labels)
    upper, lower = read_back(bars, *(rows[name].to_numpy() for name in ("row", "last_row", "direction")))
    return upper, lower, rows


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    horizon=st.integers(3, 30),
    upper=st.floats(0.5, 3),
    lower=st.floats(0.5, 3),
    measure=st.sampled_from(["atr", "sigma"]),
    both=st.sampled_from(["neutral", "open", "drop"]),
)
def test_barriers_that_are_read_back_are_those_of_the_labels(seed, horizon, upper, lower, measure, both):
    """By whatever rule: a barrier is missing where the labels do not tell, and never far off."""
    bars = random_bars(1500, seed)
    # In sigma a width counts sigma x sqrt(horizon), of which a walk reaches about one.
    scale = 1.0 if measure == "atr" else 0.4
    knobs = {"horizon": horizon, "width": 1.0, "upper": upper * scale, "lower": lower * scale, "measure": measure}
    labels = label("direction", bars, **knobs, both=both)
    found_upper, found_lower, rows = told(bars, labels)
    true = direction.barriers(bars, **knobs)
    kept = np.isin(true.rows, rows["row"])
    close = bars["close"].to_numpy()[rows["row"]]
    for found, part in ((found_upper / close - 1, true.upper[kept]), (1 - found_lower / close, true.lower[kept])):
        known = np.isfinite(found)
        np.testing.assert_allclose(found[known], part[known], rtol=0.011)


@pytest.mark.parametrize("measure", ["atr", "sigma"])
def test_a_few_thousand_labels_tell_both_barriers(measure: str):
    knobs = {"horizon": 10, "width": 2.0 if measure == "atr" else 0.7, "measure": measure}
    upper, lower, rows = told(BARS, label("direction", BARS, **knobs))
    assert np.isfinite(upper).all() and np.isfinite(lower).all()
    assert (upper > lower).all() and len(rows) > 2300


def test_labels_of_another_rule_tell_no_barrier():
    shuffled = LABELS.assign(direction=np.random.default_rng(0).permutation(LABELS["direction"].to_numpy()))
    assert np.isnan(told(BARS, shuffled)[:2]).all()
    drawn = barriers.body("d", shuffled, BARS)
    assert "cannot be told" in drawn and "fig-barriers-d-AAA" in drawn


def test_a_handful_of_labels_tells_no_barrier():
    assert np.isnan(told(BARS[:60], LABELS[:20])[:2]).all()


def test_the_labels_drawn_are_the_last_and_do_not_overlap():
    found = barriers.last_apart(BARS, LABELS)
    assert len(found) == barriers.MOST_LABELS
    assert found[-1].row == len(BARS) - 1 - KNOBS["horizon"]
    assert all(one.last - one.row == KNOBS["horizon"] for one in found)
    assert all(one.last < other.row for one, other in itertools.pairwise(found))
    true = direction.barriers(BARS, **KNOBS)
    for one in found:
        k = int(np.flatnonzero(true.rows == one.row)[0])
        assert one.touch == true.ends[k]
        assert one.answer == LABELS["direction"].iloc[k] and one.weight == LABELS["weight"].iloc[k]


@pytest.mark.parametrize(("horizon", "count"), [(30, 3), (100, 1), (400, 1)])
def test_long_horizons_leave_room_for_fewer_labels_and_no_more_candles(horizon: int, count: int):
    labels = label("direction", BARS, horizon=horizon, width=3.0)
    found = barriers.last_apart(BARS, labels)
    assert len(found) == count
    drawn = barriers.figure(BARS[found[0].row :].reset_index(drop=True), [barriers.moved(found[0], found[0].row)])
    assert len(drawn.data[0].x) <= candles.MOST_CANDLES


def test_each_touch_is_marked_at_its_barrier_within_the_bar_that_touched_it():
    drawn = barriers.figure(BARS, found := barriers.last_apart(BARS, LABELS), most=len(BARS))
    marks = {trace.name: trace for trace in drawn.data if trace.name in barriers.NAMES}
    assert sum(len(trace.x) for trace in marks.values()) == len(found)
    for one in found:
        trace = marks[barriers.NAMES[one.answer]]
        price = float(trace.y[list(trace.x).index(one.touch)])
        wanted = (one.lower, BARS["close"].iloc[one.touch], one.upper)[one.answer]
        assert price == pytest.approx(wanted, rel=1e-6)
        if one.answer != 1:
            margin = 0.011 * (one.upper - one.lower)
            assert BARS["low"].iloc[one.touch] - margin <= price <= BARS["high"].iloc[one.touch] + margin
    shapes = {trace.marker.symbol for trace in marks.values()}
    assert len(shapes) == len(marks), "shapes tell answers apart without colours"


def test_both_barriers_in_one_bar_have_a_mark_of_their_own():
    one = barriers.Barriers(row=5, touch=7, last=15, upper=110.0, lower=90.0, answer=1, weight=0.5)
    assert one.both
    assert not barriers.Barriers(5, 15, 15, 110.0, 90.0, 1, 0.5).both
    names = [trace.name for trace in barriers.figure(BARS[:30], [one]).data]
    assert "neutral, both in one bar" in names and "neutral" not in names


def test_an_unknown_barrier_is_not_drawn():
    one = barriers.Barriers(5, 7, 15, 110.0, np.nan, 2, 0.5)
    names = [trace.name for trace in barriers.figure(BARS[:30], [one]).data]
    assert "upper barrier" in names
    assert not {"lower barrier", "time barrier"} & set(names)


def test_only_labels_of_the_triple_barrier_fit():
    assert barriers.fits(LABELS)
    assert not barriers.fits(label("relevance", BARS)), "its first column has the same name"
    assert not barriers.fits(label("trigger", BARS))


def test_at_most_four_symbols_are_drawn_and_names_are_escaped():
    names = ["<b>", *"abcdef"]
    clean = pd.concat([random_bars(80, seed, name) for seed, name in enumerate(names)])
    body = barriers.body("t<i>", samples.labels(clean, 3), clean)
    assert len(re.findall(r'class="plot"', body)) == candles.MOST_SYMBOLS
    assert "<b>" not in body and "&lt;b&gt;" in body and "<i>" not in body


def test_labels_of_other_bars_draw_nothing():
    late = LABELS.assign(**{name: LABELS[name] + pd.Timedelta(hours=1) for name in ("timestamp", "span_start")})
    assert barriers.body("d", late, BARS) == ""
