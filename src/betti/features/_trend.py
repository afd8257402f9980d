"""Technical indicators of trend: MACD, directional movement, Aroon, Supertrend, distances to moving averages.

Formulas, units and sources stand in the table of `technical.py`. What does not belong here: oscillators, volatility.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from betti.features import _rolling as rolling
from betti.features import _windows as windows
from betti.features._compiled import compiled
from betti.features._market import HISTORY, distance_to_mean

if TYPE_CHECKING:
    from betti.features._market import Columns, Floats, Market

__all__ = ["ATR_BARS", "PATH", "aroon", "directional", "distances", "macd", "supertrend"]

_FAST, _SLOW, _SIGNAL = 12, 26, 9
_DIRECTIONAL = 10
_AROON = 25
_SUPERTREND, _MULTIPLIER = 10, 3.0

ATR_BARS = 132  # true ranges in Supertrend's average: what lies before them weighs 1e-6
PATH = HISTORY - ATR_BARS + 1  # bars that its bands are followed over

_LANES = 256  # rows that take a step of a recursion together


def macd(market: Market) -> Columns:
    """Line, signal and histogram as shares of the close; exactly 0 where price stood still."""
    line, signal = (windows.weighted(market.change, weights) for weights in _macd_weights())
    yield f"macd_{_FAST}_{_SLOW}", line / market.close
    yield f"macd_signal_{_SIGNAL}", signal / market.close
    yield "macd_histogram", (line - signal) / market.close


@cache
def _macd_weights() -> tuple[Floats, Floats]:
    """Weights of the line and of its signal on the last `HISTORY` changes of the close, the newest first.

    Both are linear in the changes, so that their recursion over unit changes gives them. The means start at the oldest
    close, the signal as soon as the slow mean has its 26 bars, as in `ta`.
    """
    closes = np.tri(HISTORY + 1, HISTORY, -1)  # row k: which changes the close of bar k has seen
    fast = slow = closes[0]
    line = signal = fast - slow
    for bar, close in enumerate(closes[1:], start=1):
        fast, slow = _next(fast, close, _FAST), _next(slow, close, _SLOW)
        line = fast - slow
        signal = line if bar < _SLOW else _next(signal, line, _SIGNAL)
    return line[::-1].copy(), signal[::-1].copy()


def _next(mean: Floats, value: Floats, span: int) -> Floats:
    """An exponential mean one bar on."""
    decay = rolling.span_decay(span)
    return decay * mean + (1 - decay) * value


def directional(market: Market) -> Columns:
    """Directional indicators and their average index, 0 to 100; 0 where price stood still."""
    up = market.high - rolling.lagged(market.high, 1)
    down = rolling.lagged(market.low, 1) - market.low
    decay = rolling.wilder_decay(_DIRECTIONAL)
    rises, falls = _counted(up, down, market.still), _counted(down, up, market.still)
    spread = windows.faded(market.true_range, decay, HISTORY)
    yield f"adx_{_DIRECTIONAL}", 100 * _average_index(rises, falls, market.still, decay, HISTORY)
    for name, moves in (("plus", rises), ("minus", falls)):
        share = rolling.ratio(windows.faded(moves, decay, HISTORY), spread, floor=market.still, neutral=0.0)
        yield f"{name}_di_{_DIRECTIONAL}", 100 * share


def _counted(move: Floats, other: Floats, still: Floats) -> Floats:
    """Moves that count: positive and the larger of the two. Two alike but for rounding count for neither side."""
    return np.where(np.isnan(move), np.nan, np.where((move - other > still) & (move > still), move, 0.0))


def aroon(market: Market) -> Columns:
    """How recent the window's high and low are, 0 to 100, and their difference."""
    ages = (windows.bars_since_highest(prices, _AROON + 1) for prices in (market.high, -market.low))
    up, down = (100 * (_AROON - age) / _AROON for age in ages)
    yield f"aroon_up_{_AROON}", up
    yield f"aroon_down_{_AROON}", down
    yield f"aroon_oscillator_{_AROON}", up - down


