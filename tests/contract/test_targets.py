"""The laws of labels, over every registered target: a new file in the folder is under test the moment it is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import labelling
from betti.errors import UnknownName
from tests.conftest import random_bars

# Each target at its defaults, and at what else reaches other code in it.
ALSO: dict[str, list[dict[str, Any]]] = {
    "direction": [
        {"measure": "atr", "horizon": 7, "width": 0.7},
        {"upper": 0.5, "lower": 0.2, "both": "open", "weigh": "return", "half_life_days": 100.0},
        {"width": 0.6, "both": "drop", "measure": "atr", "horizon": 3},
    ],
    "expansion": [
        {"window": 30, "lead": 5, "longest": 8, "displacement": 3.0},
        {"window": 20, "lead": 0, "longest": 5, "displacement": 2.0, "stride": 4, "pause": 4},
    ],
    "meta": [{"measure": "atr", "profit": 2.0, "primary": "reversal", "lookback": 3, "weigh": "return"}],
    "relevance": [{"learn": "30d"}],
    "trigger": [
        {"side": "either", "threshold": 0.04},
        {"measure": "sigma", "side": "down", "threshold": 0.5, "half_life_days": 30.0},
    ],
}
CASES = [(name, knobs) for name in labelling.FOLDER.names() for knobs in [{}, *ALSO.get(name, [])]]
every_target = pytest.mark.parametrize(("name", "knobs"), CASES, ids=[f"{n}-{len(k)}" for n, k in CASES])
few = settings(max_examples=12, deadline=None)

PRICES = ["open", "high", "low", "close"]


def bars_of(name: str, knobs: dict[str, Any], seed: int = 1, more: int = 80) -> pd.DataFrame:
    return random_bars(sum(labelling.reach(name, **knobs)) + more, seed)


def with_holes(bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Some bars gone one by one, and a stretch of eleven: holidays, and a market that was closed."""
    rng = np.random.default_rng(seed)
    kept = rng.random(len(bars)) > 0.05
    begin = int(rng.integers(0, len(bars)))
    kept[begin : begin + 11] = False
    return bars[kept].reset_index(drop=True)


def at_the_open_of_new_york(bars: pd.DataFrame) -> pd.DataFrame:
    """Business days at 9:30 in New York: in UTC an hour sooner in summer."""
    local = pd.date_range("2001-01-01 09:30", periods=len(bars), freq="B", tz="America/New_York")
    return bars.assign(timestamp=local.tz_convert("UTC").as_unit("us"))


def stood_still(bars: pd.DataFrame) -> pd.DataFrame:
    """Forty bars in the middle whose four prices are one."""
    copy, middle = bars.copy(), len(bars) // 2
    copy.loc[middle : middle + 40, PRICES] = float(copy["close"][middle])
    return copy


MARKETS = {
    "holes": lambda bars: with_holes(bars, 3),
    "clock changes": at_the_open_of_new_york,
    "no movement": stood_still,
    "high = low": lambda bars: bars.assign(**dict.fromkeys(PRICES, bars["close"])),
}
every_market = pytest.mark.parametrize("market", MARKETS.values(), ids=MARKETS)


def without_nan(table: pd.DataFrame) -> pd.DataFrame:
    """Values that do not apply, as one that is equal to itself."""
    return table.astype(object).where(table.notna(), "masked")


def label_columns(name: str) -> list[str]:
    return ["timestamp", "symbol", "span_start", "span_end", *labelling.FOLDER.load(name).COLUMNS]


def corrupted(bars: pd.DataFrame, rows: np.ndarray, factor: float) -> pd.DataFrame:
    copy = bars.copy()
    copy.loc[rows, PRICES] *= factor
    return copy


def test_the_targets_that_ship_are_registered_and_import():
    assert {"direction", "expansion", "meta", "relevance", "trigger"} <= set(labelling.FOLDER.names())
    assert labelling.FOLDER.failures() == {}


@every_target
def test_the_table_has_the_agreed_columns(name, knobs):
    bars = pd.concat([bars_of(name, knobs), bars_of(name, knobs, 2).assign(symbol="BBB")], ignore_index=True)
    before = bars.copy()
    labels = labelling.label(name, bars, **knobs)
    pd.testing.assert_frame_equal(bars, before)
    assert list(labels.columns) == [*label_columns(name), "weight"]
    assert len(labels) > 0
    masked = getattr(labelling.FOLDER.load(name), "MASKED", ())
    assert not set(masked) & {labelling.FOLDER.load(name).COLUMNS[0], "weight"}
    assert not labels.drop(columns=list(masked)).isna().to_numpy().any()
    assert not np.isinf(labels.select_dtypes("float64").to_numpy()).any()
    assert (labels["span_start"] <= labels["timestamp"]).all()
    assert (labels["span_end"] >= labels["timestamp"]).all()
    assert ((labels["weight"] > 0) & (labels["weight"] <= 1)).all()
    assert not labels.duplicated(["symbol", "timestamp"]).any()


@every_target
def test_classes_are_whole_numbers_from_zero(name, knobs):
    module = labelling.FOLDER.load(name)
    answers = labelling.label(name, bars_of(name, knobs, more=400), **knobs)[module.COLUMNS[0]]
    assert set(answers) == set(range(module.CLASSES))


