"""How a market moves, not where: six indicators that condition the FiLM network, then entropies and fractal measures.

With n = `window` for the six, then `entropy_window`, c close, r one-bar log return, v volume, sums over the last n:

| column | formula | unit and range | source |
|---|---|---|---|
| ma_separation | mean of the last n // 4 closes / mean of the last n, - 1 | share of price | Brock et al. 1992 |
| bollinger_width | 4 x deviation of closes / their mean | share of price, >= 0 | Bollinger 2001 |
| price_efficiency | abs(c[t] - c[t-n]) / sum abs(c[s] - c[s-1]) | share of the path, 0..1 | Kaufman 1995 |
| support_reaction | mean rebound over the bars that tested support | mean ranges, -1..1 | after Osler 2000 |
| directional_result | sum r / sqrt(n x sum r^2) | share of the largest possible, -1..1 | Andersen et al. 2003 |
| volume_price_alignment | correlation of v and abs(r) | correlation, -1..1 | Karpoff 1987 |
| permutation_entropy | entropy of the orders of three returns in a row / log 6 | share, 0..1 | Bandt and Pompe 2002 |
| sample_entropy | -log of the share of like pairs of returns that stay alike | nats, >= 0 | Richman and Moorman 2000 |
| spectral_entropy | entropy of the periodogram of r / log of its size | share, 0..1 | Inouye et al. 1991 |
| lempel_ziv_complexity | words in the sequence of rises x log2(n) / n | about 1 if random | Lempel and Ziv 1976 |
| hurst_exponent | slope of log rescaled range, corrected | 0.5 no memory | Hurst 1951; Anis and Lloyd 1976 |
| detrended_fluctuation | slope of log fluctuation about lines in boxes | 0.5 no memory | Peng et al. 1994 |
| higuchi_dimension | slope of log length of the path of log c, by step | 1 line, 1.5 random walk | Higuchi 1988 |
| petrosian_dimension | dimension of that path from its number of turns | 1 never turns | Petrosian 1995 |

Brock, Lakonishok and LeBaron 1992 compare a short and a long mean; Andersen, Bollerslev, Diebold and Labys 2003 give
the realised variance (sum r^2) that `directional_result` divides by.

Support at bar s is the lowest low of the n bars before it. A bar tests it when its low comes within a quarter of the
mean range (high - low, n bars) of it or falls below; its rebound is (close - support) / mean range, cut to -1..1:
positive when support held, negative when the close broke it. A flat market gives 0 in all six; a window without volume
gives NaN in `volume_price_alignment`.

The measures of the longer window are estimates from few bars, noisy one by one: 100 returns without memory give
exponents of 0.5 give or take 0.1. They read returns rounded to 1e-12, so that equal moves are equal at any price. In a
flat window, or one whose returns are all equal, the three entropies are 0, both exponents 0.5, both dimensions 1, and
Lempel-Ziv counts two words, 2 log2(n) / n. `_entropy` and `_fractal` have the definitions. The cost of sample entropy
grows with n^2, that of the others as n or n log n.

What does not belong here: oscillators and volatility (`technical`), topology.
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

__all__ = ["COLUMNS", "INDICATORS", "compute", "lookback"]

# What the FiLM network takes, in its order: nothing may come between.
INDICATORS = (
    "ma_separation",
    "bollinger_width",
    "price_efficiency",
    "support_reaction",
    "directional_result",
    "volume_price_alignment",
)

COLUMNS = (
    *INDICATORS,
    "permutation_entropy",
    "sample_entropy",
    "spectral_entropy",
    "lempel_ziv_complexity",
    "hurst_exponent",
    "detrended_fluctuation",
    "higuchi_dimension",
    "petrosian_dimension",
)

_DIGITS = 12
_ROUNDING = 10.0**-_DIGITS  # a distance below this share of the price is rounding, not movement
_NEAR_SUPPORT = 0.25  # in mean ranges


def lookback(*, window: int = 20, entropy_window: int = 100) -> int:
    """Earlier bars that a row depends on: the oldest of `window` has a support as long, a return needs two bars."""
    return max(2 * window - 1, entropy_window)


def compute(
    bars: pd.DataFrame,
    *,
    window: Annotated[int, Field(ge=8, le=2016)] = 20,
    entropy_window: Annotated[int, Field(ge=50, le=1024)] = 100,
) -> pd.DataFrame:
    """The indicators and measures of one symbol.

    Args:
        bars: columns as in `betti.schemas.BARS`, in time order.
        window: bars that each of the six indicators summarises.
        entropy_window: returns that each entropy and fractal measure summarises.

    Returns:
        One row per bar, `COLUMNS` in float64; NaN where a window is not full.
    """
    close = bars["close"].to_numpy(dtype="float64")
    change = np.log(close / rolling.lagged(close, 1))
    values = (*_indicators(bars, change, window), *_measures(np.log(close), change, entropy_window))
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)), index=bars.index)


def _indicators(bars: pd.DataFrame, change: Floats, window: int) -> tuple[Floats, ...]:
    """The six, in the order of `INDICATORS`."""
    high, low, close = (bars[name].to_numpy(dtype="float64") for name in ("high", "low", "close"))
    volume = np.nan_to_num(bars["volume"].to_numpy(dtype="float64"), nan=0.0)
    middle = rolling.mean(close, window)
    return (
        rolling.mean(close, window // 4) / middle - 1,
        4 * rolling.deviation(close, window) / middle,
        _efficiency(close, window),
        _support_reaction(high, low, close, window),
        _directional_result(change, window),
        _alignment(volume, np.abs(change), window),
    )


def _measures(price: Floats, change: Floats, window: int) -> tuple[Floats, ...]:
    """Entropies and fractal measures of log price and log return."""
    # Imported when used: numba takes a second to import.
    from betti.features import _entropy as entropy
    from betti.features import _fractal as fractal

    change = np.round(change, _DIGITS)
    return (
        entropy.permutation_entropy(change, window),
        entropy.sample_entropy(change, window),
        entropy.spectral_entropy(change, window),
        entropy.lempel_ziv_complexity(change, window),
        fractal.hurst_exponent(change, window),
        fractal.detrended_fluctuation(change, window, fractal.box_sizes(window)),
        fractal.higuchi_dimension(price, window),
        fractal.petrosian_dimension(change, window),
    )


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
