"""The trigger, against a literal loop and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import labelling
from betti.errors import BadParam
from betti.labelling._spans import ewm_deviation
from tests.conftest import random_bars
from tests.unit.labelling.loops import uniqueness


def trigger_by_loop(bars: pd.DataFrame, horizon: int, threshold: float, side: str, measure: str) -> pd.DataFrame:
    high, low, close = (bars[name].tolist() for name in ("high", "low", "close"))
    sigma = ewm_deviation(bars["close"].to_numpy(), 20)
    found = []
    for t in range(len(bars) - horizon):
        needed = threshold if measure == "fraction" else threshold * sigma[t] * np.sqrt(horizon)
        if not needed > 0:
            continue
        up = 100 * (max(high[t + 1 : t + horizon + 1]) / close[t] - 1)
        down = 100 * (1 - min(low[t + 1 : t + horizon + 1]) / close[t])
        move = {"up": up, "down": down, "either": max(up, down)}[side]
        found.append((t, float(move >= 100 * needed), move))
    starts = np.array([row[0] for row in found], dtype=int)
    stamps = bars["timestamp"].reset_index(drop=True)
    return pd.DataFrame(
        {
            "timestamp": stamps[starts].array,
            "span_start": stamps[starts].array,
            "span_end": stamps[starts + horizon].array,
            "trigger": [row[1] for row in found],
            "max_pct": [row[2] for row in found],
            "side": {"up": 1.0, "down": -1.0, "either": 0.0}[side],
            "weight": uniqueness(starts, starts + horizon),
        }
    )


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 200),
    horizon=st.integers(1, 20),
    threshold=st.floats(0.001, 0.1),
    side=st.sampled_from(["up", "down", "either"]),
    measure=st.sampled_from(["fraction", "sigma"]),
)
def test_it_equals_a_literal_loop(seed, rows, horizon, threshold, side, measure):
    bars = random_bars(rows, seed)
    knobs = {"horizon": horizon, "threshold": threshold * (20 if measure == "sigma" else 1), "side": side}
    ours = labelling.label("trigger", bars, measure=measure, **knobs).drop(columns="symbol")
    loop = trigger_by_loop(bars, measure=measure, **knobs)
    if loop.empty:
        assert ours.empty
    else:
        pd.testing.assert_frame_equal(ours, loop, check_dtype=False, rtol=1e-12)


@pytest.mark.parametrize(("side", "max_pct", "trigger"), [("up", 3.0, 1.0), ("down", 1.0, 0.0), ("either", 3.0, 1.0)])
def test_planted_moves(side, max_pct, trigger):
    bars = random_bars(12).assign(open=100.0, high=100.0, low=100.0, close=100.0)
    bars.loc[8, ["high", "low"]] = 103.0, 99.0
    bars.loc[9, ["high", "low"]] = 150.0, 50.0
    first = labelling.label("trigger", bars, horizon=8, threshold=0.02, side=side).iloc[0]
    assert first["max_pct"] == pytest.approx(max_pct)
    assert first["trigger"] == trigger
    assert first["span_end"] == bars["timestamp"][8]


@pytest.mark.parametrize(("high", "trigger"), [(102.0, 1.0), (101.99, 0.0)])
def test_the_threshold_itself_counts(high, trigger):
    bars = random_bars(10).assign(open=100.0, high=100.0, low=100.0, close=100.0)
    bars.loc[3, "high"] = high
    assert labelling.label("trigger", bars, horizon=8, threshold=0.02)["trigger"].iloc[0] == trigger


def test_rows_near_the_end_are_absent():
    bars = random_bars(50)
    labels = labelling.label("trigger", bars, horizon=8)
    assert labels["timestamp"].tolist() == bars["timestamp"][:42].tolist()


def test_a_market_that_does_not_move_never_triggers():
    flat = random_bars(100).assign(open=5.0, high=5.0, low=5.0, close=5.0)
    labels = labelling.label("trigger", flat)
    assert len(labels) == 92
    assert labels["trigger"].eq(0).all()
    assert labels["max_pct"].eq(0).all()
    assert labelling.label("trigger", flat, measure="sigma").empty


def test_knobs_are_checked(bars):
    with pytest.raises(BadParam, match="threshold"):
        labelling.label("trigger", bars, threshold=0)
    with pytest.raises(BadParam, match="side"):
        labelling.label("trigger", bars, side="sideways")
