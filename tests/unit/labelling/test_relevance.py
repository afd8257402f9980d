"""Relevance, against a literal loop and by hand: weekends, holidays, clock changes, polarity."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import counts, labelling
from betti.context import Context
from betti.errors import BadParam
from betti.labelling.relevance import BadPolarity, direction_of, scored
from betti.metrics.decisions import positions
from tests.conftest import random_bars
from tests.unit.labelling.loops import uniqueness

NEGATIVE, NONE, POSITIVE = 0, 1, 2


def on(days: list[str], closes: list[float]) -> pd.DataFrame:
    """Bars of these days with these closes."""
    stamps = pd.to_datetime(days, utc=True).as_unit("us")
    return random_bars(len(days)).assign(timestamp=stamps, close=closes)


def scores_by_loop(bars: pd.DataFrame, polarity: list[float]) -> list[tuple]:
    stamps, close = bars["timestamp"].tolist(), bars["close"].tolist()
    found = []
    for t, now in enumerate(stamps):
        ends = []
        for days in (7, 30):
            before = [i for i in range(t, len(stamps)) if stamps[i] <= now + pd.Timedelta(days=days)]
            ends.append(before[-1])
        if stamps[-1] < now + pd.Timedelta(days=30) or ends[0] == t:
            continue
        week, month = (polarity[t] * np.tanh(10 * (close[end] / close[t] - 1)) for end in ends)
        found.append((t, ends[1], week, month))
    return found


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 120), business=st.booleans(), holes=st.booleans())
def test_it_equals_a_literal_loop(seed, rows, business, holes):
    rng = np.random.default_rng(seed)
    bars = random_bars(rows, seed, freq="B" if business else "D")
    if holes:
        bars = bars[rng.random(rows) > 0.3].reset_index(drop=True)
    signs = pd.Series(rng.choice([-1.0, 0.0, 1.0, np.nan], len(bars)), index=bars.index)
    ours, loop = scored(bars, signs), scores_by_loop(bars, signs.fillna(0).tolist())
    starts, ends = (np.array([row[i] for row in loop], dtype=int) for i in (0, 1))
    assert ours["timestamp"].tolist() == bars["timestamp"].iloc[starts].tolist()
    assert ours["span_end"].tolist() == bars["timestamp"].iloc[ends].tolist()
    np.testing.assert_allclose(ours[["score_7d", "score_30d"]], np.array([row[2:] for row in loop]).reshape(-1, 2))
    np.testing.assert_allclose(ours["weight"], uniqueness(starts, ends), rtol=1e-9)


def test_a_target_on_a_weekend_or_holiday_is_the_bar_before():
    """Seven days after Saturday the 1st is the 8th; the last bar by then is Thursday's, the 6th."""
    days = ["2020-02-01", "2020-02-03", "2020-02-06", "2020-02-10", "2020-02-28", "2020-03-02", "2020-03-04"]
    labels = labelling.label("relevance", on(days, [100, 50, 101, 50, 97, 103, 50]))
    first = labels.iloc[0]
    assert first["score_7d"] == pytest.approx(np.tanh(10 * 0.01))
    assert first["score_30d"] == pytest.approx(np.tanh(10 * 0.03))  # 30 days after is the 2nd of March itself
    assert first["span_end"] == pd.Timestamp("2020-03-02", tz="UTC")
    assert labels["timestamp"].dt.strftime("%m-%d").tolist() == ["02-01", "02-03"]


def test_a_row_appears_with_the_first_bar_that_shows_the_thirty_days_are_over():
    days = ["2020-02-01", "2020-02-05", "2020-03-01"]
    assert labelling.label("relevance", on(days, [1, 2, 3])).empty
    assert len(labelling.label("relevance", on([*days, "2020-03-03"], [1, 2, 3, 4]))) == 1


def test_a_bar_without_another_in_the_week_after_has_no_row():
    assert labelling.label("relevance", on(["2020-02-01", "2020-02-09", "2020-03-05"], [1, 2, 3])).empty


@pytest.mark.parametrize(("score", "answer"), [(0.1, 2), (0.0999, 1), (-0.0999, 1), (-0.1, 0), (0, 1), (1, 2), (-1, 0)])
def test_small_scores_have_no_direction(score, answer):
    assert direction_of(np.array([score])).tolist() == [answer]


