"""Pictures of relevance: the lines are the scores, the classes have names."""

from __future__ import annotations

import numpy as np

from betti.charts import relevance, sections
from betti.labelling import label
from tests.conftest import random_bars

BARS = random_bars(900, 5)
LABELS = label("relevance", BARS)


def test_lines_are_the_scores_and_stay_short():
    figure = relevance.figure(BARS, LABELS, 100)
    found = {trace.name: trace for trace in figure.data}
    assert list(found) == ["close", "over 7 days", "over 30 days"]
    assert all(len(trace.x) <= 100 for trace in found.values())
    whole = {trace.name: trace for trace in relevance.figure(BARS, LABELS, 10_000).data}
    scores = LABELS["score_30d"].dropna().to_numpy(dtype=np.float32)
    np.testing.assert_array_equal(whole["over 30 days"].y, scores)


def test_other_targets_are_not_drawn_so():
    assert relevance.fits(LABELS)
    assert not relevance.fits(label("trigger", BARS, horizon=8, threshold=0.03, side="up"))


def test_the_section_names_its_classes_and_has_a_picture_for_each_symbol():
    page = sections.target("relevance", LABELS, BARS, 500)
    assert "class 0, against" in page
    assert 'id="fig-relevance-relevance-AAA"' in page


def test_a_symbol_without_bars_is_left_out():
    assert relevance.body("relevance", LABELS, BARS.iloc[:0]) == ""
