"""Windows and their expansion: planted legs at every place, the unfolding, strides, and the share on real bars."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import labelling, sources
from betti.errors import BadParam
from betti.labelling.expansion import CLASSES, Rule, find_legs, sequences
from tests.conftest import random_bars
from tests.unit.labelling.test_legs import bars_of, joined, leg, wobble
from tests.unit.sources.files import MARKET, with_market_data


def window_by_loop(legs: list[tuple[int, int, int]], t: int, window: int, lead: int) -> dict[str, float]:
    """What a window that ends at bar t is told, word by word."""
    first = t - window + 1
    nothing = {"start": np.nan, "end": np.nan, "type": np.nan, "begun": 0.0, "ahead": 0.0, "censored": 0.0}
    inside = [one for one in legs if first <= one[0] <= t]
    coming = [one for one in legs if t < one[0] <= t + lead]
    begun = [one for one in legs if one[0] < first <= one[1]]
    if inside:
        start, end, kind = inside[-1]
        found = {"start": start - first, "end": min(end, t) - first, "type": kind, "censored": float(end > t)}
    elif coming:
        found = {"start": coming[0][0] - first, "type": coming[0][2], "ahead": 1.0}
    elif begun:
        start, end, _ = begun[-1]
        found = {"start": start - first, "end": min(end, t) - first, "begun": 1.0, "censored": float(end > t)}
    else:
        found = {}
    found = nothing | found
    return {"expansion": float(not np.isnan(found["end"])), **found}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    window=st.integers(8, 60),
    lead=st.integers(0, 25),
    longest=st.integers(3, 20),
    displacement=st.floats(0.5, 5),
)
def test_windows_are_told_what_a_literal_loop_tells_them(seed, window, lead, longest, displacement):
    bars = random_bars(350, seed)
    knobs = {"window": window, "lead": lead, "longest": longest, "displacement": displacement}
    labels = labelling.label("expansion", bars, **knobs)
    legs = find_legs(bars, Rule(displacement, 0.6, longest, 0.25, 10, 2.5))
    known = list(zip(legs.start.tolist(), legs.end.tolist(), legs.type.tolist(), strict=True))
    places = bars.index[bars["timestamp"].isin(labels["timestamp"])]
    loop = pd.DataFrame([window_by_loop(known, t, window, lead) for t in places])
    pd.testing.assert_frame_equal(labels[loop.columns.tolist()], loop, check_dtype=False)
    back = {"timestamp": 0, "span_start": window - 1, "span_end": -(lead + 2 * longest - 3)}
    for name, shift in back.items():
        assert labels[name].tolist() == bars["timestamp"].iloc[places - shift].tolist()


def test_one_planted_expansion_seen_from_every_window():
    """Bars 300 to 315: ahead, then cut, then inside, then begun, then gone."""
    bars = bars_of(joined(wobble(301, 1), leg(15, 0.9), wobble(400, 2)))
    labels = labelling.label("expansion", bars).assign(bar=lambda table: table["timestamp"].map(place_in(bars)))
    labels = labels.set_index("bar")
    assert labels.loc[299, ["start", "ahead", "expansion"]].tolist() == [105, 1, 0]
    assert labels.loc[280, ["start", "ahead", "type"]].tolist() == [124, 1, 0]
    assert labels.loc[279, ["ahead", "expansion"]].tolist() == [0, 0]
    assert labels.loc[300, ["start", "end", "censored", "expansion"]].tolist() == [104, 104, 1, 1]
    assert labels.loc[314, ["start", "end", "censored"]].tolist() == [90, 104, 1]
    assert labels.loc[315, ["start", "end", "censored"]].tolist() == [89, 104, 0]
    assert labels.loc[404, ["start", "end", "begun", "type"]].tolist() == [0, 15, 0, 0]
    assert labels.loc[405, ["start", "end", "begun", "expansion"]].tolist() == [-1, 14, 1, 1]
    assert labels.loc[419, ["start", "end", "begun"]].tolist() == [-15, 0, 1]
    assert labels.loc[420, ["begun", "expansion"]].tolist() == [0, 0]
    assert np.isnan(labels.loc[405, "type"]) and np.isnan(labels.loc[420, "start"])


def place_in(bars: pd.DataFrame) -> dict:
    return {stamp: place for place, stamp in enumerate(bars["timestamp"])}


def test_of_two_expansions_the_last_that_starts_in_the_window_counts():
    bars = bars_of(joined(wobble(301, 3), leg(10, 0.9), wobble(41, 4), leg(12, -0.9), wobble(300, 5)))
    labels = labelling.label("expansion", bars)
    stamps = bars["timestamp"]
    both = labels[labels["timestamp"] == stamps[380]].iloc[0]
    assert both[["start", "end"]].tolist() == [351 - 276, 363 - 276]
    first = labels[labels["timestamp"] == stamps[340]].iloc[0]  # the second starts within twenty bars: not asked for
    assert first[["start", "end", "ahead"]].tolist() == [300 - 236, 310 - 236, 0]


def rows(**cells: list[float]) -> pd.DataFrame:
    base = {"start": np.nan, "end": np.nan, "type": np.nan, "begun": 0.0, "ahead": 0.0, "censored": 0.0}
    return pd.DataFrame({name: cells.get(name, value) for name, value in base.items()}, index=range(len(cells["end"])))


def test_a_row_unfolds_into_mask_countdown_and_pointers():
    found = sequences(rows(start=[50.0], end=[65.0], type=[1.0]))
    assert found.mask.shape == found.countdown.shape == (1, 105)
    assert found.mask.sum() == 16
    assert np.flatnonzero(found.mask[0]).tolist() == list(range(50, 66))
    assert found.countdown[0, [45, 50, 55]].tolist() == [5, 0, -5]
    np.testing.assert_allclose(found.pointers, [[(50 + 65) / 2 / 104, 16 / 105]], rtol=1e-6)
    assert found.type.tolist() == [1] and found.detection.tolist() == [True] and found.anticipation.tolist() == [False]


def test_the_predicted_start_follows_from_the_pointers():
    start, end = np.meshgrid(np.arange(105), np.arange(105))
    start, end = start[start <= end].astype(float), end[start <= end].astype(float)
    found = sequences(rows(start=start, end=end, type=np.zeros(len(start))))
    centre, length = found.pointers.T.astype("float64")
    np.testing.assert_allclose(centre * 104 - (length * 105 - 1) / 2, start, atol=1e-4)
    assert ((found.pointers >= 0) & (found.pointers <= 1)).all()
    np.testing.assert_array_equal(found.mask.sum(axis=1), end - start + 1)


def test_what_is_not_asked_is_missing():
    nan = np.nan
    found = sequences(
        rows(
            start=[nan, -3.0, 110.0, 100.0], end=[nan, 5.0, nan, 104.0], type=[nan, nan, 2.0, 0.0],
            begun=[0.0, 1.0, 0.0, 0.0], ahead=[0.0, 0.0, 1.0, 0.0], censored=[0.0, 0.0, 0.0, 1.0],
        )
    )  # fmt: skip
    none, begun, ahead, cut = range(4)
    assert found.mask.sum(axis=1).tolist() == [0, 6, 0, 5]
    assert np.isnan(found.countdown[[none, begun]]).all()
    assert found.countdown[ahead, [0, 104]].tolist() == [110, 6]
    assert np.isnan(found.pointers[[none, begun, ahead]]).all() and not np.isnan(found.pointers[cut]).any()
    np.testing.assert_array_equal(found.type, [nan, nan, 2, 0])
    assert found.detection.tolist() == [False, False, False, True]
    assert found.anticipation.tolist() == [False, False, True, False]
    assert found.censored.tolist() == [False, False, False, True]


@pytest.mark.parametrize("stride", [2, 5, 40])
def test_a_stride_thins_windows_by_time_and_not_by_row(stride):
    bars = random_bars(900, 2, freq="15min")
    every, thinned = (labelling.label("expansion", bars, stride=by) for by in (1, stride))
    quarter_hours = thinned["timestamp"].astype("int64") // 900_000_000
    assert (quarter_hours % stride == 0).all()
    assert len(thinned) == pytest.approx(len(every) / stride, abs=1)
    later = labelling.label("expansion", bars.iloc[37:].reset_index(drop=True), stride=stride)
    assert set(later["timestamp"]) <= set(thinned["timestamp"])
    answers = thinned.columns.drop("weight")
    same = every[every["timestamp"].isin(thinned["timestamp"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(thinned[answers], same[answers])
    assert thinned["weight"].mean() > 0.8 * stride * every["weight"].mean()


def test_there_are_two_classes():
    assert CLASSES == 2
    labels = labelling.label("expansion", random_bars(3000, 1))
    assert set(labels["expansion"]) == {0, 1}
    assert (labels["expansion"] == (sequences(labels).mask.max(axis=1) > 0)).all()


def held(bars: pd.DataFrame) -> pd.Series:
    labels = labelling.label("expansion", bars)
    return labels.groupby("symbol")["expansion"].mean()


def test_on_the_sample_40_to_70_per_cent_of_the_windows_hold_an_expansion():
    bars = sources.fetch("sample", ("SP500", "NASDAQ"), "1d", pd.Timestamp("2018-12-31", tz="UTC"), {})
    assert held(bars).between(0.4, 0.7).all()
    kinds = labelling.label("expansion", bars).groupby("symbol")["type"].value_counts(normalize=True)
    assert kinds.min() > 0.1


@with_market_data
@pytest.mark.parametrize("name", ["BTCUSDT_15m", "BTCUSDT-PERP_15m", "SPY_1d", "QQQ_1d"])
def test_on_recorded_markets_40_to_70_per_cent_of_the_windows_hold_an_expansion(name):
    assert held(pd.read_parquet(MARKET / f"{name}.parquet")).between(0.4, 0.7).all()


def test_knobs_are_checked():
    for knob, value in {"window": 7, "longest": 2, "efficiency": 1.1, "stride": 0, "lead": -1}.items():
        with pytest.raises(BadParam, match=knob):
            labelling.label("expansion", random_bars(50), **{knob: value})
