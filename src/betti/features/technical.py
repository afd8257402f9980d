"""Technical indicators as scale-free columns: ratios, log returns, bounded oscillators; never a raw price.

Every value depends on a finite past of `lookback()` bars, bit for bit, so that a month computed alone equals the same
month computed within years. That decides what `ta` computes: its indicators over plain windows (rate of change,
stochastic, Williams %R, Donchian) come from there. Its recursive ones (RSI, MACD, ATR, ADX) remember the first bar of
the frame, and those that call Python once per bar (CCI, MFI, Aroon) are slow: these are computed here with
`betti.features._rolling` and tested against `ta`.

Volume columns count a missing volume as zero, and are NaN while their whole window has none: a market without volume
has them declared missing. What does not belong here: topology, complexity, and anything that reads a calendar.

The number in a name is the window n in bars. With c close, o open, h high, l low, r one-bar log return, typical price
(h + l + c) / 3:

| column | what | unit | source |
|---|---|---|---|
| log_return_* | log(c[t] / c[t-n]) | log units | - |
| roc_* | c[t] / c[t-n] - 1 | per cent | ta |
| rsi_* | share of rises in smoothed rises and falls | 0..100 | Wilder 1978 |
| stochastic_k_14 | place of c in the window's range | 0..100 | Lane 1984; ta |
| stochastic_d_14 | 3-bar mean of stochastic_k_14 | 0..100 | Lane 1984 |
| williams_r_14 | distance of c to the window's high, negative, over its range | -100..0 | Williams 1973; ta |
| cci_20 | (typical price - its mean) / (.015 x mean absolute distance) | pure number | Lambert 1980 |
| macd_12_26 | difference of the two exponential means / c | share of price | Appel 1979 |
| macd_signal_9 | exponential mean of that difference / c | share of price | Appel 1979 |
| macd_histogram | macd_12_26 - macd_signal_9 | share of price | Aspray 1986 |
| adx_10 | smoothed abs(plus - minus) / (plus + minus), directional indicators | 0..100 | Wilder 1978 |
| plus_di_10, minus_di_10 | smoothed upward, downward movement / smoothed true range | 0..100 | Wilder 1978 |
| aroon_* | 100 x (25 - bars since the high, low of 26 bars) / 25 | 0..100 | Chande 1995 |
| sma_distance_* | c / mean - 1 | share of price | - |
| ema_distance_* | c / exponential mean - 1 | share of price | - |
| bollinger_width_50 | 4 x deviation of c / its mean | share of price | Bollinger 2001 |
| bollinger_b_20 | place of c between the bands at 2 deviations | 0 lower, 1 upper band | Bollinger 2001 |
| keltner_position_20 | (c - exponential mean) / (2 x average true range) | pure number | after Keltner 1960 |
| donchian_position_* | place of c in the window's range | 0..1 | ta |
| atr_ratio_14 | average true range / c | share of price | Wilder 1978 |
| volatility_* | deviation of r | log units per bar | - |
| parkinson_20 | volatility from log(h / l) | log units per bar | Parkinson 1980 |
| garman_klass_20 | volatility from log(h / l) and log(c / o) | log units per bar | Garman and Klass 1980 |
| rogers_satchell_20 | volatility from all four, unbiased by drift | log units per bar | Rogers and Satchell 1991 |
| mfi_14 | share of value traded in bars whose typical price rose | 0..100 | Quong and Soudack 1989 |
| obv_20 | signed volume / volume | -1..1 | after Granville 1963 |
| cmf_20 | volume x place of c in its bar's range / volume | -1..1 | ta |
| vwap_distance_20 | c / volume-weighted typical price - 1 | share of price | - |
| volume_z_20 | volume's distance to its mean | deviations | - |
| volume_ratio_5_20 | mean volume of 5 bars / of 20 | pure number | - |
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from ta.momentum import ROCIndicator, StochasticOscillator, WilliamsRIndicator
from ta.volatility import DonchianChannel

from betti.features import _rolling as rolling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["COLUMNS", "compute", "lookback"]

COLUMNS = (
    *(f"log_return_{bars}" for bars in (1, 2, 5, 10, 20, 60)),
    *("roc_10", "roc_30"),
    *("rsi_7", "rsi_14", "stochastic_k_14", "stochastic_d_14", "williams_r_14", "cci_20"),
    *("macd_12_26", "macd_signal_9", "macd_histogram"),
    *("adx_10", "plus_di_10", "minus_di_10", "aroon_up_25", "aroon_down_25"),
    *("sma_distance_10", "sma_distance_20", "sma_distance_50"),
    *("ema_distance_8", "ema_distance_21", "ema_distance_34"),
    *("bollinger_width_50", "bollinger_b_20", "keltner_position_20", "donchian_position_20", "donchian_position_55"),
    *("atr_ratio_14", "volatility_20", "volatility_60", "parkinson_20", "garman_klass_20", "rogers_satchell_20"),
    *("mfi_14", "obv_20", "cmf_20", "vwap_distance_20", "volume_z_20", "volume_ratio_5_20"),
)

_ADX = 10
# The longest chain: one bar for the true range, then Wilder's smoothing twice (directional movement, then ADX).
_LOOKBACK = 1 + 2 * (rolling.memory(rolling.wilder_decay(_ADX)) - 1)

# Below this share of the price a range is rounding, not movement.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class _Market:
    """One symbol's bars as arrays (price and traded units), with what several groups need."""

    bars: pd.DataFrame
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @property
    def before(self) -> Floats:
        """The previous close."""
        return rolling.lagged(self.close, 1)

    @property
    def typical(self) -> Floats:
        """(high + low + close) / 3."""
        return (self.high + self.low + self.close) / 3

    @property
    def still(self) -> Floats:
        """Price distances up to this one are rounding."""
        return _ROUNDING * self.close

    @property
    def true_range(self) -> Floats:
        """Range of the bar, the previous close included (Wilder 1978)."""
        highest: Floats = np.maximum(self.high, self.before)
        lowest: Floats = np.minimum(self.low, self.before)
        return highest - lowest