def test_without_context_polarity_is_one_and_the_table_says_so():
    bars = random_bars(300)
    labels = labelling.label("relevance", bars)
    ones = scored(bars, pd.Series(1.0, index=bars.index))
    pd.testing.assert_frame_equal(labels.drop(columns="symbol"), ones[labels.columns.drop("symbol")])
    back, ahead = labelling.reach("relevance")
    assert counts.of(labels) == {"without_context": 300 - back - ahead}
    assert counts.of(ones) == {}


def test_polarity_turns_scores_over_and_silence_is_none():
    bars = random_bars(200)
    plain = scored(bars, None)
    against = scored(bars, pd.Series(-1.0, index=bars.index))
    silent = scored(bars, pd.Series(np.nan, index=bars.index))
    for days in ("7d", "30d"):
        assert (against[f"score_{days}"] == -plain[f"score_{days}"]).all()
        assert (against[f"direction_{days}"] == 2 - plain[f"direction_{days}"]).all()
        assert silent[f"score_{days}"].eq(0).all() and silent[f"direction_{days}"].eq(NONE).all()


def test_the_first_column_is_the_class_of_the_horizon_to_learn():
    bars = random_bars(200)
    week, month = (labelling.label("relevance", bars, learn=days) for days in ("7d", "30d"))
    assert (week["direction"] == week["direction_7d"]).all()
    assert (month["direction"] == month["direction_30d"]).all()
    assert (week["direction"] != month["direction"]).any()
    assert (direction_of(week["score_7d"].to_numpy()) == week["direction_7d"]).all()


def test_bars_that_come_faster_than_said_are_refused():
    hours = random_bars(2000, freq="1h")
    with pytest.raises(BadParam, match="give at least 24"):
        labelling.label("relevance", hours)
    labels = labelling.label("relevance", hours, bars_per_day=24)
    assert len(labels) == 2000 - 30 * 24
    assert (labels["span_end"] - labels["timestamp"] == pd.Timedelta(days=30)).all()


@pytest.mark.parametrize(
    "polarity",
    [pd.Series([1.0]), pd.Series(1.0, index=range(5, 205)), pd.Series(2.0, index=range(200))],
)
def test_a_polarity_that_does_not_fit_is_refused(polarity):
    with pytest.raises(BadPolarity):
        scored(random_bars(200), polarity)


# --- under what was known


def releases(*values: tuple[str, float]) -> Context:
    """Surprises of prices, each known from its time on."""
    rows = [
        {"released": pd.Timestamp(at, tz="UTC"), "series": "US_CPI_YOY", "value": 3.0 + surprise, "forecast": 3.0}
        for at, surprise in values
    ]
    table = pd.DataFrame(rows)
    table["observed"] = table["released"].dt.normalize() - pd.Timedelta(days=30)
    return Context(macro=table.assign(previous=float("nan")))


def test_a_surprise_turns_the_scores_from_its_release_on():
    bars = random_bars(200, start="2024-01-01")
    plain = labelling.label("relevance", bars)
    turned = labelling.label("relevance", bars, releases(("2024-03-01 13:30", 0.5)))
    later = turned["timestamp"] >= pd.Timestamp("2024-03-01", tz="UTC")
    assert (turned.loc[~later, "score_7d"] == 0).all(), "nothing was known before"
    np.testing.assert_array_equal(turned.loc[later, "score_7d"], -plain.loc[later, "score_7d"])
    assert set(turned.loc[later, "side"]) == {-1.0}
    assert set(plain["side"]) == {1.0}


def test_a_release_after_a_bar_s_close_changes_no_label_of_it():
    bars = random_bars(200, start="2024-01-01")
    one = labelling.label("relevance", bars, releases(("2024-02-01 13:30", 0.5)))
    two = labelling.label("relevance", bars, releases(("2024-02-01 13:30", 0.5), ("2024-04-01 13:30", -2.0)))
    before = one["timestamp"] < pd.Timestamp("2024-04-01", tz="UTC")
    pd.testing.assert_frame_equal(one[before], two[before])
    assert not one[~before].equals(two[~before])


def test_a_position_is_turned_to_the_side_of_the_context():
    up, down = np.array([[0.0, 0.0, 1.0]]), np.array([[1.0, 0.0, 0.0]])
    for side, expected in ((1.0, 1.0), (-1.0, -1.0), (0.0, 0.0)):
        assert positions(up, 0.5, np.array([side])).tolist() == [expected]
        assert positions(down, 0.5, np.array([side])).tolist() == [-expected]
