"""Which barrier is hit first: direction by the triple-barrier method.

Lopez de Prado 2018, section 3.4. Two price barriers around the decision bar's close and one in time; the label is the
barrier that is touched first within `horizon` bars. What does not belong here: finding the touch (`_barriers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from betti import counts
from betti.labelling._barriers import ABOVE, BELOW, BOTH, Touches, Width, first_touches
from betti.labelling._spans import average_uniqueness
from betti.labelling._weights import NEWEST, Day, HalfLife, attributed_return, recency

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["CLASSES", "COLUMNS", "barriers", "label", "reach"]

COLUMNS = ("direction",)
CLASSES = 3
SHORT, NEUTRAL, LONG = 0, 1, 2


def label(
    bars: pd.DataFrame,
    *,
    horizon: Annotated[int, Field(ge=1, le=1000)] = 20,
    width: Annotated[float, Field(gt=0, le=100)] = 1.0,
    upper: Annotated[float, Field(gt=0, le=100)] | None = None,
    lower: Annotated[float, Field(gt=0, le=100)] | None = None,
    measure: Literal["sigma", "atr"] = "sigma",
    both: Literal["neutral", "open", "drop"] = "neutral",
    weigh: Literal["uniqueness", "return"] = "uniqueness",
    half_life_days: HalfLife = None,
    newest: Day = NEWEST,
) -> pd.DataFrame:
    """0 short, 1 neutral, 2 long for every bar whose barriers can be judged.

    Args:
        bars: bars of one symbol in time order.
        horizon: bars until the time barrier.
        width: barrier distance: `width` x sigma x sqrt(horizon) of the close ("sigma", an exponentially weighted
            deviation of one-bar log returns, span 20), or `width` x ATR(14) in price ("atr").
        upper: the upper barrier's own width, in the place of `width`.
        lower: the lower barrier's.
        measure: what the width multiplies; known at the decision bar's close.
        both: what a bar that reaches both barriers means, since the order of the touches is unknown: "neutral"; by its
            "open", where that lies beyond a barrier already, else neutral; or no row at all ("drop").
        weigh: by average "uniqueness", or by the "return" that is the label's own as a part of the farther barrier's
            distance.
        half_life_days: days in which a label loses half of its weight, or None.
        newest: from where that is counted back, see `_weights.recency`.

    Returns:
        `timestamp`, `span_start`, `span_end` (the bar of the first touch, else the time barrier), `direction`,
        `weight`. A bar has a row only when `horizon` bars follow it, even if its barrier is touched sooner: otherwise
        the last rows would hold touched labels alone. Carries how many labels had `both_barriers` in one bar
        (`betti.counts`), of those whose whole reach is there.
    """
    import pandas as pd

    touches = barriers(bars, horizon=horizon, width=width, upper=upper, lower=lower, measure=measure)
    direction, kept = _answers(touches, both)
    rows, ends, close = touches.rows[kept], touches.ends[kept], bars["close"].to_numpy(dtype="float64")
    if weigh == "return":
        weight = attributed_return(ends, rows, close, np.maximum(touches.upper, touches.lower)[kept])
    else:
        weight = average_uniqueness(ends, rows, len(close))
    stamps = bars["timestamp"]
    decided = stamps.iloc[rows].reset_index(drop=True)
    table = pd.DataFrame(
        {
            "timestamp": decided,
            "span_start": decided,
            "span_end": stamps.iloc[ends].reset_index(drop=True),
            "direction": direction[kept].astype("float64"),
            "weight": weight * recency(decided, half_life_days, newest),
        }
    )
    back, ahead = reach(horizon=horizon, measure=measure)
    whole = (touches.rows >= back) & (touches.rows < len(bars) - ahead)
    doubtful = int((touches.kind[whole] == BOTH).sum())
    return counts.attach(table, {"both_barriers": doubtful} if doubtful else {})


def barriers(
    bars: pd.DataFrame,
    *,
    horizon: int,
    width: float,
    upper: float | None,
    lower: float | None,
    measure: str,
    **_: object,
) -> Touches:
    """Where the barriers of every label lie, and which is touched first.

    Args:
        bars: bars of one symbol in time order.
        horizon, width, upper, lower, measure: as in `label`, whose other knobs do not matter.
    """
    return first_touches(bars, horizon, Width(upper or width, lower or width, measure))


def _answers(touches: Touches, both: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(k,) class of each label, and whether it has a row."""
    doubtful = touches.kind == BOTH
    side = np.where(doubtful, touches.opened if both == "open" else BOTH, touches.kind)
    direction = NEUTRAL + (side == ABOVE).astype(np.int64) - (side == BELOW).astype(np.int64)
    return direction, ~doubtful if both == "drop" else np.ones(len(doubtful), dtype=bool)


def reach(*, horizon: int, measure: str, **_: object) -> tuple[int, int]:
    """Bars before and after: volatility, then the labels whose spans overlap this one's (they enter its weight)."""
    return Width(1.0, 1.0, measure).back + horizon, 2 * horizon
