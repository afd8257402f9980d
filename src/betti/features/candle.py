"""The twelve inputs of the expansion network: the shape of a bar, and where it stands in its market's swings.

With o, h, l, c a bar's prices, r = h - l its range, ATR the average true range (Wilder 1978, 14 bars):

| column | formula | unit and range | source |
|---|---|---|---|
| open_in_range, close_in_range | (o - l) / r, (c - l) / r | share of the range, 0..1 | Nison 1991 |
| body | (c - o) / r | share of the range, -1..1, positive in a rising bar | Nison 1991 |
| upper_wick, lower_wick | (h - max(o, c)) / r, (min(o, c) - l) / r | share of the range, 0..1 | Nison 1991 |
| range_z | (r - mean r) / deviation of r, over `window` bars | deviations | |
| swing_high_distance | (last swing high - c) / ATR, cut at 10 | ATR, positive below the high | Williams 1995 |
| swing_low_distance | (c - last swing low) / ATR, cut at 10 | ATR, positive above the low | Williams 1995 |
| swing_high_age, swing_low_age | bars since each / (`memory` - 1) | share of the memory, 0..1 | |
| expansion_proxy | efficiency x d / (abs d + 3 ATR) | -1..1, the sign of the move | after Kaufman 1995 |
| consolidation_proxy | log(sum of true ranges / their extent) / log(n) | 0..1 | Dreiss, in Burke 1993 |

**Swings.** A swing high is a high that none of the `swing` bars before it exceeds and none of those after it reaches
(Williams' fractal has two on either side). So it is known `swing` bars later, and counts from then on. Where the last
`memory` bars have none, as in a steady climb, their highest high stands in, the latest where highs are equal. Swing
lows are the same turned over.

**Expansion.** d is the move of the close over the last `leg` bars, efficiency its size over the path of the closes,
ATR that of the bar before the leg: a burst after a quiet time counts by the quiet time's ranges. A straight move of
three ATR gives 0.5. **Consolidation** is the choppiness index over n = `window` bars as a share: 0 where every range
adds to the extent, as in a trend, and 1 where every bar covers all of it. A flat market gives 1 there, 0.5 in
`open_in_range` and `close_in_range`, and 0 elsewhere.

What does not belong here: oscillators and volatility (`technical`), the clock (`calendar`), labels of expansions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from betti.features import _ranges as ranges
from betti.features import _rolling as rolling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["COLUMNS", "compute", "lookback"]

COLUMNS = (
    *("open_in_range", "close_in_range", "body", "upper_wick", "lower_wick", "range_z"),
    *("swing_high_distance", "swing_low_distance", "swing_high_age", "swing_low_age"),
    *("expansion_proxy", "consolidation_proxy"),
)

_ATR = 14
_ROUNDING = 1e-12  # a distance below this share of the price is rounding, not movement
_FAR = 10.0  # ATR; a jump followed by silence would reach thousands, and says no more
_EXPANSION = 3.0  # ATR that a straight leg goes to score one half


def lookback(*, window: int = 20, swing: int = 3, memory: int = 105, leg: int = 8) -> int:
    """Earlier bars that a row depends on: the longest of the range before the leg, the oldest swing and the window."""
    return max(rolling.memory(rolling.wilder_decay(_ATR)) + leg, memory - 1 + swing, window)


def compute(
    bars: pd.DataFrame,
    *,
    window: Annotated[int, Field(ge=8, le=2016)] = 20,
    swing: Annotated[int, Field(ge=1, le=50)] = 3,
    memory: Annotated[int, Field(ge=60, le=2016)] = 105,
    leg: Annotated[int, Field(ge=2, le=200)] = 8,
) -> pd.DataFrame:
    """The twelve columns of one symbol.

    Args:
        bars: columns as in `betti.schemas.BARS`, in time order; the four prices are read.
        window: bars that `range_z` and `consolidation_proxy` compare with.
        swing: bars on either side that a swing stands out from.
        memory: bars in which swings are sought; the network's window at its default.
        leg: bars over which an expansion is measured.

    Returns:
        One row per bar, `COLUMNS` in float64; NaN where a row lacks its past.
    """
    open_, high, low, close = (bars[name].to_numpy(dtype="float64") for name in ("open", "high", "low", "close"))
    still = _ROUNDING * close
    atr = ranges.average_true_range(high, low, close, _ATR)
    top, top_age = _last_swing(high, swing, memory)
    bottom, bottom_age = _last_swing(-low, swing, memory)
    values = (
        *_shape(open_, high, low, close),
        _surprise(high - low, window, still),
        np.clip(rolling.ratio(top - close, atr, floor=still, neutral=0.0), -_FAR, _FAR),
        np.clip(rolling.ratio(close + bottom, atr, floor=still, neutral=0.0), -_FAR, _FAR),
        top_age / (memory - 1),
        bottom_age / (memory - 1),
        _expansion(close, atr, leg),
        _consolidation(high, low, close, window),
    )
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)), index=bars.index)


def _shape(open_: Floats, high: Floats, low: Floats, close: Floats) -> tuple[Floats, ...]:
    """Open, close, body and both wicks as shares of the bar's range."""
    still, height = _ROUNDING * close, high - low

    def share(distance: Floats, neutral: float) -> Floats:
        return rolling.ratio(distance, height, floor=still, neutral=neutral)

    return (
        share(open_ - low, 0.5),
        share(close - low, 0.5),
        share(close - open_, 0.0),
        share(high - np.maximum(open_, close), 0.0),
        share(np.minimum(open_, close) - low, 0.0),
    )


