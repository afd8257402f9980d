"""Each rule finds its fault where it was put, and is silent where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import sources
from betti.expectations import flags as module
from betti.expectations._habits import long_runs, median_after, median_before, runs
from betti.expectations.flags import COLUMNS, Flagged, combined, flags
from betti.expectations.result import FLAGS
from tests.conftest import random_bars
from tests.unit.expectations import real

ROWS, AT = 1500, 700
PRICES = ["open", "high", "low", "close"]


def flagged(bars: pd.DataFrame, **knobs) -> Flagged:
    return flags(bars, **{"jump": 10.0, "stale_open_share": 0.2} | knobs)


def walk(rows: int = ROWS, seed: int = 0, degrees: float | None = None, tick: float = 0.0) -> pd.DataFrame:
    """Bars around a random walk; `degrees` makes its moves a t distribution's, `tick` rounds its prices."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, 0.01, rows) if degrees is None else 0.01 * rng.standard_t(degrees, rows)
    close = 100 * np.exp(np.cumsum(moves))
    opened = np.concatenate([[100.0], close[:-1]]) * np.exp(rng.normal(0, 0.002, rows))
    bars = random_bars(rows, seed, freq="15min").assign(open=opened, close=close)
    bars["high"] = bars[["open", "close"]].max(axis=1) * np.exp(np.abs(rng.normal(0, 0.004, rows)))
    bars["low"] = bars[["open", "close"]].min(axis=1) * np.exp(-np.abs(rng.normal(0, 0.004, rows)))
    if tick:
        bars[PRICES] = (bars[PRICES] / tick).round() * tick
    return bars


def scaled(factor: float, columns: list[str], end: int = ROWS):
    def damage(bars: pd.DataFrame) -> pd.DataFrame:
        bars.loc[AT : end - 1, columns] *= factor
        return bars

    return damage


def spiked(size: float):
    def damage(bars: pd.DataFrame) -> pd.DataFrame:
        bars.loc[AT, "close"] = bars.loc[AT - 1, "close"] * np.exp(size)
        bars.loc[AT + 1, "close"] = bars.loc[AT - 1, "close"]
        return bars

    return damage


def stuck(bars: pd.DataFrame) -> pd.DataFrame:
    bars.loc[AT : AT + 29, "close"] = bars.loc[AT, "close"]
    return bars


def stale(bars: pd.DataFrame) -> pd.DataFrame:
    bars.loc[AT : AT + 29, "open"] = bars["close"].shift().loc[AT : AT + 29]
    return bars


def repeated(bars: pd.DataFrame) -> pd.DataFrame:
    bars.loc[AT : AT + 19, PRICES] = bars.loc[100:119, PRICES].to_numpy()
    return bars


def shifted(bars: pd.DataFrame) -> pd.DataFrame:
    bars.loc[AT, "timestamp"] += pd.Timedelta("3min")
    return bars


def flat(bars: pd.DataFrame) -> pd.DataFrame:
    bars.loc[AT, ["open", "high", "low"]] = bars.loc[AT, "close"]
    return bars


def volume(value: float):
    def damage(bars: pd.DataFrame) -> pd.DataFrame:
        bars.loc[AT, "volume"] = value
        return bars

    return damage


def extras(bars: pd.DataFrame) -> pd.DataFrame:
    bars = bars.assign(buy_volume=1.0, sell_volume=2.0, trades=3.0, open_interest=np.nan)
    bars.loc[AT, ["buy_volume", "trades"]] = np.nan
    return bars


