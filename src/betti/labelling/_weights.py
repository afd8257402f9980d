"""What may weigh a label besides average uniqueness: the return attributed to it, and its age.

Weights are shares, in (0, 1], and depend on the label's neighbours alone: no weight changes because a day was added.
Lopez de Prado 2018 (sections 4.6, 4.7) scales returns to a sum of one and lets the newest row weigh 1, which would
change them all. Training divides weights by their mean, so that the scale does not matter to it.
What does not belong here: uniqueness (`_spans`).
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import AfterValidator, Field

from betti.labelling._compiled import compiled
from betti.labelling._spans import shares

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["LEAST", "NEWEST", "Day", "HalfLife", "attributed_return", "recency"]

LEAST = 1e-6  # a weight is never zero: the row would be there and not count
OLDEST = 1e-300  # 1,000 half-lives: a float reaches no further
NEWEST = "2030-01-01"


def _day(text: str) -> str:
    date.fromisoformat(text)
    return text


# A week, so that 1,000 half-lives are 19 years: what lies further before `newest` would all weigh the same.
HalfLife = Annotated[float, Field(ge=7, le=100_000)] | None
Day = Annotated[str, AfterValidator(_day)]


def attributed_return(ends: Integers, starts: Integers, close: Floats, scale: Floats) -> Floats:
    """(k,) size of the return that is a label's own, as a part of `scale`, between 1e-6 and 1.

    The sum over its bars of one-bar log return / concurrency (Lopez de Prado 2018, section 4.6), so that a label
    counts by what the market did within it, and shares what it did with the others.

    Args:
        ends: (k,) position of each label's last bar.
        starts: (k,) position of each label's decision bar, below its end.
        close: (bars,) closes.
        scale: (k,) the return that counts as whole, such as the distance to the barrier.

    >>> close = np.exp([0.0, 0.1, 0.3])
    >>> attributed_return(np.array([2, 2]), np.array([0, 1]), close, np.array([0.4, 0.4])).round(6).tolist()
    [0.5, 0.25]
    """
    own = shares(ends, starts, len(close))[1 : len(close)] * np.diff(np.log(close))
    weights: Floats = np.clip(np.abs(_span_sums(own, starts, ends)) / scale, LEAST, 1.0)
    return weights


def recency(stamps: pd.Series, half_life_days: float | None, newest: str) -> Floats:
    """(k,) 1 at `newest` and after, half as much every `half_life_days` before, 1e-300 at least; all 1 without.

    Args:
        stamps: (k,) times of the decision bars.
        half_life_days: days in which a label loses half of its weight, or None.
        newest: a fixed day, later than the last bar of the years to come. Only ratios of weights count in training, so
            that the day itself does not matter, unless the last bar lies 1,000 half-lives before it.

    >>> import pandas as pd
    >>> days = pd.Series(pd.to_datetime(["2028-01-01", "2029-01-01", "2030-01-01", "2031-01-01"], utc=True))
    >>> recency(days, 366.0, "2030-01-01").round(3).tolist()
    [0.25, 0.501, 1.0, 1.0]
    """
    import pandas as pd

    if half_life_days is None:
        return np.ones(len(stamps))
    age = (pd.Timestamp(newest, tz="UTC") - stamps).dt.total_seconds().to_numpy(dtype="float64") / 86_400
    weights: Floats = np.clip(0.5 ** (np.maximum(age, 0.0) / half_life_days), OLDEST, 1.0)
    return weights


# Compiled -----------------------------------------------------------------------------------------------------------


@compiled
def _span_sums(moves: Floats, starts: Integers, ends: Integers) -> Floats:
    """Sum of the moves into bars start + 1 .. end; `moves[0]` is the one into bar 1."""
    sums = np.zeros(len(starts))
    for label in range(len(starts)):
        for bar in range(starts[label], ends[label]):
            sums[label] += moves[bar]
    return sums
