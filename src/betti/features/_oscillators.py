"""Technical indicators that say where a close stands among the last ones: returns, RSI, stochastic, channels, bands.

Formulas, units and sources stand in the table of `technical.py`. What does not belong here: trends, volatility, volume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ta.momentum import ROCIndicator, StochasticOscillator, WilliamsRIndicator
from ta.volatility import DonchianChannel

from betti.features import _rolling as rolling
from betti.features import _windows as windows
from betti.features._market import HISTORY, distance_to_mean, settled

if TYPE_CHECKING:
    from betti.features._market import Columns, Floats, Market

__all__ = ["LOG_RETURNS", "RETURNS", "bands", "oscillators", "returns"]

LOG_RETURNS = (1, 2, 3, 5, 10, 20, 30, 60, 120)
RETURNS = (1, 2, 3, 5, 20, 60, 120)  # at 10 and 30 bars the rate of change says the same


def returns(market: Market) -> Columns:
    """Changes of the close over many horizons: as logarithms, as shares, in per cent."""
    logs = np.log(market.close)
    for bars in LOG_RETURNS:
        yield f"log_return_{bars}", logs - rolling.lagged(logs, bars)
    for bars in RETURNS:
        yield f"return_{bars}", market.close / rolling.lagged(market.close, bars) - 1
    for bars in (10, 30):
        yield f"roc_{bars}", ROCIndicator(market.bars["close"], window=bars).roc().to_numpy(dtype="float64")


def oscillators(market: Market) -> Columns:
    """Relative strength, stochastic, Williams %R, commodity channel; in the middle where price stood still."""
    high, low, close = (market.bars[name] for name in ("high", "low", "close"))
    for window in (7, 14):
        yield f"rsi_{window}", _relative_strength(market, window)
    fast = settled(StochasticOscillator(high, low, close, window=14, smooth_window=3).stoch(), 50.0)
    yield "stochastic_k_14", fast
    yield "stochastic_d_14", windows.mean(fast, 3)
    yield "williams_r_14", settled(WilliamsRIndicator(high, low, close, lbp=14).williams_r(), -50.0)
    distance = market.typical - windows.mean(market.typical, 20)
    spread = windows.absolute_deviation(market.typical, 20)
    yield "cci_20", rolling.ratio(distance / 0.015, spread, floor=market.still, neutral=0.0)


def bands(market: Market) -> Columns:
    """Where the close lies in Bollinger's, Keltner's and Donchian's bands; in the middle where they have no width."""
    for window in (20, 50):
        middle, spread = windows.mean(market.close, window), windows.deviation(market.close, window)
        yield f"bollinger_width_{window}", 4 * spread / middle
        place = rolling.ratio((market.close - middle) / 4, spread, floor=market.still, neutral=0.0)
        yield f"bollinger_b_{window}", 0.5 + place
    distance = distance_to_mean(market, 20)
    atr = windows.faded(market.true_range, rolling.wilder_decay(10), HISTORY)
    yield "keltner_position_20", rolling.ratio(distance / 2, atr, floor=market.still, neutral=0.0)
    high, low, close = (market.bars[name] for name in ("high", "low", "close"))
    for window in (20, 55):
        channel = DonchianChannel(high, low, close, window=window)
        yield f"donchian_position_{window}", settled(channel.donchian_channel_pband(), 0.5)


def _relative_strength(market: Market, window: int) -> Floats:
    """RSI, 0 to 100: the scale of the weights cancels, so that it is the recursion started at nothing."""
    decay = rolling.wilder_decay(window)
    gain, loss = (windows.faded(np.maximum(moved, 0), decay, HISTORY) for moved in (market.change, -market.change))
    return 100 * rolling.ratio(gain, gain + loss, floor=market.still, neutral=0.5)
