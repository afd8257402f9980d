"""The fourteen channels of a bar as networks read them: prices, traded volume and five indicators, all stationary.

With c' the previous close, v volume, V the mean volume of the last n = `window` bars, b the bought share of a bar:

| column | formula | unit and range | source |
|---|---|---|---|
| open, high, low, close | log(price / c') | log return | |
| volume | v / V | mean volumes, 0..n | |
| buy_volume, sell_volume | b v / V, (1 - b) v / V | mean volumes, 0..n | |
| delta | (2 b - 1) v / V | mean volumes, -n..n | |
| cumulative_delta | sum (2 b - 1) v / sum v, the last n bars | share of their volume, -1..1 | |
| rsi_14 | relative strength index | 0..100, 50 where price stood still | Wilder 1978 |
| macd_12_26 | (12-bar - 26-bar exponential mean) / c | share of price | Appel 1979 |
| bollinger_b_20 | place between the bands, two deviations a side | 0 lower, 1 upper | Bollinger 2001 |
| atr_ratio_14 | average true range / c | share of price | Wilder 1978 |
| momentum_10 | log(c / c of 10 bars before) | log return | |

Prices and volumes lose only their level: the closes add up to the path of the price, and volume = buy_volume +
sell_volume, delta = buy_volume - sell_volume. The cumulative delta is windowed, not summed from the first bar, so
that it depends on a finite past.

**The bought share** is measured where the source has `buy_volume` or `sell_volume` (of the two together where it has
both, else of `volume`). A bar without either is judged by bulk volume classification (Easley, Lopez de Prado and
O'Hara 2012): b = Phi(log(c / c') / deviation of the last n one-bar log returns), Phi the normal distribution; they
take price changes, log returns are free of the price's level. The estimate errs where volume and volatility are high
(Andersen and Bondarenko 2015), so the table says how many bars were `measured` and how many `estimated`
(`betti.counts`).

A missing volume counts as zero. Where the whole window has none, the five volume columns are NaN: a market without
volume has them declared missing. What does not belong here: further indicators (`technical`), windows of bars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from betti import counts
from betti.features import _ranges as ranges
from betti.features import _rolling as rolling
from betti.features._bought import Bought, bought

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["COLUMNS", "compute", "lookback"]

COLUMNS = (
    *("open", "high", "low", "close"),
    *("volume", "buy_volume", "sell_volume", "delta", "cumulative_delta"),
    *("rsi_14", "macd_12_26", "bollinger_b_20", "atr_ratio_14", "momentum_10"),
)

_STRENGTH = 14
_BANDS = 20
_MOMENTUM = 10
_ROUNDING = 1e-12  # a distance below this share of the price is rounding, not movement


def lookback(*, window: int = 96) -> int:
    """Earlier bars that a row depends on: a window of bought shares, each after a window of returns, or Wilder's."""
    return max(2 * window - 1, rolling.memory(rolling.wilder_decay(_STRENGTH)))


def compute(bars: pd.DataFrame, *, window: Annotated[int, Field(ge=8, le=2016)] = 96) -> pd.DataFrame:
    """The fourteen channels of one symbol.

    Args:
        bars: columns as in `betti.schemas.BARS`, in time order; `buy_volume` and `sell_volume` are read where present.
        window: bars that volume is measured by and the cumulative delta runs over; at 15 minutes the default is a day.

    Returns:
        One row per bar, `COLUMNS` in float64; NaN where a row lacks its past. Carries how many rows after the look-back
        had a bought share `measured` and `estimated` (`betti.counts`), rows without volume not among them.
    """
    open_, high, low, close = (bars[name].to_numpy(dtype="float64") for name in ("open", "high", "low", "close"))
    before = rolling.lagged(close, 1)
    taken = bought(bars, window)
    values = (
        *(np.log(price / before) for price in (open_, high, low, close)),
        *_flow(taken, window),
        *_indicators(high, low, close),
    )
    table = pd.DataFrame(dict(zip(COLUMNS, values, strict=True)), index=bars.index)
    return counts.attach(table, taken.said(lookback(window=window)))


def _flow(taken: Bought, window: int) -> tuple[Floats, ...]:
    """Volume, its two sides, their difference, and the window's difference as a share of the window's volume."""
    volume, share = taken.volume, taken.share
    traded = rolling.total(volume, window)

    def scaled(amount: Floats) -> Floats:
        return rolling.ratio(window * amount, traded, floor=0.0, neutral=np.nan)

    running = rolling.ratio(rolling.total(taken.net, window), traded, floor=0.0, neutral=np.nan)
    return scaled(volume), scaled(share * volume), scaled((1 - share) * volume), scaled(taken.net), running


def _indicators(high: Floats, low: Floats, close: Floats) -> tuple[Floats, ...]:
    """The five indicators, as `technical` defines those that it has too."""
    still = _ROUNDING * close
    change = close - rolling.lagged(close, 1)
    decay = rolling.wilder_decay(_STRENGTH)
    gain, loss = (rolling.exponential(np.maximum(moved, 0), decay) for moved in (change, -change))
    fast, slow = (rolling.exponential(close, rolling.span_decay(span)) for span in (12, 26))
    distance = close - rolling.mean(close, _BANDS)
    spread = rolling.deviation(close, _BANDS)
    return (
        100 * rolling.ratio(gain, gain + loss, floor=still, neutral=0.5),
        (fast - slow) / close,
        0.5 + rolling.ratio(distance / 4, spread, floor=still, neutral=0.0),
        ranges.average_true_range(high, low, close, _STRENGTH) / close,
        np.log(close / rolling.lagged(close, _MOMENTUM)),
    )
