"""The six complexity indicators that condition the FiLM network: how a market moves, not where.

With n = `window`, c close, r one-bar log return, v volume, all sums over the last n bars:

| column | formula | unit and range | source |
|---|---|---|---|
| ma_separation | mean of the last n // 4 closes / mean of the last n, - 1 | share of price | Brock et al. 1992 |
| bollinger_width | 4 x deviation of closes / their mean | share of price, >= 0 | Bollinger 2001 |
| price_efficiency | abs(c[t] - c[t-n]) / sum abs(c[s] - c[s-1]) | share of the path, 0..1 | Kaufman 1995 |
| support_reaction | mean rebound over the bars that tested support | mean ranges, -1..1 | after Osler 2000 |
| directional_result | sum r / sqrt(n x sum r^2) | share of the largest possible, -1..1 | Andersen et al. 2003 |
| volume_price_alignment | correlation of v and abs(r) | correlation, -1..1 | Karpoff 1987 |

Brock, Lakonishok and LeBaron 1992 compare a short and a long mean; Andersen, Bollerslev, Diebold and Labys 2003 give
the realised variance (sum r^2) that `directional_result` divides by.

Support at bar s is the lowest low of the n bars before it. A bar tests it when its low comes within a quarter of the
mean range (high - low, n bars) of it or falls below; its rebound is (close - support) / mean range, cut to -1..1:
positive when support held, negative when the close broke it. A flat market gives 0 everywhere; a window without volume
gives NaN in `volume_price_alignment`. What does not belong here: oscillators and volatility (`technical`), topology.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from betti.features import _rolling as rolling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["COLUMNS", "compute", "lookback"]

COLUMNS = (
    "ma_separation",
    "bollinger_width",
    "price_efficiency",
    "support_reaction",
    "directional_result",
    "volume_price_alignment",
)

_ROUNDING = 1e-12  # a distance below this share of the price is rounding, not movement
_NEAR_SUPPORT = 0.25  # in mean ranges


def lookback(*, window: int = 20) -> int:
    """Earlier bars that a row depends on: the oldest bar in the window has a support `window` bars long."""
    return 2 * window - 1


def compute(bars: pd.DataFrame, *, window: Annotated[int, Field(ge=8, le=2016)] = 20) -> pd.DataFrame:
    """The six indicators of one symbol.

    Args:
        bars: columns as in `betti.schemas.BARS`, in time order.
        window: bars that each indicator summarises.

    Returns:
        One row per bar, `COLUMNS` in float64; NaN where a window is not full.
    """
    high, low, close = (bars[name].to_numpy(dtype="float64") for name in ("high", "low", "close"))
    volume = np.nan_to_num(bars["volume"].to_numpy(dtype="float64"), nan=0.0)
    change = np.log(close / rolling.lagged(close, 1))
    middle = rolling.mean(close, window)
    values = (
        rolling.mean(close, window // 4) / middle - 1,
        4 * rolling.deviation(close, window) / middle,
        _efficiency(close, window),
        _support_reaction(high, low, close, window),
        _directional_result(change, window),
        _alignment(volume, np.abs(change), window),
    )
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)), index=bars.index)


def _efficiency(close: Floats, window: int) -> Floats:
    """Net move over path length."""
    path = rolling.total(np.abs(close - rolling.lagged(close, 1)), window)
    net = np.abs(close - rolling.lagged(close, window))
    return rolling.ratio(net, path, floor=_ROUNDING * close, neutral=0.0)


def _support_reaction(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """Mean rebound of the window's bars that tested their support; 0 where none did."""
    support = rolling.lagged(rolling.extreme(low, window, np.minimum), 1)
    typical_range = rolling.mean(high - low, window)
    reach = np.where(low <= support + _NEAR_SUPPORT * typical_range, 1.0, 0.0)
    reach[np.isnan(support)] = np.nan
    rebound = np.clip(rolling.ratio(close - support, typical_range, floor=_ROUNDING * close, neutral=0.0), -1, 1)
    tests = rolling.total(reach, window)
    return rolling.ratio(rolling.total(reach * rebound, window), tests, floor=0.0, neutral=0.0)


def _directional_result(change: Floats, window: int) -> Floats:
    """Net return over the largest that moves of this size could have made; 1 when every bar rose alike."""
    possible = np.sqrt(window * rolling.total(change**2, window))
    return rolling.ratio(rolling.total(change, window), possible, floor=_ROUNDING, neutral=0.0)


def _alignment(volume: Floats, move: Floats, window: int) -> Floats:
    """Pearson correlation of volume and absolute return; 0 where one of them does not vary, NaN without volume."""
    traded = rolling.total(volume, window)
    spread = rolling.deviation(volume, window)
    per_volume = rolling.ratio(rolling.covariance(volume, move, window), spread, floor=_ROUNDING * traded, neutral=0.0)
    correlation = rolling.ratio(per_volume, rolling.deviation(move, window), floor=_ROUNDING, neutral=0.0)
    return np.where(np.isnan(traded) | (traded > 0), np.clip(correlation, -1, 1), np.nan)
