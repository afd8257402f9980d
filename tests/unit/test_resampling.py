"""Coarse bars beside pandas, beside a slow fold, and under the laws that make them safe to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from time import perf_counter
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from betti.errors import BadBars, BadParam, UnknownName
from betti.intervals import INTERVALS, NotFiner, NotMultiple, length
from betti.resampling import Resampled, aggregated, buckets
from betti.sessions import LocalSessions, Schedule, Sessions, instants, stamped
from tests.conftest import random_bars

EVERY_DAY = tuple(range(7))
NEW_YORK = LocalSessions("America/New_York", time(9, 30), time(16))
FUTURES = LocalSessions("America/New_York", time(18), time(17))
BERLIN = LocalSessions("Europe/Berlin", time(0), time(0), EVERY_DAY)


@dataclass(frozen=True)
class Lunch:
    """A market of 09:30 to 12:00 and 13:00 to 15:30 UTC on weekdays."""

    def schedule(self, first: pd.Timestamp, last: pd.Timestamp) -> Schedule:
        parts = [
            LocalSessions("UTC", *hours).schedule(first, last)
            for hours in ((time(9, 30), time(12)), (time(13), time(15, 30)))
        ]
        dates, opens, closes = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("dates", "opens", "closes")
        )
        order = np.argsort(opens)
        return Schedule(dates[order], opens[order], closes[order])


MARKETS: list[Sessions | None] = [None, NEW_YORK, FUTURES, BERLIN, Lunch()]
# Before the clock changes of New York and Berlin, after them, and days like others.
STARTS = [
    "2024-03-08 12:00",
    "2024-03-10 20:00",
    "2024-03-30 18:00",
    "2024-10-26 18:00",
    "2024-11-01 08:00",
    "2024-11-03 22:00",
    "2024-01-08 00:00",
    "2024-01-10 13:00",
]


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def complete_bars(rows: int, seed: int, start: str, freq: str) -> pd.DataFrame:
    """Bars with every column. Volumes are whole numbers, so that their sums are exact in any order."""
    bars = random_bars(rows, seed, start=start, freq=freq)
    rng = np.random.default_rng(seed + 1)
    for name in ("volume", "buy_volume", "sell_volume", "trades", "open_interest"):
        values = rng.integers(0, 1000, rows).astype("float64")
        bars[name] = np.where(rng.random(rows) < 0.2, np.nan, values)
    return bars


@st.composite
def histories(draw, freq: str = "1min", faults: int = 0) -> pd.DataFrame:
    """Bars with holes, from any of the starts on; a few prices are spoilt where faults are asked for."""
    rows, seed = draw(st.sampled_from([2500, 700, 60, 1])), draw(st.integers(0, 1000))
    start = utc(draw(st.sampled_from(STARTS))) + pd.Timedelta(freq) * draw(st.integers(0, 500))
    bars = complete_bars(rows, seed, str(start), freq)
    rng = np.random.default_rng(seed + 2)
    kept = rng.random(rows) < draw(st.sampled_from([1.0, 0.9, 0.3, 0.05]))
    kept[rng.integers(rows)] = True
    bars = bars[kept].reset_index(drop=True)
    spoilt = rng.integers(0, len(bars), draw(st.integers(0, faults)))
    bars.loc[spoilt, "close"] = np.nan
    return bars


markets = st.sampled_from(MARKETS)
finer = st.sampled_from(["5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d"])


def rows_out(found: Resampled) -> int:
    return found.used + found.repeats + len(found.incomplete) + len(found.outside)


# Buckets


def test_buckets_of_a_market_that_never_closes_are_multiples_since_midnight():
    moment = pd.Series([utc("2024-03-06 13:47")])  # a Wednesday
    expected = {
        "1m": "2024-03-06 13:47",
        "5m": "2024-03-06 13:45",
        "15m": "2024-03-06 13:45",
        "30m": "2024-03-06 13:30",
        "1h": "2024-03-06 13:00",
        "2h": "2024-03-06 12:00",
        "4h": "2024-03-06 12:00",
        "6h": "2024-03-06 12:00",
        "12h": "2024-03-06 12:00",
        "1d": "2024-03-06",
        "1w": "2024-03-04",
    }
    assert list(expected) == list(INTERVALS)
    assert {name: buckets(moment, name)[0] for name in expected} == {name: utc(text) for name, text in expected.items()}


@pytest.mark.parametrize("day", ["2024-03-08", "2024-03-11", "2024-11-01", "2024-11-04"])
def test_the_hours_of_new_york_run_from_half_past_nine_in_summer_and_winter(day):
    local = pd.date_range(f"{day} 04:00", f"{day} 19:59", freq="1min", tz="America/New_York")
    found = buckets(pd.Series(local), "1h", NEW_YORK)
    kept = found.dropna().dt.tz_convert("America/New_York")
    assert kept.dt.strftime("%H:%M").value_counts(sort=False).to_dict() == {
        "09:30": 60, "10:30": 60, "11:30": 60, "12:30": 60, "13:30": 60, "14:30": 60, "15:30": 30
    }  # fmt: skip
    assert len(found) - len(kept) == 16 * 60 - 390
    days = buckets(pd.Series(local), "1d", NEW_YORK)
    assert days.dropna().unique().tolist() == [utc(day)]
    assert days.isna().equals(found.isna())


def test_a_futures_session_is_dated_by_the_day_it_ends_on():
    opens = pd.Series(
        [utc("2024-01-07 23:00"), utc("2024-01-08 21:59"), utc("2024-01-08 22:30"), utc("2024-01-08 23:00")]
    )
    assert buckets(opens, "1d", FUTURES).tolist() == [utc("2024-01-08"), utc("2024-01-08"), pd.NaT, utc("2024-01-09")]
    assert buckets(opens, "1w", FUTURES).dropna().unique().tolist() == [utc("2024-01-08")]  # though it began on Sunday
    assert buckets(opens, "12h", FUTURES)[1] == utc("2024-01-08 11:00")


def test_buckets_keep_index_name_and_unit():
    times = pd.Series([utc("2024-01-05 10:07")], index=["here"], name="opened").dt.as_unit("ns")
    found = buckets(times, "5m")
    assert (found.index.tolist(), found.name, str(found.dtype)) == (["here"], "opened", "datetime64[us, UTC]")
    assert str(buckets(times[:0], "5m", NEW_YORK).dtype) == "datetime64[us, UTC]"


def slow_bucket(moment: pd.Timestamp, minutes: int, market: LocalSessions) -> pd.Timestamp | None:
    """The bucket of one bar by the wall clock, for sessions whose hours no clock change touches."""
    local = moment.astimezone(ZoneInfo(market.zone))
    opened = local.replace(hour=market.opens.hour, minute=market.opens.minute)
    if opened > local:
        opened -= pd.Timedelta(days=1)
    overnight = market.opens >= market.closes
    date = (opened.tz_localize(None) + pd.Timedelta(days=int(overnight))).normalize()
    closed = (date + pd.Timedelta(hours=market.closes.hour)).tz_localize(market.zone)
    if local >= closed or date.weekday() not in market.weekdays:
        return None
    if minutes >= 1440:
        return (date - pd.Timedelta(days=date.weekday() if minutes > 1440 else 0)).tz_localize("UTC")
    into = int((moment - opened).total_seconds()) // 60
    return (opened + pd.Timedelta(minutes=into // minutes * minutes)).tz_convert("UTC")


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([NEW_YORK, FUTURES]),
    st.sampled_from(["5m", "1h", "4h", "1d", "1w"]),
    st.lists(st.integers(0, 2_000_000), min_size=1, max_size=30),
)
def test_every_bucket_is_where_the_wall_clock_puts_it(market, interval, minutes):
    times = pd.Series([utc("2021-06-01") + pd.Timedelta(minutes=minute) for minute in minutes])
    size = int(length(interval).total_seconds()) // 60
    found = [None if pd.isna(stamp) else stamp for stamp in buckets(times, interval, market)]
    assert found == [slow_bucket(moment, size, market) for moment in times]


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-06-01", 24), ("2024-10-27", 25)])
def test_a_local_day_has_23_24_or_25_hours(day, hours):
    start = pd.Timestamp(day, tz="Europe/Berlin")
    times = pd.Series(pd.date_range(start, start + pd.DateOffset(days=1), freq="1min", inclusive="left"))
    assert buckets(times, "1d", BERLIN).unique().tolist() == [utc(day)]
    per_hour = buckets(times, "1h", BERLIN).value_counts()
    assert len(per_hour) == hours and (per_hour == 60).all()
    per_four = buckets(times, "4h", BERLIN).value_counts(sort=False)
    assert per_four.tolist() == [240] * (hours // 4) + [hours % 4 * 60] * (hours % 4 > 0)


# Oracles


@settings(max_examples=30, deadline=None)
@given(histories(), st.sampled_from(["5m", "15m", "1h", "4h", "1d", "1w"]))
def test_utc_bars_are_those_of_pandas(bars, interval):
    rule = {"5m": "5min", "15m": "15min", "1h": "1h", "4h": "4h", "1d": "1D", "1w": "W-MON"}[interval]
    known = {
        name: (lambda values: values.sum(min_count=1)) for name in ("volume", "buy_volume", "sell_volume", "trades")
    }
    theirs = (
        bars.set_index("timestamp")
        .resample(rule, label="left", closed="left")
        .agg(
            {
                "symbol": "first",
                "open": "first",
                "high": "max",
                "low": "min",
                "close": "last",
                **known,
                "open_interest": "last",
            }
        )
        .dropna(subset="open")
        .reset_index()
    )
    first, last = bars["timestamp"].iloc[0], bars["timestamp"].iloc[-1] + length("1m")
    whole = (theirs["timestamp"] >= first) & (theirs["timestamp"] + length(interval) <= last)
    ours = aggregated(bars, interval, "1m").bars
    assert_frame_equal(ours, theirs[whole].reset_index(drop=True), check_dtype=False)


@settings(max_examples=30, deadline=None)
@given(histories(), markets, finer)
def test_every_bar_is_the_slow_fold_of_its_bucket(bars, market, interval):
    found = aggregated(bars, interval, "1m", market)
    owners = buckets(bars["timestamp"], interval, market)
    assert int(owners.isna().sum()) == len(found.outside)
    for row in found.bars.itertuples():
        own = bars[owners == row.timestamp]
        assert (row.open, row.close) == (own["open"].iloc[0], own["close"].iloc[-1])
        assert (row.high, row.low) == (own["high"].max(), own["low"].min())
        assert np.array_equal(row.volume, own["volume"].sum(min_count=1), equal_nan=True)
        assert np.array_equal(
            row.open_interest, own["open_interest"].dropna().iloc[-1:].sum(min_count=1), equal_nan=True
        )


# Laws


@settings(max_examples=40, deadline=None)
@given(
    histories(faults=3),
    markets,
    st.sampled_from([("5m", "15m"), ("15m", "1h"), ("30m", "4h"), ("1h", "1d"), ("5m", "1d")]),
)
def test_two_steps_are_one(bars, market, steps):
    middle, last = steps
    half = aggregated(bars, middle, "1m", market)
    assume(len(half.bars))
    twice = aggregated(half.bars, last, middle, market, since=half.since, until=half.until)
    once = aggregated(bars, last, "1m", market)
    assert_frame_equal(twice.bars, once.bars)
    assert (twice.since, twice.until) == (once.since, once.until)


@settings(max_examples=30, deadline=None)
@given(histories("15min", faults=2), markets)
def test_weeks_from_days_are_weeks_from_minutes(bars, market):
    days = aggregated(bars, "1d", "15m", market)
    assume(len(days.bars))
    twice = aggregated(days.bars, "1w", "1d", market, since=days.since, until=days.until)
    once = aggregated(bars, "1w", "15m", market)
    assert_frame_equal(twice.bars, once.bars)
    assert (twice.since, twice.until) == (once.since, once.until)


@settings(max_examples=40, deadline=None)
@given(histories(), markets, finer)
def test_no_row_and_no_volume_is_lost(bars, market, interval):
    found = aggregated(bars, interval, "1m", market)
    assert rows_out(found) == len(bars)
    parts = (found.bars, found.incomplete, found.outside)
    for name in ("volume", "buy_volume", "sell_volume", "trades"):
        assert sum(part[name].sum() for part in parts) == bars[name].sum()


@settings(max_examples=40, deadline=None)
@given(histories(), markets, finer)
def test_high_and_low_hold_everything_inside(bars, market, interval):
    found = aggregated(bars, interval, "1m", market).bars.set_index("timestamp")
    owners = buckets(bars["timestamp"], interval, market)
    inside = owners.isin(found.index)
    high, low = (owners[inside].map(found[name]).astype("float64") for name in ("high", "low"))
    for name in ("open", "high", "low", "close"):
        assert (bars.loc[inside, name] <= high).all() and (bars.loc[inside, name] >= low).all()
    assert inside.sum() or not len(found)


@settings(max_examples=30, deadline=None)
@given(histories(faults=3), markets, finer, st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(bars, market, interval, seed):
    shuffled = bars.sample(frac=1, random_state=seed)
    ours, theirs = aggregated(bars, interval, "1m", market), aggregated(shuffled, interval, "1m", market)
    for part in ("bars", "incomplete", "outside"):
        assert_frame_equal(getattr(ours, part), getattr(theirs, part))
    assert (ours.since, ours.until, ours.missing) == (theirs.since, theirs.until, theirs.missing)


def boundaries(opened: pd.Series, interval: str, market: Sessions | None) -> list[pd.Timestamp]:
    """Instants inside a history at which a bucket begins."""
    found = (
        set() if market is not None and interval == "1d" else set(buckets(opened, interval, market).dropna().unique())
    )
    if market is not None:
        opens = stamped(market.schedule(opened.min(), opened.max()).opens)
        found |= {cut for cut in opens if not (interval == "1d" and isinstance(market, Lunch) and cut.hour == 13)}
    return sorted(cut for cut in found if opened.min() < cut <= opened.max())


@settings(max_examples=40, deadline=None)
@given(histories(faults=3), markets, finer, st.integers(0, 10**6))
def test_parts_cut_at_a_boundary_are_the_whole(bars, market, interval, choice):
    opened = bars["timestamp"]
    cuts = boundaries(opened, interval, market)
    assume(cuts)
    cut = cuts[choice % len(cuts)]
    left = aggregated(bars[opened < cut], interval, "1m", market, until=cut - length("1m"))
    right = aggregated(bars[opened >= cut], interval, "1m", market, since=cut)
    whole = aggregated(bars, interval, "1m", market)
    assert_frame_equal(pd.concat([left.bars, right.bars], ignore_index=True), whole.bars)
    assert left.missing + right.missing == whole.missing
    assert left.faulty + right.faulty == whole.faulty


@settings(max_examples=40, deadline=None)
@given(histories(faults=3), markets, finer, st.floats(0, 1))
def test_what_comes_later_changes_no_complete_bar(bars, market, interval, share):
    known = bars.iloc[: max(1, int(share * len(bars)))]
    early, late = aggregated(known, interval, "1m", market), aggregated(bars, interval, "1m", market)
    assert_frame_equal(early.bars, late.bars[late.bars["timestamp"] <= early.until])
    # The clock does the same as not having the rows.
    told = aggregated(bars, interval, "1m", market, until=known["timestamp"].iloc[-1])
    assert_frame_equal(told.bars, early.bars)
    assert told.until == early.until


@settings(max_examples=40, deadline=None)
@given(histories(), markets, finer)
def test_what_is_missing_is_what_a_full_history_would_add(bars, market, interval):
    opened = bars["timestamp"]
    full = complete_bars(int((opened.iloc[-1] - opened.iloc[0]) / length("1m")) + 1, 0, str(opened.iloc[0]), "1min")
    every = aggregated(full, interval, "1m", market)
    found = aggregated(bars, interval, "1m", market)
    assert every.missing == 0
    expected = buckets(full["timestamp"], interval, market).isin(found.bars["timestamp"]).sum()
    assert found.missing == expected - found.used


def test_inputs_are_left_as_they_were():
    bars = complete_bars(500, 0, "2024-01-05 14:00", "1min").sample(frac=1, random_state=0)
    before = bars.copy(deep=True)
    found = aggregated(bars, "5m", "1m", NEW_YORK)
    found.incomplete.iloc[:, 2:] = 0.0
    found.outside.iloc[:, 2:] = 0.0
    assert_frame_equal(bars, before)


def test_a_million_bars_take_less_than_a_second():
    bars = random_bars(1_000_000, start="2020-01-01", freq="1min")
    seconds = []
    for market in (None, FUTURES, FUTURES):
        start = perf_counter()
        aggregated(bars, "15m", "1m", market)
        seconds.append(perf_counter() - start)
    assert min(seconds) < 1, seconds


# Whole buckets alone


def test_the_open_bucket_and_the_torn_first_one_are_left_out():
    bars = complete_bars(13, 0, "2024-01-05 10:03", "1min")  # 10:03 to 10:15
    found = aggregated(bars, "5m", "1m")
    assert found.bars["timestamp"].tolist() == [utc("2024-01-05 10:05"), utc("2024-01-05 10:10")]
    assert found.incomplete["timestamp"].dt.minute.tolist() == [3, 4, 15]
    assert (found.since, found.until) == (utc("2024-01-05 10:05"), utc("2024-01-05 10:10"))
    assert (found.used, found.missing) == (10, 0)


def test_a_bucket_without_its_first_minute_is_whole_when_the_history_began_before():
    bars = complete_bars(9, 0, "2024-01-05 10:01", "1min")
    assert aggregated(bars, "5m", "1m").bars["timestamp"].tolist() == [utc("2024-01-05 10:05")]
    told = aggregated(bars, "5m", "1m", since=utc("2024-01-05 09:58"))
    assert told.bars["timestamp"].tolist() == [utc("2024-01-05 10:00"), utc("2024-01-05 10:05")]
    assert told.missing == 1


def test_a_bar_before_the_open_proves_that_the_history_reaches_back():
    bars = complete_bars(400, 0, "2024-01-05 14:25", "1min").drop(index=5)  # 14:30, the open, saw no trade
    found = aggregated(bars, "1h", "1m", NEW_YORK)
    assert found.bars["timestamp"].iloc[0] == utc("2024-01-05 14:30")
    assert (len(found.outside), found.missing) == (10, 1)


def test_the_clock_closes_a_bucket_whose_last_minutes_saw_no_trade():
    bars = complete_bars(3, 0, "2024-01-05 10:00", "1min")
    assert len(aggregated(bars, "5m", "1m").bars) == 0
    assert len(aggregated(bars, "5m", "1m", until=utc("2024-01-05 10:03")).bars) == 0
    assert len(aggregated(bars, "5m", "1m", until=utc("2024-01-05 10:04")).bars) == 1


def test_the_known_time_may_reach_far_beyond_the_bars():
    bars = complete_bars(390, 0, "2024-01-05 14:30", "1min")
    found = aggregated(bars, "1h", "1m", NEW_YORK, since=utc("2022-01-01"), until=utc("2026-01-10"))
    assert (found.since, found.until) == (utc("2022-01-03 14:30"), utc("2026-01-09 20:30"))
    assert found.used == 390


def test_the_last_bucket_of_a_session_is_short_and_whole_at_the_close():
    bars = complete_bars(390, 0, "2024-01-05 14:30", "1min")
    found = aggregated(bars, "1h", "1m", NEW_YORK)
    assert found.bars["timestamp"].iloc[-1] == utc("2024-01-05 20:30")
    assert (len(found.bars), found.used, found.missing) == (7, 390, 0)
    assert len(aggregated(bars[:-1], "1h", "1m", NEW_YORK).bars) == 6


def test_a_week_of_a_market_that_closes_is_over_on_friday():
    daily = complete_bars(5, 0, "2024-01-08", "1D")  # Monday to Friday
    found = aggregated(daily, "1w", "1d", NEW_YORK)
    assert found.bars["timestamp"].tolist() == [utc("2024-01-08")]
    assert found.missing == 0
    assert len(aggregated(daily, "1w", "1d").bars) == 0
    assert len(aggregated(daily, "1w", "1d", until=utc("2024-01-14")).bars) == 1


def test_no_whole_bucket_gives_an_empty_table_of_the_same_columns():
    bars = complete_bars(2, 0, "2024-01-05 10:00", "1min")
    found = aggregated(bars, "1h", "1m")
    assert found.bars.empty and len(found.incomplete) == 2
    assert found.bars.dtypes.to_dict() == bars.dtypes.to_dict()


# Faults

FAULTS = {
    "missing": ("close", np.nan),
    "infinite": ("high", np.inf),
    "zero": ("low", 0.0),
    "negative": ("open", -1.0),
    "high below low": ("high", 1e-3),
    "open above high": ("open", 1e6),
    "close below low": ("close", 1e-6),
    "negative volume": ("volume", -1.0),
    "infinite volume": ("volume", np.inf),
    "negative trades": ("trades", -1.0),
}


@pytest.mark.parametrize(("column", "value"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_bar_empties_its_bucket_and_no_other(column, value):
    bars = complete_bars(15, 0, "2024-01-05 10:00", "1min")
    good = aggregated(bars, "5m", "1m").bars
    bars.loc[7, column] = value
    found = aggregated(bars, "5m", "1m")
    assert found.bars.iloc[1, 2:].isna().all()
    assert found.bars["timestamp"].equals(good["timestamp"])
    assert_frame_equal(found.bars.iloc[[0, 2]], good.iloc[[0, 2]])
    assert (found.faulty, found.used) == (1, 15)


def test_one_time_with_two_values_is_a_fault_and_an_exact_repeat_is_none():
    bars = complete_bars(10, 0, "2024-01-05 10:00", "1min")
    good = aggregated(bars, "5m", "1m").bars
    again = pd.concat([bars, bars.iloc[[3, 3, 8]]])
    found = aggregated(again, "5m", "1m")
    assert_frame_equal(found.bars, good)
    assert (found.repeats, found.faulty, rows_out(found)) == (3, 0, 13)

    other = bars.iloc[[3]].assign(volume=1e6)
    for table in (pd.concat([again, other]), pd.concat([other, again])):
        found = aggregated(table, "5m", "1m")
        assert found.bars["open"].isna().tolist() == [True, False]
        assert (found.repeats, found.faulty, found.missing, rows_out(found)) == (3, 2, 0, 14)


def test_a_fault_outside_the_session_harms_nothing():
    bars = complete_bars(400, 0, "2024-01-05 14:20", "1min")
    bars.loc[3, "close"] = np.nan
    found = aggregated(bars, "1h", "1m", NEW_YORK)
    assert found.bars["close"].notna().all() and len(found.bars) == 7
    assert found.outside["close"].isna().sum() == 1


def test_volumes_that_nobody_knows_stay_missing():
    bars = complete_bars(10, 0, "2024-01-05 10:00", "1min")
    bars["volume"] = [np.nan] * 5 + [np.nan, 2.0, 3.0, np.nan, 0.0]
    bars["open_interest"] = [np.nan] * 5 + [7.0, 8.0, np.nan, np.nan, np.nan]
    found = aggregated(bars, "5m", "1m").bars
    assert found["volume"].fillna(-1).tolist() == [-1, 5]
    assert found["open_interest"].fillna(-1).tolist() == [-1, 8]
    assert found["close"].notna().all()


def test_columns_keep_their_order_and_their_absence():
    bars = random_bars(10, freq="1min")
    assert aggregated(bars, "5m", "1m").bars.columns.tolist() == bars.columns.tolist()
    turned = bars[bars.columns[::-1]]
    assert_frame_equal(aggregated(turned, "5m", "1m").bars[bars.columns], aggregated(bars, "5m", "1m").bars)


def test_whole_numbers_and_nullable_ones_are_read():
    bars = complete_bars(10, 0, "2024-01-05 10:00", "1min").assign(volume=3)
    nullable = bars.assign(volume=pd.array([3] * 9 + [pd.NA], dtype="Int64"))
    assert aggregated(bars, "5m", "1m").bars["volume"].tolist() == [15.0, 15.0]
    assert aggregated(nullable, "5m", "1m").bars["volume"].tolist() == [15.0, 12.0]


# What is refused


def test_lengths_are_what_they_are_called():
    assert length("15m") == pd.Timedelta(minutes=15)
    assert [length(name) for name in INTERVALS] == sorted(length(name) for name in INTERVALS)
    with pytest.raises(UnknownName, match="did you mean '15m'"):
        length("15min")
    with pytest.raises(UnknownName, match="unknown interval '3m'"):
        buckets(pd.Series([utc("2024-01-05")]), "3m")


def test_intervals_that_do_not_go_together_are_refused():
    bars = random_bars(10, freq="4h")
    with pytest.raises(NotFiner, match="above 4h"):
        aggregated(bars, "4h", "4h")
    with pytest.raises(NotFiner, match="bars of 4h cannot be resampled to 15m"):
        aggregated(bars, "15m", "4h")
    with pytest.raises(NotMultiple, match="bars of 4h do not fill 6h"):
        aggregated(bars, "6h", "4h")
    with pytest.raises(UnknownName):
        aggregated(bars, "4h", "7m")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda bars: bars[:0], "no rows"),
        (lambda bars: bars.drop(columns="low"), "no column low"),
        (lambda bars: bars.assign(vwap=1.0), "no rule for column vwap"),
        (lambda bars: bars.assign(close="12"), "column close holds no numbers"),
        (lambda bars: bars.assign(symbol=["A"] * 5 + ["B"] * 5), r"more than one symbol \(A, B\)"),
        (lambda bars: bars.assign(timestamp=bars["timestamp"].dt.tz_localize(None)), "Give them a zone"),
        (lambda bars: bars.assign(timestamp=bars["timestamp"].where(bars.index != 3)), "1 missing times"),
        (lambda bars: bars.assign(timestamp=bars["timestamp"] + pd.Timedelta("7s")), "10 bars do not open"),
    ],
)
def test_tables_that_are_no_bars_are_refused(change, says):
    with pytest.raises(BadBars, match=says):
        aggregated(change(random_bars(10, freq="1min")), "5m", "1m")


def test_hours_that_lie_across_the_open_are_refused():
    bars = random_bars(24, start="2024-01-05", freq="1h")
    with pytest.raises(BadBars, match=r"6 bars do not open where bars of 1h do, the first at 2024-01-05 15:00"):
        aggregated(bars, "4h", "1h", NEW_YORK)
    with pytest.raises(BadBars, match="bars of 1d do"):
        aggregated(random_bars(24, start="2024-01-05 05:00", freq="1D"), "1w", "1d")


def test_a_clock_without_a_zone_is_refused():
    bars = random_bars(10, freq="1min")
    with pytest.raises(BadParam, match="until"):
        aggregated(bars, "5m", "1m", until=pd.Timestamp("2024-01-05"))
    with pytest.raises(BadParam, match="since"):
        aggregated(bars, "5m", "1m", since=pd.Timestamp("2024-01-05"))


def test_times_of_any_zone_are_the_same_instants():
    bars = random_bars(600, start="2024-01-05 12:00", freq="1min")
    abroad = bars.assign(timestamp=bars["timestamp"].dt.tz_convert("Asia/Tokyo").dt.as_unit("ns"))
    assert instants(abroad["timestamp"]).tolist() == instants(bars["timestamp"]).tolist()
    assert_frame_equal(aggregated(abroad, "1h", "1m", NEW_YORK).bars, aggregated(bars, "1h", "1m", NEW_YORK).bars)
