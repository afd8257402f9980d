"""From pages to bars, against a market in memory whose pages can be made wrong in every way that pages are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import BadParam
from betti.sources import _paging
from betti.sources._http import BadAnswer
from betti.sources._paging import RepeatingSource, Seen, beginning, page_of, pages, step_of
from tests.conftest import random_bars

STEP = step_of("1h")
FIRST = pd.Timestamp("2001-01-01", tz="UTC")
LAST = FIRST + STEP * 70  # some hours after the last bar of any market here
Fault = Callable[["Market", pd.DataFrame], pd.DataFrame]


@dataclass
class Market:
    """Bars, how many a page holds, whether a page is a stretch of time, and what goes wrong at which request."""

    bars: pd.DataFrame
    limit: int = 5
    windowed: bool = False
    script: list[Fault | None] = field(default_factory=list)
    asked: list[pd.Timestamp] = field(default_factory=list)
    sent: list[pd.DataFrame] = field(default_factory=list)

    def ask(self, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
        self.asked.append(first)
        end = min(last, first + STEP * (self.limit - 1)) if self.windowed else last
        times = self.bars["timestamp"]
        page = self.bars[(times >= first) & (times <= end)].head(self.limit)
        fault = self.script.pop(0) if self.script else None
        page = page if fault is None else fault(self, page)
        self.sent.append(page)
        return page

    def walk(self, first: pd.Timestamp = FIRST, until: pd.Timestamp = LAST) -> pd.DataFrame:
        window = STEP * self.limit if self.windowed else None
        return pd.concat([self.bars.head(0), *pages(self.ask, first, until, STEP, window)], ignore_index=True)


def market(present: list[bool] | int = 23, **settings: object) -> Market:
    """A market with a bar in each hour that is marked."""
    marks = [True] * present if isinstance(present, int) else present
    bars = random_bars(len(marks), freq="1h")
    return Market(bars[marks].reset_index(drop=True), **settings)


def assert_whole(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Nothing lost, nothing twice, nothing changed."""
    pd.testing.assert_frame_equal(found.sort_values("timestamp", ignore_index=True), wanted, check_freq=False)


def empty(_: Market, page: pd.DataFrame) -> pd.DataFrame:
    return page.head(0)


def repeated(market: Market, page: pd.DataFrame) -> pd.DataFrame:
    return market.sent[-1] if market.sent else page


def backwards(_: Market, page: pd.DataFrame) -> pd.DataFrame:
    return page[::-1]


def one_row(_: Market, page: pd.DataFrame) -> pd.DataFrame:
    return page.head(1)


def overlapping(market: Market, page: pd.DataFrame) -> pd.DataFrame:
    """The page, and two bars before it."""
    if page.empty:
        return page
    before = market.bars[market.bars["timestamp"] < page["timestamp"].iloc[0]].tail(2)
    return pd.concat([before, page])


def holed(_: Market, page: pd.DataFrame) -> pd.DataFrame:
    return page.drop(index=page.index[1:3])


FAULTS = [empty, repeated, backwards, one_row, overlapping, holed]


@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 5, 22, 23, 24, 100])
def test_pages_make_the_whole(limit, windowed):
    one = market(limit=limit, windowed=windowed)
    assert_whole(one.walk(), one.bars)


@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2, 4])
@pytest.mark.parametrize("fault", FAULTS)
def test_one_bad_page_loses_nothing(fault, at, windowed):
    one = market(windowed=windowed, script=[None] * at + [fault])
    assert_whole(one.walk(), one.bars)


@settings(max_examples=80, deadline=None)
@given(
    present=st.lists(st.booleans(), min_size=1, max_size=60).map(lambda marks: [True, *marks]),
    limit=st.integers(1, 12),
    windowed=st.booleans(),
    faults=st.lists(st.sampled_from([None, *FAULTS]), max_size=30),
)
def test_nothing_is_lost_and_nothing_comes_twice(present, limit, windowed, faults):
    """Bad pages in any order, good ones between them, over a market with gaps of its own."""
    script = [entry for fault in faults for entry in (fault, None)]
    one = market(present, limit=limit, windowed=windowed, script=script)
    assert_whole(one.walk(), one.bars)


