"""Was a primary signal right: meta-labels, for a model that decides whether to act on a simple rule.

Lopez de Prado 2018, section 3.6. The primary signal here is the sign of the return over the last `lookback` bars
("momentum"), or its opposite ("reversal"). The signal was right if the barrier on its side is the first to be touched.
What does not belong here: finding the touch (`_barriers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from betti.labelling._barriers import ABOVE, BELOW, Width, first_touches
from betti.labelling._spans import average_uniqueness
from betti.labelling._weights import NEWEST, Day, HalfLife, attributed_return, recency

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["CLASSES", "COLUMNS", "label", "primary_side", "reach"]

COLUMNS = ("right", "side")
CLASSES = 2


def label(
    bars: pd.DataFrame,
    *,
    horizon: Annotated[int, Field(ge=1, le=1000)] = 20,
    profit: Annotated[float, Field(gt=0, le=100)] = 1.0,
    stop: Annotated[float, Field(gt=0, le=100)] = 1.0,
    measure: Literal["sigma", "atr"] = "sigma",
    primary: Literal["momentum", "reversal"] = "momentum",
    lookback: Annotated[int, Field(ge=1, le=1000)] = 20,
    weigh: Literal["uniqueness", "return"] = "uniqueness",
    half_life_days: HalfLife = None,
    newest: Day = NEWEST,
) -> pd.DataFrame:
    """1 where a position on the primary signal's side takes its profit before its stop and in time, else 0.

    Args:
        bars: bars of one symbol in time order.
        horizon: bars until the time barrier.
        profit: distance of the barrier on the signal's side, in the volatility that `measure` names.
        stop: distance of the other one.
        measure: "sigma" or "atr", as in `direction`; known at the decision bar's close.
        primary: what the signal is.
        lookback: bars over which the return is taken.
        weigh: by average "uniqueness", or by the "return" that is the label's own as a part of the farther barrier's
            distance.
        half_life_days: days in which a label loses half of its weight, or None.
        newest: from where that is counted back, see `_weights.recency`.

    Returns:
        `timestamp`, `span_start`, `span_end` (the bar of the first touch, else the time barrier), `right`, `side` (1
        long, -1 short, known at the decision bar: the direction a trade takes), `weight`. Both barriers inside one bar
        is wrong: the stop may have come first. A bar has a row only when `horizon` bars follow it and the signal has a
        side.
    """
    import pandas as pd

    side, close = primary_side(bars, primary, lookback), bars["close"].to_numpy(dtype="float64")
    longs = first_touches(bars, horizon, Width(profit, stop, measure))
    shorts = first_touches(bars, horizon, Width(stop, profit, measure))
    long, kept = side[longs.rows] > 0, side[longs.rows] != 0
    right = np.where(long, longs.kind == ABOVE, shorts.kind == BELOW)[kept]
    rows, ends = longs.rows[kept], np.where(long, longs.ends, shorts.ends)[kept]
    if weigh == "return":
        weight = attributed_return(ends, rows, close, np.maximum(longs.upper, longs.lower)[kept])
    else:
        weight = average_uniqueness(ends, rows, len(close))
    stamps = bars["timestamp"]
    decided = stamps.iloc[rows].reset_index(drop=True)
    return pd.DataFrame(
        {
            "timestamp": decided,
            "span_start": decided,
            "span_end": stamps.iloc[ends].reset_index(drop=True),
            "right": right.astype("float64"),
            "side": side[rows],
            "weight": weight * recency(decided, half_life_days, newest),
        }
    )


def primary_side(bars: pd.DataFrame, primary: str, lookback: int) -> NDArray[np.float64]:
    """(n,) the primary signal: 1 long, -1 short, 0 where price stands where it stood, or its past is not there.

    Args:
        bars: bars of one symbol in time order.
        primary: "momentum" or "reversal".
        lookback: bars over which the return is taken.
    """
    close, side = bars["close"].to_numpy(dtype="float64"), np.zeros(len(bars))
    side[lookback:] = np.sign(close[lookback:] - close[:-lookback])
    return side if primary == "momentum" else 0.0 - side


def reach(*, horizon: int, measure: str, lookback: int, **_: object) -> tuple[int, int]:
    """Bars before and after: volatility and signal, then the labels whose spans overlap this one's."""
    return max(Width(1.0, 1.0, measure).back, lookback) + horizon, 2 * horizon
