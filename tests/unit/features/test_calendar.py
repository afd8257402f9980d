"""Calendar columns against the standard library's own clock, and sessions against a search day by day."""

from __future__ import annotations

import calendar as months
import math
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import features
from betti.errors import BadParam
from betti.features import calendar
from tests.conftest import random_bars

if TYPE_CHECKING:
    from collections.abc import Sequence

UTC = ZoneInfo("UTC")
NEW_YORK = {"zone": "America/New_York", "opens": "09:30", "closes": "16:00"}
FUTURES = {"zone": "America/Chicago", "opens": "17:00", "closes": "16:00"}
SESSION_COLUMNS = ("session", "session_since_open", "session_to_close")

few = settings(max_examples=30, deadline=None, derandomize=True)
moments = st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


def at(*times: str | datetime) -> pd.DataFrame:
    """Bars that open at these times."""
    stamps = pd.DatetimeIndex(pd.to_datetime(list(times), utc=True)).as_unit("us")
    return random_bars(len(times)).assign(timestamp=stamps)


def point(share: float) -> tuple[float, float]:
    return math.sin(2 * math.pi * share), math.cos(2 * math.pi * share)


def directly(moment: datetime, zone: str) -> dict[str, float]:
    """The default columns of one time."""
    local = moment.astimezone(ZoneInfo(zone))
    clock = local.hour + local.minute / 60 + local.second / 3600
    days = months.monthrange(local.year, local.month)[1]
    shares = {
        "hour": clock / 24,
        "dayofweek": local.weekday() / 7,
        "dayofmonth": (local.day - 1) / days,
        "month": (local.month - 1) / 12,
    }
    found = {"hour": clock, "dayofweek": local.weekday(), "dayofmonth": local.day, "month": local.month}
    for cycle, share in shares.items():
        found |= dict(zip((f"{cycle}_sin", f"{cycle}_cos"), point(share), strict=True))
    return found


def session_of(moment: datetime, zone: str, opens: str, closes: str, weekdays: Sequence[int]) -> tuple[float, ...]:
    """Whether it is open, the last open and the next close, by looking at every day of the weeks around."""
    place, first, last = ZoneInfo(zone), time.fromisoformat(opens), time.fromisoformat(closes)
    today, spans = moment.astimezone(place).date(), []
    for offset in range(-10, 11):
        day: date = today + timedelta(days=offset)
        if day.weekday() in weekdays:
            begun = day if first < last else day - timedelta(days=1)
            spans.append([datetime.combine(*each, place).astimezone(UTC) for each in ((begun, first), (day, last))])
    opened = max(span for span in spans if span[0] <= moment)
    closing = min(span for span in spans if span[1] > moment)
    return (
        float(opened == closing),
        (moment - opened[0]) / (opened[1] - opened[0]),
        (closing[1] - moment) / (closing[1] - closing[0]),
    )


# --- the clock


@few
@given(st.lists(moments, min_size=1, max_size=20), st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu"]))
def test_columns_are_those_of_the_standard_library(times: list[datetime], zone: str) -> None:
    whole_seconds = sorted(moment.replace(microsecond=0) for moment in times)
    table = calendar.compute(at(*whole_seconds), zone=zone)
    assert tuple(table.columns) == calendar.COLUMNS
    for row, moment in zip(table.to_dict("records"), whole_seconds, strict=True):
        assert row == pytest.approx(directly(moment, zone), abs=1e-12)


@pytest.mark.parametrize(
    ("cycle", "times"),
    [
        ("hour", pd.date_range("2024-01-01", periods=96, freq="15min")),
        ("dayofweek", pd.date_range("2024-01-01", periods=7)),
        ("dayofmonth", pd.date_range("2024-02-01", "2024-02-29")),
        ("month", pd.date_range("2024-01-01", periods=12, freq="MS")),
    ],
)
def test_a_cycle_closes_without_a_jump(cycle: str, times: pd.DatetimeIndex) -> None:
    table = calendar.compute(at(*times))
    points = table[[f"{cycle}_sin", f"{cycle}_cos"]].to_numpy()
    steps = np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1)
    np.testing.assert_allclose(steps, 2 * math.sin(math.pi / len(times)))
    np.testing.assert_allclose(points[0], [0, 1])


def test_the_zone_keeps_the_hour_through_the_clock_change() -> None:
    table = calendar.compute(at("2024-01-10 14:30", "2024-07-10 13:30"), zone="America/New_York")
    assert table["hour"].tolist() == [9.5, 9.5]


def test_the_zone_moves_the_date_too() -> None:
    row = calendar.compute(at("2024-01-01 00:00"), zone="America/New_York").iloc[0]
    assert (row["hour"], row["dayofweek"], row["dayofmonth"], row["month"]) == (19, 6, 31, 12)


# --- sessions