def lookback() -> int:
    """Earlier bars that a row depends on: the longest chain of windows in this file."""
    return _LOOKBACK


def compute(bars: pd.DataFrame) -> pd.DataFrame:
    """All technical columns of one symbol.

    Args:
        bars: columns as in `betti.schemas.BARS`, in time order.

    Returns:
        One row per bar, `COLUMNS` in float64; rows before `lookback()` hold no meaning, and a frame that ends there is
        all NaN.
    """
    if len(bars) <= _LOOKBACK:
        return pd.DataFrame(np.nan, index=bars.index, columns=list(COLUMNS))
    market = _market(bars)
    groups = (_returns, _oscillators, _macd, _directional, _aroon, _distances, _bands, _volatility, _volume)
    found: dict[str, Floats] = {}
    for group in groups:
        found |= group(market)
    return pd.DataFrame(found, index=bars.index)[list(COLUMNS)]


def _market(bars: pd.DataFrame) -> _Market:
    columns = {name: bars[name].to_numpy(dtype="float64") for name in ("open", "high", "low", "close")}
    return _Market(bars, volume=np.nan_to_num(bars["volume"].to_numpy(dtype="float64"), nan=0.0), **columns)


def _filled(series: pd.Series[float], neutral: float) -> Floats:
    """An indicator of `ta`, with `neutral` where a flat window made it 0 / 0."""
    values = series.to_numpy(dtype="float64")
    return np.where(np.isfinite(values), values, neutral)


def _returns(market: _Market) -> dict[str, Floats]:
    """Log returns over h bars (pure number) and rates of change (percent)."""
    close = market.bars["close"]
    logs = {f"log_return_{h}": np.log(market.close / rolling.lagged(market.close, h)) for h in (1, 2, 5, 10, 20, 60)}
    return logs | {f"roc_{h}": ROCIndicator(close, window=h).roc().to_numpy(dtype="float64") for h in (10, 30)}


