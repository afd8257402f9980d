"""The triple barrier, against a literal loop and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import counts, labelling, sources
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


def sided_by_loop(
    bars: pd.DataFrame, horizon: int, upper: float, lower: float, both: str
) -> list[tuple[int, int, int]]:
    """(decision bar, last bar, class) under ATR barriers of two widths."""
    opens, high, low, close = (bars[name].tolist() for name in ("open", "high", "low", "close"))
    atr = average_true_range(*(bars[name].to_numpy() for name in ("high", "low", "close")), 14)
    found = []
    for t in range(14, len(bars) - horizon):
        top, floor = close[t] + upper * atr[t], close[t] - lower * atr[t]
        answer: int | None = NEUTRAL
        for end in range(t + 1, t + horizon + 1):
            up, down = high[end] >= top, low[end] <= floor
            if up and down:
                by_open = LONG if opens[end] >= top else SHORT if opens[end] <= floor else NEUTRAL
                answer = {"neutral": NEUTRAL, "open": by_open, "drop": None}[both]
            elif up or down:
                answer = LONG if up else SHORT
            if up or down:
                break
        if answer is not None:
            found.append((t, end, answer))
    return found


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    horizon=st.integers(1, 12),
    upper=st.floats(0.1, 2),
    lower=st.floats(0.1, 2),
    both=st.sampled_from(["neutral", "open", "drop"]),
)
def test_two_widths_and_doubtful_bars_equal_a_literal_loop(seed, horizon, upper, lower, both):
    bars = random_bars(120, seed)
    rng = np.random.default_rng(seed)
    bars["open"] = rng.uniform(bars["low"], bars["high"])  # some bars open beyond a barrier and cross to the other
    knobs = {"horizon": horizon, "upper": upper, "lower": lower, "both": both, "measure": "atr"}
    labels = labelling.label("direction", bars, **knobs)
    position = {stamp: place for place, stamp in enumerate(bars["timestamp"])}
    ours = [
        (position[row.timestamp], position[row.span_end], int(row.direction)) for row in labels.itertuples(index=False)
    ]
    assert ours == sided_by_loop(bars, horizon, upper, lower, both)


def test_equal_widths_are_one_width():
    bars = random_bars(400)
    one = labelling.label("direction", bars, width=0.7)
    pd.testing.assert_frame_equal(one, labelling.label("direction", bars, upper=0.7, lower=0.7))
    pd.testing.assert_frame_equal(one, labelling.label("direction", bars, width=9, upper=0.7, lower=0.7))


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


@pytest.mark.parametrize(
    ("opens", "both", "answer"),
    [
        (105.0, "open", LONG),
        (104.0, "open", LONG),
        (95.0, "open", SHORT),
        (100.0, "open", NEUTRAL),
        (105.0, "neutral", NEUTRAL),
        (105.0, "drop", None),
    ],
)
def test_a_bar_that_reaches_both_barriers(opens, both, answer):
    bars = planted({22: (110, 90)})
    bars.loc[22, "open"] = opens
    labels = labelling.label("direction", bars, horizon=5, width=2.0, measure="atr", both=both)
    found = labels.loc[labels["timestamp"] == bars["timestamp"][20], "direction"].tolist()
    assert found == ([] if answer is None else [answer])


def test_bars_that_reach_both_barriers_are_counted_where_all_of_their_reach_is_there():
    """Bars 20 to 29 may be counted: 20 lie before them, 10 after. A bar that reaches both is seen by five of them."""
    bars = planted({25: (110, 90)})
    assert counts.of(labelling.label("direction", bars, horizon=5, width=2.0, measure="atr")) == {"both_barriers": 5}
    assert counts.of(labelling.label("direction", planted({}), horizon=5, width=2.0, measure="atr")) == {}


def test_counts_of_slices_sum_to_that_of_the_whole():
    bars, knobs = random_bars(400, 4), {"horizon": 4, "width": 0.3, "measure": "atr"}
    back, ahead = labelling.reach("direction", **knobs)
    slices = [bars.iloc[begin - back : begin + 50 + ahead] for begin in range(back, len(bars) - ahead, 50)]
    parts = [counts.of(labelling.label("direction", rows, **knobs)) for rows in slices]
    assert counts.total(parts) == counts.of(labelling.label("direction", bars, **knobs))
    assert counts.total(parts)["both_barriers"] > 10


def test_weights_by_return_and_age():
    bars = random_bars(300, 7)
    plain = labelling.label("direction", bars)
    by_return = labelling.label("direction", bars, weigh="return")
    aged = labelling.label("direction", bars, half_life_days=100.0, newest="2001-06-01")
    answers = ["timestamp", "span_end", "direction"]
    for other in (by_return, aged):
        pd.testing.assert_frame_equal(plain[answers], other[answers])
    days = (pd.Timestamp("2001-06-01", tz="UTC") - plain["timestamp"]).dt.days.clip(lower=0)
    np.testing.assert_allclose(aged["weight"], plain["weight"] * 0.5 ** (days / 100), rtol=1e-12)
    touched = by_return["direction"] != NEUTRAL
    assert by_return["weight"][touched].median() > 2 * by_return["weight"][~touched].median()


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
    with pytest.raises(BadParam, match="newest"):
        labelling.label("direction", bars, newest="in May")
    with pytest.raises(BadParam, match="upper"):
        labelling.label("direction", bars, upper=0)
    with pytest.raises(BadParam, match="measure"):
        labelling.label("direction", bars, measure="range")
    with pytest.raises(UnknownName, match="did you mean 'horizon'"):
        labelling.label("direction", bars, horizn=3)
    with pytest.raises(UnknownName, match="did you mean 'direction'"):
        labelling.label("directon", bars)


@pytest.mark.parametrize("measure", ["atr", "sigma"])
def test_barriers_lie_where_the_labels_say_they_were_touched(measure: str):
    bars = random_bars(600, 8)
    knobs = {"horizon": 10, "width": 1.0, "upper": 1.2, "lower": 0.7, "measure": measure}
    labels = labelling.label("direction", bars, **knobs)
    found = labelling.direction.barriers(bars, **knobs)
    assert bars["timestamp"].iloc[found.ends].tolist() == labels["span_end"].tolist()
    close, high, low = (bars[name].to_numpy() for name in ("close", "high", "low"))
    top, bottom = close[found.rows] * (1 + found.upper), close[found.rows] * (1 - found.lower)
    for answer, reached in (
        (LONG, high[found.ends] >= top * (1 - 1e-12)),
        (SHORT, low[found.ends] <= bottom * (1 + 1e-12)),
    ):
        mine = labels["direction"].to_numpy() == answer
        assert mine.sum() > 20 and reached[mine].all()
    np.testing.assert_allclose(found.upper / found.lower, 1.2 / 0.7)