# fault -> (how it is made, the rule that must see it, the value it must name)
FAULTS = {
    "cents for dollars": (scaled(100.0, PRICES), "unit_change", 100.0),
    "points for prices": (scaled(1000.0, PRICES), "unit_change", 1000.0),
    "dollars for cents": (scaled(0.01, PRICES), "unit_change", 0.01),
    "ten times": (scaled(10.0, PRICES), "unit_change", 10.0),
    "a 2:1 split": (scaled(1 / 2, PRICES), "split_like", 1 / 2),
    "a 3:1 split": (scaled(1 / 3, PRICES), "split_like", 1 / 3),
    "a 3:2 split": (scaled(2 / 3, PRICES), "split_like", 2 / 3),
    "a 1:10 split": (scaled(10.0, PRICES), "split_like", 10.0),
    "a wrong tick up": (spiked(0.4), "spikes", 0.4),
    "a wrong tick down": (spiked(-0.4), "spikes", -0.4),
    "a tick of a hundredth": (spiked(np.log(0.01)), "spikes", np.log(0.01)),
    "one price for hours": (stuck, "stuck_price", 30.0),
    "opens that repeat": (stale, "stale_opens", 30.0),
    "a block twice": (repeated, "repeated_bars", 20.0),
    "a flat bar": (flat, "flat_bars", 0.0),
    "a bar off the grid": (shifted, "off_grid", 180.0),
    "thousands from here on": (scaled(1000.0, ["volume"]), "volume_units", None),
    "a thousandth from here on": (scaled(0.001, ["volume"]), "volume_units", None),
    "one bar a thousandfold": (scaled(1000.0, ["volume"], AT + 1), "volume_units", None),
    "no volume traded": (volume(0.0), "zero_volume", 0.0),
    "no volume given": (volume(np.nan), "missing_volume", None),
    "no value where others have one": (extras, "missing_extras", 2.0),
}
# A factor of ten cannot be told from a split of ten.
BESIDES = {"ten times": {"split_like"}, "a 1:10 split": {"unit_change"}, "cents for dollars": {"split_like"},
           "dollars for cents": {"split_like"}}  # fmt: skip

BARS_APART = {"one price for hours": 1, "a bar off the grid": 0.2}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_fault_is_seen_where_it_lies_and_by_its_rule_alone(fault, seed):
    damage, rule, value = FAULTS[fault]
    found = flagged(damage(walk(seed=seed)))
    assert set(found.counts) == {rule} | BESIDES.get(fault, set())
    (row,) = found.rows[found.rows["rule"] == rule].itertuples()
    assert abs((row.timestamp - walk()["timestamp"][AT]) / pd.Timedelta("15min")) <= BARS_APART.get(fault, 0)
    if value is not None:
        assert row.value == pytest.approx(value, rel=0.06, abs=1e-12)


NEW_YORK = pd.date_range("2020-01-01", periods=ROWS, freq="1D", tz="America/New_York")


@pytest.mark.parametrize(
    "times",
    [
        NEW_YORK,
        NEW_YORK + pd.Timedelta("18h"),
        pd.date_range("1900-01-01", periods=ROWS, freq="MS", tz="UTC"),
        pd.date_range("2020-01-01", periods=ROWS, freq="4h", tz="America/New_York"),
        pd.DatetimeIndex(np.sort(np.random.default_rng(0).integers(0, 10**16, ROWS)), tz="UTC"),
    ],
    ids=["days that begin at midnight in New York", "evening sessions", "months", "four hours", "trades at any time"],
)
def test_bars_that_begin_where_others_do_are_on_the_grid(times):
    bars = walk().assign(timestamp=times.tz_convert("UTC").as_unit("us"))
    assert "off_grid" not in flagged(bars).counts


def test_jumps_are_those_beyond_the_knob():
    bars = scaled(np.exp(0.2), PRICES)(walk())
    found = flagged(bars, jump=0.1).rows
    assert found["timestamp"].tolist() == [bars["timestamp"][AT]]
    assert found["value"].iloc[0] == pytest.approx(np.log(bars["close"][AT] / bars["close"][AT - 1]))
    assert found["usual"].iloc[0] == pytest.approx(0.01, rel=0.3)
    assert not flagged(bars, jump=0.3).counts


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("degrees", [None, 3.0], ids=["Gaussian", "heavy tails"])
@pytest.mark.parametrize("tick", [0.0, 0.1], ids=["fine prices", "coarse ticks"])
def test_random_walks_raise_no_alarm(seed, degrees, tick):
    counts = flagged(walk(4000, seed, degrees, tick)).counts
    # Bars within one tick are flat, and an open on the tick of the close before repeats it: those are there.
    assert set(counts) <= ({"flat_bars", "years_with_stale_opens"} if tick else set())


def years_of(*shares: float, seed: int = 0) -> pd.DataFrame:
    """Daily bars around the clock, a year for each share of opens that repeat the close before."""
    rng = np.random.default_rng(seed)
    times = pd.date_range("2001-01-01", periods=365 * len(shares), freq="1D", tz="UTC").as_unit("us")
    bars = walk(len(times), seed).assign(timestamp=times)
    repeats = rng.random(len(times)) < np.repeat(shares, 365)
    bars.loc[repeats, "open"] = bars["close"].shift()[repeats]
    return bars


