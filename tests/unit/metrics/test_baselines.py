"""Baselines by hand, against literal loops, and blind to the future."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti.metrics._instants import span_bars
from betti.metrics.baselines import class_frequencies, last_known_label, last_move, nearly_certain
from tests.conftest import random_bars


@pytest.fixture
def market() -> pd.DataFrame:
    return pd.concat([random_bars(200, 1, "A"), random_bars(150, 2, "B", start="2001-02-01")], ignore_index=True)


def labelled(bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Random binary labels with spans of 1 to 9 bars."""
    rng = np.random.default_rng(seed)
    tables = []
    for _, rows in bars.groupby("symbol"):
        rows = rows.reset_index(drop=True)
        last = len(rows) - 10
        ends = rows["timestamp"].iloc[np.arange(last) + rng.integers(1, 10, last)].reset_index(drop=True)
        table = rows.loc[: last - 1, ["timestamp", "symbol"]]
        tables.append(table.assign(span_end=ends, event=rng.integers(0, 2, last).astype(float)))
    return pd.concat(tables, ignore_index=True)


def test_frequencies_are_those_of_the_training_rows():
    assert class_frequencies(np.array([0, 0, 1, 2]), 3).tolist() == [0.5, 0.25, 0.25]


def test_a_class_absent_from_training_keeps_the_loss_finite():
    shares = class_frequencies(np.array([0, 0, 1, 1]), 3)
    assert shares.min() > 1e-4
    assert shares.sum() == pytest.approx(1)


def test_hard_answers_keep_their_class_and_sum_to_one():
    answers = nearly_certain(np.array([0, 2, 1]), 3)
    assert answers.argmax(axis=1).tolist() == [0, 2, 1]
    np.testing.assert_allclose(answers.sum(axis=1), 1)
    assert answers.min() == pytest.approx(1e-3 / 3)


def test_last_move_equals_a_literal_loop(market):
    rows = market.sample(frac=0.5, random_state=1)
    answers = last_move(rows, market, horizon=7, fallback=1)
    by_symbol = {symbol: mine.reset_index(drop=True) for symbol, mine in market.groupby("symbol")}
    for answer, (_, row) in zip(answers, rows.iterrows(), strict=True):
        mine = by_symbol[row["symbol"]]
        now = mine.index[mine["timestamp"] == row["timestamp"]][0]
        expected = 1 if now < 7 else 1 + np.sign(mine["close"][now] - mine["close"][now - 7])
        assert answer == expected


def test_an_unmoved_price_is_neutral():
    flat = random_bars(20, 3, "A").assign(close=100.0)
    assert (last_move(flat, flat, horizon=3, fallback=0)[3:] == 1).all()


def test_last_known_label_equals_a_literal_loop(market):
    labels = labelled(market, 4)
    rows = market.sample(frac=0.4, random_state=2)
    answers = last_known_label(rows, labels, "event", fallback=-9)
    for answer, (_, row) in zip(answers, rows.iterrows(), strict=True):
        known = labels[(labels["symbol"] == row["symbol"]) & (labels["span_end"] <= row["timestamp"])]
        assert answer == (-9 if known.empty else known.sort_values("timestamp")["event"].iloc[-1])


def test_no_baseline_sees_the_future(market):
    labels, cut = labelled(market, 5), market["timestamp"].iloc[100]
    rows = market[market["timestamp"] <= cut]
    corrupt = market.assign(close=market["close"].where(market["timestamp"] <= cut, 1e6))
    flipped = labels.assign(event=labels["event"].where(labels["span_end"] <= cut, 1 - labels["event"]))
    assert (last_move(rows, market, horizon=5, fallback=1) == last_move(rows, corrupt, horizon=5, fallback=1)).all()
    one, two = (last_known_label(rows, table, "event", fallback=0) for table in (labels, flipped))
    assert (one == two).all()


def test_span_length_is_counted_in_bars_of_the_symbol(market):
    labels = labelled(market.drop(index=range(50, 60)), 6)
    bars = market.drop(index=range(50, 60))
    lengths = span_bars(labels, bars)
    assert lengths.min() == 1
    assert lengths.max() == 9
