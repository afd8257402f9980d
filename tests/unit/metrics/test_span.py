"""Expansion scores against loops over sets of bars, and the worked example: an expansion from bar 50 to bar 65."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import labelling
from betti.labelling.expansion import Sequences, sequences
from betti.metrics.span import SpanAnswers, interval_overlap, mask_overlap, pointed, span_report
from tests.conftest import random_bars

WINDOW = 105
NOTHING = (None, None)


def row(start: float = 50, end: float = 65, kind: float = 0, **flags: float) -> dict[str, float]:
    return {"start": start, "end": end, "type": kind, "begun": 0.0, "ahead": 0.0, "censored": 0.0, **flags}


def truth_of(*rows: dict[str, float]) -> Sequences:
    return sequences(pd.DataFrame(rows), WINDOW)


def perfect(truth: Sequences) -> SpanAnswers:
    """What was asked, as it was, and anything where nothing was."""
    return SpanAnswers(
        np.nan_to_num(truth.pointers, nan=0.3),
        np.nan_to_num(truth.countdown, nan=3.0),
        truth.mask,
        np.nan_to_num(truth.type, nan=1.0).astype("int64"),
    )


def test_the_worked_example() -> None:
    truth = truth_of(row())
    found = span_report(truth, perfect(truth)).detection
    assert (found.rows, found.hits, found.countdown_hits, found.countdown_mae) == (1, 1.0, 1.0, 0.0)
    assert (found.centre_mae, found.length_mae) == (0.0, 0.0)
    assert (found.span_iou, found.span_f1) == pytest.approx((1.0, 1.0))
    assert (found.mask_iou, found.mask_f1) == (1.0, 1.0)
    assert found.type_recall == (1.0, None, None)
    assert found.type_macro_f1 == 1.0


@pytest.mark.parametrize(("late", "hit"), [(0, 1.0), (3, 1.0), (-3, 1.0), (3.1, 0.0), (4, 0.0), (-4, 0.0)])
def test_a_hit_is_a_start_within_three_bars(late: float, hit: float) -> None:
    truth = truth_of(row())
    said = perfect(truth)
    moved = replace(said, pointers=(said.pointers + np.float32([late / 104, 0])).astype("float32"))
    assert span_report(truth, moved).detection.hits == hit
    longer = replace(said, pointers=said.pointers + np.float32([0, -2 * late / 105]))
    assert span_report(truth, longer).detection.hits == hit, "the length moves the start by half of its error"
    counted = replace(said, countdown=said.countdown + late)
    assert span_report(truth, counted).detection.countdown_hits == hit
    assert span_report(truth, counted, tolerance=5).detection.countdown_hits == 1.0


def test_detection_and_anticipation_do_not_mix() -> None:
    inside, ahead = row(), row(114, np.nan, 2, ahead=1.0)
    begun, none = row(-4, 7, np.nan, begun=1.0), row(np.nan, np.nan, np.nan)
    truth = truth_of(inside, ahead, begun, none)
    said = perfect(truth)
    found = span_report(truth, replace(said, countdown=said.countdown + np.array([[1.0], [6.0], [0.0], [0.0]])))
    assert (found.detection.rows, found.anticipation.rows) == (1, 1)
    assert (found.detection.countdown_mae, found.anticipation.countdown_mae) == (1.0, 6.0)
    assert (found.detection.countdown_hits, found.anticipation.countdown_hits) == (1.0, 0.0)
    assert (found.detection.type_recall, found.anticipation.type_recall) == ((1.0, None, None), (None, None, 1.0))
    far = found.anticipation
    assert (far.hits, far.centre_mae, far.length_mae, far.span_iou, far.mask_iou) == (None,) * 5


def test_without_such_windows_there_are_no_scores() -> None:
    truth = truth_of(row(np.nan, np.nan, np.nan))
    found = span_report(truth, perfect(truth)).detection
    assert found.rows == 0
    assert {found.hits, found.countdown_mae, found.span_iou, found.mask_f1, found.type_macro_f1} == {None}


def test_shapes_that_do_not_fit_are_refused() -> None:
    truth = truth_of(row(), row())
    with pytest.raises(ValueError, match=r"countdown of shape \(2, 3\) against 2 windows of 105 bars"):
        span_report(truth, replace(perfect(truth), countdown=np.zeros((2, 3))))


places = st.integers(0, WINDOW - 1)
some_spans = st.lists(
    st.tuples(places, places, places, places).map(
        lambda four: (*sorted(four[:2]), *sorted(four[2:]))  # two spans, first and last bar each
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)
@given(some_spans)
def test_overlap_is_that_of_sets_of_bars(spans: list[tuple[int, ...]]) -> None:
    one, two = ([set(range(a, b + 1)) for a, b in side] for side in zip(*((s[:2], s[2:]) for s in spans), strict=True))
    iou = np.mean([len(a & b) / len(a | b) for a, b in zip(one, two, strict=True)])
    f1 = np.mean([2 * len(a & b) / (len(a) + len(b)) for a, b in zip(one, two, strict=True)])
    table = np.array(spans, dtype=float)
    assert interval_overlap(*table.T) == pytest.approx((iou, f1))
    masks = [np.array([[bar in s for bar in range(WINDOW)] for s in side], dtype=float) for side in (one, two)]
    assert mask_overlap(*masks) == pytest.approx((iou, f1))


@settings(deadline=None)
@given(some_spans)
def test_pointers_are_the_labels_own_turned_round(spans: list[tuple[int, ...]]) -> None:
    table = np.array(spans, dtype=float)
    truth = truth_of(*(row(start, end) for start, end in table[:, :2]))
    start, end = pointed(truth.pointers, WINDOW)
    np.testing.assert_allclose(start, table[:, 0], atol=1e-4)
    np.testing.assert_allclose(end, table[:, 1], atol=1e-4)


def test_spans_that_are_no_spans_share_nothing() -> None:
    whole = np.array([50.0]), np.array([65.0])
    assert interval_overlap(np.array([60.0]), np.array([52.0]), *whole) == (0.0, 0.0)
    assert interval_overlap(np.array([np.nan]), np.array([np.nan]), *whole) == (0.0, 0.0)
    assert interval_overlap(*whole, np.array([np.nan]), np.array([np.nan])) == NOTHING


def by_hand(truth: Sequences, said: SpanAnswers, rows: np.ndarray) -> dict[str, float | None]:
    """The definitions, window by window and bar by bar."""
    hits, countdowns, centres, lengths, types = [], [], [], [], []
    for at in np.flatnonzero(rows):
        for bar in range(WINDOW):
            countdowns.append(abs(said.countdown[at, bar] - truth.countdown[at, bar]))
        types.append((int(truth.type[at]), int(said.type[at])))
        if np.isnan(truth.pointers[at, 0]):
            continue
        start = truth.countdown[at, 0]  # at bar 0, the countdown is the start's place
        first = said.pointers[at, 0] * 104 - said.pointers[at, 1] * 105 / 2 + 0.5
        hits.append(abs(first - start) <= 3)
        centres.append(abs(said.pointers[at, 0] - truth.pointers[at, 0]))
        lengths.append(abs(said.pointers[at, 1] - truth.pointers[at, 1]))
    f1 = []
    for kind in {one for pair in types for one in pair}:
        right = sum(pair == (kind, kind) for pair in types)
        f1.append(2 * right / sum((a == kind) + (b == kind) for a, b in types))
    means = zip(
        ("hits", "countdown_mae", "centre_mae", "length_mae"), (hits, countdowns, centres, lengths), strict=True
    )
    found = {name: float(np.mean(values)) if values else None for name, values in means}
    return {**found, "type_macro_f1": float(np.mean(f1)) if f1 else None}


@pytest.fixture(scope="module")
def found_by_rule() -> Sequences:
    bars = pd.concat([random_bars(2000, 5), random_bars(2000, 6, "BBB")])
    return sequences(labelling.label("expansion", bars, window=WINDOW, stride=2, displacement=5.0), WINDOW)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_scores_are_those_of_a_loop_over_labels_of_the_rule(found_by_rule: Sequences, seed: int) -> None:
    truth, rng = found_by_rule, np.random.default_rng(seed)
    exact = perfect(truth)
    said = SpanAnswers(
        exact.pointers + rng.normal(0, 0.03, exact.pointers.shape),
        exact.countdown + rng.normal(0, 4, exact.countdown.shape),
        np.clip(exact.mask + rng.normal(0, 0.5, exact.mask.shape), 0, 1),
        rng.integers(0, 3, len(exact.type)),
    )
    report = span_report(truth, said)
    for name, rows in (("detection", truth.detection), ("anticipation", truth.anticipation)):
        scores = getattr(report, name)
        assert scores.rows == rows.sum() > 20
        for score, wanted in by_hand(truth, said, rows).items():
            near = wanted if wanted is None else pytest.approx(wanted, rel=1e-5)
            assert getattr(scores, score) == near, (name, score)
        for kind in range(3):
            mine = rows & (truth.type == kind)
            assert scores.type_recall[kind] == pytest.approx((said.type[mine] == kind).mean())
    assert report.detection.hits is not None and 0 < report.detection.hits < 1
    assert report.anticipation.span_iou is None
