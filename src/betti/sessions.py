"""When a market is open, and how its open time is cut into buckets of equal length.

Hours in local time (`LocalSessions`) or an exchange's own calendar (`ExchangeSessions`) give one `Schedule`: the
stretches of trading as UTC instants, each with its trading date. A grid cuts it. Instants are int64 microseconds since
1970, so that a million bars are placed in one search. What does not belong here: bars, their values and the names of
intervals (`betti.resampling`).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from betti.errors import BadBars, BadParam, PartUnavailable, UnknownName

if TYPE_CHECKING:
    from datetime import time

    import pandas as pd
    from numpy.typing import NDArray

    Instants = NDArray[np.int64]

__all__ = [
    "DAY",
    "MARGIN_DAYS",
    "OUTSIDE",
    "WEEK",
    "ExchangeSessions",
    "LocalSessions",
    "Schedule",
    "SessionGrid",
    "Sessions",
    "UnbrokenGrid",
    "instants",
    "stamped",
]

DAY = 86_400_000_000  # microseconds
WEEK = 7 * DAY
OUTSIDE = np.iinfo(np.int64).min  # numpy's missing time

_FIRST_MONDAY = 4 * DAY  # 1970 began on a Thursday

# A schedule reaches this far beyond the bars, so that the weeks at both ends are whole and have a session beside them:
# Athens was closed for five weeks in 2015.
MARGIN_DAYS = 62


def instants(times: pd.Series | pd.DatetimeIndex) -> Instants:
    """Times that carry a zone as microseconds since 1970, UTC; a missing time is the smallest int64, as in numpy."""
    import pandas as pd

    index = pd.DatetimeIndex(times).tz_convert("UTC").tz_localize(None)
    return index.to_numpy(dtype="datetime64[us]").astype(np.int64)


def stamped(micros: Instants) -> pd.DatetimeIndex:
    """The way back: UTC times in microseconds."""
    import pandas as pd

    return pd.DatetimeIndex(micros.view("datetime64[us]")).tz_localize("UTC")


@dataclass(frozen=True)
class Schedule:
    """Stretches of trading in time order; none overlaps the next. A session with a lunch break is two stretches.

    Attributes:
        dates: (n,) the trading date, as its midnight UTC.
        opens: (n,) the first instant.
        closes: (n,) the first instant after.
    """

    dates: Instants
    opens: Instants
    closes: Instants

    def stretch(self, times: Instants) -> Instants:
        """Position of the stretch that each instant lies in; -1 where the market is closed."""
        if not len(self.opens):
            return np.full(len(times), -1, dtype=np.int64)
        last = np.searchsorted(self.opens, times, side="right").astype(np.int64) - 1
        return np.where((last >= 0) & (times < self.closes[last]), last, -1)

    def whole_days(self) -> Schedule:
        """The same trading dates, each from midnight to midnight UTC: how daily bars are stamped."""
        dates = np.unique(self.dates)
        return Schedule(dates, dates, dates + DAY)


class Sessions(Protocol):
    """What resampling asks of a market that closes."""

    def schedule(self, first: pd.Timestamp, last: pd.Timestamp) -> Schedule:
        """Every stretch between two times and those of `MARGIN_DAYS` on either side."""
        ...


@dataclass(frozen=True)
class LocalSessions:
    """One session a day at fixed local hours. The zone's clock changes are followed.

    A session that opens at or after its closing hour began the evening before: 18:00 to 17:00 is the futures' day. A
    session belongs to the date it ends on. A close at 00:00 is midnight at the end of that date.

    Holidays and early closes are not known. No bars come from them, so they make no bar, but the week of a holiday on
    its last day counts as over only when later bars are known. `ExchangeSessions` knows them.

    Attributes:
        zone: IANA name.
        opens: local time of the open, without a zone.
        closes: local time of the close, without a zone.
        weekdays: of the date a session ends on; Monday is 0.

    Raises:
        BadParam: no such zone, a time with a zone of its own, no weekday or none of that number.

    >>> from datetime import time
    >>> import pandas as pd
    >>> futures = LocalSessions("America/New_York", time(18), time(17))
    >>> monday = pd.Timestamp("2024-01-08", tz="UTC")
    >>> week = futures.schedule(monday, monday)
    >>> place = week.dates.tolist().index(monday.value // 1000)
    >>> print(pd.Timestamp(week.opens[place], unit="us"), pd.Timestamp(week.closes[place], unit="us"))
    2024-01-07 23:00:00 2024-01-08 22:00:00
    """

    zone: str
    opens: time
    closes: time
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)

    def __post_init__(self) -> None:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, IsADirectoryError) as cause:
            raise BadParam("sessions.zone", self.zone, "it takes an IANA name such as America/New_York") from cause
        for name, value in (("opens", self.opens), ("closes", self.closes)):
            if value.tzinfo is not None:
                raise BadParam(f"sessions.{name}", value, "the zone stands in sessions.zone: leave it out here")
        if not self.weekdays or not set(self.weekdays) <= set(range(7)):
            raise BadParam("sessions.weekdays", self.weekdays, "it takes one or more of 0 (Monday) to 6 (Sunday)")

    def schedule(self, first: pd.Timestamp, last: pd.Timestamp) -> Schedule:
        """As `Sessions.schedule` says."""
        import pandas as pd

        start, end = (moment.tz_convert(self.zone).tz_localize(None).normalize() for moment in (first, last))
        margin = pd.Timedelta(days=MARGIN_DAYS)
        dates = pd.date_range(start - margin, end + margin, freq="D", unit="us")
        dates = dates[dates.weekday.isin(self.weekdays)]
        closes = _since_midnight(self.closes) or pd.Timedelta(days=1)
        opens = _since_midnight(self.opens)
        if opens >= closes:
            opens -= pd.Timedelta(days=1)
        return _without_empty(instants(dates.tz_localize("UTC")), self._utc(dates + opens), self._utc(dates + closes))

    def _utc(self, local: pd.DatetimeIndex) -> Instants:
        """Where a clock change repeats an hour its first pass counts; an hour that it skips becomes the next instant.

        Opens and closes follow one rule, so that sessions that touch still touch and never overlap.
        """
        first_pass = np.ones(len(local), dtype=bool)
        return instants(local.tz_localize(self.zone, ambiguous=first_pass, nonexistent="shift_forward"))


@dataclass(frozen=True)
class ExchangeSessions:
    """The sessions of an exchange with its holidays, early closes and lunch breaks, by the library exchange_calendars.

    Some of the library's calendars begin or end at a certain year; the market is closed beyond.

    Attributes:
        name: what the library calls the calendar: XNYS, XHKG, CMES.

    Raises:
        PartUnavailable: exchange_calendars is not installed here.
        UnknownName: it has no such calendar.
    """

    name: str

    def __post_init__(self) -> None:
        names = self._library().get_calendar_names()
        if self.name not in names:
            raise UnknownName("calendar", self.name, names)

    def schedule(self, first: pd.Timestamp, last: pd.Timestamp) -> Schedule:
        """As `Sessions.schedule` says."""
        import pandas as pd

        library = self._library()
        bounds = library.get_calendar(self.name)
        margin = pd.Timedelta(days=MARGIN_DAYS)
        start, end = (moment.tz_convert("UTC").tz_localize(None).normalize() for moment in (first, last))
        start = max(start - margin, bounds.bound_min() or pd.Timestamp.min)
        end = min(end + margin, bounds.bound_max() or pd.Timestamp.max)
        if start >= end:
            nothing = np.array([], dtype=np.int64)
            return Schedule(nothing, nothing, nothing)
        return _stretches(library.get_calendar(self.name, start=start, end=end).schedule)

    def _library(self) -> Any:
        try:
            return import_module("exchange_calendars")
        except ImportError as cause:
            remedy = "Run `pip install 'betti[calendars]'`, or give the hours by `LocalSessions`"
            raise PartUnavailable("calendar", self.name, ImportError(f"{cause}. {remedy}")) from cause


@dataclass(frozen=True)
class UnbrokenGrid:
    """Buckets of a market that never closes. A bucket is named by its stamp, here its first instant."""

    size: int

    def stamps(self, times: Instants) -> Instants:
        """The bucket of each instant."""
        return times - (times - _origin(self.size)) % self.size

    def into_bar(self, times: Instants, step: int) -> Instants:
        """How far each instant lies after the open of its base bar."""
        return (times - _origin(step)) % step

    def bounds(self, stamps: Instants) -> tuple[Instants, Instants]:
        """The first instant of each bucket, and the first one after it."""
        return stamps, stamps + self.size

    def bars_in(self, stamps: Instants, step: int) -> Instants:
        """How many base bars each bucket has room for."""
        return np.full(len(stamps), self.size // step)

    def closed_by(self, opened: int, step: int) -> int:
        """When the base bar that opened at this instant is over."""
        return opened + step

    def first_from(self, instant: int) -> int:
        """The first bucket that begins at an instant or later."""
        return instant + (_origin(self.size) - instant) % self.size

    def last_by(self, instant: int) -> int:
        """The last bucket that has ended by an instant."""
        return instant - (instant - _origin(self.size)) % self.size - self.size


class SessionGrid:
    """Buckets of a market that closes, with the methods of `UnbrokenGrid`.

    Shorter than a day they are counted from each open and named by their first instant. A day is a session named by
    its trading date, a week the sessions of a calendar week named by its Monday.
    """

    def __init__(self, size: int, schedule: Schedule) -> None:
        self.size, self.schedule = size, schedule
        cut = _hours if size < DAY else _periods
        self.names, self.begins, self.ends = cut(size, schedule)

    def stamps(self, times: Instants) -> Instants:
        """The bucket of each instant; `OUTSIDE` where the market is closed."""
        open_ = self.schedule.stretch(times) >= 0
        found = np.full(len(times), OUTSIDE)
        found[open_] = self.names[np.searchsorted(self.begins, times[open_], side="right") - 1]
        return found

    def into_bar(self, times: Instants, step: int) -> Instants:
        """How far each instant lies after the open of its base bar; 0 where the market is closed."""
        stretch = self.schedule.stretch(times)
        into = np.zeros(len(times), dtype=np.int64)
        open_ = stretch >= 0
        into[open_] = (times[open_] - self.schedule.opens[stretch[open_]]) % step
        return into

    def bounds(self, stamps: Instants) -> tuple[Instants, Instants]:
        """The first instant of each bucket, and the first one after it."""
        places = np.searchsorted(self.names, stamps)
        return self.begins[places], self.ends[places]

    def bars_in(self, stamps: Instants, step: int) -> Instants:
        """How many base bars each bucket has room for, a short one before a close included."""
        begins, ends = self.bounds(stamps)
        if self.size < DAY:
            return _room(begins, ends, step)
        # A session or week is several stretches: the sum of their bars, each beginning anew.
        before = np.concatenate([[0], np.cumsum(_room(self.schedule.opens, self.schedule.closes, step))])
        after_last = np.searchsorted(self.schedule.closes, ends, side="right")
        first = np.searchsorted(self.schedule.opens, begins)
        room: Instants = before[after_last] - before[first]
        return room

    def closed_by(self, opened: int, step: int) -> int:
        """When the base bar that opened at this instant is over: at the close at the latest."""
        stretch = int(self.schedule.stretch(np.array([opened]))[0])
        return opened + step if stretch < 0 else min(opened + step, int(self.schedule.closes[stretch]))

    def first_from(self, instant: int) -> int:
        """The first bucket that begins at an instant or later; BadBars where the schedule has none."""
        return self._name(int(np.searchsorted(self.begins, instant)), instant)

    def last_by(self, instant: int) -> int:
        """The last bucket that has ended by an instant; BadBars where the schedule has none."""
        return self._name(int(np.searchsorted(self.ends, instant, side="right")) - 1, instant)

    def _name(self, place: int, instant: int) -> int:
        if not 0 <= place < len(self.names):
            near = stamped(np.array([instant]))[0]
            raise BadBars("resampling", f"no whole session near {near}", "Check the sessions: zone, weekdays, calendar")
        return int(self.names[place])


def _since_midnight(clock: time) -> pd.Timedelta:
    import pandas as pd

    return pd.Timedelta(
        hours=clock.hour, minutes=clock.minute, seconds=clock.second, microseconds=clock.microsecond
    ).as_unit("us")


def _stretches(table: pd.DataFrame) -> Schedule:
    """The library's table (index trading date; open, break_start, break_end, close in UTC) cut at its breaks."""
    import pandas as pd

    dates = instants(pd.DatetimeIndex(table.index).tz_localize("UTC"))
    opens, closes = instants(table["open"]), instants(table["close"])
    pauses, resumes = instants(table["break_start"]), instants(table["break_end"])
    broken = table["break_start"].notna().to_numpy()
    starts = np.concatenate([opens, resumes[broken]])
    ends = np.concatenate([np.where(broken, pauses, closes), closes[broken]])
    order = np.argsort(starts, kind="stable")
    return _without_empty(np.concatenate([dates, dates[broken]])[order], starts[order], ends[order])


def _without_empty(dates: Instants, opens: Instants, closes: Instants) -> Schedule:
    """A clock change can skip a short session whole."""
    real = closes > opens
    return Schedule(dates[real], opens[real], closes[real])


def _hours(size: int, schedule: Schedule) -> tuple[Instants, Instants, Instants]:
    """Names, begins and ends of the buckets counted from each open; the last one ends at the close."""
    counts = _room(schedule.opens, schedule.closes, size)
    owner = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    begins = schedule.opens[owner] + within * size
    return begins, begins, np.minimum(begins + size, schedule.closes[owner])


def _periods(size: int, schedule: Schedule) -> tuple[Instants, Instants, Instants]:
    """Names, begins and ends of sessions or weeks: from the first open to the last close."""
    dates = schedule.dates
    names, firsts = np.unique(dates - (dates - _origin(size)) % size, return_index=True)
    lasts = np.append(firsts[1:], len(dates))[: len(names)] - 1
    return names, schedule.opens[firsts], schedule.closes[lasts]


def _room(begins: Instants, ends: Instants, step: int) -> Instants:
    """How many bars of a length open in each stretch; the last may be short."""
    return -(-(ends - begins) // step)


def _origin(size: int) -> int:
    return _FIRST_MONDAY if size == WEEK else 0
