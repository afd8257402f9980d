"""Microstructure seen from bars: noise-free volatility, jumps, illiquidity, spreads, price impact, trading halts.

With n = `window`, K = `scale`, p the log close, r its one-bar change, v volume, sums and means over the last n bars:

| column | formula | unit and range | source |
|---|---|---|---|
| two_scale_volatility | root of the two-scale realised variance per bar | log return, >= 0 | Zhang et al. 2005 |
| bipower_volatility | root of pi / 2 x mean abs(r[t] r[t-1]) | log return, >= 0 | Barndorff-Nielsen et al. 2004 |
| jump_share | max(0, 1 - bipower / realised variance) | share of variance, 0..1 | Huang and Tauchen 2005 |
| amihud_illiquidity | mean abs(return) / (close x v), bars that traded | return per million of money | Amihud 2002 |
| roll_spread | 2 root of -cov(r[t], r[t-1]), 0 where positive | share of price | Roll 1984 |
| corwin_schultz_spread | mean of two-bar high-low spreads, negative as 0 | share of price | Corwin and Schultz 2012 |
| abdi_ranaldo_spread | 2 root of mean (p - q)[t-1] (p[t-1] - q[t]) | share of price | Abdi and Ranaldo 2017 |
| kyle_lambda | slope of r on net bought volume / mean v | log return per mean volume of a bar | Kyle 1985 |
| volume_decile_* | volume in each tenth of the price range, from below | share of 1 | Steidlmayer 1984 |
| state_* | in force at the bar's close; one is 1, the others 0 | 0 or 1 | SEC Rule 201; price limit plan 2012 |

Barndorff-Nielsen's co-author is Shephard; q is the middle of log high and log low. Kyle's lambda is estimated by least
squares, as usual.

The two scales: (mean over K grids of the sum of squared K-bar changes - (m / n) sum r^2) / (1 - m / n), m =
(n - K + 1) / K, the paper's estimator with its small-sample factor. Noise between bars inflates sum r^2 and cancels
here. The window's ends weigh less, so that it reads about (K - 1) / n low, and it can fall below 0: 0 then.

Net bought volume is what takers bought less what they sold, where the source says so. Elsewhere it is estimated by
bulk volume classification from r itself: the slope then tells less, for r is on both sides. How many rows were
`measured` and `estimated` is counted (`betti.counts`).

States are normal, short sales restricted, at a price limit, both. They follow rules over bars, after Rule 201 of the
SEC's Regulation SHO (2010) and the Plan to Address Extraordinary Market Volatility (2012), for the symbols in
`us_equities` alone; all others are normal. Short sales are restricted from a fall of 10 % below the last regular close
to the end of the next trading day. A bar is at a price limit when it touches the band of 5 %, in the last 25 minutes
10 %, around the mean price of the five minutes before it (the open at the session's start): the rule for liquid shares
above 3 dollars. Regular hours are 9:30 to 16:00 in New York; early closes are not known. Bars longer than five minutes
do not show price limits: the columns that need them are missing.

A night or a gap counts as one change, like any other. Volume columns are missing (NaN) while their window has no
volume; a flat market gives 0 and tenths alike. What does not belong here: order books and quotes, and volatility that
takes a bar's close as it is (`technical`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from betti import counts
from betti.errors import BadParam
from betti.features import _rolling as rolling
from betti.features._bought import bought

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = ["COLUMNS", "SPREADS", "STATES", "VOLUME_PROFILE", "compute", "lookback"]

SPREADS = ("roll_spread", "corwin_schultz_spread", "abdi_ranaldo_spread")
VOLUME_PROFILE = tuple(f"volume_decile_{tenth:02d}" for tenth in range(1, 11))
STATES = ("state_normal", "state_short_sale_restricted", "state_price_limit", "state_both")

COLUMNS = (
    *("two_scale_volatility", "bipower_volatility", "jump_share"),
    *("amihud_illiquidity", *SPREADS, "kyle_lambda"),
    *VOLUME_PROFILE,
    *STATES,
)

_ROUNDING = 1e-12  # a distance below this share of the price is rounding, not movement
_MILLION = 1e6
_TENTHS = len(VOLUME_PROFILE)
_BATCH = 1 << 14  # rows whose profile is made together: their sums stay in the processor's cache

_NEW_YORK = "America/New_York"
_DAY, _MINUTE = 86_400_000_000, 60_000_000  # microseconds
_OPENS, _CLOSES, _WIDENS = 9 * 60 + 30, 16 * 60, 16 * 60 - 25  # minutes since midnight
_FALL, _BAND, _REFERENCE = 0.10, 0.05, 5  # share of price, share of price, minutes
_SHORT_ENOUGH = (_CLOSES - _OPENS) // _REFERENCE  # bars of a regular session that shows price limits


@dataclass(frozen=True)
class _Market:
    """One symbol's bars as arrays, each (n,)."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @property
    def returns(self) -> Floats:
        """One-bar log returns."""
        price = np.log(self.close)
        return price - rolling.lagged(price, 1)


