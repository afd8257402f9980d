"""Which rows of a context table are known at which bar.

A bar is stamped with its open, and what is known at it is what was released before its close. A release at the very
moment of the close is not: the close is the price before it. What does not belong here: any column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["DAY", "HOUR", "MINUTE", "STEPS", "Track", "closes", "fading", "microseconds"]

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000  # microseconds
STEPS = 20  # steps between bars that tell how long a bar is

_NEVER = np.iinfo(np.int64).max


def microseconds(times: pd.Series) -> Integers:
    """UTC times as microseconds since 1970; NaT becomes the smallest integer."""
    naive = times.dt.tz_convert("UTC").dt.tz_localize(None)
    found: Integers = naive.to_numpy(dtype="datetime64[us]").astype(np.int64)
    return found


def closes(opens: Integers) -> Integers:
    """When each bar closed, from the times at which bars of one symbol opened; all in microseconds.

    A bar is as long as the shortest of the last `STEPS` steps up to it. Longer steps are nights and gaps. That takes
    no bar from the future, and errs to the early side alone: what is known may come late by it, never too soon. A bar
    without a step before it counts as having no length.
    """
    steps = np.diff(opens, prepend=opens[:1])
    steps[steps <= 0] = _NEVER
    shortest = steps.copy()
    for age in range(1, min(STEPS, len(steps))):
        np.minimum(shortest[age:], steps[:-age], out=shortest[age:])
    found: Integers = opens + np.where(shortest == _NEVER, 0, shortest)
    return found


def fading(age: Integers, half_life: float) -> Floats:
    """1 at age 0, halved with every half-life; both in microseconds."""
    found: Floats = 0.5 ** (age / half_life)
    return found


@dataclass(frozen=True, eq=False)
class Track:
    """A number as it was known over time.

    Attributes:
        released: when it changed, microseconds, increasing, (n,).
        value: what it became, NaN for unknown, (n,).
    """

    released: Integers
    value: Floats

    def at(self, moments: Integers, stale: int) -> Floats:
        """The last value released before each moment; NaN where there is none, or none for longer than `stale`."""
        last = self._last(moments)
        fresh = (last >= 0) & (self.age(moments) <= stale)
        return np.where(fresh, self.value[last], np.nan) if len(self.value) else np.full(len(moments), np.nan)

    def age(self, moments: Integers) -> Integers:
        """Time since the last release before each moment, in microseconds; 0 where there was none."""
        last = self._last(moments)
        if not len(self.released):
            return np.zeros(len(moments), dtype=np.int64)
        return np.where(last >= 0, moments - self.released[last], 0)

    def _last(self, moments: Integers) -> Integers:
        found: Integers = np.searchsorted(self.released, moments, side="left") - 1
        return found
