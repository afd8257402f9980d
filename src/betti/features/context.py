"""What surrounds the market: news, policy, macroeconomy, each as it was known when the bar closed.

A row enters by its release: what was released before a bar's close is known at that bar (`betti.context._known` says
how long a bar is). W = `news_hours`, H = `news_history_days`; "faded" halves a value every `fade_days`. Every column is
0 where its source is absent, where nothing of it is known yet, or where it has been silent for long.

| column | what | unit and range | source |
|---|---|---|---|
| news_sentiment | mean polarity of the headlines of the last W | -1..1 | VADER: Hutto and Gilbert 2014 |
| news_sentiment_deviation | its deviation among them | 0..1 | VADER |
| news_negative_share | share with a polarity of -0.05 or less | 0..1 | VADER, its own threshold |
| news_sentiment_change | mean of the last W less that of the W before; 0 where one of them has none | -2..2 | VADER |
| news_volume | log(1 + headlines in the last W) | log count, >= 0 | |
| news_volume_surprise | log of headlines in the last W + 1 over the usual number + 1, from the H before | log ratio | |
| news_diversity | different words / words of the last W | 0..1 | Johnson 1944, type-token ratio |
| news_freshness | 1 right after a headline, halved every W | 0..1 | |
| policy_stance | announcement type: 1 supports, -1 restrains; the last one's, faded | -1..1 | |
| policy_urgency | of the last announcement, faded; where not said, 1 if it alone was not scheduled | 0..1 | |
| policy_impact | of the last announcement on the market's sector, faded | -1..1 | |
| policy_freshness | 1 right after an announcement, halved every `fade_days` | 0..1 | |
| policy_imminence | 1 right before the next event on the schedule, halved every `fade_days` of distance | 0..1 | |
| macro_inflation | consumer prices against a year before | per cent | |
| macro_inflation_change | the same, less what it was `change_days` before | percentage points | |
| macro_inflation_surprise | last release less its forecast, faded | percentage points | |
| macro_short_rate | policy or overnight rate | per cent | |
| macro_short_rate_change | against `change_days` before | percentage points | |
| macro_long_rate_change | ten-year yield against `change_days` before | percentage points | |
| macro_term_spread | ten-year less two-year yield | percentage points | |
| macro_growth | output against a year before | per cent | |
| macro_unemployment_change | unemployment rate against a year before | percentage points | |
| macro_credit_spread | against its mean over `history_days` before | deviations, -10..10 | |
| macro_volatility | implied volatility of shares, against the same | deviations, -10..10 | |
| macro_oil_change | oil price against `change_days` before | per cent | |

Freshness tells the time since: hours since the last headline = -W x log2(news_freshness). `MACRO` names the series
behind each column; of several, the first one that is known and not stale counts, at each bar anew.

Daily bars carry a date at 00:00 UTC and close 24 hours later here, after the exchange did: give `delay_minutes` the
distance (240 for New York) where decisions are made at the exchange's close. How many rows found no source, or no
value of a macro column, is counted (`betti.counts`).

What does not belong here: files and publication lags (`betti.context`), and prices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from betti import counts
from betti.context import Context
from betti.context import _known as known
from betti.context import _series as series
from betti.context import _words as words

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Make = Callable[["Asked"], Callable[[series.Standing], float]]

__all__ = ["COLUMNS", "MACRO", "NEWS", "POLICY", "Reading", "compute", "lookback"]

NEWS = (
    *("news_sentiment", "news_sentiment_deviation", "news_negative_share", "news_sentiment_change"),
    *("news_volume", "news_volume_surprise", "news_diversity", "news_freshness"),
)
POLICY = ("policy_stance", "policy_urgency", "policy_impact", "policy_freshness", "policy_imminence")

_NEGATIVE = -words.ONE // 20  # VADER's own threshold of a negative text


@dataclass(frozen=True)
class Asked:
    """The knobs that macro tracks depend on, in days."""

    change: int
    history: int


@dataclass(frozen=True)
class Reading:
    """One series read in one way.

    Attributes:
        series: its name in the macro table.
        how: the knobs -> a reading of `betti.context._series`; None reads its surprises.
        minus: a second series, read in the same way and taken from the first.
    """

    series: str
    how: Make | None
    minus: str | None = None


def _level(_: Asked) -> Callable[[series.Standing], float]:
    return series.level


def _change(asked: Asked) -> Callable[[series.Standing], float]:
    return partial(series.change, days=asked.change)


def _year_change(_: Asked) -> Callable[[series.Standing], float]:
    return partial(series.change, days=series.YEAR)


def _growth(_: Asked) -> Callable[[series.Standing], float]:
    return partial(series.growth, days=series.YEAR)


def _recent_growth(asked: Asked) -> Callable[[series.Standing], float]:
    return partial(series.growth, days=asked.change)


def _growth_change(asked: Asked) -> Callable[[series.Standing], float]:
    return partial(series.growth_change, days=asked.change)


def _standard(asked: Asked) -> Callable[[series.Standing], float]:
    return partial(series.standard, days=asked.history)


_PRICES = ("CPIAUCSL", "CPI_US_BLS", "CPIAUCNS", "PCEPI")
_SHORT = ("DFEDTARU", "DFF", "EFFR", "FEDFUNDS", "SOFR", "DTB3", "DGS3MO", "TB3MS")

# Column -> what it is read from, the best first.
MACRO: dict[str, tuple[Reading, ...]] = {
    "macro_inflation": (Reading("US_CPI_YOY", _level), *(Reading(name, _growth) for name in _PRICES)),
    "macro_inflation_change": (Reading("US_CPI_YOY", _change), *(Reading(name, _growth_change) for name in _PRICES)),
    "macro_inflation_surprise": (Reading("US_CPI_YOY", None),),
    "macro_short_rate": tuple(Reading(name, _level) for name in _SHORT),
    "macro_short_rate_change": tuple(Reading(name, _change) for name in _SHORT),
    "macro_long_rate_change": (Reading("DGS10", _change), Reading("GS10", _change)),
    "macro_term_spread": (Reading("T10Y2Y", _level), Reading("DGS10", _level, minus="DGS2")),
    "macro_growth": tuple(Reading(name, _growth) for name in ("GDPC1", "INDPRO", "IPMAN")),
    "macro_unemployment_change": (Reading("UNRATE", _year_change),),
    "macro_credit_spread": tuple(Reading(name, _standard) for name in ("BAMLH0A0HYM2", "BAA10Y", "BAMLC0A0CM")),
    "macro_volatility": (Reading("VIXCLS", _standard),),
    "macro_oil_change": tuple(Reading(name, _recent_growth) for name in ("DCOILWTICO", "DCOILBRENTEU")),
}

COLUMNS = (*NEWS, *POLICY, *MACRO)


def lookback(**_: object) -> int:
    """Earlier bars that a row depends on: those that tell how long a bar is."""
    return known.STEPS


def compute(
    bars: pd.DataFrame,
    context: Context | None = None,
    *,
    news_hours: Annotated[int, Field(ge=1, le=2160)] = 72,
    news_history_days: Annotated[int, Field(ge=1, le=365)] = 28,
    fade_days: Annotated[float, Field(gt=0, le=365)] = 5.0,
    change_days: Annotated[int, Field(ge=7, le=366)] = 89,
    history_days: Annotated[int, Field(ge=60, le=3660)] = 730,
    stale_days: Annotated[int, Field(ge=7, le=3660)] = 200,
    delay_minutes: Annotated[int, Field(ge=0, le=10080)] = 0,
) -> pd.DataFrame:
    """The context columns of one symbol.

    Args:
        bars: columns as in `betti.schemas.BARS`, in time order; `timestamp` and `symbol` are read.
        context: what surrounds the market; None, and any table that it lacks, is a source that is absent. Of headlines
            and policy events, those about this symbol and about all count; BTC@1h is BTC here.
        news_hours: hours that the news columns look back.
        news_history_days: days before those that tell how many headlines are usual.
        fade_days: days in which a policy event or a surprise loses half its weight.
        change_days: days that changes span. The default is the shortest quarter, so that a monthly series is held
            against the month three before.
        history_days: days of its own past that a value is measured against.
        stale_days: days after which a series that is silent counts as unknown.
        delay_minutes: what is released counts as known this much later.

    Returns:
        One row per bar, `COLUMNS` in float64, finite. Carries how many rows after the look-back found no source
        (`no_headlines`, `no_policy`, `no_macro`) or no value of a macro column (`no_macro_oil_change`).

    Raises:
        PartUnavailable: there are headlines, and vaderSentiment is not installed.
    """
    moments = known.closes(known.microseconds(bars["timestamp"])) - delay_minutes * known.MINUTE
    # Windows are laid in time order, and each once: bars of unequal length may close out of order.
    ends, back = np.unique(moments, return_inverse=True)
    symbol = str(bars["symbol"].iloc[0]) if len(bars) else ""
    symbols = ("", symbol, symbol.rpartition("@")[0])
    given, fade = context or Context(), fade_days * known.DAY
    blocks = (
        _news(given, symbols, ends, news_hours * known.HOUR, news_history_days * known.DAY),
        _policy(given, symbols, ends, fade),
        _macro(given, ends, Asked(change_days, history_days), stale_days * known.DAY, fade),
    )
    values = np.column_stack([block[name] for block in blocks for name in block])[back]
    columns = [name for block in blocks for name in block]
    unknown = np.isnan(values[known.STEPS :]).sum(axis=0)
    table = pd.DataFrame(np.where(np.isnan(values), 0.0, values), columns=columns, index=bars.index)
    rows = max(len(bars) - known.STEPS, 0)
    return counts.attach(table[list(COLUMNS)], _missed(given, dict(zip(columns, unknown.tolist(), strict=True)), rows))


def _missed(context: Context, unknown: dict[str, int], rows: int) -> dict[str, int]:
    """Rows without a source, and rows in which a macro column knows no value."""
    absent = [kind for kind in ("headlines", "policy", "macro") if getattr(context, kind) is None]
    found = {f"no_{kind}": rows for kind in absent}
    if context.macro is not None:
        found |= {f"no_{name}": unknown[name] for name in MACRO}
    return {name: count for name, count in found.items() if count}


# --- news


def _news(context: Context, symbols: tuple[str, ...], ends: Integers, window: int, history: int) -> dict[str, Floats]:
    """The news columns at each moment, NaN for unknown."""
    if context.headlines is None:
        return {name: np.full(len(ends), np.nan) for name in NEWS}
    news = _about(context, symbols)
    last, first, before, oldest = (
        np.searchsorted(news.released, ends - age, side="left") for age in (0, window, 2 * window, window + history)
    )
    count = last - first
    mean, deviation = _moments(news.score, first, last)
    earlier, _ = _moments(news.score, before, first)
    negative = _sums(np.where(news.score <= _NEGATIVE, 1, 0), first, last)
    starts, stops = news.start[first], news.start[last]
    usual = _usual(news.released, ends - window, first - oldest, window, history)
    age = known.Track(news.released, np.ones(len(news.released))).age(ends)
    values = (
        mean,
        deviation,
        _share(negative, count),
        mean - earlier,
        np.log1p(count),
        np.log1p(count) - np.log1p(usual),
        _share(words.distinct(news.words, starts, stops), stops - starts),
        np.where(last > 0, known.fading(age, window), np.nan),
    )
    return dict(zip(NEWS, values, strict=True))


@lru_cache(maxsize=8)
def _about(context: Context, symbols: tuple[str, ...]) -> words.Heard:
    return words.heard(context).about(symbols)


def _usual(released: Integers, until: Integers, count: Integers, window: int, history: int) -> Floats:
    """Headlines that a window usually has, from those of the history before it; NaN while that is shorter than one."""
    if not len(released):
        return np.full(len(until), np.nan)
    there = np.minimum(until - released[0], history)
    return np.where(there >= window, count * window / np.maximum(there, window), np.nan)


def _sums(values: Integers, first: Integers, last: Integers) -> Integers:
    """Exact sums of values[first:last]."""
    total = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    found: Integers = total[last] - total[first]
    return found


def _share(part: Integers, whole: Integers) -> Floats:
    """A part of a whole, NaN of nothing."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _moments(score: Integers, first: Integers, last: Integers) -> tuple[Floats, Floats]:
    """Mean and population deviation of the polarity of score[first:last], NaN where there is none."""
    count = last - first
    mean = _share(_sums(score, first, last), count)
    variance = _share(_sums(score**2, first, last), count) - mean**2
    return mean / words.ONE, np.sqrt(np.maximum(variance, 0)) / words.ONE