def _rsi(market: _Market, window: int) -> Floats:
    """Relative strength index (Wilder 1978), 0 to 100; 50 where price stood still."""
    change = market.close - market.before
    decay = rolling.wilder_decay(window)
    gain = rolling.exponential(np.maximum(change, 0), decay)
    loss = rolling.exponential(np.maximum(-change, 0), decay)
    return 100 * rolling.ratio(gain, gain + loss, floor=market.still, neutral=0.5)


def _oscillators(market: _Market) -> dict[str, Floats]:
    """RSI, stochastic and Williams %R (percent of the window's range), commodity channel index (Lambert 1980)."""
    high, low, close = (market.bars[name] for name in ("high", "low", "close"))
    fast = _filled(StochasticOscillator(high, low, close, window=14, smooth_window=3).stoch(), 50.0)
    williams = _filled(WilliamsRIndicator(high, low, close, lbp=14).williams_r(), -50.0)
    distance = market.typical - rolling.mean(market.typical, 20)
    spread = rolling.absolute_deviation(market.typical, 20)
    return {
        "rsi_7": _rsi(market, 7),
        "rsi_14": _rsi(market, 14),
        "stochastic_k_14": fast,
        "stochastic_d_14": rolling.mean(fast, 3),
        "williams_r_14": williams,
        "cci_20": rolling.ratio(distance / 0.015, spread, floor=market.still, neutral=0.0),
    }


def _macd(market: _Market) -> dict[str, Floats]:
    """Moving average convergence divergence (Appel 1979) as shares of the close."""
    fast, slow = (rolling.exponential(market.close, rolling.span_decay(span)) for span in (12, 26))
    line = fast - slow
    signal = rolling.exponential(line, rolling.span_decay(9))
    return {
        "macd_12_26": line / market.close,
        "macd_signal_9": signal / market.close,
        "macd_histogram": (line - signal) / market.close,
    }


def _directional(market: _Market) -> dict[str, Floats]:
    """Directional indicators and their average index (Wilder 1978), 0 to 100; 0 where price stood still."""
    up = market.high - rolling.lagged(market.high, 1)
    down = rolling.lagged(market.low, 1) - market.low
    decay = rolling.wilder_decay(_ADX)
    spread = rolling.exponential(market.true_range, decay)

    def indicator(move: Floats, other: Floats) -> Floats:
        counted = np.where((move > other) & (move > 0), move, 0.0)
        return 100 * rolling.ratio(rolling.exponential(counted, decay), spread, floor=market.still, neutral=0.0)

    plus, minus = indicator(up, down), indicator(down, up)
    index = 100 * rolling.ratio(np.abs(plus - minus), plus + minus, floor=_ROUNDING, neutral=0.0)
    return {"adx_10": rolling.exponential(index, decay), "plus_di_10": plus, "minus_di_10": minus}


def _aroon(market: _Market) -> dict[str, Floats]:
    """Aroon (Chande 1995): 100 x (25 - bars since the high or low of the last 26 bars) / 25."""
    return {
        "aroon_up_25": 4 * (25 - rolling.bars_since(market.high, 26, np.maximum)),
        "aroon_down_25": 4 * (25 - rolling.bars_since(market.low, 26, np.minimum)),
    }


def _distances(market: _Market) -> dict[str, Floats]:
    """Close over its simple or exponential mean, minus one."""
    simple = {f"sma_distance_{n}": market.close / rolling.mean(market.close, n) - 1 for n in (10, 20, 50)}
    return simple | {
        f"ema_distance_{n}": market.close / rolling.exponential(market.close, rolling.span_decay(n)) - 1
        for n in (8, 21, 34)
    }


def _bands(market: _Market) -> dict[str, Floats]:
    """Where the close lies in Bollinger, Keltner and Donchian bands.

    Bollinger (2001): %B is 0 at the lower band and 1 at the upper, width is (upper - lower) / middle, two deviations a
    side. Keltner: distance to the exponential mean in units of two average true ranges. Donchian: share of the range.
    """
    middle, spread = rolling.mean(market.close, 20), rolling.deviation(market.close, 20)
    centre = rolling.exponential(market.close, rolling.span_decay(20))
    atr = rolling.exponential(market.true_range, rolling.wilder_decay(10))
    return {
        "bollinger_width_50": 4 * rolling.deviation(market.close, 50) / rolling.mean(market.close, 50),
        "bollinger_b_20": 0.5 + rolling.ratio((market.close - middle) / 4, spread, floor=market.still, neutral=0.0),
        "keltner_position_20": rolling.ratio((market.close - centre) / 2, atr, floor=market.still, neutral=0.0),
        "donchian_position_20": _donchian(market, 20),
        "donchian_position_55": _donchian(market, 55),
    }


