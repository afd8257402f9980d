"""Bars changed on purpose, to see whether a feature notices: other futures, other dates; and made-up bars.

What does not belong here: computing features, and judging what changed (`betti.causality`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti import schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Change = Callable[[pd.DataFrame, int, np.random.Generator], pd.DataFrame]

__all__ = ["FUTURES", "NEAR", "moved", "opposite", "replaced", "walk"]

NEAR = 20  # bars that go the opposite way

_KEYS = ("timestamp", "symbol")
_GAP = np.timedelta64(9 * 24 + 7, "h")
_DAYS_28_YEARS, _DAYS_400_YEARS = 10_227, 146_097  # after both, dates fall on the same weekdays
_LAST_YEAR = 9_990
_TURN = 4.0  # how far on the other side the next bar lies
_PARTS = ("buy_volume", "sell_volume", "trades")  # they go with the volume, which is no less than they are


# Other futures ------------------------------------------------------------------------------------------------------


def _values(bars: pd.DataFrame) -> list[str]:
    """Every column but the keys."""
    return [name for name in bars.columns if name not in _KEYS]


def replaced(bars: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """All bars at other levels, each by its own factor; times and symbol stay."""
    return _levels(bars, 0, len(bars), rng)


def _levels(bars: pd.DataFrame, start: int, stop: int, rng: np.random.Generator) -> pd.DataFrame:
    """Bars of these rows at wildly other levels; what was ordered stays so (low and high, volume and bought)."""
    changed = bars.copy()
    rows, count = slice(start, stop), len(bars.iloc[start:stop])
    prices, amounts = np.exp(rng.normal(0, 3, (2, count)))
    for name in _values(bars):
        factor = prices if name in schemas.PRICE_COLUMNS else amounts
        column = bars[name].to_numpy(dtype="float64", copy=True)
        column[rows] *= factor
        changed[name] = column
    return changed


def _cut(bars: pd.DataFrame, t: int, _: np.random.Generator) -> pd.DataFrame:
    return bars.iloc[: t + 1]


def _other_levels(bars: pd.DataFrame, t: int, rng: np.random.Generator) -> pd.DataFrame:
    return _levels(bars, t + 1, len(bars), rng)


def _one_wild_bar(bars: pd.DataFrame, t: int, rng: np.random.Generator) -> pd.DataFrame:
    return _levels(bars, t + 1, t + 2, rng)


def _other_end(bars: pd.DataFrame, t: int, rng: np.random.Generator) -> pd.DataFrame:
    return _levels(bars, max(t + 1, len(bars) - 1), len(bars), rng)


def _standstill(bars: pd.DataFrame, t: int, _: np.random.Generator) -> pd.DataFrame:
    changed = bars.copy()
    for name in _values(bars):
        column = bars[name].to_numpy(dtype="float64", copy=True)
        column[t + 1 :] = bars["close"].iloc[t] if name in schemas.PRICE_COLUMNS else 0.0
        changed[name] = column
    return changed


def _gap(bars: pd.DataFrame, t: int, _: np.random.Generator) -> pd.DataFrame:
    late = np.arange(len(bars)) > t
    return bars.assign(timestamp=bars["timestamp"].where(~late, bars["timestamp"] + pd.Timedelta(_GAP)))


# What follows a bar t -> bars in which it does, from bars, t and a generator; bars up to t stay as they are.
FUTURES: dict[str, Change] = {
    "nothing": _cut,
    "other levels": _other_levels,
    "one wild bar": _one_wild_bar,
    "another last bar": _other_end,
    "a standstill": _standstill,
    "a gap in time": _gap,
}


def opposite(bars: pd.DataFrame, t: int) -> pd.DataFrame:
    """Up to `NEAR` bars after t, the next of which moves to the other side of bar t than it did; those up to t stay.

    A price that rose, or a volume that grew, comes to a quarter of what it was, one that fell or stood to the fourfold.
    The bars that follow move by the same factor, so that what was ordered stays so.
    """
    changed = bars.iloc[: t + 1 + NEAR].copy()
    if len(changed) <= t + 1:
        return changed
    turned: dict[str, float] = {}
    for name in _values(bars):
        leader = _leader(name, bars)
        if leader not in turned:
            turned[leader] = _turning(float(bars[leader].iloc[t]), float(bars[leader].iloc[t + 1]))
        column = changed[name].to_numpy(dtype="float64", copy=True)
        if name == "volume":
            column[t + 1 :] = np.where(column[t + 1 :] == 0, 1.0, column[t + 1 :])
        column[t + 1 :] *= turned[leader]
        changed[name] = column
    return changed


def _turning(now: float, after: float) -> float:
    """What brings the value after to the other side of that now."""
    if now == 0 or after == 0 or np.isnan(now + after):
        return 0.0 if after > now else _TURN
    return now / after / _TURN if after > now else now / after * _TURN


def _leader(name: str, bars: pd.DataFrame) -> str:
    """The column whose direction a column takes: one that it must stay in order with, where that is there."""
    leader = "close" if name in schemas.PRICE_COLUMNS else "volume" if name in _PARTS else name
    return leader if leader in bars.columns else name


# Other dates --------------------------------------------------------------------------------------------------------


def moved(bars: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The same bars at other times, whole cycles of the calendar away: every bar keeps its hour, weekday and date.

    Dates repeat after 28 years between 1901 and 2099, and after 400 years always. The near ones come first: rules of
    time zones are known there, and nanoseconds reach that far.
    """
    times = bars["timestamp"]
    first, last = times.iloc[0].year, times.iloc[-1].year
    near = [28 * k for k in (1, -1, 2, -2, 3, -3) if first + 28 * k > 1900 and last + 28 * k < 2100]
    days = [years // 28 * _DAYS_28_YEARS for years in near if first > 1900 and last < 2100]
    days += [k * _DAYS_400_YEARS for k in range(1, 20) if last + 400 * k < _LAST_YEAR]
    for distance in days:
        yield bars.assign(timestamp=times + pd.Timedelta(np.timedelta64(distance * 86_400, "s")))


# Made-up bars -------------------------------------------------------------------------------------------------------


def walk(rows: int, seed: int = 0) -> pd.DataFrame:
    """Made-up bars of one symbol to check on: a random walk in ticks, 15 minutes a bar, from 2024 on.

    Some bars are missing, some have no volume, prices repeat; the optional columns are there.

    Args:
        rows: how many.
        seed: other bars for another one.

    Returns:
        Columns as in `betti.schemas.BARS`.
    """
    rng = np.random.default_rng(seed)
    step = rng.normal(0, 0.002, rows)
    close = np.maximum(np.round(100 * np.exp(np.cumsum(step)), 2), 0.01)
    open_ = np.concatenate([[100.0], close[:-1]])[:rows]
    wick = np.round(np.abs(rng.normal(0, 0.1, (2, rows))), 2)
    volume = np.round(rng.lognormal(5, 1, rows)) * (rng.random(rows) > 0.02)
    bought = np.round(volume * rng.beta(5, 5, rows))
    quarters = np.cumsum(rng.choice([1, 2, 20], rows, p=[0.97, 0.02, 0.01]))
    start = pd.Timestamp("2024-01-01", tz="UTC").as_unit("us")
    return pd.DataFrame(
        {
            "timestamp": start + pd.to_timedelta(quarters * 15, unit="min").as_unit("us"),
            "symbol": "WALK",
            "open": open_,
            "high": np.maximum(open_, close) + wick[0],
            "low": np.maximum(np.minimum(open_, close) - wick[1], 0.01),
            "close": close,
            "volume": volume,
            "buy_volume": bought,
            "sell_volume": volume - bought,
            "trades": np.ceil(volume / 3),
            "open_interest": 1e4 + np.cumsum(np.round(rng.normal(0, 5, rows))),
        }
    )
