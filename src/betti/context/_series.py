"""A macro series as it stood at each release: levels, changes, growth, distances from its own past.

At a release only the observations and revisions published until then are there, so that a revision changes what
follows it and nothing before. What does not belong here: which series means what.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.context._known import DAY, Track, microseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = [
    "FEWEST",
    "LARGEST",
    "YEAR",
    "Standing",
    "change",
    "growth",
    "growth_change",
    "level",
    "standard",
    "surprise",
    "track",
]

FEWEST = 12  # earlier observations that a mean and a deviation are taken from
LARGEST = 10.0  # deviations; what lies further away counts as this far
_ROUNDING = 1e-9  # a deviation below this share of the mean is rounding

YEAR = 365  # days: never more than a calendar year, so that the same month of the year before is found


@dataclass(frozen=True, eq=False)
class Standing:
    """What is published of one series at some moment.

    Attributes:
        observed: days or first days of periods, microseconds, increasing; those not published yet included, (n,).
        value: NaN where not published yet, (n,).
        newest: place of the newest one that is published.
    """

    observed: Integers
    value: Floats
    newest: int

    def before(self, days: int) -> Standing | None:
        """As seen from the newest published observation at least so many days older, at most three times as many."""
        latest = self.observed[self.newest] - days * DAY
        place = int(np.searchsorted(self.observed, latest, side="right")) - 1
        while place >= 0 and math.isnan(self.value[place]):
            place -= 1
        if place < 0 or self.observed[self.newest] - self.observed[place] > 3 * days * DAY:
            return None
        return Standing(self.observed, self.value, place)


def level(now: Standing) -> float:
    """The newest value."""
    return float(now.value[now.newest])


def change(now: Standing, *, days: int) -> float:
    """The newest value less the one so many days earlier; NaN where there is none."""
    then = now.before(days)
    return math.nan if then is None else level(now) - level(then)


def growth(now: Standing, *, days: int = YEAR) -> float:
    """Per cent above the value so many days earlier; NaN where there is none, or one is not positive."""
    then = now.before(days)
    if then is None or level(then) <= 0 or level(now) <= 0:
        return math.nan
    return 100 * (level(now) / level(then) - 1)


def growth_change(now: Standing, *, days: int) -> float:
    """Growth over a year less the growth over a year so many days earlier, percentage points."""
    then = now.before(days)
    return math.nan if then is None else growth(now) - growth(then)


def standard(now: Standing, *, days: int) -> float:
    """Distance of the newest value from the mean of those of so many days before it, in their deviations.

    NaN where there are fewer than `FEWEST`, 0 where they are all alike, at most `LARGEST` in size.
    """
    first = int(np.searchsorted(now.observed, now.observed[now.newest] - days * DAY, side="left"))
    past = now.value[first : now.newest]
    past = past[~np.isnan(past)]
    if len(past) < FEWEST:
        return math.nan
    mean = float(past.sum()) / len(past)
    deviation = math.sqrt(float(((past - mean) ** 2).sum()) / len(past))
    if deviation <= _ROUNDING * max(1.0, abs(mean)):
        return 0.0
    return min(max((level(now) - mean) / deviation, -LARGEST), LARGEST)


def track(rows: pd.DataFrame, reading: Callable[[Standing], float]) -> Track:
    """A reading of one series at each of its releases.

    Args:
        rows: of one series, columns as in `betti.context.MACRO`, sorted by release.
        reading: one of this module's.
    """
    released, observed = microseconds(rows["released"]), microseconds(rows["observed"])
    new_value = rows["value"].to_numpy(dtype="float64")
    days, place = np.unique(observed, return_inverse=True)
    value, newest = np.full(len(days), np.nan), -1
    moments = np.flatnonzero(np.diff(released, append=released[-1:] + 1))  # the last row of each release
    found, start = np.full(len(moments), np.nan), 0
    for number, last in enumerate(moments.tolist()):
        here = slice(start, last + 1)
        value[place[here]] = new_value[here]
        newest = max(newest, int(place[here].max()))
        found[number] = reading(Standing(days, value, newest))
        start = last + 1
    return Track(released[moments], found)


def surprise(rows: pd.DataFrame) -> Track:
    """Value less forecast at the first release of each observation that had a forecast, unit of the series."""
    first = rows.drop_duplicates("observed", keep="first")
    said = first[first["forecast"].notna()].drop_duplicates("released", keep="last")
    return Track(microseconds(said["released"]), (said["value"] - said["forecast"]).to_numpy(dtype="float64"))
