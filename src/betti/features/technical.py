"""Technical indicators as scale-free columns: ratios, log returns, bounded oscillators; never a raw price.

Every value depends on its own bar and the `lookback()` bars before it, bit for bit, so that a month computed alone
equals the same month computed within years.

The number in a name is the window n in bars. With c close, o open, h high, l low, v volume, b the bought share of a
bar, r one-bar log return, typical price (h + l + c) / 3, and a lag written c[t-n]:

| column | what | unit | source |
|---|---|---|---|
| log_return_* | log(c / c[t-n]) | log units | - |
| return_* | c / c[t-n] - 1 | share of price | - |
| roc_* | 100 x (c / c[t-n] - 1) | per cent | ta |
| rsi_* | 100 x smoothed rises / smoothed rises and falls | 0..100 | Wilder 1978 |
| stochastic_k_14 | 100 x place of c in the window's range | 0..100 | Lane 1984; ta |
| stochastic_d_14 | 3-bar mean of stochastic_k_14 | 0..100 | Lane 1984 |
| williams_r_14 | -100 x distance of c to the window's high / its range | -100..0 | Williams 1973; ta |
| cci_20 | (typical price - its mean) / (.015 x mean absolute distance) | pure number | Lambert 1980 |
| macd_12_26 | (12-bar - 26-bar exponential mean) / c | share of price | Appel 1979 |
| macd_signal_9 | 9-bar exponential mean of that difference / c | share of price | Appel 1979 |
| macd_histogram | macd_12_26 - macd_signal_9 | share of price | Aspray 1986 |
| adx_10 | smoothed 100 x abs(plus - minus) / (plus + minus), directional indicators | 0..100 | Wilder 1978 |
| plus_di_10, minus_di_10 | 100 x smoothed upward, downward movement / true range | 0..100 | Wilder 1978 |
| aroon_up_25, aroon_down_25 | 100 x (25 - bars since the high, low of 26 bars) / 25 | 0..100 | Chande 1995 |
| aroon_oscillator_25 | aroon_up_25 - aroon_down_25 | -100..100 | Chande 1995 |
| supertrend_direction_10 | 1 over the held lower band, -1 under the upper, 0 neither | -1, 0, 1 | after Seban |
| supertrend_distance_10 | (c - the band that would end the trend) / c | share of price | after Seban |
| sma_distance_* | c / mean - 1 | share of price | - |
| ema_distance_* | c / exponential mean - 1 | share of price | - |
| bollinger_width_* | 4 x deviation of c / its mean | share of price | Bollinger 2001 |
| bollinger_b_* | place of c between the bands at 2 deviations | 0 lower, 1 upper band | Bollinger 2001 |
| keltner_position_20 | (c - exponential mean) / (2 x 10-bar average true range) | pure number | after Keltner 1960 |
| donchian_position_* | place of c in the window's range | 0..1 | ta |
| atr_ratio_14 | average true range / c | share of price | Wilder 1978 |
| atr_ratio_5_14 | average true range of 5 bars / of 14 | pure number | - |
| true_range_14 | true range of the bar / average true range | pure number | - |
| volatility_* | deviation of r | log units per bar | - |
| parkinson_* | volatility from log(h / l) | log units per bar | Parkinson 1980 |
| garman_klass_* | volatility from log(h / l) and log(c / o) | log units per bar | Garman and Klass 1980 |
| rogers_satchell_* | volatility from all four, unbiased by drift | log units per bar | Rogers and Satchell 1991 |
| yang_zhang_* | the same and the gap to the bar before | log units per bar | Yang and Zhang 2000 |
| mfi_14 | 100 x value traded in bars whose typical price rose / in those that moved | 0..100 | Quong and Soudack 1989 |
| obv_* | sum of v x sign of the change of c / sum of v | -1..1 | after Granville 1963 |
| cmf_20 | sum of v x place of c in its bar's range / sum of v | -1..1 | Chaikin; ta |
| vwap_distance_* | c / volume-weighted typical price - 1 | share of price | - |
| volume_z_* | v's distance to its mean | deviations | - |
| volume_ratio_5_20 | mean volume of 5 bars / of 20 | pure number | - |
| buy_volume_20, sell_volume_20 | b v / mean v, (1 - b) v / mean v | mean volumes, 0..20 | - |
| delta_20 | (2 b - 1) v / mean v | mean volumes, -20..20 | - |
| cumulative_delta_* | sum of (2 b - 1) v / sum of v | -1..1 | - |

**Recursions** (exponential means, Wilder's smoothing) are started at the oldest bar of the row's own past, 263 bars
before it: what lies further back would weigh 1e-6 at most. So a row is what `ta` gives on those 264 bars alone.

**Supertrend** holds a band 3 average true ranges above and below the middle of its bars: the upper one only falls and
the lower one only rises, until a close crosses it. The textbook follows them from the first bar of the series, however
far back. Here each row follows them over its last 132 bars, and starts without a trend: the first band that is crossed
says its direction. It differs from the textbook where the one before would still hold the band, or where no band was
crossed in 132 bars.

**Volume.** A missing volume counts as zero. A column of volume is NaN while its whole window has none: a market
without volume has them declared missing. The bought share is the takers' own where the bars have `buy_volume` or
`sell_volume`; elsewhere it is estimated from r by bulk volume classification (Easley, Lopez de Prado and O'Hara 2012).
The table says how many bars were `measured` and how many `estimated` (`betti.counts`). On-balance volume and
cumulative delta are windowed, not summed from the first bar.

Where price stood still, a place is in the middle (50, 0.5 or -50), a ratio of ranges 1, the rest 0. Where bars tie,
definitions part: of two equal highs in Aroon's window the later counts (in `ta` the earlier), and an unchanged close
counts for neither side of the on-balance volume (in `ta` as bought). What does not belong here: topology, complexity,
and anything that reads a calendar.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti import counts
from betti.features import _oscillators as oscillators
from betti.features import _trend as trend
from betti.features import _volatility as volatility
from betti.features import _volume as volume
from betti.features._bought import bought
from betti.features._market import HISTORY, Market

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COLUMNS", "compute", "lookback"]

COLUMNS = (
    *(f"log_return_{bars}" for bars in oscillators.LOG_RETURNS),
    *(f"return_{bars}" for bars in oscillators.RETURNS),
    *("roc_10", "roc_30"),
    *("rsi_7", "rsi_14", "stochastic_k_14", "stochastic_d_14", "williams_r_14", "cci_20"),
    *("macd_12_26", "macd_signal_9", "macd_histogram"),
    *("adx_10", "plus_di_10", "minus_di_10", "aroon_up_25", "aroon_down_25", "aroon_oscillator_25"),
    *("supertrend_direction_10", "supertrend_distance_10"),
    *(f"sma_distance_{bars}" for bars in (5, 10, 20, 50, 100, 200)),
    *(f"ema_distance_{bars}" for bars in (8, 13, 21, 34)),
    *("bollinger_width_20", "bollinger_width_50", "bollinger_b_20", "bollinger_b_50"),
    *("keltner_position_20", "donchian_position_20", "donchian_position_55"),
    *("atr_ratio_14", "atr_ratio_5_14", "true_range_14"),
    *("volatility_10", "volatility_20", "volatility_60", "volatility_120"),
    *("parkinson_20", "parkinson_60", "garman_klass_20", "garman_klass_60"),
    *("rogers_satchell_20", "rogers_satchell_60", "yang_zhang_20", "yang_zhang_60"),
    *("mfi_14", "obv_20", "obv_60", "cmf_20", "vwap_distance_20", "vwap_distance_60"),
    *("volume_z_20", "volume_z_60", "volume_ratio_5_20"),
    *("buy_volume_20", "sell_volume_20", "delta_20", "cumulative_delta_20", "cumulative_delta_60"),
)

_PLACE = {name: row for row, name in enumerate(COLUMNS)}
_STRETCH = 1 << 15  # rows computed together: their arrays stay in the processor's cache


def lookback() -> int:
    """Earlier bars that a row depends on: where its recursions start; every window is shorter."""
    return HISTORY


def compute(bars: pd.DataFrame) -> pd.DataFrame:
    """All technical columns of one symbol.

    Args:
        bars: columns as in `betti.schemas.BARS`, in time order; `buy_volume` and `sell_volume` are read where present.

    Returns:
        One row per bar, `COLUMNS` in float64; NaN in the first `lookback()` rows. Carries how many rows after them had
        a bought share `measured` and `estimated` (`betti.counts`), rows without volume not among them.
    """
    values, said = np.full((len(COLUMNS), len(bars)), np.nan), []
    for first in range(HISTORY, len(bars), _STRETCH):
        stop = min(first + _STRETCH, len(bars))
        said.append(_fill(values[:, first:stop], bars.iloc[first - HISTORY : stop]))
    # No copy: at a million bars the table takes 650 MB.
    table = pd.DataFrame(values.T, index=bars.index, columns=list(COLUMNS), copy=False)
    return counts.attach(table, counts.total(said))


def _fill(values: NDArray[np.float64], bars: pd.DataFrame) -> dict[str, int]:
    """Write (columns, rows) for all bars but the first `HISTORY`; what was measured and what estimated among them."""
    market, taken = Market.of(bars), bought(bars, volume.FLOW)
    found = (
        *(oscillators.returns(market), oscillators.oscillators(market), trend.macd(market)),
        *(trend.directional(market), trend.aroon(market), trend.supertrend(market), trend.distances(market)),
        *(oscillators.bands(market), volatility.true_ranges(market), volatility.volatilities(market)),
        *(volume.volumes(market), volume.flows(taken)),
    )
    for name, column in chain.from_iterable(found):
        values[_PLACE[name]] = column[HISTORY:]
    return taken.said(HISTORY)