def lookback(*, window: int = 60, scale: int = 5, session_bars: int = 1, **_: object) -> int:
    """Earlier bars that a row depends on: two windows, or the close before the day before.

    Raises:
        BadParam: the window holds less than two of the slow scale.
    """
    _fits(window, scale)
    # The bar may be the last of its day, and the close that the day before is held to may lie a day after hours back.
    return max(2 * window - 1, 3 * session_bars - 1)


def compute(
    bars: pd.DataFrame,
    *,
    window: Annotated[int, Field(ge=20, le=2016)] = 60,
    scale: Annotated[int, Field(ge=2, le=200)] = 5,
    us_equities: tuple[str, ...] = (),
    session_bars: Annotated[int, Field(ge=1, le=1500)] = 1,
) -> pd.DataFrame:
    """The microstructure columns of one symbol.

    Args:
        bars: columns as in `betti.schemas.BARS`, in time order; of the optional ones those of takers are read.
        window: bars that each column but the states summarises.
        scale: bars of the slow scale of the two-scale variance; at most half the window.
        us_equities: symbols under the short sale and price limit rules of the United States.
        session_bars: the most bars on one day in New York, hours outside the regular session included; 1 for daily
            bars, which count as one session each. It bounds how far the states look back.

    Returns:
        One row per bar, `COLUMNS` in float64; NaN where a window is not full. Carries how many rows after the
        look-back had their bought volume `measured` and `estimated` (`betti.counts`).

    Raises:
        BadParam: the window holds less than two of the slow scale, or a day has more bars than `session_bars`.
    """
    back = lookback(window=window, scale=scale, session_bars=session_bars)
    market = _market(bars)
    flow = bought(bars, window)
    found = (
        _variation(market, window, scale)
        | {"amihud_illiquidity": _amihud(market, window)}
        | _spreads(market, window)
        | {"kyle_lambda": _kyle(market, flow.net, window)}
        | dict(zip(VOLUME_PROFILE, _volume_profile(market, window).T, strict=True))
        | _states(bars, market, us_equities, session_bars, back)
    )
    return counts.attach(pd.DataFrame(found, index=bars.index)[list(COLUMNS)], flow.said(back))


def _fits(window: int, scale: int) -> None:
    if 2 * scale > window:
        raise BadParam("features.microstructure.scale", scale, f"it takes at most half the window of {window} bars")


def _market(bars: pd.DataFrame) -> _Market:
    columns = {name: bars[name].to_numpy(dtype="float64") for name in ("open", "high", "low", "close")}
    return _Market(volume=np.nan_to_num(bars["volume"].to_numpy(dtype="float64"), nan=0.0), **columns)


# --- variation


def _variation(market: _Market, window: int, scale: int) -> dict[str, Floats]:
    """Two-scale and bipower volatility per bar, and the share of variance that jumps made."""
    price, change = np.log(market.close), market.returns
    realised = rolling.total(change**2, window)
    # Within the window n changes span n + 1 closes, of which n - K + 1 pairs lie K apart.
    slow = rolling.total((price - rolling.lagged(price, scale)) ** 2, window - scale + 1) / scale
    share = (window - scale + 1) / (scale * window)
    two_scale = np.maximum((slow - share * realised) / (1 - share), 0)
    products = np.abs(change) * np.abs(rolling.lagged(change, 1))
    bipower = math.pi / 2 * window / (window - 1) * rolling.total(products, window - 1)
    jumps = rolling.ratio(np.maximum(realised - bipower, 0), realised, floor=window * _ROUNDING**2, neutral=0.0)
    return {
        "two_scale_volatility": np.sqrt(two_scale / window),
        "bipower_volatility": np.sqrt(bipower / window),
        "jump_share": jumps,
    }


# --- liquidity