def told_years(bars: pd.DataFrame, **knobs) -> int:
    return flagged(bars, **knobs).counts.get("years_with_stale_opens", 0)


@pytest.mark.parametrize("habit", [0.25, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("years", [1, 2, 8])
@pytest.mark.parametrize("seed", range(3))
def test_a_market_whose_opens_always_repeat_closes_has_no_stale_year(habit, years, seed):
    assert told_years(years_of(*[habit] * years, seed=seed)) == 0


@pytest.mark.parametrize(
    ("shares", "told"),
    [((0.0, 0.9), 1), ((0.0, 0.25, 0.0), 1), ((0.9,) * 5 + (0.0,) * 5, 5), ((0.5, 0.5, 0.95, 0.5), 1), ((0.0, 0.1), 0)],
)
def test_years_that_repeat_more_than_the_market_does_are_told(shares, told):
    assert told_years(years_of(*shares)) == told
    assert told_years(years_of(*shares), stale_open_share=0.96) == 0


def test_a_few_bars_of_a_year_tell_nothing_of_it():
    bars = years_of(0.3, 0.3).iloc[353:]
    bars.loc[:364, "open"] = bars["close"].shift().loc[:364]
    assert told_years(bars) == 0


def test_a_change_of_price_that_does_not_last_is_no_split():
    bars = walk()
    bars.loc[AT : AT + 1, PRICES] *= 0.5
    assert "split_like" not in flagged(bars).counts


def test_a_market_whose_volume_swings_by_a_thousand_is_left_alone():
    bars = walk().assign(volume=np.random.default_rng(0).lognormal(5, 3, ROWS))
    assert not flagged(bars).counts


def test_a_market_at_rest_is_not_stuck():
    bars = stuck(walk())
    bars.loc[AT : AT + 29, "volume"] = 0.0
    assert "stuck_price" in flagged(bars).counts, "thirty bars of fifteen minutes are longer than six hours"
    minutes = bars.assign(timestamp=pd.date_range("2020-01-01", periods=ROWS, freq="1min", tz="UTC"))
    assert set(flagged(minutes).counts) == {"zero_volume"}


@pytest.mark.parametrize("volume", [0.0, np.nan])
def test_a_market_without_volume_is_counted_and_not_listed(volume):
    found = flagged(walk().assign(volume=volume))
    assert list(found.counts.values()) == [ROWS]
    assert found.rows.empty


def test_of_many_flags_the_first_are_kept_and_all_are_counted(monkeypatch):
    monkeypatch.setattr(module, "ROWS_KEPT", 7)
    bars = walk()
    bars.loc[::10, "volume"] = 0.0
    found = flagged(bars)
    assert found.counts == {"zero_volume": 150}
    assert found.rows["timestamp"].tolist() == bars["timestamp"][::10].head(7).tolist()


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 21])
def test_few_bars_are_enough_to_run(rows):
    found = flagged(walk().head(rows))
    assert found.counts == {}
    assert tuple(found.rows.columns) == COLUMNS


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_impossible_prices_are_passed_over(value):
    bars = walk()
    bars.loc[AT, PRICES] = value
    assert set(flagged(bars).counts) <= {"flat_bars"}


def test_bars_are_not_changed_and_flags_are_the_same_again():
    bars = repeated(stuck(walk()))
    before = bars.copy()
    first, second = flagged(bars), flagged(bars)
    pd.testing.assert_frame_equal(bars, before)
    pd.testing.assert_frame_equal(first.rows, second.rows)


LOCAL = {"jumps", "unit_change", "split_like", "spikes", "flat_bars", "off_grid", "volume_units", "zero_volume",
         "missing_volume", "missing_extras"}  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(
    cut=st.integers(AT - 30, AT + 30),
    fault=st.sampled_from(sorted(name for name, (_, rule, _) in FAULTS.items() if rule in LOCAL)),
)
def test_frames_with_bars_on_either_side_find_what_the_whole_does(cut, fault):
    bars = FAULTS[fault][0](walk())
    border = bars["timestamp"][cut]
    left = flagged(bars.iloc[: cut + 200], before=border)
    right = flagged(bars.iloc[cut - 200 :].reset_index(drop=True), since=border)
    whole, joined = flagged(bars), combined([left, right])
    assert joined.counts == whole.counts
    # What is usual for flat bars and volumes is the frame's own median.
    pd.testing.assert_frame_equal(joined.rows.drop(columns="usual"), whole.rows.drop(columns="usual"))
    pd.testing.assert_frame_equal(joined.years, whole.years)


