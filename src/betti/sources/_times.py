"""Times as UTC: what way of writing them a file has (`find_clock`), and reading them that one way (`read_times`).

One file, one way: a cell written otherwise is an error with its line, and never another reading. What does not belong
here: which column holds the time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from betti.errors import BadBars, BadParam
from betti.sources._cells import PLAIN, fault, numbers, short, texts
from betti.sources._formats import Written, as_written, day_or_month, may_be_a_date

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    import pandas as pd

    from betti.sources._columns import Given

__all__ = ["EPOCH_UNITS", "Clock", "find_clock", "opened", "read_times"]

EPOCH_UNITS = ("s", "ms", "us", "ns")
# Epoch numbers of years 1975 to 2264 in each unit do not overlap, so that a unit can be told from one number.
_SECONDS = (1.6e8, 9.3e9)
# Of dates: the oldest series of prices begin about 1700. Before and after are two-digit years and years of 9999.
_YEARS = (1700, 2264)
_WITH_A_YEAR = ("%Y", "%y", "%G", "%c", "%x")
# An offset stands after a time of day: in 01-07-2020 the end is a year.
_WORD = r"\s*(?:Z|UTC|GMT)$"
_OFFSET = r"(:[0-9]{2}(?:\.[0-9]+)?)\s*(?:UTC|GMT)?([+-][0-9]{2}):?([0-9]{2})$"
_HOURS = r"(:[0-9]{2}(?:\.[0-9]+)?)\s*(?:UTC|GMT)?([+-][0-9]{2})$"
_ZONE = r"(?:Z|UTC|GMT|:[0-9]{2}(?:\.[0-9]+)?\s*(?:UTC|GMT)?[+-][0-9]{2}(?::?[0-9]{2})?)$"
_NORMAL = r"[+-](?:0[0-9]|1[0-4]):[0-5][0-9]"
_MEND = "Mend or remove that line"


@dataclass(frozen=True)
class Clock:
    """How one file writes its times.

    Attributes:
        unit: s, ms, us or ns since 1970 where they are numbers; None where they are text or times already.
        written: pattern and format of text, without the zone.
        zoned: every time carries its own offset.
        zone: of times that carry none.
        hours_ahead: hours that the file's clock runs ahead of that zone.
    """

    unit: str | None = None
    written: Written | None = None
    zoned: bool = False
    zone: ZoneInfo | None = None
    hours_ahead: int = 0

    def __str__(self) -> str:
        """In words, for the log."""
        if self.unit is not None:
            return f"epoch numbers in {self.unit}"
        form = "times" if self.written is None else self.written.format
        ahead = f" and {self.hours_ahead} h" if self.hours_ahead else ""
        return f"{form}, each with its offset" if self.zoned else f"{form}, {self.zone}{ahead}"


def find_clock(values: pd.Series, where: object, given: Given, later: Iterable[pd.Series] = ()) -> Clock:
    """The way in which a file writes its times, from the options or from its first rows.

    Args:
        values: times of the first rows, as they stand in the file, indexed by line.
        where: what to call the file in an error.
        given: what the options say.
        later: times of all rows; read only where the first do not tell days from months, and only until some do.

    Raises:
        BadBars: the times need a zone, may be read in two ways, or are none; the remedy is named.
        BadParam: an option that does not fit.
    """
    import pandas as pd

    if given.unit is not None and given.unit not in EPOCH_UNITS:
        raise BadParam("ingest.options.unit", given.unit, f"it takes one of {', '.join(EPOCH_UNITS)}, or null for text")
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return Clock(zoned=True)
    if pd.api.types.is_datetime64_dtype(values):
        return _local(values, where, given, None)
    if given.unit is not None:
        return Clock(unit=given.unit)
    written = texts(values)
    filled = written[written != ""]
    if filled.empty:
        raise BadBars(where, f"the time is {fault(values, written == '')}", _MEND)
    if given.time_format is not None:
        return _as_said(filled, where, given, given.time_format)
    if re.fullmatch(PLAIN, filled.iloc[0]) and not re.fullmatch("[0-9]{8}|[0-9]{14}", filled.iloc[0]):
        return Clock(unit=_unit(filled, where))
    return _as_seen(filled, where, given, later)


def _unit(written: pd.Series[str], where: object) -> str:
    """The epoch unit that the first number can only be of."""
    first = written.iloc[0]
    if written.map(may_be_a_date).all():
        raise BadBars(
            where,
            f"the time {first} may be a date or an epoch number",
            "Set ingest.options.time_format, e.g. '%Y%m%d%H%M', or ingest.options.unit",
        )
    for power, unit in enumerate(EPOCH_UNITS):
        if _SECONDS[0] <= float(first) / 1000**power <= _SECONDS[1]:
            return unit
    raise BadBars(
        where,
        f"timestamp is a number ({short(first)} in line {written.index[0]}) and no time after 1974 in s, ms, us or ns",
        "Set ingest.options.unit or ingest.options.time_format",
    )


def _as_said(written: pd.Series[str], where: object, given: Given, form: str) -> Clock:
    """Text in the user's own format, which the first time must fit: before its zone is looked at."""
    import pandas as pd

    if not any(sign in form for sign in _WITH_A_YEAR):
        raise BadParam("ingest.options.time_format", form, "it takes the signs of strptime, such as '%d/%m/%Y %H:%M'")
    try:
        first = pd.to_datetime(written.iloc[:1], format=form, errors="coerce", utc=True)
    except ValueError as cause:
        raise BadParam("ingest.options.time_format", form, f"it takes the signs of strptime ({cause})") from cause
    asked = Written(form, None)
    if first.isna().all():
        raise _other_form(where, written, first.isna(), asked)
    return Clock(written=asked, zoned=True) if "%z" in form else _local(written, where, given, asked)