def supertrend(market: Market) -> Columns:
    """Direction of the trend and distance to the band that would end it."""
    middle = (market.high + market.low) / 2
    width = _MULTIPLIER * windows.faded(market.true_range, rolling.wilder_decay(_SUPERTREND), ATR_BARS)
    # A close beyond a band by rounding has not crossed it.
    lowered, raised = market.close - market.still, market.close + market.still
    direction, band = _followed(middle + width, middle - width, lowered, raised, ATR_BARS, PATH)
    yield f"supertrend_direction_{_SUPERTREND}", direction
    distance = (market.close - band) / market.close
    yield f"supertrend_distance_{_SUPERTREND}", np.where(direction == 0, 0.0, distance)


def distances(market: Market) -> Columns:
    """Close over its simple or exponential mean, less one."""
    for window in (5, 10, 20, 50, 100, 200):
        yield f"sma_distance_{window}", market.close / windows.mean(market.close, window) - 1
    for span in (8, 13, 21, 34):
        distance = distance_to_mean(market, span)
        yield f"ema_distance_{span}", distance / (market.close - distance)


# Compiled -----------------------------------------------------------------------------------------------------------


@compiled
def _average_index(rises: Floats, falls: Floats, still: Floats, decay: float, bars: int) -> Floats:
    """Average directional index, 0 to 1: Wilder's two smoothings, both started at nothing `bars` moves back.

    Each row runs its own recursion, so that it reads no bar before them; many rows take each step together.
    """
    rows = len(rises)
    found = np.full(rows, np.nan)
    up, down = np.empty(_LANES), np.empty(_LANES)
    weight = (1 - decay) / (1 - decay**bars)
    for first in range(bars, rows, _LANES):
        held = found[first : min(first + _LANES, rows)]
        quiet = still[first : first + len(held)]
        up[:], down[:], held[:] = 0.0, 0.0, 0.0
        for age in range(bars - 1, -1, -1):
            rise = rises[first - age : first - age + len(held)]
            fall = falls[first - age : first - age + len(held)]
            for k in range(len(held)):
                up[k] = decay * up[k] + rise[k]
                down[k] = decay * down[k] + fall[k]
                moved = up[k] + down[k]
                share = abs(up[k] - down[k]) / moved
                held[k] = decay * held[k] + (share if moved > quiet[k] else 0.0)
        for k in range(len(held)):
            held[k] *= weight
    return found


@compiled
def _followed(
    upper: Floats, lower: Floats, lowered: Floats, raised: Floats, first: int, path: int
) -> tuple[Floats, Floats]:
    """Supertrend's direction and band, each row's followed from `path` - 1 bars before it on.

    Args:
        upper, lower: (n,) bands before they are held, valid from row `first` on.
        lowered, raised: (n,) the close less and plus what is rounding.
        first: the first valid row.
        path: bars of each run, the row's own included.

    Returns:
        Direction 1 up, -1 down, 0 where no band was crossed; the band below or above the close, NaN where none.
    """
    rows = len(upper)
    direction, band = np.full(rows, np.nan), np.full(rows, np.nan)
    # The last run's bands and side, by bar: where the next run meets it, the rest is known.
    tops, bottoms, sides = np.full(rows, np.nan), np.full(rows, np.nan), np.zeros(rows)
    for row in range(first + path - 1, rows):
        bar = row - path + 1
        top, bottom, side = upper[bar], lower[bar], 0.0
        while bar < row:
            side = _turned(side, lowered[bar] > top, raised[bar] < bottom)
            if tops[bar] == top and bottoms[bar] == bottom and sides[bar] == side:
                bar = row - 1
                top, bottom, side = tops[bar], bottoms[bar], sides[bar]
            tops[bar], bottoms[bar], sides[bar] = top, bottom, side
            # A band that a close crossed is let go at the next bar.
            above, below = lowered[bar] > top, raised[bar] < bottom
            bar += 1
            top = upper[bar] if above or upper[bar] < top else top
            bottom = lower[bar] if below or lower[bar] > bottom else bottom
        side = _turned(side, lowered[row] > top, raised[row] < bottom)
        tops[row], bottoms[row], sides[row] = top, bottom, side
        direction[row] = side
        if side != 0:
            band[row] = bottom if side > 0 else top
    return direction, band


@compiled
def _turned(side: float, above: bool, below: bool) -> float:
    """The side of the trend after a bar that closed above the upper band or below the lower one."""
    if side > 0:
        return -1.0 if below else 1.0
    return 1.0 if above else (-1.0 if below else side)
