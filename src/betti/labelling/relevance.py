"""Does context support or oppose the market's move over the next 7 and 30 days: the target of the two towers.

score = polarity x tanh(10 x return to the last bar at or before t + N days), for N of 7 and 30. Polarity says to which
side the context at t points; without context it is 1, and the score tells where the market goes. A positive score says
that the context supports the move, a negative one that it opposes it.

Days are calendar days of 24 hours, so that weekends and holidays count and a target that falls on one is the bar before
it. What does not belong here: reading context (`betti.context`) and its numbers (`betti.features.context`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from betti import counts
from betti.errors import BadInput, BadParam
from betti.labelling._spans import long_average_uniqueness

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from betti.context import Context

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["CLASSES", "COLUMNS", "BadPolarity", "direction_of", "label", "net_polarity", "reach", "scored"]

COLUMNS = ("direction", "score_7d", "score_30d", "direction_7d", "direction_30d", "side")
CLASSES = 3
NEGATIVE, NONE, POSITIVE = 0, 1, 2
STEEPNESS, NEUTRAL_ZONE = 10.0, 0.1
LONGEST, DAY = 30, 86_400_000_000  # days, and microseconds in one


class BadPolarity(BadInput):
    """A polarity that is no sign, or does not belong to the bars."""

    def __init__(self, found: str) -> None:
        super().__init__(f"polarity: {found}. Give a series with the index of the bars and values from -1 to 1")


def label(
    bars: pd.DataFrame,
    context: Context | None = None,
    *,
    learn: Literal["7d", "30d"] = "7d",
    bars_per_day: Annotated[int, Field(ge=1, le=1440)] = 1,
) -> pd.DataFrame:
    """The scores under what was known at each bar's close; without any source polarity is 1, and the table says so.

    Args:
        bars: bars of one symbol in time order.
        context: what surrounds the market: its polarity is that of the news, else of policy, else of macro (prices that
            rise faster than expected oppose it).
        learn: which horizon's class is the first column, which a classifier of one output learns.
        bars_per_day: most bars in a day, on average over 30 days: 96 for 15 minutes around the clock, 26 for those of
            an exchange. It bounds how many bars a label looks ahead.

    Returns:
        As `scored`. Carries how many rows were `without_context` (`betti.counts`), of those whose whole reach is there.

    Raises:
        BadParam: more bars in 30 days than `bars_per_day` allows.
    """
    if context is not None and context.sources:
        return scored(bars, _polarity(bars, context), learn=learn, bars_per_day=bars_per_day)
    table = scored(bars, None, learn=learn, bars_per_day=bars_per_day)
    back, ahead = reach(bars_per_day=bars_per_day)
    stamps = bars["timestamp"].iloc[back : max(len(bars) - ahead, 0)]
    rows = int(table["timestamp"].isin(stamps).sum())
    return counts.attach(table, {"without_context": rows} if rows else {})


def _polarity(bars: pd.DataFrame, context: Context) -> pd.Series:
    """The sign of the net context at each bar, as the family `context` measures it at its default knobs."""
    from betti.features import context as family

    known = family.compute(bars, context)
    return net_polarity(known["news_sentiment"], known["policy_stance"], -known["macro_inflation_surprise"])


def scored(bars: pd.DataFrame, polarity: pd.Series | None, *, learn: str = "7d", bars_per_day: int = 1) -> pd.DataFrame:
    """The scores under a context.

    Args:
        bars: bars of one symbol in time order.
        polarity: (n,) by the index of the bars, -1 to 1: to which side the context points that was known at each bar's
            close (`net_polarity`); missing where nothing was known, which counts as 0. None: 1 at every bar.
        learn: "7d" or "30d", the horizon whose class is the first column.
        bars_per_day: as in `label`.

    Returns:
        `timestamp`, `span_start`, `span_end` (the last bar at or before t + 30 days), `direction` (of the horizon to
        `learn`), `score_7d`, `score_30d` (-1 to 1), `direction_7d`, `direction_30d` (0 negative, 1 none, 2 positive),
        `side` (to which side the context points: 1, -1, 0), `weight` (average uniqueness). A bar has a row only where
        a bar lies within 7 days after it, and one at or after 30 days: until then the last bar before may yet be
        another.

    Raises:
        BadPolarity: values that are no polarity, or another index.
        BadParam: more bars in 30 days than `bars_per_day` allows.
    """
    import pandas as pd

    stamps, close = bars["timestamp"], bars["close"].to_numpy(dtype="float64")
    times = stamps.dt.as_unit("us").astype("int64").to_numpy()
    signs = np.ones(len(bars)) if polarity is None else _checked(polarity, bars)
    week, month = (np.searchsorted(times, times + days * DAY, side="right") - 1 for days in (7, LONGEST))
    _refuse_crowds(bars, month, bars_per_day)
    known = np.searchsorted(times, times + LONGEST * DAY, side="left") < len(times)
    rows = np.flatnonzero(known & (week > np.arange(len(times))))
    week, month = week[rows], month[rows]
    scores = [signs[rows] * np.tanh(STEEPNESS * (close[ends] / close[rows] - 1)) for ends in (week, month)]
    classes = [direction_of(score) for score in scores]
    return pd.DataFrame(
        {
            "timestamp": stamps.iloc[rows].reset_index(drop=True),
            "span_start": stamps.iloc[rows].reset_index(drop=True),
            "span_end": stamps.iloc[month].reset_index(drop=True),
            "direction": classes[0 if learn == "7d" else 1],
            "score_7d": scores[0],
            "score_30d": scores[1],
            "direction_7d": classes[0],
            "direction_30d": classes[1],
            "side": np.sign(signs[rows]),
            "weight": long_average_uniqueness(month, rows, len(bars)),
        }
    )


def direction_of(score: Floats) -> Floats:
    """0 negative, 1 none (below 0.1 in size), 2 positive.

    >>> direction_of(np.array([-0.5, -0.1, 0.05, 0.1])).tolist()
    [0.0, 0.0, 1.0, 2.0]
    """
    return np.where(np.abs(score) < NEUTRAL_ZONE, 0.0, np.sign(score)) + float(NONE)


def net_polarity(news: pd.Series, policy: pd.Series, macro: pd.Series) -> pd.Series:
    """The sign of the net context at each bar: of the news; where they say nothing, of policy, else of macro.

    Args:
        news: (n,) sentiment of what was known at each bar's close; 0 or missing where there was none.
        policy: (n,) stance, likewise.
        macro: (n,) surprise, signed so that a positive one supports the market, likewise.

    >>> import pandas as pd
    >>> news, policy = pd.Series([0.3, 0.0, float("nan"), 0.0]), pd.Series([-1.0, -1.0, 0.0, 0.0])
    >>> net_polarity(news, policy, pd.Series([0.0, 2.0, 2.0, 0.0])).tolist()
    [1.0, -1.0, 1.0, 0.0]
    """
    signs = [np.sign(values.fillna(0.0)) for values in (news, policy, macro)]
    net: pd.Series = signs[0].where(signs[0] != 0, signs[1].where(signs[1] != 0, signs[2]))
    return net


def reach(*, bars_per_day: int, **_: object) -> tuple[int, int]:
    """Bars before and after: 30 days of them, and one that shows they are over, for the label and its neighbours."""
    month = LONGEST * bars_per_day + 1
    return month, 2 * month


def _checked(polarity: pd.Series, bars: pd.DataFrame) -> Floats:
    if not polarity.index.equals(bars.index):
        raise BadPolarity(f"{len(polarity)} values with another index than that of the {len(bars)} bars")
    values = polarity.to_numpy(dtype="float64", na_value=np.nan)
    if (np.abs(values) > 1).any():
        raise BadPolarity(f"{values[np.abs(values) > 1][0]} at {bars['timestamp'][np.abs(values) > 1].iloc[0]}")
    return np.nan_to_num(values)


def _refuse_crowds(bars: pd.DataFrame, month: Integers, bars_per_day: int) -> None:
    """Refuse bars that come faster than the reach allows for: their labels would differ from slice to slice."""
    ahead = month - np.arange(len(month))
    if ahead.max(initial=0) <= LONGEST * bars_per_day:
        return
    row = int(ahead.argmax())
    found = (
        f"{bars['symbol'].iloc[row]} has {ahead[row]} bars in the {LONGEST} days after {bars['timestamp'].iloc[row]}"
    )
    needed = -(-int(ahead[row]) // LONGEST)
    raise BadParam("targets.relevance.bars_per_day", bars_per_day, f"{found}; give at least {needed}")
