"""Technical indicators of volatility: the average true range, and estimators from closes and from whole bars.

Formulas, units and sources stand in the table of `technical.py`. What does not belong here: noise-free estimators and
jumps (`microstructure`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from betti.features import _rolling as rolling
from betti.features import _windows as windows
from betti.features._market import HISTORY

if TYPE_CHECKING:
    from betti.features._market import Columns, Floats, Market

__all__ = ["true_ranges", "volatilities"]


def true_ranges(market: Market) -> Columns:
    """Average true range as a share of price, a short average over a long one, the bar's own over the average."""
    short, usual = (windows.faded(market.true_range, rolling.wilder_decay(bars), HISTORY) for bars in (5, 14))
    yield "atr_ratio_14", usual / market.close
    yield "atr_ratio_5_14", rolling.ratio(short, usual, floor=market.still, neutral=1.0)
    yield "true_range_14", rolling.ratio(market.true_range, usual, floor=market.still, neutral=1.0)


def volatilities(market: Market) -> Columns:
    """Volatility per bar, in log units: of closes, then from highs, lows and opens too."""
    change = np.log(market.close / market.before)
    for window in (10, 20, 60, 120):
        yield f"volatility_{window}", windows.deviation(change, window)
    spread, body = np.log(market.high / market.low), np.log(market.close / market.open)
    overnight = np.log(market.open / market.before)
    garman = 0.5 * spread**2 - (2 * math.log(2) - 1) * body**2
    drift_free = np.log(market.high / market.close) * np.log(market.high / market.open)
    drift_free += np.log(market.low / market.close) * np.log(market.low / market.open)
    for window in (20, 60):
        yield f"parkinson_{window}", np.sqrt(windows.mean(spread**2, window) / (4 * math.log(2)))
        yield f"garman_klass_{window}", _root(windows.mean(garman, window))
        rogers = windows.mean(drift_free, window)
        yield f"rogers_satchell_{window}", _root(rogers)
        yield f"yang_zhang_{window}", _yang_zhang(overnight, body, rogers, window)


def _root(variance: Floats) -> Floats:
    """Square root of what cannot be negative on paper; rounding can leave -1e-20."""
    volatility: Floats = np.sqrt(np.maximum(variance, 0))
    return volatility


def _yang_zhang(overnight: Floats, body: Floats, rogers: Floats, window: int) -> Floats:
    """Yang and Zhang 2000: variances of gap and body, and that of Rogers and Satchell, in their proportions."""
    share = 0.34 / (1.34 + (window + 1) / (window - 1))
    gaps, bodies = (windows.deviation(values, window) ** 2 * window / (window - 1) for values in (overnight, body))
    return _root(gaps + share * bodies + (1 - share) * rogers)
