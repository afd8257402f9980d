"""Technical indicators of volume: money flow, on-balance volume, distance to the traded price, bought and sold volume.

Every column is NaN while its window holds no volume. Formulas, units and sources stand in the table of `technical.py`.
What does not belong here: illiquidity, price impact, volume by price (`microstructure`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.features import _rolling as rolling
from betti.features import _windows as windows
from betti.features._market import ROUNDING

if TYPE_CHECKING:
    from betti.features._bought import Bought
    from betti.features._market import Columns, Floats, Market

__all__ = ["FLOW", "flows", "volumes"]

FLOW = 20  # bars that bought and sold volume is measured by


def volumes(market: Market) -> Columns:
    """Money flow, on-balance volume, distance to the traded price, and how unusual the volume is."""
    volume = market.volume
    traded = {window: windows.total(volume, window) for window in (5, 20, 60)}

    def share(values: Floats, window: int) -> Floats:
        return rolling.ratio(windows.total(values, window), traded[window], floor=0.0, neutral=np.nan)

    yield "mfi_14", _money_flow(market, 14)
    signed, value = np.sign(market.change) * volume, market.typical * volume
    for window in (20, 60):
        yield f"obv_{window}", share(signed, window)
        yield f"vwap_distance_{window}", market.close / share(value, window) - 1
        yield f"volume_z_{window}", _surprise(volume, traded[window], window)
    yield "cmf_20", share(_place_in_range(market) * volume, 20)
    yield "volume_ratio_5_20", rolling.ratio(4 * traded[5], traded[20], floor=0.0, neutral=np.nan)


def flows(taken: Bought) -> Columns:
    """Bought and sold volume and their difference in mean volumes, and the window's difference over its volume."""
    volume, traded = taken.volume, windows.total(taken.volume, FLOW)
    sides = (("buy_volume", taken.share * volume), ("sell_volume", (1 - taken.share) * volume), ("delta", taken.net))
    for name, amount in sides:
        yield f"{name}_{FLOW}", rolling.ratio(FLOW * amount, traded, floor=0.0, neutral=np.nan)
    for window in (20, 60):
        net, whole = windows.total(taken.net, window), windows.total(volume, window)
        yield f"cumulative_delta_{window}", rolling.ratio(net, whole, floor=0.0, neutral=np.nan)


def _money_flow(market: Market, window: int) -> Floats:
    """Money flow index: the share of traded value in bars whose typical price rose; 50 where none moved."""
    value, change = market.typical * market.volume, market.typical - rolling.lagged(market.typical, 1)
    # A typical price is a sum of three: two that are alike may differ by rounding.
    up = windows.total(np.where(change > market.still, value, 0.0), window)
    down = windows.total(np.where(change < -market.still, value, 0.0), window)
    index = 100 * rolling.ratio(up, up + down, floor=0.0, neutral=0.5)
    return np.where(windows.total(market.volume, window) > 0, index, np.nan)


def _place_in_range(market: Market) -> Floats:
    """Place of the close in its bar: -1 at the low, 1 at the high, 0 where the bar has no range."""
    distance = (market.close - market.low) - (market.high - market.close)
    return rolling.ratio(distance, market.high - market.low, floor=market.still, neutral=0.0)


def _surprise(volume: Floats, traded: Floats, window: int) -> Floats:
    """Distance to the window's mean in deviations; 0 where volume does not vary."""
    distance, spread = volume - traded / window, windows.deviation(volume, window)
    return np.where(traded > 0, rolling.ratio(distance, spread, floor=ROUNDING * traded, neutral=0.0), np.nan)