def _donchian(market: _Market, window: int) -> Floats:
    high, low, close = (market.bars[name] for name in ("high", "low", "close"))
    return _filled(DonchianChannel(high, low, close, window=window).donchian_channel_pband(), 0.5)


def _volatility(market: _Market) -> dict[str, Floats]:
    """Volatility per bar, as a share of price.

    Sources: Wilder (1978) for the average true range; Parkinson (1980); Garman and Klass (1980), their estimator 8.5
    in its usual short form; Rogers and Satchell (1991), which a drift does not bias.
    """
    change = np.log(market.close / market.before)
    spread, body = np.log(market.high / market.low), np.log(market.close / market.open)
    garman = 0.5 * spread**2 - (2 * math.log(2) - 1) * body**2
    above = np.log(market.high / market.close) * np.log(market.high / market.open)
    below = np.log(market.low / market.close) * np.log(market.low / market.open)
    return {
        "atr_ratio_14": rolling.exponential(market.true_range, rolling.wilder_decay(14)) / market.close,
        "volatility_20": rolling.deviation(change, 20),
        "volatility_60": rolling.deviation(change, 60),
        "parkinson_20": np.sqrt(rolling.mean(spread**2, 20) / (4 * math.log(2))),
        # Both are sums of non-negative terms on paper; rounding can leave -1e-20.
        "garman_klass_20": np.sqrt(np.maximum(rolling.mean(garman, 20), 0)),
        "rogers_satchell_20": np.sqrt(np.maximum(rolling.mean(above + below, 20), 0)),
    }


def _volume(market: _Market) -> dict[str, Floats]:
    """Volume columns; NaN where their window holds no volume.

    Money flow index (Quong and Soudack 1989), 0 to 100; on-balance volume (Granville 1963) over 20 bars as a share of
    their volume, -1 to 1; Chaikin money flow, -1 to 1; close over the window's volume-weighted typical price minus
    one; volume in deviations from its 20-bar mean; 5-bar over 20-bar mean volume.
    """
    volume = market.volume
    traded = rolling.total(volume, 20)
    position = rolling.ratio(
        2 * market.close - market.low - market.high, market.high - market.low, floor=market.still, neutral=0.0
    )

    def weighted(values: Floats) -> Floats:
        return rolling.ratio(rolling.total(values * volume, 20), traded, floor=0.0, neutral=np.nan)

    surprise = rolling.ratio(volume - traded / 20, rolling.deviation(volume, 20), floor=_ROUNDING * traded, neutral=0.0)
    return {
        "mfi_14": _money_flow(market),
        "obv_20": weighted(np.sign(market.close - market.before)),
        "cmf_20": weighted(position),
        "vwap_distance_20": market.close / weighted(market.typical) - 1,
        "volume_z_20": np.where(traded > 0, surprise, np.nan),
        "volume_ratio_5_20": rolling.ratio(4 * rolling.total(volume, 5), traded, floor=0.0, neutral=np.nan),
    }


def _money_flow(market: _Market) -> Floats:
    """Money flow index: the share of traded value in bars whose typical price rose; 50 where none moved."""
    typical, value = market.typical, market.typical * market.volume
    earlier = rolling.lagged(typical, 1)
    rising = rolling.total(np.where(typical > earlier, value, 0.0), 14)
    falling = rolling.total(np.where(typical < earlier, value, 0.0), 14)
    index = 100 * rolling.ratio(rising, rising + falling, floor=0.0, neutral=0.5)
    return np.where(rolling.total(market.volume, 14) > 0, index, np.nan)
