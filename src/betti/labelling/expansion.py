"""Where in a window of 105 bars is the expansion, how long until it starts, and what came before it.

A row stands for the window that ends with its bar, and says of the window's expansion, in places from the window's
first bar (0):

| column | what |
|---|---|
| expansion | 1 where some of the window's bars belong to one, else 0 |
| start | its first bar, the last of what came before; below 0 where it began before, above 104 where it lies ahead |
| end | its last bar that lies in the window; missing where it lies ahead |
| type | what came before: 0 consolidation, 1 retracement, 2 reversal; missing where it began before the window |
| begun | 1 where it began before the window |
| ahead | 1 where it starts up to `lead` bars after the window's last bar |
| censored | 1 where it goes on after the window |

Of several the last that starts in the window counts; without one, the first that starts ahead; without that, one that
began before. So `detection` (the start lies in the window, and the model sees it) and `anticipation` (it lies ahead)
can be told apart. `sequences` unfolds rows into mask, countdown and pointers.

Expansions are found by rule (`_legs`), or taken from windows labelled by hand. The rule reads bars after the window: to
see how a leg that has begun goes on, and whether one begins. The span covers them all, and the window before, because
windows that share bars share answers. At the defaults 50 to 59 % of the windows of daily index bars hold one, and 62 to
66 % of those of 15-minute BTC; other markets may need another `displacement` (docs/targets.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from betti.labelling._hand_windows import HandWindow, placed, read_windows
from betti.labelling._legs import Legs, Rule, find_legs
from betti.labelling._sequences import Sequences, sequences
from betti.labelling._spans import average_uniqueness

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = [
    "CLASSES",
    "COLUMNS",
    "MASKED",
    "HandWindow",
    "Legs",
    "Rule",
    "Sequences",
    "find_legs",
    "label",
    "reach",
    "read_windows",
    "sequences",
]

COLUMNS = ("expansion", "start", "end", "type", "begun", "ahead", "censored")
MASKED = ("start", "end", "type")
CLASSES = 2
STEPS = 15  # between bars, whose median is the interval that a stride counts in


def label(
    bars: pd.DataFrame,
    *,
    window: Annotated[int, Field(ge=8, le=2000)] = 105,
    lead: Annotated[int, Field(ge=0, le=500)] = 20,
    stride: Annotated[int, Field(ge=1, le=1000)] = 1,
    displacement: Annotated[float, Field(gt=0, le=1000)] = 7.0,
    efficiency: Annotated[float, Field(gt=0, le=1)] = 0.6,
    longest: Annotated[int, Field(ge=3, le=500)] = 20,
    drag: Annotated[float, Field(ge=0, le=10)] = 0.25,
    pause: Annotated[int, Field(ge=2, le=500)] = 10,
    pause_range: Annotated[float, Field(ge=0, le=1000)] = 2.5,
    windows: tuple[HandWindow, ...] = (),
) -> pd.DataFrame:
    """The expansion of every window whose past and future are all there.

    Args:
        bars: bars of one symbol in time order.
        window: bars in a window.
        lead: how many bars before a start a window may end and still be asked for the countdown.
        stride: bars between the ends of windows, in time: a window ends at the first bar of each bucket
            floor(time / (stride x interval)), the interval being the median of the last 15 steps.
        displacement: least net move of an expansion, in ATR(14) of its first bar.
        efficiency: least net move as a part of the path.
        longest: most bars of an expansion.
        drag: what a move costs in an expansion's score, in ATR (see `_legs`).
        pause: bars before an expansion, its first included, whose range tells a consolidation.
        pause_range: the largest such range, in ATR.
        windows: labelled by hand. Where there are any, they are the rows, and nothing is found by rule.

    Returns:
        `timestamp`, `span_start` (the window's first bar), `span_end` (the last bar that was read), the columns in
        the module's table, `weight` (average uniqueness of the spans).

    Raises:
        BadParam: a window labelled by hand that does not fit these bars or itself.
    """
    rule = Rule(displacement, efficiency, longest, drag, pause, pause_range)
    if windows:
        by_hand = placed(bars, windows, window, lead + longest)
        end = np.where(by_hand.start > window - 1, np.nan, by_hand.end)
        return _table(bars, window, by_hand.last, _Found(by_hand.row, by_hand.start, end, by_hand.type))
    back, ahead = _own_reach(window, lead, rule)
    rows = np.arange(back, max(len(bars) - ahead, back))
    rows = rows[_ends_window(bars, stride)[rows]]
    return _table(bars, window, rows + ahead, _found(find_legs(bars, rule), rows, window, lead))


@dataclass(frozen=True)
class _Found:
    """Windows that end at `row`, and their expansion in places from each window's first bar, its end not yet cut."""

    row: Integers
    start: Floats
    end: Floats
    type: Floats


def _found(legs: Legs, rows: Integers, window: int, lead: int) -> _Found:
    """Which leg each window is asked about."""
    first, count = rows - (window - 1), len(legs.start)
    # One leg before all and one after all stand for none.
    start = np.concatenate([[-(10**9)], legs.start, [10**15]])
    end = np.concatenate([[-(10**9)], legs.end, [10**15]])
    kind = np.concatenate([[0], legs.type, [0]])
    latest = np.searchsorted(start[: count + 1], rows, side="right") - 1
    inside = start[latest] >= first
    ahead = ~inside & (start[latest + 1] <= rows + lead)
    begun = ~inside & ~ahead & (end[latest] >= first)
    which, any_ = np.where(ahead, latest + 1, latest), inside | ahead | begun
    return _Found(
        rows,
        np.where(any_, start[which] - first, np.nan),
        np.where(inside | begun, end[which] - first, np.nan),
        np.where(inside | ahead, kind[which], np.nan),
    )


def _table(bars: pd.DataFrame, window: int, last: Integers, found: _Found) -> pd.DataFrame:
    """The label table of these windows; `last` is the position of the last bar that each label read."""
    import pandas as pd

    stamps, first, begun = bars["timestamp"], found.row - (window - 1), found.start < 0
    return pd.DataFrame(
        {
            "timestamp": stamps.iloc[found.row].reset_index(drop=True),
            "span_start": stamps.iloc[first].reset_index(drop=True),
            "span_end": stamps.iloc[last].reset_index(drop=True),
            "expansion": (~np.isnan(found.end)).astype("float64"),
            "start": found.start,
            "end": np.minimum(found.end, window - 1),
            "type": np.where(begun, np.nan, found.type),
            "begun": begun.astype("float64"),
            "ahead": (found.start > window - 1).astype("float64"),
            "censored": (found.end > window - 1).astype("float64"),
            "weight": average_uniqueness(last, first, len(bars)),
        }
    )


def _ends_window(bars: pd.DataFrame, stride: int) -> NDArray[np.bool_]:
    """(n,) whether a window ends at each bar: a rule of time, so that a slice has the windows of the whole."""
    times = bars["timestamp"].dt.as_unit("us").astype("int64").to_numpy()
    chosen = np.ones(len(times), dtype=bool)
    if stride == 1 or len(times) <= STEPS:
        return chosen
    steps = np.lib.stride_tricks.sliding_window_view(np.diff(times), STEPS)
    bucket = np.partition(steps, STEPS // 2, axis=1)[:, STEPS // 2] * stride
    chosen[STEPS:] = times[STEPS:] // bucket != times[STEPS - 1 : -1] // bucket
    return chosen


def _own_reach(window: int, lead: int, rule: Rule) -> tuple[int, int]:
    """Bars before and after a window's last bar that say what its label is, its weight aside."""
    return max(window - 1 + rule.longest - 1 + rule.back, STEPS), lead + rule.ahead


def reach(*, window: int, lead: int, longest: int, pause: int, **_: object) -> tuple[int, int]:
    """Bars before and after: the window and what the rule reads around it, then the labels whose spans overlap."""
    back, ahead = _own_reach(window, lead, Rule(0.0, 0.0, longest, 0.0, pause, 0.0))
    return back + window + ahead, 2 * ahead + window