def _amihud(market: _Market, window: int) -> Floats:
    """Mean absolute return per million of currency traded; NaN where no bar of the window traded."""
    move = np.abs(market.close / rolling.lagged(market.close, 1) - 1)
    impact = rolling.ratio(move, market.close * market.volume, floor=0.0, neutral=0.0)
    # Volume may come after a first bar without: its move is unknown all the same.
    impact[np.isnan(move)] = np.nan
    traded = rolling.total(np.where(market.volume > 0, 1.0, 0.0), window)
    return _MILLION * rolling.ratio(rolling.total(impact, window), traded, floor=0.0, neutral=np.nan)


def _spreads(market: _Market, window: int) -> dict[str, Floats]:
    """The three estimates of the spread between bid and ask, as shares of the price."""
    change, price = market.returns, np.log(market.close)
    bounce = rolling.covariance(change, rolling.lagged(change, 1), window)
    distance = price - (np.log(market.high) + np.log(market.low)) / 2
    onward = rolling.lagged(price, 1) - (price - distance)
    reversal = rolling.mean(rolling.lagged(distance, 1) * onward, window)
    values = (
        2 * np.sqrt(np.maximum(-bounce, 0)),
        rolling.mean(np.maximum(_high_low_spread(market), 0), window),
        2 * np.sqrt(np.maximum(reversal, 0)),
    )
    return dict(zip(SPREADS, values, strict=True))


def _high_low_spread(market: _Market) -> Floats:
    """Corwin and Schultz 2012, eq. 14 and 18, for each bar and the one before.

    As they do overnight, a bar that lies wholly beyond the close before it is moved back to that close.
    """
    before = rolling.lagged(market.close, 1)
    gap = np.maximum(market.low - before, 0) + np.minimum(market.high - before, 0)
    high, low = market.high - gap, market.low - gap
    earlier_high, earlier_low = rolling.lagged(market.high, 1), rolling.lagged(market.low, 1)
    beta = np.log(high / low) ** 2 + np.log(earlier_high / earlier_low) ** 2
    gamma = np.log(np.maximum(high, earlier_high) / np.minimum(low, earlier_low)) ** 2
    scale = 3 - 2 * math.sqrt(2)
    alpha = (math.sqrt(2) - 1) * np.sqrt(beta) / scale - np.sqrt(gamma / scale)
    spread: Floats = 2 * np.tanh(alpha / 2)
    return spread


def _kyle(market: _Market, net: Floats, window: int) -> Floats:
    """Slope of the return on net bought volume, in mean volumes; 0 where that does not vary, NaN without volume."""
    usual = rolling.mean(market.volume, window)
    spread = rolling.deviation(net, window)
    # In steps, because the square of a volume can leave the range of numbers.
    moved = rolling.ratio(rolling.covariance(market.returns, net, window), spread, floor=_ROUNDING * usual, neutral=0.0)
    slope = rolling.ratio(moved * usual, spread, floor=_ROUNDING * usual, neutral=0.0)
    return np.where(usual > 0, slope, np.nan)


