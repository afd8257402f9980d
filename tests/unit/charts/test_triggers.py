"""Pictures of triggers: hits stand on the price, shares are those of the labels, a line stays short."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from betti.charts import candles, triggers
from betti.labelling import label
from tests.conftest import random_bars

BARS = random_bars(2000, 31)
LABELS = label("trigger", BARS, horizon=8, threshold=0.03, side="up")


def traces(figure) -> dict:
    return {trace.name or trace.type: trace for trace in figure.data}


def test_a_mark_stands_where_a_stretch_of_hits_begins():
    stretches, marks = triggers.marked(BARS, LABELS)
    on = LABELS["trigger"].to_numpy() == 1
    begins = np.flatnonzero(on & ~np.concatenate([[False], on[:-1]]))
    assert stretches == len(begins) == len(marks)
    assert marks["timestamp"].tolist() == LABELS["timestamp"].iloc[begins].tolist()
    closes = BARS.set_index("timestamp")["close"]
    np.testing.assert_array_equal(marks["close"], closes[LABELS["timestamp"].iloc[begins]])
    assert (marks["side"] == 1).all()


def test_many_stretches_are_thinned_evenly_and_the_caption_says_so(monkeypatch: pytest.MonkeyPatch):
    stretches, every = triggers.marked(BARS, LABELS)
    monkeypatch.setattr(triggers, "MOST_MARKS", 10)
    _, marks = triggers.marked(BARS, LABELS)
    assert stretches > 20 and len(marks) == 10
    assert marks["timestamp"].iloc[[0, -1]].tolist() == every["timestamp"].iloc[[0, -1]].tolist()
    assert "10 of the stretches are marked, evenly chosen" in triggers.body("t", LABELS, BARS)


def test_shares_over_time_are_those_of_the_labels():
    figure = triggers.over_time(BARS, LABELS, triggers.marked(BARS, LABELS)[1], 100)
    found = traces(figure)
    assert len(found["close"].x) <= 100
    per = LABELS.groupby(LABELS["timestamp"].dt.tz_convert(None).dt.to_period("Q"))["trigger"].mean()
    np.testing.assert_allclose(found["bar"].y, per.to_numpy(), rtol=1e-6)
    titles = [figure.layout[name].title.text for name in ("yaxis", "yaxis2", "xaxis2")]
    assert titles[:2] == ["close, price", "share of bars"]
    assert "time, UTC" in titles[2] and "per quarter" in titles[2]


def test_a_trigger_that_never_fires_has_a_picture():
    never = LABELS.assign(trigger=0.0)
    body = triggers.body("t", never, BARS)
    assert "0 hits;" in body and 'id="fig-trigger-t-AAA"' in body


def test_a_table_without_sides_is_drawn_with_diamonds():
    plain = LABELS.drop(columns=["side", "max_pct"])
    figure = triggers.over_time(BARS, plain, triggers.marked(BARS, plain)[1], 100)
    assert traces(figure)["hits begin"].marker.symbol == "diamond"
    assert traces(triggers.over_time(BARS, LABELS, triggers.marked(BARS, LABELS)[1], 100))[
        "hits begin"
    ].marker.symbol == ("triangle-up")


def test_prices_that_grow_manifold_have_a_logarithmic_axis():
    grown = BARS.assign(close=np.geomspace(1, 1000, len(BARS)))
    marks = triggers.marked(grown, LABELS)[1]
    assert triggers.over_time(grown, LABELS, marks, 100).layout.yaxis.type == "log"
    assert triggers.over_time(BARS, LABELS, triggers.marked(BARS, LABELS)[1], 100).layout.yaxis.type is None


def test_one_label_shows_its_threshold_and_its_largest_move():
    move = triggers.Move(row=20, last=28, upper=103.0, lower=np.nan, reached=25, price=104.0, hit=True)
    found = traces(triggers.around(BARS[:60], move))
    assert list(found["threshold above"].x) == [20, 28] and list(found["threshold above"].y) == [103.0, 103.0]
    assert "threshold below" not in found
    assert list(found["largest move asked about"].x) == [25]


def test_at_most_four_symbols_are_drawn_and_names_are_escaped():
    names = ["<b>", *"abcdef"]
    clean = pd.concat([random_bars(80, seed, name) for seed, name in enumerate(names)])
    body = triggers.body("t", label("trigger", clean, threshold=0.01), clean)
    assert len(re.findall(r'class="plot"', body)) == candles.MOST_SYMBOLS
    assert "<b>" not in body and "&lt;b&gt;" in body


def test_only_labels_of_a_trigger_fit():
    assert triggers.fits(LABELS)
    assert not triggers.fits(label("direction", BARS))
