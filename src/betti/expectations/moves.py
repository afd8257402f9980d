"""What of bars is compared with earlier bars: quantities whose distribution a sound source does not change overnight.

Prices trend, so they are not compared; moves, ranges and gaps between bars are, in log units, and the log of the
volume, in which a change of units shows. What does not belong here: the comparison itself (`drift.py`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.expectations.drift import drift, profile

if TYPE_CHECKING:
    from betti.stretches import Stretch

__all__ = ["COLUMNS", "Limits", "Moves", "moves"]

COLUMNS = ("move", "range", "gap", "volume")
KEPT = 100_000  # rows of history kept per symbol, evenly spaced: more tell nothing about the shape
LEAST = 60  # bars compared with those before them, where fewer have come since


@dataclass(frozen=True)
class Limits:
    """From which drift a quantity is warned of or stops the run, as in `drift.drift`; None never does."""

    psi_warn: float
    psi_stop: float | None
    ks_warn: float | None
    ks_stop: float | None


def moves(bars: pd.DataFrame) -> pd.DataFrame:
    """`timestamp`, and for each bar of one symbol, in logs:

    Returns:
        `move` close over close before, `range` high over low, `gap` open over close before, `volume`; NaN where there
        is none.
    """
    before = bars["close"].shift()
    return pd.DataFrame(
        {
            "timestamp": bars["timestamp"],
            "move": np.log(bars["close"] / before),
            "range": np.log(bars["high"] / bars["low"]),
            "gap": np.log(bars["open"] / before),
            "volume": np.log(bars["volume"].where(bars["volume"] > 0)),
        }
    )


class Moves:
    """The moves of one symbol: those up to a time, thinned, and those after it.

    Args:
        accepted: time of the last bar that was accepted.
        rows: how many bars the symbol has in all.
    """

    def __init__(self, accepted: pd.Timestamp, rows: int) -> None:
        self._accepted, self._stride = accepted, max(1, rows // KEPT)
        self._earlier: list[pd.DataFrame] = []
        self._since: list[pd.DataFrame] = []
        self._last = self._before = pd.DataFrame()
        self._seen = 0

    def add(self, stretch: Stretch) -> None:
        """The next stretch of the symbol."""
        found = moves(stretch.rows).loc[stretch.own.index]
        known = found["timestamp"] <= self._accepted
        place = np.arange(self._seen, self._seen + len(found)) % self._stride == 0
        self._seen += len(found)
        self._earlier.append(found[known & place])
        self._since.append(found[~known])
        self._last = pd.concat([self._last, found.tail(LEAST)]).tail(LEAST)
        self._before = pd.concat([self._before, found[known].tail(LEAST)]).tail(LEAST)

    def compared(self, symbol: str, limits: Limits, confidence: float) -> pd.DataFrame:
        """How the bars since differ from those before, as `drift.drift` says it; columns are named `SYMBOL move`.

        Where few have come since, the last `LEAST` bars stand for them. What the `LEAST` bars up to the accepted one
        showed already was accepted with them, and is not told again.

        Args:
            symbol: the symbol.
            limits: of what is found.
            confidence: that none of the symbol's quantities is spoken of by chance.
        """
        since = pd.concat(self._since)
        if len(since) >= LEAST:
            return self._against(since, symbol, limits, confidence)
        found = self._against(self._last, symbol, limits, confidence)
        if len(self._before):
            stood = self._against(self._before, symbol, limits, confidence)["level"]
            found["level"] = found["level"].where(found["level"] != stood, "")
        return found

    def _against(self, now: pd.DataFrame, symbol: str, limits: Limits, confidence: float) -> pd.DataFrame:
        """How these bars differ from those before the first of them."""
        earlier = pd.concat(self._earlier)
        earlier = earlier[earlier["timestamp"] < now["timestamp"].iloc[0]]
        named = {name: f"{symbol} {name}" for name in COLUMNS}
        before = profile("bars", earlier[list(COLUMNS)].rename(columns=named))
        table = now[list(COLUMNS)].rename(columns=named)
        return drift(before, table, **asdict(limits), confidence=confidence)
