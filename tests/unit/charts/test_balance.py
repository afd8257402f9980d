"""Label balance: a panel for each symbol, and words for classes where a target has them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti.charts import balance, sections
from betti.labelling import label
from tests.conftest import random_bars
from tests.unit.charts import samples

CLEAN = samples.bars(500)
LABELS = samples.labels(CLEAN, 3)


def test_every_symbol_has_its_own_shares():
    # One symbol rises where the other falls: a common balance would hide both.
    skewed = LABELS.assign(direction=np.where(LABELS["symbol"] == "AAA", 2.0, 0.0))
    figure = balance.stacked(skewed, ("short", "neutral", "long"))
    panels = {annotation.text for annotation in figure.layout.annotations}
    assert panels == {"AAA", "BBB"}
    assert {(trace.yaxis, trace.name): float(np.min(trace.y)) for trace in figure.data} == {
        ("y", "class 0, short"): 0.0, ("y", "class 2, long"): 1.0,
        ("y2", "class 0, short"): 1.0, ("y2", "class 2, long"): 0.0,
    }  # fmt: skip
    assert sum(bool(trace.showlegend) for trace in figure.data) == 2, "each class stands once in the legend"


def test_shares_of_each_panel_sum_to_one():
    figure = balance.stacked(LABELS)
    for axis in ("y", "y2"):
        total = sum(np.asarray(trace.y, dtype=np.float64) for trace in figure.data if trace.yaxis == axis)
        assert total == pytest.approx(1.0, abs=1e-6)


def test_many_symbols_are_one_panel():
    clean = pd.concat([random_bars(30, seed, f"S{seed}") for seed in range(balance.MOST_PANELS + 1)])
    drawn = balance.panels(samples.labels(clean, 2))
    assert list(drawn) == ["all 9 symbols"] and len(drawn["all 9 symbols"]) == len(clean)


def test_a_target_of_numbers_has_quartiles_for_each_symbol():
    numbers = LABELS.assign(direction=np.random.default_rng(0).normal(size=len(LABELS)))
    figure = balance.spread(numbers)
    assert len(figure.data) == 6 and figure.layout.yaxis2.title.text == "direction"
    low, high, middle = (np.asarray(trace.y) for trace in figure.data[:3])
    assert (low <= middle).all() and (middle <= high).all()


def test_axes_say_what_they_count():
    figure = balance.stacked(LABELS)
    assert figure.layout.xaxis2.title.text == "start of the month, UTC"
    assert {figure.layout.yaxis.title.text, figure.layout.yaxis2.title.text} == {"share of labels"}


@pytest.mark.parametrize(
    ("kind", "knobs", "ident", "named"),
    [
        ("direction", {"horizon": 5, "width": 1.5, "measure": "atr"}, "fig-barriers-t-AAA", "class 2, long"),
        ("trigger", {"threshold": 0.02}, "fig-trigger-t-AAA", "class 1, fires"),
        ("expansion", {"displacement": 3.0}, "fig-expansion-t-AAA", "class 1, expansion"),
    ],
)
def test_a_kind_that_has_pictures_gets_them_below_its_balance(kind: str, knobs: dict, ident: str, named: str):
    clean = random_bars(600, 3)
    body = sections.target("t", label(kind, clean, **knobs), clean, 200)
    assert body.index('id="fig-labels-t"') < body.index(f'id="{ident}"')
    assert named in body


@pytest.mark.parametrize(("kind", "knobs"), [("meta", {"horizon": 5})])
def test_another_kind_gets_its_balance_alone(kind: str, knobs: dict):
    clean = random_bars(600, 3)
    body = sections.target("t", label(kind, clean, **knobs), clean, 200)
    assert body.count('class="plot"') == 1 and 'id="fig-labels-t"' in body


def test_without_labels_one_sentence_stands_there():
    assert "There are no labels" in sections.target("t", LABELS.iloc[:0], CLEAN, 200)
