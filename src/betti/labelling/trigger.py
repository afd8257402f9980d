"""Will price move by a threshold within a horizon: the user's trigger, with the size of the move beside it.

On 15-minute bars of BTC (2024-2026) a move of 2 % within 8 bars comes after 2.6 to 3.1 % of the bars upwards, 3.3 to
3.8 % downwards, 5.8 to 6.8 % either way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from betti.labelling._barriers import SIGMA_SPAN
from betti.labelling._spans import average_uniqueness, ewm_deviation, ewm_memory
from betti.labelling._weights import NEWEST, Day, HalfLife, recency

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["CLASSES", "COLUMNS", "label", "reach"]

COLUMNS = ("trigger", "max_pct", "side")
CLASSES = 2
SIDES = {"up": 1.0, "down": -1.0, "either": 0.0}


def label(
    bars: pd.DataFrame,
    *,
    horizon: Annotated[int, Field(ge=1, le=1000)] = 8,
    threshold: Annotated[float, Field(gt=0, le=100)] = 0.02,
    side: Literal["up", "down", "either"] = "up",
    measure: Literal["fraction", "sigma"] = "fraction",
    half_life_days: HalfLife = None,
    newest: Day = NEWEST,
) -> pd.DataFrame:
    """1 where price reaches the threshold within `horizon` bars, else 0.

    Args:
        bars: bars of one symbol in time order.
        horizon: bars ahead.
        threshold: as a fraction of the close (0.02 = 2 %), or in units of sigma x sqrt(horizon).
        side: "up" looks at highs, "down" at lows, "either" at the larger move.
        measure: what the threshold counts in; sigma is the exponentially weighted deviation (span 20) up to the bar.
        half_life_days: days in which a label loses half of its weight, or None.
        newest: from where that is counted back, see `_weights.recency`.

    Returns:
        `timestamp`, `span_start`, `span_end` (the whole horizon: the size of the move read it all), `trigger`,
        `max_pct` = 100 (max high / close - 1) for "up", 100 (1 - min low / close) for "down"; `side` = 1, -1 or 0,
        the direction a trade on the trigger takes; `weight` (average uniqueness).
    """
    import pandas as pd

    close = bars["close"].to_numpy(dtype="float64")
    needed = np.full(len(close), threshold)
    if measure == "sigma":
        needed = threshold * ewm_deviation(close, SIGMA_SPAN) * np.sqrt(horizon)
    rows = np.arange(max(len(close) - horizon, 0))
    rows = rows[np.isfinite(needed[rows]) & (needed[rows] > 0)]
    move = _largest_move(bars, rows, horizon, side)
    stamps = bars["timestamp"]
    decided = stamps.iloc[rows].reset_index(drop=True)
    return pd.DataFrame(
        {
            "timestamp": decided,
            "span_start": decided,
            "span_end": stamps.iloc[rows + horizon].reset_index(drop=True),
            "trigger": (move >= 100 * needed[rows]).astype("float64"),
            "max_pct": move,
            "side": SIDES[side],
            "weight": average_uniqueness(rows + horizon, rows, len(close)) * recency(decided, half_life_days, newest),
        }
    )


def _largest_move(bars: pd.DataFrame, rows: NDArray[np.int64], horizon: int, side: str) -> NDArray[np.float64]:
    """(k,) the largest move within the `horizon` bars after each of the rows, in per cent of its close."""
    close = bars["close"].to_numpy(dtype="float64")[rows]
    # What the last `horizon` bars hold at row + horizon is what lies ahead of the row.
    highest = bars["high"].rolling(horizon).max().to_numpy(dtype="float64")[rows + horizon]
    lowest = bars["low"].rolling(horizon).min().to_numpy(dtype="float64")[rows + horizon]
    up: NDArray[np.float64] = 100 * (highest / close - 1)
    down: NDArray[np.float64] = 100 * (1 - lowest / close)
    return up if side == "up" else down if side == "down" else np.maximum(up, down)


def reach(*, horizon: int, measure: str, **_: object) -> tuple[int, int]:
    """Bars before and after: sigma where it is used, then the labels whose spans overlap this one's."""
    return (ewm_memory(SIGMA_SPAN) + 1 if measure == "sigma" else 0) + horizon, 2 * horizon
