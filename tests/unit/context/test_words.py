"""Headlines as numbers, against the library itself and against sets."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.context import Context
from betti.context import _words as words
from betti.errors import PartUnavailable
from tests.unit.context.made import headlines

vader = pytest.importorskip("vaderSentiment.vaderSentiment", reason="the tone of headlines: pip install betti[context]")

few = settings(max_examples=80, deadline=None, derandomize=True)
TEXTS = (
    "VADER is smart, handsome, and funny!",
    "Today SUX!",
    "Shares rise",
    "Oil price crash is a disaster for banks",
    "",
)


def test_scores_are_those_that_the_library_publishes() -> None:
    """0.8439 stands in the readme of vaderSentiment for the first text, -0.5461 for the second."""
    found = words.scores(TEXTS)
    assert found[:2].tolist() == [8439, -5461]
    own = vader.SentimentIntensityAnalyzer()
    np.testing.assert_allclose(found / words.ONE, [own.polarity_scores(text)["compound"] for text in TEXTS])


@st.composite
def windows(draw: st.DrawFn) -> tuple[list[int], list[int], list[int]]:
    text = draw(st.lists(st.integers(0, 4), max_size=30))
    edges = st.lists(st.integers(0, len(text)), min_size=1, max_size=12)
    ends = sorted(draw(edges))
    starts = sorted(draw(st.lists(st.integers(0, len(text)), min_size=len(ends), max_size=len(ends))))
    return text, [min(a, b) for a, b in zip(starts, ends, strict=True)], ends


@few
@given(windows())
def test_distinct_words_are_counted_as_a_set_counts_them(case: tuple[list[int], list[int], list[int]]) -> None:
    text, starts, ends = case
    starts = np.maximum.accumulate(starts).tolist()
    found = words.distinct(np.array(text, dtype=np.int64), np.array(starts), np.array(ends))
    assert found.tolist() == [len(set(text[a:b])) for a, b in zip(starts, ends, strict=True)]


def test_a_library_that_is_not_installed_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    words._analyzer.cache_clear()
    with pytest.raises(PartUnavailable, match="vaderSentiment"):
        words.scores(TEXTS)


def test_words_are_letters_in_any_case_with_what_is_inside_them() -> None:
    context = Context(
        headlines=headlines(("2024-01-01", "", "The Fed's 3rd half-point cut"), ("2024-01-02", "", "THE cut"))
    )
    heard = words.heard(context)
    assert np.diff(heard.start).tolist() == [5, 2]  # the, fed's, rd, half-point, cut
    assert heard.words[-2:].tolist() == [heard.words[0], heard.words[4]]


def test_headlines_about_one_market() -> None:
    rows = (("2024-01-01", "", "a b"), ("2024-01-02", "AAA", "c"), ("2024-01-03", "BBB", "d e f"))
    heard = words.heard(Context(headlines=headlines(*rows)))
    own = heard.about(("", "BBB"))
    assert own.symbol.tolist() == ["", "BBB"]
    assert own.start.tolist() == [0, 2, 5]
    assert own.words.tolist() == [*heard.words[:2], *heard.words[3:]]


def test_each_text_is_scored_once(monkeypatch) -> None:
    asked: list[str] = []
    whole = words.scores

    def counted(texts):
        asked.extend(texts)
        return whole(texts)

    monkeypatch.setattr(words, "scores", counted)
    rows = [("2024-01-01", "", "a"), ("2024-01-02", "", "a"), ("2024-01-03", "", "b")]
    context = Context(headlines=headlines(*rows))
    assert words.heard(context) is words.heard(context)
    assert sorted(asked) == ["a", "b"]
