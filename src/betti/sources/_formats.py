"""The ways in which files write a local date and time. What does not belong here: zones, epoch numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Written", "as_written", "day_or_month", "may_be_a_date"]

_ISO = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)?"
# %x stands for a day and a month whose order is still to be found.
_DATES = (
    (r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}", "%Y-%m-%d"),
    (r"[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}", "%Y/%m/%d"),
    (r"[0-9]{4}\.[0-9]{1,2}\.[0-9]{1,2}", "%Y.%m.%d"),
    (r"[0-9]{8}", "%Y%m%d"),
    (r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}", "%x/%Y"),
    (r"[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}", "%x-%Y"),
    (r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}", "%x.%Y"),
    (r"[0-9]{1,2}-[A-Za-z]{3}-[0-9]{4}", "%d-%b-%Y"),
    (r"[0-9]{1,2} [A-Za-z]{3} [0-9]{4}", "%d %b %Y"),
    (r"[A-Za-z]{3} [0-9]{1,2}, [0-9]{4}", "%b %d, %Y"),
)
_CLOCKS = (
    ("", ""),
    (r" [0-9]{1,2}:[0-9]{2}", " %H:%M"),
    (r" [0-9]{1,2}:[0-9]{2}:[0-9]{2}", " %H:%M:%S"),
    (r" [0-9]{1,2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,9}", " %H:%M:%S.%f"),
    (r" [0-9]{1,2}:[0-9]{2} [AaPp][Mm]", " %I:%M %p"),
    (r" [0-9]{1,2}:[0-9]{2}:[0-9]{2} [AaPp][Mm]", " %I:%M:%S %p"),
    (r" [0-9]{6}", " %H%M%S"),
    (r" [0-9]{4}", " %H%M"),
)
# Year, month, day and hour without anything between them.
_RUN_TOGETHER = "(?:19[7-9]|20[0-9])[0-9](?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])"


@dataclass(frozen=True)
class Written:
    """A way of writing times: its `strptime` format (or ISO8601), and what a cell must match in full, if anything."""

    format: str
    pattern: str | None

    @property
    def undecided(self) -> bool:
        """Whether it is still to be found if the day or the month stands first."""
        return "%x" in self.format

    def decided(self, *, day_first: bool) -> Written:
        """The same with its day and month in this order."""
        order = ("%d", "%m") if day_first else ("%m", "%d")
        return Written(self.format.replace("%x", self.format[2].join(order)), self.pattern)


def as_written(text: str) -> Written | None:
    """The way in which this time is written; None where it is none of those known.

    >>> [as_written(text).format for text in ("2020-07-01 12:00", "2020.07.01 12:00:00", "1/2/2020")]
    ['ISO8601', '%Y.%m.%d %H:%M:%S', '%x/%Y']
    """
    if re.fullmatch(_ISO, text):
        return Written("ISO8601", _ISO)
    if re.fullmatch("[0-9]{14}", text):
        return Written("%Y%m%d%H%M%S", "[0-9]{14}")
    for (day, day_format), (clock, clock_format) in product(_DATES, _CLOCKS):
        if re.fullmatch(day + clock, text):
            return Written(day_format + clock_format, day + clock)
    return None


def may_be_a_date(text: str) -> bool:
    """Whether this number could be a date of 1970 to 2099 and an hour (and minute), run together."""
    return re.fullmatch(f"{_RUN_TOGETHER}(?:[0-5][0-9])?", text) is not None


def day_or_month(written: pd.Series[str]) -> bool | None:
    """Whether the day stands first in dates such as 01/02/2020; None where no row tells."""
    parts = written.str.extract(r"^([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]").dropna().astype("int64")
    by_day, by_month = (parts[0] > 12).any(), (parts[1] > 12).any()
    # A file with both contradicts itself: whichever is taken, the other is an error with its line.
    return True if by_day else False if by_month else None
