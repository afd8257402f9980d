"""Which barrier is hit first: direction by the triple-barrier method.

Lopez de Prado 2018, section 3.4. Two price barriers around the decision bar's close and one in time; the label is the
barrier that is touched first within `horizon` bars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from betti.labelling._spans import (
    Floats,
    ahead,
    average_true_range,
    average_uniqueness,
    ewm_deviation,
    ewm_memory,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CLASSES", "COLUMNS", "label", "reach"]

COLUMNS = ("direction",)
CLASSES = 3
SHORT, NEUTRAL, LONG = 0, 1, 2
ATR_WINDOW, SIGMA_SPAN = 14, 20


def label(
    bars: pd.DataFrame,
    *,
    horizon: Annotated[int, Field(ge=1, le=1000)] = 20,
    width: Annotated[float, Field(gt=0, le=100)] = 1.0,
    measure: Literal["sigma", "atr"] = "sigma",
) -> pd.DataFrame:
    """0 short, 1 neutral, 2 long for every bar whose barriers can be judged.

    Args:
        bars: bars of one symbol in time order.
        horizon: bars until the time barrier.
        width: barrier distance: `width` x sigma x sqrt(horizon) of the close ("sigma", an exponentially weighted
            deviation of one-bar log returns, span 20), or `width` x ATR(14) in price ("atr").
        measure: what the width multiplies; known at the decision bar's close.

    Returns:
        `timestamp`, `span_start`, `span_end` (the bar of the first touch, else the time barrier), `direction`,
        `weight` (average uniqueness). Both barriers inside one bar is neutral: the order of the touches is unknown.
        A bar has a row only when `horizon` bars follow it, even if its barrier is touched sooner: otherwise the last
        rows would hold touched labels alone.
    """
    import pandas as pd

    high, low, close = (bars[name].to_numpy(dtype="float64") for name in ("high", "low", "close"))
    upper, lower = _barriers(high, low, close, horizon, width, measure)
    rows = np.arange(max(len(close) - horizon, 0))
    rows = rows[np.isfinite(upper[rows])]
    up, down = (ahead(high, horizon)[rows] >= upper[rows, None]), (ahead(low, horizon)[rows] <= lower[rows, None])
    touched = up | down
    first = np.where(touched.any(axis=1), touched.argmax(axis=1), horizon - 1)
    pick = np.arange(len(rows))
    direction = NEUTRAL + up[pick, first].astype(int) - down[pick, first].astype(int)
    ends = rows + 1 + first
    stamps = bars["timestamp"]
    return pd.DataFrame(
        {
            "timestamp": stamps.iloc[rows].reset_index(drop=True),
            "span_start": stamps.iloc[rows].reset_index(drop=True),
            "span_end": stamps.iloc[ends].reset_index(drop=True),
            "direction": direction.astype("float64"),
            "weight": average_uniqueness(ends, rows, len(close)),
        }
    )


def _barriers(
    high: Floats, low: Floats, close: Floats, horizon: int, width: float, measure: str
) -> tuple[Floats, Floats]:
    """Upper and lower price barrier at every bar; NaN while the volatility warms up or is zero."""
    if measure == "atr":
        distance = width * average_true_range(high, low, close, ATR_WINDOW)
    else:
        distance = close * width * ewm_deviation(close, SIGMA_SPAN) * np.sqrt(horizon)
    # A market that has not moved has barriers at its own price: no question is asked of it.
    distance[distance <= 0] = np.nan
    return close + distance, close - distance


def reach(*, horizon: int, measure: str, **_: object) -> tuple[int, int]:
    """Bars before and after: volatility, then the labels whose spans overlap this one's (they enter its weight)."""
    memory = ATR_WINDOW if measure == "atr" else ewm_memory(SIGMA_SPAN)
    return memory + 1 + horizon, 2 * horizon
