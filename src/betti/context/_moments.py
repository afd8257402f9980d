"""Times and days of a file as moments in UTC from which something was known.

A day without a time of day counts as known from its END, for when in the day it came is not told. So does a time at
midnight sharp, which is how most programs write a day. The end of a day is its last microsecond, on the clock of the
market: the zone that the options name, New York where they name none. An hour that a clock change repeats counts as its
second pass. All of these are late rather than early.

What does not belong here: publication lags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from betti.context._tables import BadContext
from betti.errors import BadBars, BadParam
from betti.sources._columns import Given
from betti.sources._times import find_clock, read_times

if TYPE_CHECKING:
    from datetime import time

__all__ = ["MARKET", "Written", "days", "ends_of_days", "moments"]

MARKET = "America/New_York"
_MICROSECOND = pd.Timedelta(1, "us")


@dataclass(frozen=True)
class Written:
    """How a file writes its times.

    Attributes:
        option: where the options of this kind stand in params.yaml.
        timezone: IANA zone of times that carry none, and of days.
        unit: s, ms, us or ns where times are epoch numbers and the unit is not the one they seem to have.
        time_format: in the signs of `strptime`, where times are text of an uncommon form.
        day_first: whether 01/02/2020 is in February, where no row of the file tells.
    """

    option: str
    timezone: str | None = None
    unit: str | None = None
    time_format: str | None = None
    day_first: bool | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The zone that days end in.

        Raises:
            BadParam: it is none.
        """
        try:
            return ZoneInfo(self.timezone or MARKET)
        except (ZoneInfoNotFoundError, ValueError, OSError) as cause:
            known = "it takes an IANA name such as America/New_York"
            raise BadParam(f"{self.option}.timezone", self.timezone, known) from cause


def moments(values: pd.Series, where: object, name: str, written: Written, of_day: time | None = None) -> pd.Series:
    """UTC times in microseconds since when what the rows say was known; NaT where a cell is empty.

    Args:
        values: times or days as they stand in the file, indexed by row.
        where: what to call the file in an error.
        name: what to call the column.
        written: how times are written.
        of_day: the time of day that days stand for, in the market's zone; None for their end.

    Raises:
        BadContext: a cell is no time, or a time of day carries no zone and the options name none; its row is named.
        BadParam: an option that does not fit.
    """
    zone = written.zone
    read, zoned = _read(values, where, name, written)
    if zoned:
        local = read.dt.tz_convert(zone).dt.tz_localize(None)
        label = read.dt.tz_localize(None)
        # Midnight in UTC is a day's label; midnight in the market's zone may be one.
        whole = label == label.dt.normalize()
        day = label.where(whole, local).dt.normalize()
        whole |= local == local.dt.normalize()
    else:
        local = read.dt.tz_localize(None)
        day = local.dt.normalize()
        whole = local == day
        if written.timezone is None and (~whole & local.notna()).any():
            row = int((~whole & local.notna()).to_numpy().argmax())
            raise BadContext(
                where,
                f"{name} carries no zone ({local.iloc[row]} in row {values.index[row]})",
                f"Set {written.option}.timezone, e.g. UTC or America/New_York",
            )
    exact = read if zoned else _placed(local, zone)
    found: pd.Series = exact.mask(whole, _within(day, zone, of_day)).dt.as_unit("us")
    return found


def days(values: pd.Series, where: object, name: str, written: Written) -> pd.Series:
    """Calendar days as midnight UTC, in microseconds; a time of day is left out, NaT where a cell is empty.

    Raises:
        BadContext, BadParam: as `moments`.
    """
    read, _ = _read(values, where, name, written)
    found: pd.Series = read.dt.normalize()
    return found


def ends_of_days(day: pd.Series, zone: ZoneInfo) -> pd.Series:
    """The last microsecond of days (midnight, without a zone) in a zone, in UTC."""
    found: pd.Series = (_placed(day + pd.Timedelta(days=1), zone) - _MICROSECOND).dt.as_unit("us")
    return found


def _within(day: pd.Series, zone: ZoneInfo, of_day: time | None) -> pd.Series:
    """The end of each day, or a time of day in it."""
    if of_day is None:
        return ends_of_days(day, zone)
    return _placed(day + pd.Timedelta(hours=of_day.hour, minutes=of_day.minute), zone)


def _placed(local: pd.Series, zone: ZoneInfo) -> pd.Series:
    """Local times in UTC; the second pass of a repeated hour, the end of a skipped one."""
    shifted: pd.Series = local.dt.tz_localize(zone, ambiguous=False, nonexistent="shift_forward").dt.tz_convert("UTC")
    return shifted


def _read(values: pd.Series, where: object, name: str, written: Written) -> tuple[pd.Series, bool]:
    """Times in UTC, those without a zone read as if UTC were theirs, and whether they carry one."""
    empty = values.isna() | (values.astype("str").str.strip() == "")
    filled = values[~empty]
    given = Given(unit=written.unit, timezone="UTC", time_format=written.time_format, day_first=written.day_first)
    if filled.empty:
        return pd.Series(pd.NaT, index=values.index, dtype="datetime64[us, UTC]"), True
    try:
        clock = find_clock(filled, where, given, later=[filled])
        read = read_times(filled, clock, where)
    except BadBars as cause:
        remedy = f"Mend or remove that row, or set {written.option}.time_format, .unit or .day_first"
        raise BadContext(where, f"{name}: {cause.found}", remedy) from cause
    return read.reindex(values.index), clock.zoned or clock.unit is not None