@settings(max_examples=30, deadline=None)
@given(present=st.lists(st.booleans(), min_size=1, max_size=60), cut=st.integers(0, 60), limit=st.integers(1, 12))
def test_two_fetches_make_what_one_makes(present, cut, limit):
    """Going on where an earlier fetch ended gives the rest, and the rest alone."""
    one = market(present, limit=limit)
    middle = FIRST + STEP * cut
    early, late = one.walk(until=middle), one.walk(first=middle + STEP)
    assert_whole(pd.concat([early, late], ignore_index=True), one.bars)


def test_a_fetch_asks_for_what_is_missing_alone():
    one = market(60, limit=50)
    found = one.walk(first=FIRST + STEP * 50, until=FIRST + STEP * 59)
    assert len(found) == 10
    assert one.asked == [FIRST + STEP * 50]


def test_an_interrupted_fetch_goes_on_at_the_page_that_failed():
    def broken(_: Market, page: pd.DataFrame) -> pd.DataFrame:
        raise ConnectionError

    one = market(20, script=[None, None, broken])
    walk, got = pages(one.ask, FIRST, LAST, STEP), []
    with pytest.raises(ConnectionError):
        got.extend(walk)
    rest = one.walk(first=one.asked[-1])
    assert_whole(pd.concat([*got, rest], ignore_index=True), one.bars)


@pytest.mark.parametrize("windowed", [False, True])
def test_a_gap_of_the_market_is_asked_for_once_more_and_left(windowed):
    present = [True] * 7 + [False] * 2 + [True] * 14
    one = market(present, windowed=windowed)
    assert_whole(one.walk(until=FIRST + STEP * 22), one.bars)
    assert one.asked.count(FIRST + STEP * 7) == 1
    assert len(one.asked) <= 7


@pytest.mark.parametrize("windowed", [False, True])
def test_a_gap_between_pages_is_found_too(windowed):
    """The second page lacks its first two rows."""
    one = market(windowed=windowed, script=[None, lambda _, page: page.iloc[2:]])
    assert_whole(one.walk(), one.bars)
    assert one.asked.count(FIRST + STEP * 5) == 2


def test_a_gap_longer_than_a_page_is_filled_page_by_page():
    one = market(40, script=[lambda there, page: pd.concat([page, there.bars.iloc[30:32]])])
    assert_whole(one.walk(), one.bars)


@pytest.mark.parametrize("windowed", [False, True])
def test_a_market_that_begins_late_costs_few_requests(windowed):
    one = market([False] * 1000 + [True] * 20, limit=100, windowed=windowed)
    assert_whole(one.walk(until=FIRST + STEP * 1100), one.bars)
    assert len(one.asked) < (30 if windowed else 5)


def test_a_long_silence_in_a_windowed_market_is_walked_over():
    one = market([True] * 7 + [False] * 40 + [True] * 7, windowed=True)
    assert_whole(one.walk(), one.bars)


def test_no_bars_at_all():
    one = market([False] * 5)
    assert one.walk().empty
    assert len(one.asked) == 2, "once more, in case"


def test_a_repeat_with_other_values_stays():
    def corrected(market: Market, page: pd.DataFrame) -> pd.DataFrame:
        again = overlapping(market, page).copy()
        again.loc[again.index[0], "close"] += 1.0
        return again

    one = market(12, script=[None, corrected])
    found = one.walk()
    assert len(found) == 13
    twice = found[found["timestamp"].duplicated(keep=False)]
    assert len(twice) == 2
    assert twice["close"].nunique() == 2


def test_a_repeat_within_one_page_stays():
    """It is the source's own, and validation counts it."""
    one = market(4, limit=10, script=[lambda _, page: pd.concat([page, page.tail(1)])])
    assert len(one.walk()) == 5