# --- policy


def _policy(context: Context, symbols: tuple[str, ...], ends: Integers, fade: float) -> dict[str, Floats]:
    """The policy columns at each moment, NaN for unknown."""
    if context.policy is None:
        return {name: np.full(len(ends), np.nan) for name in POLICY}
    events = context.policy[context.policy["symbol"].isin(symbols)]
    out = events[events["released"].notna()]
    # What is released together is one announcement.
    last = out.assign(urgency=_urgency(events)).groupby("released", as_index=False)[["stance", "urgency", "impact"]]
    together = last.mean()
    released, never = known.microseconds(together["released"]), np.iinfo(np.int64).max
    tracks = [
        known.Track(released, together[name].to_numpy(dtype="float64")) for name in ("stance", "urgency", "impact")
    ]
    any_one = known.Track(released, np.ones(len(released)))
    faded = known.fading(any_one.age(ends), fade)
    values = [track.at(ends, never) * faded for track in (*tracks, any_one)]
    return dict(zip(POLICY, (*values, _imminence(events, ends, fade)), strict=True))


def _urgency(events: pd.DataFrame) -> pd.Series:
    """As said; else whether an event was off a schedule that earlier ones were on. NaN where no schedule was known."""
    on = events["scheduled_since"]
    published = on.min()  # NaT where no event has a schedule
    unannounced = np.where(on.isna() & (events["at"] >= published), 1.0, np.where(on.isna(), np.nan, 0.0))
    found: pd.Series = events["urgency"].fillna(pd.Series(unannounced, index=events.index))
    return found


