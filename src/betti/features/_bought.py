"""Which share of a bar's volume was bought: as its takers did where the source says so, else estimated from the price.

Bulk volume classification (Easley, Lopez de Prado and O'Hara 2012) takes the normal distribution at the bar's change
over the deviation of changes as the bought share. Here changes are log returns, so that the level of price drops out,
and the deviation is that of the last `window` of them. What does not belong here: columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from betti.features import _rolling as rolling

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

__all__ = ["Bought", "bought"]

_ROUNDING = 1e-12  # a log return below this is rounding, not movement


@dataclass(frozen=True)
class Bought:
    """The bought share of every bar.

    Attributes:
        volume: (n,) units traded, 0 where it is missing.
        share: (n,) 0 to 1; NaN in the first `window` rows that are not measured.
        measured: (n,) whether the share is the takers' own.
    """

    volume: Floats
    share: Floats
    measured: Flags

    @property
    def net(self) -> Floats:
        """(n,) bought less sold units."""
        return (2 * self.share - 1) * self.volume

    def said(self, back: int) -> dict[str, int]:
        """How many rows with volume are `measured` and `estimated`, the first `back` left out; none is not named.

        Rows of a look-back count where they are rows of their own: sums over slices are those of the whole.
        """
        traded, measured = self.volume[back:] > 0, self.measured[back:]
        found = {"measured": np.count_nonzero(traded & measured), "estimated": np.count_nonzero(traded & ~measured)}
        return {name: int(rows) for name, rows in found.items() if rows}


def bought(bars: pd.DataFrame, window: int) -> Bought:
    """The bought share of one symbol's bars.

    Args:
        bars: columns as in `betti.schemas.BARS`, in time order; `close`, `volume`, and `buy_volume` and `sell_volume`
            where they are there.
        window: one-bar returns that an estimate measures a return by.
    """
    volume = np.nan_to_num(bars["volume"].to_numpy(dtype="float64"), nan=0.0)
    measured = _measured(bars, volume)
    known = ~np.isnan(measured)
    return Bought(volume, np.where(known, measured, _estimated(bars, window)), known)


def _measured(bars: pd.DataFrame, volume: Floats) -> Floats:
    """Bought share as the source has it; NaN where neither side is there, or both are zero."""
    unknown = np.full(len(bars), np.nan)
    sides = {name: bars[name].to_numpy(dtype="float64") for name in ("buy_volume", "sell_volume") if name in bars}
    buy, sell = sides.get("buy_volume", unknown), sides.get("sell_volume", unknown)
    buy, sell = np.where(np.isnan(buy), volume - sell, buy), np.where(np.isnan(sell), volume - buy, sell)
    # Volumes of one bar that were rounded apart would give a share just outside.
    return np.clip(rolling.ratio(buy, buy + sell, floor=0.0, neutral=np.nan), 0.0, 1.0)


def _estimated(bars: pd.DataFrame, window: int) -> Floats:
    """Bought share by bulk volume classification; one half where price stood still."""
    price = np.log(bars["close"].to_numpy(dtype="float64"))
    change = price - rolling.lagged(price, 1)
    share: Floats = ndtr(rolling.ratio(change, rolling.deviation(change, window), floor=_ROUNDING, neutral=0.0))
    return share
