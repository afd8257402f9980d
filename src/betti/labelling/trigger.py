"""Will price move by a threshold within a horizon: the user's trigger, with the size of the move beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from betti.labelling._spans import ahead, average_uniqueness, ewm_deviation, ewm_memory

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CLASSES", "COLUMNS", "label", "reach"]

COLUMNS = ("trigger", "max_pct", "side")
CLASSES = 2
SIGMA_SPAN = 20
SIDES = {"up": 1.0, "down": -1.0, "either": 0.0}


def label(
    bars: pd.DataFrame,
    *,
    horizon: Annotated[int, Field(ge=1, le=1000)] = 8,
    threshold: Annotated[float, Field(gt=0, le=100)] = 0.02,
    side: Literal["up", "down", "either"] = "up",
    measure: Literal["fraction", "sigma"] = "fraction",
) -> pd.DataFrame:
    """1 where price reaches the threshold within `horizon` bars, else 0.

    Args:
        bars: bars of one symbol in time order.
        horizon: bars ahead.
        threshold: as a fraction of the close (0.02 = 2 %), or in units of sigma x sqrt(horizon).
        side: "up" looks at highs, "down" at lows, "either" at the larger move.
        measure: what the threshold counts in; sigma is the exponentially weighted deviation (span 20) up to the bar.

    Returns:
        `timestamp`, `span_start`, `span_end` (the whole horizon: the size of the move read it all), `trigger`,
        `max_pct` = 100 (max high / close - 1) for "up", 100 (1 - min low / close) for "down"; `side` = 1, -1 or 0,
        the direction a trade on the trigger takes; `weight` (average uniqueness).
    """
    import pandas as pd

    high, low, close = (bars[name].to_numpy(dtype="float64") for name in ("high", "low", "close"))
    needed = np.full(len(close), threshold)
    if measure == "sigma":
        needed = threshold * ewm_deviation(close, SIGMA_SPAN) * np.sqrt(horizon)
    rows = np.arange(max(len(close) - horizon, 0))
    rows = rows[np.isfinite(needed[rows]) & (needed[rows] > 0)]
    up = 100 * (ahead(high, horizon)[rows].max(axis=1, initial=-np.inf) / close[rows] - 1)
    down = 100 * (1 - ahead(low, horizon)[rows].min(axis=1, initial=np.inf) / close[rows])
    move = {"up": up, "down": down, "either": np.maximum(up, down)}[side]
    stamps = bars["timestamp"]
    return pd.DataFrame(
        {
            "timestamp": stamps.iloc[rows].reset_index(drop=True),
            "span_start": stamps.iloc[rows].reset_index(drop=True),
            "span_end": stamps.iloc[rows + horizon].reset_index(drop=True),
            "trigger": (move >= 100 * needed[rows]).astype("float64"),
            "max_pct": move,
            "side": SIDES[side],
            "weight": average_uniqueness(rows + horizon, rows, len(close)),
        }
    )


def reach(*, horizon: int, measure: str, **_: object) -> tuple[int, int]:
    """Bars before and after: sigma where it is used, then the labels whose spans overlap this one's."""
    return (ewm_memory(SIGMA_SPAN) + 1 if measure == "sigma" else 0) + horizon, 2 * horizon
