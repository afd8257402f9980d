"""The triple barrier, against a literal loop and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import labelling, sources
from betti.errors import BadParam, UnknownName
from betti.labelling._spans import average_true_range, ewm_deviation
from tests.conftest import REPOSITORY, random_bars
from tests.unit.labelling.loops import uniqueness

SHORT, NEUTRAL, LONG = 0, 1, 2
SHIPPED = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["targets"]


def direction_by_loop(bars: pd.DataFrame, horizon: int, width: float, measure: str) -> pd.DataFrame:
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    if measure == "atr":
        distance = width * average_true_range(high, low, close, 14)
    else:
        distance = width * close * ewm_deviation(close, 20) * np.sqrt(horizon)
    found = []
    for t in range(len(bars) - horizon):
        if not distance[t] > 0:
            continue
        answer, end = NEUTRAL, t + horizon
        for i in range(t + 1, t + horizon + 1):
            up, down = high[i] >= close[t] + distance[t], low[i] <= close[t] - distance[t]
            if up or down:
                answer, end = (NEUTRAL if up and down else LONG if up else SHORT), i
                break
        found.append((t, end, answer))
    stamps = bars["timestamp"].reset_index(drop=True)
    starts, ends, answers = (np.array([row[i] for row in found], dtype=int) for i in range(3))
    return pd.DataFrame(
        {
            "timestamp": stamps[starts].array,
            "span_start": stamps[starts].array,
            "span_end": stamps[ends].array,
            "direction": answers.astype("float64"),
            "weight": uniqueness(starts, ends),
        }
    )


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 250),
    horizon=st.integers(1, 25),
    width=st.floats(0.1, 3),
    measure=st.sampled_from(["atr", "sigma"]),
)
def test_it_equals_a_literal_loop(seed, rows, horizon, width, measure):
    bars = random_bars(rows, seed)
    ours = labelling.label("direction", bars, horizon=horizon, width=width, measure=measure).drop(columns="symbol")
    loop = direction_by_loop(bars, horizon, width, measure)
    if loop.empty:
        assert ours.empty
    else:
        pd.testing.assert_frame_equal(ours, loop, check_dtype=False, rtol=1e-12)


def planted(moves: dict[int, tuple[float, float]]) -> pd.DataFrame:
    """40 bars at 100 with a true range of 2, but for the (high, low) of some bars."""
    bars = random_bars(40).assign(open=100.0, high=101.0, low=99.0, close=100.0)
    for row, (high, low) in moves.items():
        bars.loc[row, ["high", "low"]] = high, low
    return bars


@pytest.mark.parametrize(
    ("moves", "answer", "end"),
    [
        ({}, NEUTRAL, 25),
        ({22: (104, 100)}, LONG, 22),
        ({22: (100, 96)}, SHORT, 22),
        ({22: (104, 96)}, NEUTRAL, 22),
        ({22: (104, 100), 23: (100, 90)}, LONG, 22),
        ({22: (104, 96), 23: (110, 100)}, NEUTRAL, 22),
        ({25: (104, 100)}, LONG, 25),
        ({26: (104, 100)}, NEUTRAL, 25),
        ({22: (103.99, 96.01)}, NEUTRAL, 25),
    ],
)
def test_planted_touches(moves, answer, end):
    bars = planted(moves)
    labels = labelling.label("direction", bars, horizon=5, width=2.0, measure="atr")
    row = labels[labels["timestamp"] == bars["timestamp"][20]].iloc[0]
    assert row["direction"] == answer
    assert row["span_end"] == bars["timestamp"][end]


def test_rows_near_the_end_are_absent_even_when_a_barrier_is_touched():
    bars = planted({38: (200, 100)})
    labels = labelling.label("direction", bars, horizon=5, measure="atr")
    assert labels["timestamp"].max() == bars["timestamp"].iloc[-6]


def test_a_market_that_does_not_move_is_asked_nothing():
    flat = random_bars(300).assign(open=5.0, high=5.0, low=5.0, close=5.0)
    assert labelling.label("direction", flat, measure="atr").empty
    assert labelling.label("direction", flat, measure="sigma").empty


def test_weights_are_shares(bars):
    weights = labelling.label("direction", bars, horizon=20)["weight"]
    assert ((weights > 0) & (weights <= 1)).all()


def test_symbols_are_labelled_apart(bars):
    both = labelling.label("direction", bars)
    for symbol, rows in bars.groupby("symbol"):
        mine = both[both["symbol"] == symbol].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, labelling.label("direction", rows))


@pytest.mark.parametrize("target", [name for name in SHIPPED if name.startswith("direction")])
def test_on_the_sample_every_class_holds_at_least_a_fifth(target):
    bars = sources.fetch("sample", ("SP500", "NASDAQ"), "1d", pd.Timestamp("2018-12-31", tz="UTC"), {})
    knobs = {name: value for name, value in SHIPPED[target].items() if name != "kind"}
    labels = labelling.label("direction", bars, **knobs)
    for _, answers in labels.groupby("symbol")["direction"]:
        shares = answers.value_counts(normalize=True)
        assert sorted(shares.index) == [SHORT, NEUTRAL, LONG]
        assert shares.min() >= 0.2


def test_knobs_are_checked(bars):
    with pytest.raises(BadParam, match="horizon"):
        labelling.label("direction", bars, horizon=0)
    with pytest.raises(BadParam, match="measure"):
        labelling.label("direction", bars, measure="range")
    with pytest.raises(UnknownName, match="did you mean 'horizon'"):
        labelling.label("direction", bars, horizn=3)
    with pytest.raises(UnknownName, match="did you mean 'direction'"):
        labelling.label("directon", bars)