def _volume_profile(market: _Market, window: int) -> Floats:
    """(n, 10): share of the window's volume in each tenth of its price range, by the bars' typical price."""
    rows = len(market.close)
    profile = np.full((rows, _TENTHS), np.nan)
    typical = (market.high + market.low + market.close) / 3
    bottom = rolling.extreme(market.low, window, np.minimum)
    height = rolling.extreme(market.high, window, np.maximum) - bottom
    per_price = rolling.ratio(np.full(rows, float(_TENTHS)), height, floor=_ROUNDING * market.close, neutral=0.0)
    for first in range(window - 1, rows, _BATCH):
        own = slice(first, min(first + _BATCH, rows))
        held, cells = np.zeros((own.stop - first) * _TENTHS), np.arange(own.stop - first) * _TENTHS
        for age in range(window):
            aged = slice(first - age, own.stop - age)
            tenth = ((typical[aged] - bottom[own]) * per_price[own]).astype(np.int64)
            # Rounding can lift the highest price out of the last tenth, or drop the lowest below the first.
            held[cells + np.clip(tenth, 0, _TENTHS - 1)] += market.volume[aged]
        profile[own] = held.reshape(-1, _TENTHS)
    traded = rolling.total(market.volume, window)[:, np.newaxis]
    flat = (per_price == 0)[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        return np.where(flat & (traded > 0), 1 / _TENTHS, profile / np.where(traded > 0, traded, np.nan))


# --- states


@dataclass(frozen=True)
class _Clock:
    """Where each bar lies in its day, New York time; each (n,).

    Attributes:
        times: open of the bar, microseconds since 1970.
        start: row of the day's first bar.
        minute: minutes since midnight.
        regular: whether it opens in regular hours; every daily bar does.
    """

    times: Integers
    start: Integers
    minute: Integers
    regular: Flags


def _states(
    bars: pd.DataFrame, market: _Market, us_equities: tuple[str, ...], session_bars: int, back: int
) -> dict[str, Floats]:
    """One column per state; those that need price limits are NaN where the bars are too long to show them."""
    restricted, limited = np.zeros(len(bars)), np.zeros(len(bars))
    if len(bars) and bars["symbol"].iloc[0] in us_equities:
        clock = _clock(bars, session_bars)
        restricted = np.where(_short_sale_restricted(clock, market, back), 1.0, 0.0)
        limited = np.where(_at_price_limit(clock, market), 1.0, 0.0)
        if session_bars < _SHORT_ENOUGH:
            limited[:] = np.nan
    free = 1 - np.nan_to_num(limited)
    values = ((1 - restricted) * free, restricted * free, (1 - restricted) * limited, restricted * limited)
    return dict(zip(STATES, values, strict=True))


def _clock(bars: pd.DataFrame, session_bars: int) -> _Clock:
    stamps = bars["timestamp"].dt
    local = stamps.tz_convert(_NEW_YORK).dt.tz_localize(None).to_numpy(dtype="datetime64[us]").astype(np.int64)
    rows, day, minute = np.arange(len(bars)), local // _DAY, local % _DAY // _MINUTE
    start = np.maximum.accumulate(np.where(np.diff(day, prepend=day[:1] - 1) != 0, rows, 0))
    longest = int(np.argmax(rows - start))
    if longest - start[longest] >= session_bars:
        date, symbol = str(local[longest].astype("datetime64[us]"))[:10], bars["symbol"].iloc[0]
        found = f"{symbol} has at least {longest - start[longest] + 1} bars on {date}, New York time; give the most"
        raise BadParam("features.microstructure.session_bars", session_bars, found)
    regular = (minute >= _OPENS) & (minute < _CLOSES) if session_bars > 1 else np.ones(len(bars), dtype=bool)
    times = stamps.tz_localize(None).to_numpy(dtype="datetime64[us]").astype(np.int64)
    return _Clock(times, start, minute, regular)


def _short_sale_restricted(clock: _Clock, market: _Market, back: int) -> Flags:
    """Whether price fell 10 % below the last regular close before its day, that day so far or the day before.

    Closes further back than the look-back count as unknown, so that a row depends on no bar beyond it.
    """
    rows = np.arange(len(clock.start))
    last_regular = np.maximum.accumulate(np.where(clock.regular, rows, -1))
    # The row of the close that each row's day is held to; -1 where there is none.
    before = np.where(clock.start > 0, last_regular[clock.start - 1], -1)
    threshold = (1 - _FALL) * (1 + _ROUNDING) * market.close[before]
    fell = clock.regular & (before >= 0) & (market.low <= threshold)
    so_far = np.maximum.accumulate(np.where(fell, rows, -1)) >= clock.start
    known = (before >= 0) & (rows - before <= back)
    earlier = before[before]
    known_earlier = known & (earlier >= 0) & (rows - earlier <= back)
    restricted: Flags = (known & so_far) | (known_earlier & so_far[before])
    return restricted


def _at_price_limit(clock: _Clock, market: _Market) -> Flags:
    """Whether a bar of the regular session touched the band around the mean price of the five minutes before it."""
    typical = (market.open + market.high + market.low + market.close) / 4
    rows, total, found = np.arange(len(typical)), np.zeros(len(typical)), np.zeros(len(typical))
    for age in range(1, _REFERENCE + 1):
        earlier = np.maximum(rows - age, 0)
        counted = (rows - age >= clock.start) & clock.regular[earlier]
        # Where nothing traded for five minutes the reference stays: the bar before stands for it.
        counted &= (age == 1) | (clock.times - clock.times[earlier] <= _REFERENCE * _MINUTE)
        total += np.where(counted, typical[earlier], 0.0)
        found += counted
    reference = rolling.ratio(total, found, floor=0.0, neutral=np.nan)
    reference = np.where(found > 0, reference, market.open)
    # A price on the band touches it, whatever the rounding.
    band = np.where(clock.minute >= _WIDENS, 2 * _BAND, _BAND) - _ROUNDING
    touched = (market.high >= reference * (1 + band)) | (market.low <= reference * (1 - band))
    return clock.regular & touched