def test_a_year_in_two_frames_is_one_year():
    bars = years_of(0.0, 0.0)
    bars.loc[:99, "open"] = bars["close"].shift()[:100]
    parts = [flagged(bars.iloc[:100]), flagged(bars.iloc[99:], since=bars["timestamp"][100])]
    joined = combined(parts)
    assert joined.years["bars"].tolist() == [365, 365]
    assert joined.counts["years_with_stale_opens"] == 1, "99 of 365 are a fifth or more"
    assert told_years(bars, stale_open_share=0.3) == 0


def test_nothing_to_combine_is_an_error():
    with pytest.raises(ValueError, match="no flags"):
        combined([])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), max_size=60))
def test_runs_are_those_that_itertools_finds(values):
    from itertools import groupby

    slow, at = [], 0
    for value, group in groupby(values):
        size = len(list(group))
        slow += [(at, size)] if value else []
        at += size
    assert list(zip(*runs(np.array(values, dtype=bool)), strict=True)) == slow


@pytest.mark.parametrize("habit", [0.05, 0.5, 0.9])
def test_a_run_is_long_only_beside_the_habit_of_its_series(habit):
    rng = np.random.default_rng(0)
    mask = rng.random(5000) < habit
    assert not len(long_runs(mask, 3).start)
    mask[1000 : 1000 + 300] = True
    (found,) = [long_runs(mask, 3)]
    assert len(found.start) == 1
    assert found.start[0] <= 1000 < found.start[0] + found.length[0]
    assert found.usual[0] < 150


def test_every_flag_of_the_stage_has_its_meaning():
    seen = {rule for _, rule, _ in FAULTS.values()} | {"jumps", "years_with_stale_opens", "gaps", "closed_sessions"}
    assert set(FLAGS) == seen


def test_the_sample_is_flagged_for_what_is_there():
    until = pd.Timestamp("2018-12-31", tz="UTC")
    counts = {}
    for symbol in ("SP500", "NASDAQ"):
        bars = sources.fetch("sample", (symbol,), "1d", until, {})
        counts[symbol] = flagged(bars, jump=0.25).counts
    assert counts["NASDAQ"] == {"zero_volume": 2}
    assert counts["SP500"] == {"stale_opens": 30, "years_with_stale_opens": 10}


REAL = {
    # Volumes a thousandth of the fund's usual, and no other day of 26 years.
    "IWM_1d.parquet": {"volume_units": 4},
    "QQQ_1d.parquet": {},
    "ETHUSDT_5m.parquet": {"missing_extras": 9},
    "BTCUSDT-PERP_15m.parquet": {"flat_bars": 4, "zero_volume": 4},
    "SPX_5m.parquet": {"flat_bars": 4},
    "VIX_1d.parquet": {"flat_bars": 508, "split_like": 1, "years_with_stale_opens": 2, "zero_volume": 9175},
}


@pytest.mark.parametrize("file", REAL)
def test_real_bars_are_flagged_for_what_is_known_of_them(file):
    assert flagged(real.bars(file)).counts == REAL[file]


def test_a_real_market_in_cents_from_a_day_on_is_seen():
    bars = real.bars("EURUSD_15m.parquet")
    bars.loc[30_000:, PRICES] *= 100
    found = flagged(bars).rows
    assert found.loc[found["rule"] == "unit_change", "timestamp"].tolist() == [bars["timestamp"][30_000]]


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(0, 400), window=st.sampled_from([5, 50, 100]), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_moving_medians_are_those_of_pandas(rows, window, share, seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(rows) < share, np.nan, rng.normal(size=rows).round(1))
    least = min(20, window)
    before = pd.Series(values).rolling(window, min_periods=least).median().shift()
    after = pd.Series(values[::-1]).rolling(window, min_periods=least).median()[::-1]
    np.testing.assert_array_equal(median_before(values, window), before.to_numpy(dtype="float64"))
    np.testing.assert_array_equal(median_after(values, window), after.to_numpy(dtype="float64"))