def _as_seen(written: pd.Series[str], where: object, given: Given, later: Iterable[pd.Series]) -> Clock:
    """Text in one of the known ways, as the first row is written."""
    zoned = bool(written.str.contains(_ZONE, regex=True).any())
    first = _normal(written.iloc[:1]).iloc[0] if zoned else written.iloc[0]
    seen = as_written(re.sub(f"{_NORMAL}$", "", first) if zoned else first)
    if seen is None:
        said = f"the time is {short(repr(written.iloc[0]))} in line {written.index[0]}"
        raise BadBars(where, said, "Mend or remove that line, or set ingest.options.time_format")
    if not zoned and given.timezone is None:
        raise _no_zone(where, written.iloc[0])
    if seen.undecided:
        day_first = _decided(written, where, later) if given.day_first is None else given.day_first
        seen = seen.decided(day_first=day_first)
    return Clock(written=seen, zoned=True) if zoned else _local(written, where, given, seen)


def _decided(written: pd.Series[str], where: object, later: Iterable[pd.Series]) -> bool:
    """Whether the day stands first in 01/02/2020: some later day of the same file is above 12."""
    for times in chain((written,), later):
        found = day_or_month(texts(times))
        if found is not None:
            return found
    raise BadBars(
        where,
        f"the time {written.iloc[0]!r} in line {written.index[0]} may have the day or the month first, and no line "
        "of the file tells",
        "Set ingest.options.day_first to true or false",
    )