def _imminence(events: pd.DataFrame, ends: Integers, fade: float) -> Floats:
    """How near the next event is whose date is known; NaN where there is none."""
    ahead = events[events["scheduled_since"].notna()]
    at, since = known.microseconds(ahead["at"]), known.microseconds(ahead["scheduled_since"])
    found = np.full(len(ends), np.nan)
    order = np.argsort(at)[::-1]  # nearer events are written over further ones
    begins = np.searchsorted(ends, since[order], side="right")
    stops = np.searchsorted(ends, at[order], side="right")
    for event, begin, stop in zip(at[order].tolist(), begins.tolist(), stops.tolist(), strict=True):
        found[begin:stop] = known.fading(event - ends[begin:stop], fade)
    return found


# --- macroeconomy


def _macro(context: Context, ends: Integers, asked: Asked, stale: int, fade: float) -> dict[str, Floats]:
    """The macro columns at each moment, NaN for unknown."""
    found = {}
    for column, readings in MACRO.items():
        value = np.full(len(ends), np.nan)
        for reading in readings if context.macro is not None else ():
            track = _track(context, reading.series, reading.how, asked)
            one = track.at(ends, stale)
            if reading.minus is not None:
                one = one - _track(context, reading.minus, reading.how, asked).at(ends, stale)
            if reading.how is None:
                one = one * known.fading(track.age(ends), fade)
            value = np.where(np.isnan(value), one, value)
        found[column] = value
    return found


@lru_cache(maxsize=256)
def _track(context: Context, name: str, how: Make | None, asked: Asked) -> known.Track:
    """A series over its releases, followed once as long as the context is in use."""
    rows = _by_series(context).get(name)
    if rows is None:
        return known.Track(np.empty(0, dtype=np.int64), np.empty(0))
    return series.surprise(rows) if how is None else series.track(rows, how(asked))


@lru_cache(maxsize=2)
def _by_series(context: Context) -> dict[str, pd.DataFrame]:
    """The rows of each series, in order of release."""
    if context.macro is None:
        return {}
    return {str(name): rows for name, rows in context.macro.groupby("series", sort=False)}
