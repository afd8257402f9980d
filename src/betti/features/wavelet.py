"""Wavelets of the log close: what moved at which scale, by the Haar wavelet and from past bars alone.

The transform is the stationary one ("à trous", undecimated) with the filters laid backwards in time: with c0 the log
close, the smooth of level j is c[j][t] = (c[j-1][t] + c[j-1][t - 2^(j-1)]) / 2, and its detail d[j] = c[j-1] - c[j].
So c[j] is the mean of the last 2^j values; d[j] is half the distance between the mean of the last 2^(j-1) and that of
as many before them: moves at scales of 2^(j-1) to 2^j bars. The close is the sum of its parts: c0 = c3 + d1 + d2 + d3.
For the Haar wavelet this is also the maximal overlap transform, whose coefficients hold the energy of the series.
Libraries' transforms lay their filters across the whole series, on both sides of a bar and around its ends: the
future. Sources: Shensa 1992; Renaud, Starck and Murtagh 2005 (causal Haar à trous); Percival and Walden 2000, ch. 5.

With n = `window`, all sums, means and variances over the last n bars, and E = sum d1^2 + sum d2^2 + sum d3^2 +
sum (c3 - mean c3)^2:

| column | formula | unit and range | source |
|---|---|---|---|
| close_approx | c3 - mean c0: how far the smooth lies above the window's mean | log price | Renaud et al. 2005 |
| close_d* | d1, d2, d3 | log price | Renaud et al. 2005 |
| close_energy_d* | sum d^2 / E, for each detail | share of 1 | Percival and Walden 2000 |
| close_energy_approx | sum (c3 - mean c3)^2 / E; the four shares sum to 1 | share of 1 | Percival and Walden 2000 |
| close_trend_strength | max(0, 1 - var(c0 - c3) / var c0) | 0 noise, 1 a line | Wang et al. 2006 |

Trend strength is that of Wang, Smith and Hyndman, with c3 as the trend and without a season. A flat market gives 0
everywhere. What does not belong here: wavelets of volume, thresholding, and any transform that is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from betti.features import _rolling as rolling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["COLUMNS", "LEVELS", "Transform", "compute", "lookback", "transform"]

LEVELS = 3
_REACH: int = 2**LEVELS - 1  # bars before its own that the smooth of the last level reads

COLUMNS = (
    "close_approx",
    *(f"close_d{level}" for level in range(1, LEVELS + 1)),
    "close_energy_approx",
    *(f"close_energy_d{level}" for level in range(1, LEVELS + 1)),
    "close_trend_strength",
)

_ROUNDING = 1e-24  # a variance of log prices below this is rounding: deviations of 1e-12 of the price


@dataclass(frozen=True)
class Transform:
    """A series taken apart: the series is the sum of all.

    Attributes:
        smooth: (n,) the approximation of the last level.
        details: `LEVELS` arrays of (n,), the finest first.
    """

    smooth: Floats
    details: tuple[Floats, ...]


def transform(values: Floats) -> Transform:
    """The causal Haar transform of a series.

    Args:
        values: (n,) in time order.

    Returns:
        Smooth and details in the unit of the values; NaN where a filter reaches before the first value.

    >>> parts = transform(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0]))
    >>> float(parts.smooth[-1]), [float(detail[-1]) for detail in parts.details]
    (1.0, [4.0, 2.0, 1.0])
    """
    smooth, details = values, []
    for level in range(LEVELS):
        coarser = (smooth + rolling.lagged(smooth, 2**level)) / 2
        details.append(smooth - coarser)
        smooth = coarser
    return Transform(smooth, tuple(details))


def lookback(*, window: int = 64) -> int:
    """Earlier bars that a row depends on: a window of the coarsest coefficients."""
    return window - 1 + _REACH


def compute(bars: pd.DataFrame, *, window: Annotated[int, Field(ge=16, le=2016)] = 64) -> pd.DataFrame:
    """The wavelet columns of one symbol.

    Args:
        bars: columns as in `betti.schemas.BARS`, in time order; only `close` is read.
        window: bars over which energies, the mean and the trend strength are taken.

    Returns:
        One row per bar, `COLUMNS` in float64; NaN where a window is not full.
    """
    price = np.log(bars["close"].to_numpy(dtype="float64"))
    parts = transform(price)
    values = (
        parts.smooth - rolling.mean(price, window),
        *parts.details,
        *_energies(parts, window),
        _trend_strength(price, parts.smooth, window),
    )
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)), index=bars.index)


def _energies(parts: Transform, window: int) -> tuple[Floats, ...]:
    """Shares of the window's energy: the smooth's about its own mean, then each detail's; 0 where nothing moved."""
    smooth = np.square(rolling.deviation(parts.smooth, window))
    means = (smooth, *(rolling.mean(np.square(detail), window) for detail in parts.details))
    whole = means[0] + means[1] + means[2] + means[3]
    return tuple(rolling.ratio(mean, whole, floor=_ROUNDING, neutral=0.0) for mean in means)


def _trend_strength(price: Floats, smooth: Floats, window: int) -> Floats:
    """Share of the window's variance that is gone once the smooth is taken out; 0 where nothing moved."""
    rest, whole = (np.square(rolling.deviation(values, window)) for values in (price - smooth, price))
    remaining = rolling.ratio(rest, whole, floor=_ROUNDING, neutral=1.0)
    return np.maximum(1 - remaining, 0.0)