def _surprise(height: Floats, window: int, still: Floats) -> Floats:
    """A value's distance to its window's mean in the window's deviations; 0 where the window does not vary."""
    distance = height - rolling.mean(height, window)
    return rolling.ratio(distance, rolling.deviation(height, window), floor=still, neutral=0.0)


def _last_swing(values: Floats, side: int, memory: int) -> tuple[Floats, Floats]:
    """Level and age in bars of the last swing high; of a swing low, turned over, where `values` are lows times -1."""
    rows = np.arange(len(values), dtype=np.int64)
    peak, after = rolling.lagged(values, side), rolling.extreme(values, side, np.maximum)
    before = rolling.lagged(after, side + 1)
    confirmed = (peak >= before) & (peak > after)
    last = np.maximum.accumulate(np.where(confirmed, rows - side, -memory)) if len(rows) else rows
    age = np.where(rows - last < memory, rows - last, _age_of_highest(values, memory))
    level, bars = values[rows - age], age.astype(np.float64)
    # A row without its whole past would see another last swing in a longer frame.
    warm_up = rows < memory - 1 + side
    level[warm_up] = bars[warm_up] = np.nan
    return level, bars


def _age_of_highest(values: Floats, window: int) -> Integers:
    """Bars since the highest of the last `window` values, the latest of equal ones; fewer values at the start.

    Each pass joins two windows into one twice as long. `rolling.bars_since` says the same in `window` passes, which
    at a million rows takes seconds.
    """
    best, age, width = values.copy(), np.zeros(len(values), dtype=np.int64), 1
    while width < window:
        step = min(width, window - width)
        older = best[: max(len(best) - step, 0)]
        higher = older > best[step:]
        age[step:] = np.where(higher, age[: len(older)] + step, age[step:])
        best[step:] = np.where(higher, older, best[step:])
        width += step
    return age


def _expansion(close: Floats, atr: Floats, leg: int) -> Floats:
    """How straight and how far the last `leg` bars went, with the sign of the move."""
    still = _ROUNDING * close
    move = close - rolling.lagged(close, leg)
    path = rolling.total(np.abs(close - rolling.lagged(close, 1)), leg)
    efficiency = rolling.ratio(np.abs(move), path, floor=still, neutral=0.0)
    size = np.abs(move) + _EXPANSION * rolling.lagged(atr, leg)
    return efficiency * rolling.ratio(move, size, floor=still, neutral=0.0)


def _consolidation(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """The choppiness index (Dreiss 1993) as a share, true highs and lows in both of its terms."""
    tops, bottoms = ranges.true_extremes(high, low, close)
    extent = rolling.extreme(tops, window, np.maximum) - rolling.extreme(bottoms, window, np.minimum)
    covered = rolling.total(tops - bottoms, window)
    times = rolling.ratio(covered, extent, floor=_ROUNDING * close, neutral=float(window))
    # Each range touches the next, so that they cover their extent at least once: rounding alone says less.
    return np.clip(np.log(times) / math.log(window), 0.0, 1.0)