def test_a_source_that_is_stuck_is_an_error_and_no_short_history():
    one = market(30, script=[None, repeated, repeated])
    with pytest.raises(RepeatingSource, match=r"AAA: asked for bars from 2001-01-01 05:00:00.*ingest\.options\.start"):
        one.walk()


@pytest.mark.parametrize("script", [[None] * 6 + [repeated], [None] * 5 + [repeated]])
def test_old_bars_beside_an_empty_page_are_the_end(script):
    one = market(23, script=script)
    assert_whole(one.walk(), one.bars)


def test_the_open_bar_is_left_out(monkeypatch):
    one = market(10)
    monkeypatch.setattr(_paging, "clock", lambda: FIRST + STEP * 7 + pd.Timedelta("59min"))
    assert one.walk()["timestamp"].max() == FIRST + STEP * 6
    monkeypatch.setattr(_paging, "clock", lambda: FIRST + STEP * 8)
    assert one.walk()["timestamp"].max() == FIRST + STEP * 7


def test_an_open_bar_that_is_sent_unasked_is_left_out(monkeypatch):
    monkeypatch.setattr(_paging, "clock", lambda: FIRST + STEP * 7)
    one = market(10, script=[None, lambda there, page: there.bars.iloc[5:9]])
    assert_whole(one.walk(), one.bars.head(7))


def test_bars_outside_the_range_are_left_out():
    one = market(20, limit=50, script=[lambda there, page: there.bars])
    assert_whole(one.walk(FIRST + STEP * 3, FIRST + STEP * 5), one.bars.iloc[3:6].reset_index(drop=True))


def test_what_was_seen_is_told_by_time_and_values():
    bars, seen = random_bars(6), Seen()
    assert len(seen.unknown(bars.head(4))) == 4
    assert len(seen.unknown(bars)) == 2
    assert seen.unknown(bars).empty
    assert len(seen.unknown(bars.assign(volume=0.0))) == 6


@pytest.mark.parametrize(
    ("start", "since", "wanted"),
    [
        (None, None, "1970-01-01"),
        ("2020-01-31", None, "2020-01-31"),
        ("2020-01-31T02:00+02:00", None, "2020-01-31"),
        ("2020-01-31", "2024-05-01", "2024-05-01"),
        ("2024-05-01", "2020-01-31", "2024-05-01"),
        (None, "2024-05-01", "2024-05-01"),
    ],
)
def test_where_to_begin(start, since, wanted):
    first = beginning(start, None if since is None else pd.Timestamp(since, tz="UTC"))
    assert first == pd.Timestamp(wanted, tz="UTC")


def test_a_start_that_is_no_date_is_refused():
    with pytest.raises(BadParam, match=r"ingest\.options\.start = 'soon': it takes a date"):
        beginning("soon", None)


def test_step_is_the_length_of_a_bar():
    assert [step_of(text) / pd.Timedelta("1min") for text in ("1m", "15m", "4h", "1d")] == [1, 15, 240, 1440]
    for text in ("1M", "m", "1.5h", ""):
        with pytest.raises(BadParam, match=r"ingest\.interval"):
            step_of(text)


@given(st.decimals(min_value=0, max_value=10**9, places=8))
def test_numbers_as_text_are_read_exactly(value):
    page = page_of("X", pd.DatetimeIndex([FIRST]), {"close": [str(value)]}, "r")
    assert page["close"].iloc[0] == float(str(value))


def test_what_is_no_number_is_named_with_its_time():
    with pytest.raises(BadAnswer, match="GET here: close is 'cheap' at 2001-01-01 00:00:00"):
        page_of("X", pd.DatetimeIndex([FIRST]), {"close": ["cheap"]}, "GET here")
    assert page_of("X", pd.DatetimeIndex([FIRST]), {"close": [None]}, "r")["close"].isna().all()


@given(st.datetimes(pd.Timestamp("1975-01-01").to_pydatetime(), pd.Timestamp("2200-01-01").to_pydatetime()))
def test_milliseconds_and_back(time):
    stamp = pd.Timestamp(time, tz="UTC").floor("ms")
    assert _paging.from_milliseconds([_paging.to_milliseconds(stamp)])[0] == stamp
