"""The numbers behind the pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.charts import balance, confusion, coverage, drift, equity, folds, reliability, timeline
from tests.unit.charts import samples

CLEAN = samples.bars(400)
LABELS = samples.labels(CLEAN, 3)
FOLDS = samples.folds(LABELS)
PREDICTIONS = samples.predictions(LABELS, FOLDS, 3)


def test_every_labelled_row_is_counted_in_every_fold():
    counts = folds.role_counts(FOLDS)
    assert (counts.sum(axis=1) == len(LABELS)).all()
    assert folds.segments(FOLDS)["rows"].sum() == len(FOLDS)


def test_psi_is_zero_for_equal_halves_and_grows_with_the_shift():
    rng = np.random.default_rng(0)
    values = rng.normal(size=2000)
    assert drift.psi(values, values) == pytest.approx(0, abs=1e-12)
    small, large = (drift.psi(values, rng.normal(shift, size=2000)) for shift in (0.3, 1.5))
    assert 0 < small < large


def test_the_confusion_matrix_holds_every_row():
    counted = confusion.matrix(PREDICTIONS, 3)
    assert counted.sum() == len(PREDICTIONS)
    hits = (PREDICTIONS["label"] == PREDICTIONS["prediction"]).sum()
    assert np.trace(counted) == hits


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200), st.randoms())
@settings(max_examples=50, deadline=None)
def test_reliability_bins_hold_every_row_and_average_to_the_whole(chances: list[float], random):
    probability = np.array(chances)
    happened = np.array([random.random() < chance for chance in chances])
    bins = reliability.binned(probability, happened)
    assert bins["rows"].sum() == len(chances)
    assert (bins["given"] * bins["rows"]).sum() == pytest.approx(probability.sum())
    assert (bins["observed"] * bins["rows"]).sum() == pytest.approx(happened.sum())


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=500), st.integers(4, 60))
@settings(max_examples=80, deadline=None)
def test_a_shortened_line_keeps_its_ends_and_extremes(values: list[float], most: int):
    line = np.array(values)
    kept = timeline.envelope(line, most)
    assert len(kept) == len(line) if len(line) <= most else len(kept) <= most
    assert (np.diff(kept) > 0).all()
    assert {0, len(line) - 1} <= set(kept)
    assert line[kept].max() == line.max()
    assert line[kept].min() == line.min()


def test_drawdown_lies_between_minus_one_and_zero():
    line = samples.equity(CLEAN["timestamp"])["strategy"].to_numpy()
    falls = equity.drawdown(line)
    assert falls.max() == 0
    assert falls.min() > -1


def test_label_shares_sum_to_one_in_every_period():
    shares = balance.shares(LABELS)
    assert len(shares) > 5
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1.0)


def test_bars_per_period_count_every_bar():
    counted = coverage.per_period(CLEAN)
    assert counted.select_dtypes("number").to_numpy().sum() == len(CLEAN)


def test_a_hole_is_found_and_named():
    found = coverage.gaps(samples.validation(CLEAN))
    assert found.iloc[0]["symbol"] == "BBB"
    assert found.iloc[0]["missing"] > 10
    assert found["missing"].is_monotonic_decreasing


def test_inputs_are_not_changed():
    before = [table.copy() for table in (CLEAN, LABELS, FOLDS, PREDICTIONS)]
    folds.bands(FOLDS)
    confusion.squares(PREDICTIONS, 3)
    reliability.diagram(PREDICTIONS)
    coverage.panels(CLEAN, coverage.gaps(samples.validation(CLEAN)))
    balance.stacked(LABELS)
    for table, kept in zip((CLEAN, LABELS, FOLDS, PREDICTIONS), before, strict=True):
        pd.testing.assert_frame_equal(table, kept)
