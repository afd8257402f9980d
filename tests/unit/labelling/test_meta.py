"""Meta-labels: the triple barrier seen from the side of a primary signal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import labelling
from betti.labelling._spans import average_true_range
from betti.labelling.meta import primary_side
from tests.conftest import random_bars


def right_by_loop(bars: pd.DataFrame, horizon: int, profit: float, stop: float, lookback: int) -> list[tuple]:
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    atr = average_true_range(high, low, close, 14)
    found = []
    for t in range(max(14, lookback), len(bars) - horizon):
        side = np.sign(close[t] - close[t - lookback])
        if side == 0:
            continue
        right, end = 0.0, t + horizon
        for i in range(t + 1, t + horizon + 1):
            best, worst = (high[i], low[i]) if side > 0 else (low[i], high[i])
            won = side * (best - close[t]) >= profit * atr[t]
            lost = side * (close[t] - worst) >= stop * atr[t]
            if won or lost:
                right, end = float(won and not lost), i
                break
        found.append((bars["timestamp"][t], bars["timestamp"][end], right, side))
    return found


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    horizon=st.integers(1, 15),
    profit=st.floats(0.2, 3),
    stop=st.floats(0.2, 3),
    lookback=st.integers(1, 30),
)
def test_it_equals_a_literal_loop(seed, horizon, profit, stop, lookback):
    bars = random_bars(150, seed)
    knobs = {"horizon": horizon, "profit": profit, "stop": stop, "lookback": lookback, "measure": "atr"}
    labels = labelling.label("meta", bars, **knobs)
    columns = labels[["timestamp", "span_end", "right", "side"]]
    assert list(columns.itertuples(index=False, name=None)) == right_by_loop(bars, horizon, profit, stop, lookback)


def test_the_side_is_the_sign_of_the_return_and_none_before_it():
    bars = random_bars(6).assign(close=[1.0, 2.0, 2.0, 1.0, 1.0, 5.0])
    assert primary_side(bars, "momentum", 1).tolist() == [0, 1, 0, -1, 0, 1]
    assert primary_side(bars, "reversal", 1).tolist() == [0, -1, 0, 1, 0, -1]
    assert primary_side(bars, "momentum", 9).tolist() == [0] * 6


def test_long_signals_agree_with_direction():
    """Under equal widths a long signal is right where the upper barrier comes first, a short one where the lower."""
    bars = random_bars(600, 3)
    meta, direction = labelling.label("meta", bars), labelling.label("direction", bars)
    both = meta.merge(direction, on=["timestamp", "span_end"])
    assert len(both) == len(meta)
    assert ((both["right"] == 1) == (both["direction"] == 1 + both["side"])).all()


@pytest.mark.parametrize("column", ["high", "low"])
def test_the_side_does_not_read_the_future(column):
    bars = random_bars(300)
    changed = bars.copy()
    changed.loc[150:, column] *= {"high": 3.0, "low": 0.3}[column]
    changed.loc[150:, "close"] *= 2.0
    before, after = (labelling.label("meta", table).set_index("timestamp")["side"] for table in (bars, changed))
    kept = bars["timestamp"][:150]
    assert before[before.index.isin(kept)].equals(after[after.index.isin(kept)])
