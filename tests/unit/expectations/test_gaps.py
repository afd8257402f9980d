"""Gaps are those that were cut out: beside a plain difference of sets, through clock changes, and by calendars."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import BadInput, UnknownName
from betti.expectations import _week
from betti.expectations._calendars import CalendarsMissing
from betti.expectations.gaps import COLUMNS, gaps
from tests.unit.expectations import real


def of(times: pd.DatetimeIndex) -> pd.DataFrame:
    return pd.DataFrame({"timestamp": times.as_unit("us"), "symbol": "AAA"})


def always(rows: int = 4000, freq: str = "15min") -> pd.DataFrame:
    return of(pd.date_range("2023-01-02", periods=rows, freq=freq, tz="UTC"))


def sessions(zone: str, hours: list[tuple[str, str]], start: str, end: str, freq: str = "15min") -> pd.DataFrame:
    """Bars from Monday to Friday within local hours; the last bar of each stretch opens before its end."""
    days = pd.date_range(start, end, freq="B")
    stretches = [
        pd.date_range(f"{day:%Y-%m-%d} {opens}", f"{day:%Y-%m-%d} {closes}", freq=freq, tz=zone, inclusive="left")
        for day in days
        for opens, closes in hours
    ]
    return of(pd.DatetimeIndex(np.concatenate([one.tz_convert("UTC").as_unit("us") for one in stretches])))


NEW_YORK = ("America/New_York", [("09:30", "16:00")])
LONDON = ("Europe/London", [("08:00", "16:30")])
TOKYO = ("Asia/Tokyo", [("09:00", "11:30"), ("12:30", "15:00")])
SYDNEY = ("Australia/Sydney", [("10:00", "16:00")])


def without(bars: pd.DataFrame, after: str, until: str) -> pd.DataFrame:
    """The bars but those strictly between two times."""
    inside = (bars["timestamp"] > pd.Timestamp(after, tz="UTC")) & (bars["timestamp"] < pd.Timestamp(until, tz="UTC"))
    assert inside.any()
    return bars[~inside].reset_index(drop=True)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3990), st.integers(1, 200)), max_size=3))
def test_of_a_market_that_never_closes_every_missing_bar_is_told(holes):
    whole = always()
    kept = np.ones(len(whole), dtype=bool)
    for start, length in holes:
        kept[start : min(start + length, len(whole) - 1)] = False
    bars = whole[kept].reset_index(drop=True)
    for calendar in (None, "24/7"):
        found = gaps(bars, calendar=calendar).rows
        slow = [
            (a, b, int((b - a) / pd.Timedelta("15min")) - 1)
            for a, b in zip(bars["timestamp"][:-1], bars["timestamp"][1:], strict=True)
            if b - a > pd.Timedelta("15min")
        ]
        assert list(zip(found["after"], found["until"], found["missing"], strict=True)) == slow
        assert (found["kind"] == "bars").all()
        assert ((found["sure"] > 0) & (found["sure"] <= 1)).all()


@pytest.mark.parametrize("market", [NEW_YORK, LONDON, TOKYO, SYDNEY], ids=lambda market: market[0])
def test_nights_weekends_lunch_and_changes_of_clocks_are_no_gaps(market):
    found = gaps(sessions(*market, "2022-01-03", "2023-12-29"))
    assert found.counts == {}
    assert found.basis == "usual week"
    assert found.zone == ("UTC" if market is TOKYO else market[0])


def test_a_hole_in_the_week_of_a_clock_change_is_measured_in_bars(monkeypatch):
    bars = without(sessions(*NEW_YORK, "2022-01-03", "2023-12-29"), "2023-03-13 14:00", "2023-03-13 16:00")
    (gap,) = gaps(bars).rows.itertuples()
    assert (gap.missing, gap.kind) == (7, "bars")
    assert gap.sure > 0.95
    monkeypatch.setattr(_week, "ZONES", ("UTC",))
    assert 7 not in set(gaps(bars).rows["missing"]), "it takes the market's own clock"


def test_a_missing_session_is_told_apart_from_a_hole():
    bars = sessions(*NEW_YORK, "2022-01-03", "2022-12-30")
    holiday = without(bars, "2022-07-01 19:45", "2022-07-05 13:30")
    early = without(bars, "2022-11-25 17:45", "2022-11-28 14:30")
    outage = without(bars, "2022-07-01 19:45", "2022-07-18 13:30")
    assert gaps(holiday).counts == {"closed_sessions": 1}
    assert gaps(holiday).rows["missing"].tolist() == [26]
    assert gaps(early).counts == {"gaps": 1}
    assert gaps(outage).counts == {"gaps": 1}, "no exchange closes for two weeks"


def test_daily_bars_know_the_days_of_the_week():
    bars = of(pd.date_range("2018-01-01", "2020-12-31", freq="B", tz="UTC"))
    assert gaps(bars).counts == {}
    assert gaps(bars.drop(index=100)).counts == {"closed_sessions": 1}
    assert gaps(bars.drop(index=range(100, 110))).counts == {"gaps": 1}
    every_day = always(700, "1D")
    assert gaps(every_day.drop(index=100)).counts == {"gaps": 1}, "a market that never closes has no holidays"


def test_hours_that_a_market_adds_are_no_gaps_before():
    bars = pd.concat(
        [
            sessions(*NEW_YORK, "2020-01-06", "2021-12-31"),
            sessions("America/New_York", [("04:00", "20:00")], "2022-01-03", "2023-12-29"),
        ],
        ignore_index=True,
    )
    found = gaps(bars)
    assert found.counts.get("gaps", 0) == 0
    assert len(found.rows) < 70, "the weeks around the change cannot know"


def test_where_bars_come_thinly_only_long_silence_is_a_gap():
    rng = np.random.default_rng(0)
    minutes = always(60 * 24 * 70, "1min")
    thin = minutes[rng.random(len(minutes)) < 0.3].reset_index(drop=True)
    assert gaps(thin).counts == {}
    silent = without(thin, "2023-02-01 00:00", "2023-02-03 00:00")
    (gap,) = gaps(silent).rows.itertuples()
    assert gap.missing == pytest.approx(0.3 * 2 * 24 * 60, rel=0.25)


def test_an_outage_of_weeks_is_one_gap():
    bars = without(always(10_000, "1h"), "2023-03-01 00:00", "2023-05-01 00:00")
    (gap,) = gaps(bars).rows.itertuples()
    assert gap.missing == 61 * 24 - 1


@pytest.mark.parametrize("rows", [0, 1, 2, 90])
def test_too_few_bars_tell_nothing(rows):
    found = gaps(always(100).head(rows).drop(index=[40], errors="ignore"))
    assert (found.basis, found.counts) == ("", {})
    assert tuple(found.rows.columns) == COLUMNS


def test_order_repeats_and_times_off_the_grid_do_not_matter():
    whole = without(always(), "2023-01-20 00:00", "2023-01-21 00:00")
    odd = whole.copy()
    odd["timestamp"] += pd.to_timedelta(np.where(np.arange(len(odd)) % 97 == 5, 61, 0), unit="s")
    messy = pd.concat([odd, odd.iloc[:50]]).sample(frac=1, random_state=0)
    before = messy.copy()
    pd.testing.assert_frame_equal(gaps(messy).rows, gaps(whole).rows)
    pd.testing.assert_frame_equal(messy, before)


def test_the_length_of_a_bar_may_be_given():
    bars = always(3000, "30min")
    assert gaps(bars).counts == {}
    found = gaps(bars, calendar="24/7", interval=pd.Timedelta("15min"))
    assert found.counts == {"gaps": 2999}


# Trading calendars --------------------------------------------------------------------------------------------------


@pytest.fixture
def library(monkeypatch):
    """A stand-in for exchange_calendars with one exchange: weekdays 09:30 to 16:00 New York, a holiday, a short day."""

    def get_calendar(name, start=None, end=None):
        if start is None:
            return SimpleNamespace(bound_min=lambda: None, bound_max=lambda: None)
        days = pd.date_range(start, end, freq="B").drop([pd.Timestamp("2022-07-04")], errors="ignore")

        def at(hour: str) -> pd.DatetimeIndex:
            return (days + pd.Timedelta(hour)).tz_localize("America/New_York").tz_convert("UTC")

        closes = at("16:00:00").to_series(index=days)
        closes[days == "2022-11-25"] -= pd.Timedelta("3h")
        rests = pd.DatetimeIndex([pd.NaT] * len(days)).tz_localize("UTC")
        schedule = {"open": at("09:30:00"), "break_start": rests, "break_end": rests, "close": closes}
        return SimpleNamespace(schedule=pd.DataFrame(schedule, index=days))

    fake = SimpleNamespace(get_calendar=get_calendar, get_calendar_names=lambda: ["XNYS", "XLON"])
    monkeypatch.setitem(sys.modules, "exchange_calendars", fake)


def market_with_holiday() -> pd.DataFrame:
    bars = sessions(*NEW_YORK, "2022-01-03", "2022-12-30")
    return without(without(bars, "2022-07-01 19:45", "2022-07-05 13:30"), "2022-11-25 17:45", "2022-11-28 14:30")


def test_a_calendar_knows_holidays_and_short_days(library):
    bars = market_with_holiday()
    assert len(gaps(bars).rows) == 2
    assert gaps(bars, calendar="XNYS").counts == {}
    lost = without(without(bars, "2022-08-01 14:00", "2022-08-01 15:00"), "2022-09-08 19:45", "2022-09-12 13:30")
    found = gaps(lost, calendar="XNYS")
    assert found.rows[["missing", "kind", "sure"]].to_numpy().tolist() == [[3, "bars", 1.0], [26, "sessions", 1.0]]
    assert found.basis == "XNYS"


def test_a_calendar_counts_bars_that_a_session_opens_in_the_middle_of(library):
    hours = of(pd.DatetimeIndex(market_with_holiday()["timestamp"].dt.floor("1h").unique()))
    assert gaps(hours, calendar="XNYS").counts == {}
    assert gaps(hours.drop(index=10), calendar="XNYS").rows["missing"].tolist() == [1]


def test_a_calendar_counts_sessions_of_daily_bars(library):
    days = of(pd.DatetimeIndex(market_with_holiday()["timestamp"].dt.normalize().unique()))
    assert gaps(days, calendar="XNYS").counts == {}
    assert gaps(days.drop(index=[50, 51]), calendar="XNYS").rows["missing"].tolist() == [2]


def test_an_unknown_calendar_is_named_with_those_there_are(library):
    with pytest.raises(UnknownName, match=r"XNYZ.*XNYS"):
        gaps(always(), calendar="XNYZ")


def test_without_the_library_a_calendar_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(CalendarsMissing, match=r"XNYS.*betti\[calendars\]") as caught:
        gaps(always(), calendar="XNYS")
    assert isinstance(caught.value, BadInput)
    assert gaps(always(), calendar="24/7").counts == {}, "a market that never closes needs no library"


def test_the_library_itself_knows_new_york():
    pytest.importorskip("exchange_calendars", reason="exchange_calendars is not installed")
    bars = real.bars("SPX_5m.parquet")
    assert gaps(bars, calendar="XNYS").rows["missing"].sum() <= 3


REAL = {
    # file: gaps, whole sessions, bars missing. Those of the first were counted by the people who took the file.
    "BTCUSDT_1h.parquet": (19, 0, 109),
    "BTCUSDT-PERP_15m.parquet": (0, 0, 0),
    "ETHUSDT_5m.parquet": (1, 0, 223),
    # Three short days and eight holidays of a year.
    "SPX_5m.parquet": (3, 8, 898),
}


@pytest.mark.parametrize("file", REAL)
def test_real_gaps_are_found(file):
    found = gaps(real.bars(file))
    counts = found.counts.get("gaps", 0), found.counts.get("closed_sessions", 0)
    assert (*counts, int(found.rows["missing"].sum())) == REAL[file]