@every_target
@few
@given(data=st.data())
def test_bars_after_a_spans_end_do_not_touch_its_label(name, knobs, data):
    bars = bars_of(name, knobs, data.draw(st.integers(0, 50), label="seed"))
    labels = labelling.label(name, bars, **knobs)
    row = labels.iloc[data.draw(st.integers(0, len(labels) - 1), label="row")]
    after = np.flatnonzero(bars["timestamp"] > row["span_end"])
    if len(after) == 0:
        return
    rows = after if data.draw(st.booleans(), label="all") else after[[data.draw(st.integers(0, len(after) - 1))]]
    changed = labelling.label(name, corrupted(bars, rows, data.draw(st.sampled_from([0.2, 5.0]))), **knobs)
    then, now = (
        without_nan(table.loc[table["timestamp"] == row["timestamp"], label_columns(name)]).to_numpy().tolist()
        for table in (labels, changed)
    )
    assert now == then


@every_target
@few
@given(data=st.data())
def test_bars_up_to_a_span_s_end_do_touch_some_label(name, knobs, data):
    bars = bars_of(name, knobs, data.draw(st.integers(0, 50), label="seed"))
    labels = labelling.label(name, bars, **knobs)
    row = labels.iloc[data.draw(st.integers(0, len(labels) - 1), label="row")]
    inside = np.flatnonzero((bars["timestamp"] > row["span_start"]) & (bars["timestamp"] <= row["span_end"]))
    answers = labels[["timestamp", *labelling.FOLDER.load(name).COLUMNS]]
    differs = [
        not answers.equals(labelling.label(name, corrupted(bars, inside, factor), **knobs)[answers.columns])
        for factor in (0.2, 5.0)
    ]
    assert any(differs)


@every_target
@few
@given(data=st.data())
def test_a_slice_within_reach_gives_the_row_that_all_bars_give(name, knobs, data):
    bars = bars_of(name, knobs, data.draw(st.integers(0, 50), label="seed"))
    if data.draw(st.booleans(), label="holes"):
        bars = with_holes(bars, data.draw(st.integers(0, 50), label="which"))
    back, ahead = labelling.reach(name, **knobs)
    labels = labelling.label(name, bars, **knobs)
    t = data.draw(st.integers(0, len(bars) - 1), label="t")
    stamp = bars["timestamp"][t]
    part = labelling.label(name, bars.iloc[max(0, t - back) : t + ahead + 1].reset_index(drop=True), **knobs)
    whole, cut = (table[table["timestamp"] == stamp].reset_index(drop=True) for table in (labels, part))
    pd.testing.assert_frame_equal(whole, cut, check_exact=True)


@every_target
@every_market
def test_odd_markets_keep_the_laws(name, knobs, market):
    bars = market(bars_of(name, knobs))
    back, ahead = labelling.reach(name, **knobs)
    labels = labelling.label(name, bars, **knobs)
    assert set(labels["span_end"]) | set(labels["span_start"]) <= set(bars["timestamp"])
    assert ((labels["weight"] > 0) & (labels["weight"] <= 1)).all()
    for t in range(0, len(bars), 29):
        part = labelling.label(name, bars.iloc[max(0, t - back) : t + ahead + 1].reset_index(drop=True), **knobs)
        whole, cut = (
            table[table["timestamp"] == bars["timestamp"][t]].reset_index(drop=True) for table in (labels, part)
        )
        pd.testing.assert_frame_equal(whole, cut, check_exact=True)


@every_target
def test_symbols_do_not_mix(name, knobs):
    """Three of them row by row in turn, one with ten bars alone."""
    long, other = bars_of(name, knobs), bars_of(name, knobs, 2).assign(symbol="BBB")
    ten = random_bars(10, 3, "TEN")
    both = pd.concat([long, other, ten]).sort_values(["timestamp", "symbol"]).reset_index(drop=True)
    labels = labelling.label(name, both, **knobs)
    for bars in (long, other, ten):
        mine = labels[labels["symbol"] == bars["symbol"][0]].reset_index(drop=True)
        alone = labelling.label(name, bars, **knobs)
        if len(alone) or len(mine):
            pd.testing.assert_frame_equal(mine, alone, check_exact=True)


@every_target
def test_the_last_bars_have_no_row_until_their_future_is_there(name, knobs):
    """A row that is there stays as it is when bars are added, its weight aside; a bar too young for one has none."""
    bars = bars_of(name, knobs)
    labels = labelling.label(name, bars, **knobs)
    for rows in range(len(bars) - 45, len(bars), 7):
        before = labelling.label(name, bars.iloc[:rows], **knobs)
        assert (before["span_end"] <= bars["timestamp"][rows - 1]).all()
        now = labels[labels["timestamp"].isin(before["timestamp"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(before[label_columns(name)], now[label_columns(name)], check_exact=True)


@every_target
def test_few_bars_give_no_rows_and_no_error(name, knobs):
    for rows in (0, 1, 2):
        assert labelling.label(name, random_bars(3).iloc[:rows], **knobs).empty


@every_target
def test_it_is_documented(name, knobs):
    module = labelling.FOLDER.load(name)
    assert module.__doc__
    assert "Returns:" in module.label.__doc__
    with pytest.raises(UnknownName, match="no_such_knob"):
        labelling.label(name, random_bars(3), no_such_knob=1)
