"""When a market is open: beside zoneinfo, day by day, and beside what an exchange's calendar says."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import BadBars, BadParam, PartUnavailable, UnknownName
from betti.sessions import (
    DAY,
    MARGIN_DAYS,
    OUTSIDE,
    WEEK,
    ExchangeSessions,
    LocalSessions,
    Schedule,
    SessionGrid,
    UnbrokenGrid,
    instants,
    stamped,
)

MINUTE = 60_000_000
HOUR = 60 * MINUTE
EVERY_DAY = tuple(range(7))
NEW_YORK = LocalSessions("America/New_York", time(9, 30), time(16))
FUTURES = LocalSessions("America/New_York", time(18), time(17))


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def at(text: str) -> int:
    return int(instants(pd.DatetimeIndex([utc(text)]))[0])


def session_of(sessions: LocalSessions, day: str) -> tuple[str, str]:
    """Open and close of one trading date, in UTC."""
    found = sessions.schedule(utc(day), utc(day))
    place = found.dates.tolist().index(at(day))
    opens, closes = stamped(found.opens)[place], stamped(found.closes)[place]
    return opens.strftime("%Y-%m-%d %H:%M"), closes.strftime("%Y-%m-%d %H:%M")


def test_instants_and_times_are_one_another():
    times = pd.DatetimeIndex(["2024-03-10 09:59:59.123456", "1969-12-31 23:00"], tz="America/New_York")
    assert stamped(instants(times)).equals(times.tz_convert("UTC").as_unit("us"))
    assert instants(pd.DatetimeIndex([utc("1970-01-02")])).tolist() == [DAY]


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("2024-03-08", "2024-03-08 14:30", "2024-03-08 21:00"),
        ("2024-03-11", "2024-03-11 13:30", "2024-03-11 20:00"),  # the clocks went forward on Sunday
        ("2024-11-01", "2024-11-01 13:30", "2024-11-01 20:00"),
        ("2024-11-04", "2024-11-04 14:30", "2024-11-04 21:00"),  # and back
    ],
)
def test_the_open_follows_the_local_clock(day, opens, closes):
    assert session_of(NEW_YORK, day) == (opens, closes)


def test_a_session_that_begins_the_evening_before_belongs_to_the_date_it_ends_on():
    assert session_of(FUTURES, "2024-01-08") == ("2024-01-07 23:00", "2024-01-08 22:00")  # Monday's opens on Sunday
    found = FUTURES.schedule(utc("2024-01-05"), utc("2024-01-08"))
    friday = [at("2024-01-05 21:59"), at("2024-01-05 22:00"), at("2024-01-05 23:30"), at("2024-01-07 22:59")]
    assert (found.stretch(np.array(friday)) >= 0).tolist() == [True, False, False, False]


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-06-01", 24), ("2024-10-27", 25)])
def test_a_day_of_berlin_has_as_many_hours_as_its_clock_says(day, hours):
    berlin = LocalSessions("Europe/Berlin", time(0), time(0), EVERY_DAY)
    found = berlin.schedule(utc(day), utc(day))
    place = found.dates.tolist().index(at(day))
    assert found.closes[place] - found.opens[place] == hours * HOUR
    assert (found.opens[1:] == found.closes[:-1]).all()


def test_an_open_in_a_skipped_hour_is_the_next_instant_there_is():
    early = LocalSessions("America/New_York", time(2, 30), time(16), EVERY_DAY)
    assert session_of(early, "2024-03-10")[0] == "2024-03-10 07:00"
    inside = LocalSessions("America/New_York", time(2), time(3), EVERY_DAY)
    found = inside.schedule(utc("2024-03-10"), utc("2024-03-10"))
    assert at("2024-03-10") not in found.dates
    assert at("2024-03-11") in found.dates


def test_an_open_in_a_repeated_hour_is_its_first_pass():
    early = LocalSessions("America/New_York", time(1, 30), time(16), EVERY_DAY)
    assert session_of(early, "2024-11-03")[0] == "2024-11-03 05:30"


zones = st.sampled_from(["America/New_York", "Europe/Berlin", "Asia/Hong_Kong", "Australia/Lord_Howe", "UTC"])
clocks = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30]))
weekdays = st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days)))
days = st.dates(date(1990, 1, 1), date(2035, 1, 1))


@settings(max_examples=60, deadline=None)
@given(zones, clocks, clocks, weekdays, days)
def test_stretches_are_in_order_and_never_overlap(zone, opens, closes, chosen, day):
    found = LocalSessions(zone, opens, closes, chosen).schedule(utc(str(day)), utc(str(day)) + pd.Timedelta("30D"))
    assert (found.closes > found.opens).all()
    assert (found.opens[1:] >= found.closes[:-1]).all()
    assert (np.diff(found.dates) > 0).all()
    assert set(stamped(found.dates).weekday) <= set(chosen)


def slow_session(sessions: LocalSessions, day: date) -> tuple[datetime, datetime]:
    """The session of a trading date, by the standard library alone."""
    zone = ZoneInfo(sessions.zone)
    end = day if sessions.closes > time(0) else day + timedelta(days=1)
    overnight = time(0) < sessions.closes <= sessions.opens
    start = day - timedelta(days=1) if overnight else day
    return tuple(
        datetime.combine(when, clock, tzinfo=zone).astimezone(UTC)
        for when, clock in ((start, sessions.opens), (end, sessions.closes))
    )


# Hours that no clock change of these zones skips: there zoneinfo moves by a whole hour, and we to the next instant.
safe = st.builds(time, st.sampled_from([0, *range(4, 24)]), st.sampled_from([0, 15, 30]))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["America/New_York", "Europe/Berlin", "Asia/Hong_Kong"]), safe, safe, weekdays, days)
def test_every_session_is_what_zoneinfo_says(zone, opens, closes, chosen, day):
    sessions = LocalSessions(zone, opens, closes, chosen)
    found = sessions.schedule(utc(str(day)), utc(str(day)))
    ours = {
        when.date(): (start.to_pydatetime(), end.to_pydatetime())
        for when, start, end in zip(stamped(found.dates), stamped(found.opens), stamped(found.closes), strict=True)
    }
    expected = [day + timedelta(days=step) for step in range(-MARGIN_DAYS + 2, MARGIN_DAYS - 1)]
    expected = [when for when in expected if when.weekday() in chosen]
    assert set(expected) <= set(ours)
    assert {when: ours[when] for when in expected} == {when: slow_session(sessions, when) for when in expected}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("Europe/Gotham", time(9), time(17)), "IANA"),
        (("", time(9), time(17)), "IANA"),
        (("UTC", time(9, tzinfo=UTC), time(17)), "leave it out"),
        (("UTC", time(9), time(17, tzinfo=UTC)), "leave it out"),
        (("UTC", time(9), time(17), ()), "one or more"),
        (("UTC", time(9), time(17), (1, 7)), "Monday"),
    ],
)
def test_impossible_hours_are_refused(arguments, says):
    with pytest.raises(BadParam, match=says):
        LocalSessions(*arguments)


HONG_KONG = pd.DataFrame(
    {
        "open": ["2021-12-30 01:30", "2021-12-31 01:30", "2022-01-03 01:30"],
        "break_start": ["2021-12-30 04:00", None, "2022-01-03 04:00"],
        "break_end": ["2021-12-30 05:00", None, "2022-01-03 05:00"],
        "close": ["2021-12-30 08:00", "2021-12-31 04:00", "2022-01-03 08:00"],
    },
    index=pd.DatetimeIndex(["2021-12-30", "2021-12-31", "2022-01-03"]),
).apply(pd.to_datetime, utc=True)


@pytest.fixture
def library(monkeypatch):
    """A stand-in for exchange_calendars: one calendar that is known for ten years."""
    asked = []

    def get_calendar(name, start=None, end=None):
        asked.append((start, end))
        return SimpleNamespace(
            schedule=HONG_KONG,
            bound_min=lambda: pd.Timestamp("2015-01-01"),
            bound_max=lambda: pd.Timestamp("2024-12-31"),
        )

    module = SimpleNamespace(get_calendar_names=lambda: ["XHKG", "XNYS"], get_calendar=get_calendar)
    monkeypatch.setitem(sys.modules, "exchange_calendars", module)
    return asked


def test_a_lunch_break_makes_two_stretches_of_one_date(library):
    found = ExchangeSessions("XHKG").schedule(utc("2021-12-30"), utc("2022-01-03"))
    assert stamped(found.opens).strftime("%d %H:%M").tolist() == [
        "30 01:30", "30 05:00", "31 01:30", "03 01:30", "03 05:00"
    ]  # fmt: skip
    assert stamped(found.closes).strftime("%d %H:%M").tolist() == [
        "30 04:00", "30 08:00", "31 04:00", "03 04:00", "03 08:00"
    ]  # fmt: skip
    assert stamped(found.dates).strftime("%d").tolist() == ["30", "30", "31", "03", "03"]


def test_a_calendar_is_asked_for_what_it_knows_alone(library):
    ExchangeSessions("XHKG").schedule(utc("2015-01-20"), utc("2024-12-30"))
    assert library[-1] == (pd.Timestamp("2015-01-01"), pd.Timestamp("2024-12-31"))
    assert len(ExchangeSessions("XHKG").schedule(utc("2030-01-01"), utc("2030-02-01")).opens) == 0


def test_an_unknown_calendar_names_the_known_ones(library):
    with pytest.raises(UnknownName, match="did you mean 'XNYS'"):
        ExchangeSessions("XNYC")


def test_without_the_library_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(PartUnavailable, match=r"pip install 'betti\[calendars\]'"):
        ExchangeSessions("XNYS")


def test_the_library_knows_thanksgiving():
    pytest.importorskip("exchange_calendars")
    found = ExchangeSessions("XNYS").schedule(utc("2023-11-22"), utc("2023-11-24"))
    assert at("2023-11-23") not in found.dates
    half = found.dates.tolist().index(at("2023-11-24"))
    assert stamped(found.closes)[half] == utc("2023-11-24 18:00")


# Two dates, the first with a lunch break: 2.5 hours, 3 hours, 2.5 hours.
BROKEN = Schedule(
    dates=np.array([0, 0, DAY]),
    opens=np.array([9 * HOUR, 13 * HOUR, DAY + 9 * HOUR]),
    closes=np.array([9 * HOUR + 150 * MINUTE, 16 * HOUR, DAY + 9 * HOUR + 150 * MINUTE]),
)


def test_buckets_begin_anew_after_a_break():
    grid = SessionGrid(HOUR, BROKEN)
    assert (grid.begins[:6] / HOUR).tolist() == [9, 10, 11, 13, 14, 15]
    assert (grid.ends[:6] / HOUR).tolist() == [10, 11, 11.5, 14, 15, 16]
    assert grid.bars_in(grid.names, 15 * MINUTE).tolist() == [4, 4, 2, 4, 4, 4, 4, 4, 2]
    assert SessionGrid(DAY, BROKEN).bars_in(np.array([0, DAY]), HOUR).tolist() == [6, 3]
    assert SessionGrid(WEEK, BROKEN).bars_in(np.array([-3 * DAY]), HOUR).tolist() == [9]


def test_closed_instants_have_no_bucket():
    grid = SessionGrid(HOUR, BROKEN)
    times = np.array([8, 9, 11.5, 12.9, 13, 16, 33]) * HOUR
    assert grid.stamps(times.astype(np.int64)).tolist() == [
        OUTSIDE, 9 * HOUR, OUTSIDE, OUTSIDE, 13 * HOUR, OUTSIDE, 33 * HOUR
    ]  # fmt: skip


def test_a_bar_is_over_at_the_close_at_the_latest():
    grid = SessionGrid(2 * HOUR, BROKEN)
    assert grid.closed_by(11 * HOUR, HOUR) == 11.5 * HOUR
    assert grid.closed_by(9 * HOUR, HOUR) == 10 * HOUR
    assert grid.closed_by(12 * HOUR, MINUTE) == 12 * HOUR + MINUTE


def test_the_first_and_last_whole_bucket_are_found_from_any_instant():
    grid = SessionGrid(HOUR, BROKEN)
    assert grid.first_from(9 * HOUR) == 9 * HOUR
    assert grid.first_from(11 * HOUR + 1) == 13 * HOUR
    assert grid.last_by(12 * HOUR) == 11 * HOUR
    assert grid.last_by(15 * HOUR - 1) == 13 * HOUR
    with pytest.raises(BadBars, match="no whole session"):
        grid.last_by(9 * HOUR)
    with pytest.raises(BadBars, match="no whole session"):
        grid.first_from(2 * DAY)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([5 * MINUTE, 4 * HOUR, DAY, WEEK]), st.integers(-(10**15), 4 * 10**15))
def test_an_instant_lies_in_its_unbroken_bucket(size, instant):
    grid = UnbrokenGrid(size)
    stamp = grid.stamps(np.array([instant]))
    begins, ends = grid.bounds(stamp)
    assert begins[0] <= instant < ends[0]
    assert grid.last_by(instant) + size == stamp[0]
    assert grid.first_from(instant) == (stamp[0] if stamp[0] == instant else stamp[0] + size)
    start = stamped(stamp)[0]
    assert start == start.floor("5min")
    assert size < DAY or start == start.normalize()
    assert size < WEEK or start.weekday() == 0