def _local(values: pd.Series, where: object, given: Given, written: Written | None) -> Clock:
    """Times without an offset: the options must say where."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if given.timezone is None:
        raise _no_zone(where, values.iloc[0])
    try:
        zone = ZoneInfo(given.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as cause:
        raise BadParam(
            "ingest.options.timezone", given.timezone, "it takes an IANA name such as America/New_York"
        ) from cause
    return Clock(written=written, zone=zone, hours_ahead=given.hours_ahead)


def _no_zone(where: object, first: object) -> BadBars:
    return BadBars(
        where, f"times carry no zone ({short(str(first))})", "Set ingest.options.timezone, e.g. UTC or America/New_York"
    )


def read_times(values: pd.Series, clock: Clock, where: object) -> pd.Series:
    """UTC times in microseconds.

    Raises:
        BadBars: a cell is no time, or is not written as the first ones are; the line is named.
    """
    import pandas as pd

    if isinstance(values.dtype, pd.DatetimeTZDtype):
        stamps: pd.Series = values
    elif clock.unit is not None:
        stamps = _from_epoch(values, where, clock.unit)
    elif pd.api.types.is_datetime64_dtype(values):
        stamps = _localised(values, where, clock)
    else:
        stamps = _from_text(values, where, clock)
    if stamps.isna().any():
        if clock.written is not None and clock.written.pattern is None:
            raise _other_form(where, values, stamps.isna(), clock.written)
        raise BadBars(where, f"the time is {fault(values, stamps.isna())}", _MEND)
    result: pd.Series = stamps.dt.tz_convert("UTC").dt.as_unit("us")
    outside = ~result.dt.year.between(*_YEARS)
    if outside.any():
        years = f"before {_YEARS[0]} or after {_YEARS[1]}"
        raise BadBars(where, f"the time is {fault(values, outside)}, {years}", _MEND)
    return result


def _other_form(where: object, values: pd.Series, bad: pd.Series, form: Written) -> BadBars:
    found = f"the time is {fault(values, bad)}, which is not written as the time_format {form.format!r} says"
    return BadBars(where, found, "Mend that line, or ingest.options.time_format; without it common forms are found")


def _from_epoch(values: pd.Series, where: object, unit: str) -> pd.Series:
    import pandas as pd

    found = numbers(values, where, "timestamp")
    bad = found.isna()
    if not pd.api.types.is_numeric_dtype(values):
        bad |= texts(values).str.startswith("$")  # a price is no time
    if bad.any():
        raise BadBars(where, f"the time is {fault(values, bad)}", _MEND)
    seconds = found / 1000 ** EPOCH_UNITS.index(unit)
    outside = (seconds < _SECONDS[0]) | (seconds > _SECONDS[1])
    if outside.any():
        raise BadBars(
            where,
            f"timestamp {fault(values, outside)} is no time in '{unit}'",
            "Check ingest.options.unit: s, ms, us or ns",
        )
    stamps: pd.Series = pd.to_datetime((seconds * 1e6).round().astype("int64"), unit="us", utc=True)
    return stamps


def _from_text(values: pd.Series, where: object, clock: Clock) -> pd.Series:
    """Times as the clock writes them; NaT where a cell is none."""
    import pandas as pd

    written, form = texts(values), clock.written or Written("ISO8601", None)
    if form.pattern is None:  # the user's own format
        stamps = pd.to_datetime(written, errors="coerce", format=form.format, utc=clock.zoned)
        return stamps if clock.zoned else _localised(stamps, where, clock)
    zoned = written.str.contains(_ZONE, regex=True)
    stray = zoned if not clock.zoned else ~zoned & (written != "")
    if stray.any():
        has, have = ("without", "have one") if clock.zoned else ("with", "have none")
        raise BadBars(where, f"the time is {fault(written, stray)}, {has} a zone where others {have}", "Mend that line")
    if not clock.zoned:
        naive = written.where(written.str.fullmatch(form.pattern))
        return _localised(pd.to_datetime(naive, errors="coerce", format=form.format), where, clock)
    normal = _normal(written)
    normal = normal.where(normal.str.fullmatch(f"(?:{form.pattern}){_NORMAL}"))
    local: pd.Series = pd.to_datetime(normal.str[:-6], errors="coerce", format=form.format)
    offsets = normal.str[-6:]
    hours = {offset: pd.Timedelta(offset + ":00") for offset in offsets.dropna().unique()}
    ahead: pd.Series = offsets.map(hours).astype("timedelta64[us]")
    zoned_times: pd.Series = (local - ahead).dt.tz_localize("UTC")
    return zoned_times


def _normal(written: pd.Series[str]) -> pd.Series[str]:
    """Zones as an offset of hours and minutes right behind the time."""
    named = written.str.replace(_WORD, "+00:00", regex=True)
    return named.str.replace(_OFFSET, r"\1\2:\3", regex=True).str.replace(_HOURS, r"\1\2:00", regex=True)


def _localised(naive: pd.Series, where: object, clock: Clock) -> pd.Series:
    """Naive local times in their zone; an hour that a clock change skips or repeats is an error, not a guess."""
    import pandas as pd

    there = naive - pd.Timedelta(hours=clock.hours_ahead)
    local: pd.Series = there.dt.tz_localize(clock.zone, ambiguous="NaT", nonexistent="NaT")
    lost = local.isna() & naive.notna()
    if lost.any():
        raise BadBars(
            where,
            f"the time is {fault(naive, lost)}: a clock change in {clock.zone} skips or repeats it",
            "Export the file in UTC",
        )
    return local


def opened(closes: pd.Series, interval: str) -> pd.Series:
    """When bars opened that carry the time of their close, UTC.

    A close may be written as the bar's end (00:15:00) or as the last moment before it (00:14:59, 00:14:59.999). A bar
    of whole days is 24 hours long.

    Raises:
        BadParam: the interval is no length of time.
    """
    import pandas as pd

    try:
        length = pd.Timedelta(interval)
    except ValueError as cause:
        raise BadParam("ingest.interval", interval, "it takes a length such as 1m, 15m, 1h, 1d") from cause
    minutes = closes.dt.ceil("min")
    last_moment = minutes - closes <= pd.Timedelta(seconds=1)
    return closes.mask(last_moment, minutes) - length
