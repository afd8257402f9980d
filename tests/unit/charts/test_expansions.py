"""Pictures of expansion windows: mask and countdown are those that a network is asked for."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from betti.charts import candles, expansions, theme
from betti.labelling import label
from betti.labelling.expansion import sequences
from tests.conftest import random_bars

BARS = random_bars(2500, 21)
LABELS = label("expansion", BARS)
ROWS = candles.spans(BARS, LABELS)


def shaded(figure: go.Figure) -> list[tuple[float, float]]:
    """First and last bar of what is shaded in the mask's colour among the candles."""
    orange = theme.faint(theme.ORANGE, 0.0).removesuffix("0)")
    shapes = [one for one in figure.layout.shapes if one.xref == "x" and one.fillcolor.startswith(orange)]
    return [(one.x0 + 0.5, one.x1 - 0.5) for one in shapes]


@pytest.mark.parametrize("wanted", ["whole", "begun", "ahead", "censored", "none"])
def test_mask_and_countdown_are_the_network_s(wanted: str):
    starts = (ROWS["expansion"] == 1) & (ROWS["begun"] == 0) & (ROWS["ahead"] == 0)
    chosen = {
        "whole": starts & (ROWS["censored"] == 0),
        "begun": ROWS["begun"] == 1,
        "ahead": ROWS["ahead"] == 1,
        "censored": starts & (ROWS["censored"] == 1),
        "none": ROWS["start"].isna(),
    }[wanted]
    assert chosen.any(), "the bars hold such a window"
    picked = ROWS[chosen].iloc[[0, len(ROWS[chosen]) // 2, -1]]
    asked = sequences(picked)
    for k in range(len(picked)):
        row = picked.iloc[k]
        found = expansions.window(row)
        assert found.bars == 105
        figure = expansions.figure(BARS[int(row["first_row"]) : int(row["row"]) + 1].reset_index(drop=True), found)
        line = next(trace for trace in figure.data if trace.name == "countdown")
        np.testing.assert_array_equal(line.y, asked.countdown[k])
        mask = np.zeros(105)
        for first, last in shaded(figure):
            mask[int(first) : int(last) + 1] = 1
        np.testing.assert_array_equal(mask, asked.mask[k])
        assert len(figure.data[0].x) == 105
        assert bool(figure.layout.annotations) == bool(np.isnan(line.y).all())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((50.0, 65.0, 0.0, False), "Shaded: the expansion from bar 50 to 65, after a consolidation"),
        (
            (50.0, 104.0, 2.0, True),
            "Shaded: the expansion from bar 50 to 104, after a reversal, and on after the window",
        ),
        ((-4.0, 8.0, np.nan, False), "An expansion that began before it goes on to bar 8"),
        ((107.0, np.nan, 1.0, False), "An expansion starts 3 bars after the window, after a retracement"),
        ((np.nan, np.nan, np.nan, False), "None of its 105 bars belongs to an expansion"),
    ],
)
def test_what_is_shown_is_said_in_words(values: tuple, said: str):
    assert expansions.told(expansions.Window(105, *values)) == said


def test_bars_after_the_window_are_shaded_otherwise():
    row = ROWS.iloc[0]
    bars = BARS[int(row["first_row"]) : int(row["last_row"]) + 1].reset_index(drop=True)
    figure = expansions.figure(bars, expansions.window(row), most=250)
    assert len(figure.data[0].x) == len(bars) > 105
    after = [shape for shape in figure.layout.shapes if "rgba(127,127,127" in shape.fillcolor]
    assert {(shape.x0, shape.x1) for shape in after} == {(104.5, len(bars) - 0.5)}


def test_the_report_shows_the_last_whole_expansion_of_each_symbol():
    other = BARS.assign(symbol="BBB")
    both = pd.concat([LABELS, LABELS.assign(symbol="BBB")])
    body = expansions.body("e", both, pd.concat([BARS, other]))
    assert re.findall(r'id="(fig-expansion-[\w-]+)" class="plot"', body) == [
        "fig-expansion-e-AAA",
        "fig-expansion-e-BBB",
    ]
    whole = ROWS[(ROWS["expansion"] == 1) & (ROWS["begun"] == 0) & (ROWS["censored"] == 0)]
    last = whole[whole["first_row"] + whole["start"] == (whole["first_row"] + whole["start"]).max()]
    shown = re.search(r"a window with the last whole expansion. Shaded: the expansion from bar (\d+) to (\d+)", body)
    assert shown is not None
    # A window ends at every bar, so that in one of them the expansion starts in the middle.
    assert int(shown.group(1)) == 52 in last["start"].to_numpy()
    assert int(shown.group(2)) - 52 == (last["end"] - last["start"]).iloc[0]


def test_without_an_expansion_the_last_window_is_shown():
    none = LABELS[LABELS["start"].isna()]
    assert "AAA: the last window. None of its 105 bars" in expansions.body("e", none, BARS)


def test_windows_of_thousands_of_bars_stay_small():
    found = expansions.Window(1000, 500.0, 520.0, 0.0, False)
    figure = expansions.figure(BARS[:1000], found)
    assert len(figure.data[0].x) <= candles.MOST_CANDLES
    assert shaded(figure) == [(500, 520)]


def test_only_labels_of_expansions_fit():
    assert expansions.fits(LABELS)
    assert not expansions.fits(LABELS.drop(columns="censored"))
