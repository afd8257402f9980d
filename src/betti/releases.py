"""What surrounds a market, made up or changed on purpose, to see whether a feature reads what was released later.

What does not belong here: bars that are changed (`betti.probes`), and judging what changed (`betti.causality`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.context import Context
from betti.context import _known as known

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Change = Callable[[Context, pd.Timestamp, np.random.Generator], Context]

__all__ = ["LATER", "around", "moments", "moved"]

# Releases while the bars last, of each kind; as many headlines again come before.
HEADLINES, EVENTS, OF_A_SERIES = 48, 12, 3
MONTHS = 40  # of each series before the first bar: changes over a year, and means over two, need as many
_SERIES = {
    **{"US_CPI_YOY": 3.0, "CPIAUCSL": 300.0, "DFEDTARU": 5.0, "DFF": 4.8, "DGS10": 4.0, "DGS2": 4.5, "T10Y2Y": -0.5},
    **{"GDPC1": 22_000.0, "UNRATE": 4.0, "BAMLH0A0HYM2": 3.5, "VIXCLS": 18.0, "DCOILWTICO": 80.0},
}
_WORDS = (
    *("great profits", "happy outlook", "strong growth", "good news", "record sales", "calm markets"),
    *("terrible crash", "bad loss", "war fears", "weak demand", "fraud probe", "sad end", "shares", "the bank", "oil"),
)
_LATE = pd.Timedelta(hours=1)


# Made up ------------------------------------------------------------------------------------------------------------


def around(bars: pd.DataFrame, seed: int = 0) -> Context:
    """Headlines, policy events and macro series around one symbol's bars; half come at the very moment of a close.

    Args:
        bars: columns as in `betti.schemas.BARS`; `timestamp` and `symbol` are read.
        seed: another context for another one.

    Returns:
        All three tables, none empty where there are bars: past releases that histories are made of, and a hundred or
        so from the first bar to shortly after the last.
    """
    if bars.empty:
        return Context()
    rng, closes = np.random.default_rng(seed), known.closes(known.microseconds(bars["timestamp"]))
    symbol = str(bars["symbol"].iloc[0])
    return Context(_headlines(closes, symbol, rng), _policy(closes, symbol, rng), _macro(closes, rng))


def _during(closes: Integers, count: int, rng: np.random.Generator) -> Integers:
    """Times while the bars last: closes, the last moment before one, and any, up to a day after the last bar."""
    at = rng.choice(closes, count)
    anywhere = rng.integers(closes[0], closes[-1] + known.DAY, count)
    return np.where(rng.random(count) < 0.5, at, np.where(rng.random(count) < 0.3, at - 1, anywhere))


def _utc(moments: Integers) -> pd.Series:
    return pd.Series(moments.astype("datetime64[us]")).dt.tz_localize("UTC")


def _headlines(closes: Integers, symbol: str, rng: np.random.Generator) -> pd.DataFrame:
    before = closes[0] - rng.integers(0, 60 * known.DAY, HEADLINES)
    released = np.concatenate([before, _during(closes, HEADLINES, rng)])
    texts = [" ".join(rng.choice(_WORDS, 4)) for _ in released]
    return pd.DataFrame(
        {
            "released": _utc(released),
            "symbol": rng.choice(["", symbol, symbol.rpartition("@")[0], f"{symbol}2"], len(released)),
            "headline": texts,
        }
    )


def _policy(closes: Integers, symbol: str, rng: np.random.Generator) -> pd.DataFrame:
    at = np.unique(np.concatenate([closes[:1] - 30 * known.DAY, _during(closes, EVENTS, rng)]))
    since = _utc(at - rng.integers(known.HOUR, 20 * known.DAY, len(at)))
    return pd.DataFrame(
        {
            "released": _utc(at + np.where(rng.random(len(at)) < 0.5, 0, known.MINUTE)),
            "at": _utc(at),
            "scheduled_since": since.where(rng.random(len(at)) < 0.6),
            "symbol": np.where(rng.random(len(at)) < 0.7, "", symbol),
            "kind": "decision",
            "stance": rng.uniform(-1, 1, len(at)),
            "urgency": np.where(rng.random(len(at)) < 0.5, rng.random(len(at)), np.nan),
            "impact": rng.uniform(-1, 1, len(at)),
        }
    )


def _macro(closes: Integers, rng: np.random.Generator) -> pd.DataFrame:
    tables = []
    for name, level in _SERIES.items():
        during = np.unique(_during(closes, OF_A_SERIES, rng))
        months = np.arange(MONTHS, 0, -1) * 30 * known.DAY
        released = np.concatenate([closes[0] - months + 20 * known.DAY, during])
        released = np.sort(released[(released < closes[0]) | np.isin(released, during)])
        observed = released - known.MINUTE * rng.integers(1, 5 * 1440, len(released))
        value = level * (1 + 0.03 * np.cumsum(rng.normal(size=len(released))))
        tables.append(
            pd.DataFrame(
                {
                    "released": _utc(released),
                    "series": name,
                    "observed": _utc(observed),
                    "value": value,
                    "forecast": value + 0.1 * abs(level) * rng.normal(size=len(value)),
                    "previous": np.nan,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


# Changed ------------------------------------------------------------------------------------------------------------


def _nothing(context: Context, moment: pd.Timestamp, _: np.random.Generator) -> Context:
    return context.until(moment)


def _others(context: Context, moment: pd.Timestamp, rng: np.random.Generator) -> Context:
    """What is released from a moment on says something else, and half of it comes later; known schedules stay."""
    news, events, values = context.headlines, context.policy, context.macro
    if news is not None:
        late = news["released"] >= moment
        news = news.assign(headline=news["headline"].where(~late, "catastrophic disaster kills hope"))
        news = news.assign(released=_put_off(news["released"], late, rng))
    if events is not None:
        late, announced = events["released"] >= moment, events["scheduled_since"] < moment
        events = events.assign(urgency=events["urgency"].where(~late, 1.0))
        for name in ("stance", "impact"):
            events[name] = events[name].where(~late, -np.sign(events[name].fillna(0.0) + 0.5))
        events = events[~late | announced | (rng.random(len(events)) < 0.5)]
    if values is not None:
        late = values["released"] >= moment
        values = values.assign(released=_put_off(values["released"], late, rng))
        for name, sign in (("value", 1.0), ("forecast", -1.0)):
            values[name] = values[name].where(~late, sign * (100 + 10 * values[name].abs()))
    return Context(news, events, values)


def _put_off(released: pd.Series, late: pd.Series, rng: np.random.Generator) -> pd.Series:
    """Half of the late ones come an hour later."""
    found: pd.Series = released.where(~late | (rng.random(len(released)) < 0.5), released + _LATE)
    return found


# What is released from a moment on -> surroundings in which it is; what was known just before it stays as it was.
LATER: dict[str, Change] = {"no later releases": _nothing, "other later releases": _others}


def moments(context: Context) -> Integers:
    """When anything became known: releases, and dates that were set for events; microseconds, each once, in order."""
    times = [table["released"] for table in (context.headlines, context.policy, context.macro) if table is not None]
    if context.policy is not None:
        times.append(context.policy["scheduled_since"])
    stamps = [known.microseconds(column.dropna()) for column in times]
    return np.unique(np.concatenate(stamps)) if stamps else np.empty(0, dtype=np.int64)


def moved(context: Context, distance: pd.Timedelta) -> Context:
    """The same releases at other times, all by one distance: to go with bars that were moved by it."""
    tables = {}
    for kind in context.sources:
        table: pd.DataFrame = getattr(context, kind)
        stamps = [name for name in table.columns if isinstance(table[name].dtype, pd.DatetimeTZDtype)]
        tables[kind] = table.assign(**{name: table[name] + distance for name in stamps})
    return Context(**tables)
