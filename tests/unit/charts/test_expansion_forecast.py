"""Pictures of what was said of an expansion: the windows chosen, and that truth and answer are where they belong."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from betti.charts import candles, expansion_forecast, expansions, theme
from betti.charts.expansion_forecast import SAID, Said, figure
from betti.charts.networks import Surroundings, pictures
from betti.labelling import label
from tests.conftest import random_bars
from tests.unit.charts import samples

CLEAN = pd.concat([random_bars(1500, 21, "AAA"), random_bars(1500, 22, "BBB<")], ignore_index=True)
LABELS = label("expansion", CLEAN)


def predictions(late: float = 4.0) -> pd.DataFrame:
    """The truth, so many bars late; a row that two folds test was answered worse by the first."""
    table = LABELS[["timestamp", "symbol"]].assign(fold=1, label=LABELS["expansion"])
    table["output_start"], table["output_end"] = LABELS["start"] + late, LABELS["end"] + late
    table["output_countdown"] = LABELS["start"] - 104 + late
    table = table.fillna(dict.fromkeys(SAID, 0.0))
    return pd.concat([table, table.iloc[-200:].assign(fold=0, output_start=-99.0)], ignore_index=True)


def shaded(drawn: go.Figure, colour: str) -> list[tuple[float, float]]:
    own = theme.faint(colour, 0.0).removesuffix("0)")
    return [(s.x0 + 0.5, s.x1 - 0.5) for s in drawn.layout.shapes if s.xref == "x" and s.fillcolor.startswith(own)]


def windows(ahead: bool) -> pd.DataFrame:
    bars = candles.bars_of(CLEAN, "AAA")
    known = candles.spans(bars, LABELS[LABELS["symbol"] == "AAA"])
    inside = (known["expansion"] == 1) & (known["begun"] == 0) & (known["ahead"] == 0)
    return known[known["ahead"] == 1] if ahead else known[inside]


@pytest.mark.parametrize("ahead", [False, True])
def test_truth_and_answer_are_drawn_where_they_belong(ahead: bool) -> None:
    row = windows(ahead).iloc[-1]
    found = expansions.window(row)
    bars = candles.bars_of(CLEAN, "AAA").iloc[int(row["first_row"]) :][: 105 if not ahead else 120]
    drawn = figure(bars.reset_index(drop=True), found, Said(40.5, 55.25, -10.0))
    lines = {trace.name: np.array(trace.y) for trace in drawn.data if trace.name in ("countdown", "countdown as said")}
    np.testing.assert_array_equal(lines["countdown"], row["start"] - np.arange(105))
    np.testing.assert_array_equal(lines["countdown as said"], 94 - np.arange(105))
    assert shaded(drawn, theme.BLUE) == ([] if ahead else [(40.5, 55.25)])
    assert shaded(drawn, theme.ORANGE) == ([] if ahead else [(row["start"], row["end"])])


def test_an_answer_outside_the_window_is_cut_at_its_edge() -> None:
    row = windows(ahead=False).iloc[0]
    bars = candles.bars_of(CLEAN, "AAA").iloc[int(row["first_row"]) : int(row["row"]) + 1].reset_index(drop=True)
    drawn = figure(bars, expansions.window(row), Said(-20.0, 300.0, 0.0))
    assert shaded(drawn, theme.BLUE) == [(0.0, 104.0)]


def test_a_window_with_a_start_and_one_before_it_are_shown_of_each_symbol() -> None:
    page = expansion_forecast.body("a<run", predictions(), LABELS, CLEAN)
    idents = re.findall(r'<div id="(fig-forecast[^"]+)"', page)
    assert len(idents) == len(set(idents)) == 4
    assert all(one.startswith("fig-forecast-a.3c.run-") for one in idents)
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert "BBB&lt;, a test window with an expansion" in captions[2] and "BBB<" not in page
    for caption in captions[::2]:
        true, said = (re.search(pattern, caption) for pattern in (r"from bar (\d+) to", r"\(blue\): bar (\d+) to"))
        assert true is not None and said is not None
        assert int(said[1]) == int(true[1]) + 4, "the last fold's answer, four bars late"
    for caption in captions[1::2]:
        ahead, start = re.search(r"starts (\d+) bars after", caption), re.search(r"start at bar (\d+)", caption)
        assert ahead is not None and start is not None and "(blue)" not in caption
        assert int(start[1]) == 104 + int(ahead[1]) + 4
    for text in re.findall(r'-data">(.*?)</script>', page, flags=re.S):
        assert len(json.loads(text)["data"]) == 3


def test_it_is_drawn_where_labels_and_answers_are_there() -> None:
    metrics = samples.metrics("a-run").model_copy(update={"target": "expansion"})
    around = Surroundings(CLEAN, {"expansion": LABELS})
    nothing = samples.no_learning()
    assert "fig-forecast-a-run-AAA-inside" in pictures(metrics, nothing, predictions(), around, 100)
    assert pictures(metrics, nothing, predictions().drop(columns="output_end"), around, 100) == ""
    assert pictures(metrics, nothing, predictions(), Surroundings(CLEAN, {"other": LABELS}), 100) == ""
    none = LABELS.assign(expansion=0.0, start=np.nan, end=np.nan, ahead=0.0)
    assert pictures(metrics, nothing, predictions(), Surroundings(CLEAN, {"expansion": none}), 100) == ""