def test_a_market_that_never_closes_has_no_session() -> None:
    assert not set(SESSION_COLUMNS) & set(calendar.compute(at("2024-01-05 14:30")).columns)


def test_sessions_of_new_york() -> None:
    times = ("2024-01-05 14:30", "2024-01-05 17:45", "2024-01-05 20:59", "2024-01-05 21:00", "2024-01-08 14:29")
    table = calendar.compute(at(*times), **NEW_YORK)
    assert tuple(table.columns) == (*calendar.COLUMNS, *SESSION_COLUMNS)
    assert table["session"].tolist() == [1, 1, 1, 0, 0]
    np.testing.assert_allclose(table["session_since_open"], [0, 0.5, 389 / 390, 1, (3 * 1440 - 1) / 390])
    np.testing.assert_allclose(table["session_to_close"], [1, 0.5, 1 / 390, 3 * 1440 / 390, 391 / 390])


def test_a_session_that_a_clock_change_shortens_has_its_own_length() -> None:
    """Chicago's clocks went forward in the night to Sunday 10 March 2024: of 23 hours, 22 passed."""
    knobs: dict[str, Any] = {**FUTURES, "weekdays": (6,)}
    row = calendar.compute(at("2024-03-10 10:00"), **knobs).iloc[0]
    assert row["session_since_open"] == pytest.approx(11 / 22)
    assert row["session_to_close"] == pytest.approx(11 / 22)


@few
@given(
    st.lists(moments, min_size=1, max_size=5),
    st.sampled_from([NEW_YORK, FUTURES, {"zone": "UTC", "opens": "00:00", "closes": "23:59"}]),
    st.sets(st.integers(0, 6), min_size=1).map(sorted),
)
def test_sessions_are_those_of_the_slow_search(times: list[datetime], hours: dict[str, str], weekdays: list) -> None:
    bars = at(*sorted(times))
    table = calendar.compute(bars, **hours, weekdays=tuple(weekdays))
    for row, moment in zip(table[list(SESSION_COLUMNS)].to_numpy(), sorted(times), strict=True):
        np.testing.assert_allclose(row, session_of(moment, **hours, weekdays=weekdays), atol=1e-9)


@pytest.mark.parametrize("hours", [NEW_YORK, FUTURES])
def test_open_bars_are_between_their_open_and_close(hours: dict[str, str]) -> None:
    table = calendar.compute(random_bars(3000, freq="17min", start="2024-02-20"), **hours)
    inside = table["session"] == 1
    assert 0 < inside.sum() < len(table)
    np.testing.assert_allclose((table["session_since_open"] + table["session_to_close"])[inside], 1)
    assert (table["session_since_open"] < 1)[inside].all() and (table["session_since_open"] >= 1)[~inside].all()
    assert (table["session_to_close"] > 1)[~inside].all()


# --- laws


@pytest.mark.parametrize("knobs", [{}, NEW_YORK, FUTURES])
def test_a_time_alone_says_it_all(knobs: dict[str, str]) -> None:
    bars = random_bars(500, freq="7h", start="2023-10-20")
    whole = calendar.compute(bars, **knobs).to_numpy()
    assert np.isfinite(whole).all() and calendar.lookback(**knobs) == 0
    others = bars.assign(open=1.0, high=1.0, low=1.0, close=1.0, volume=np.nan)
    assert calendar.compute(others, **knobs).to_numpy().tobytes() == whole.tobytes()
    for rows in (slice(0, 1), slice(3, 4), slice(17, 26), slice(250, None)):
        assert calendar.compute(bars.iloc[rows], **knobs).to_numpy().tobytes() == whole[rows].tobytes()


def test_no_bars_give_no_rows() -> None:
    table = calendar.compute(at("2024-01-05").iloc[:0], **NEW_YORK)
    assert table.shape == (0, len(calendar.COLUMNS) + 3)


# --- knobs


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"zone": "New York"}, "features.calendar.zone"),
        ({"zone": "../etc"}, "features.calendar.zone"),
        ({"opens": "09:30"}, "features.calendar.closes"),
        ({"closes": "16:00"}, "features.calendar.opens"),
        ({"opens": "9:30", "closes": "16:00"}, "features.calendar.opens"),
        ({"opens": "24:00", "closes": "16:00"}, "features.calendar.opens"),
        ({"opens": "09:30", "closes": 960}, "features.calendar.closes"),  # YAML's reading of 16:00 without quotes
        ({"weekdays": [7], **NEW_YORK}, "features.calendar.weekdays"),
        ({"weekdays": [], **NEW_YORK}, "features.calendar.weekdays"),
    ],
)
def test_hours_that_make_no_session_are_refused(knobs: dict[str, Any], named: str) -> None:
    with pytest.raises(BadParam, match=named):
        features.compute("calendar", at("2024-01-05 14:30"), **knobs)
