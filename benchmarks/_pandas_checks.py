"""The checks of `validate` as one would write them in pandas: the reference of `benchmarks/data.py`.

Same rules, same windows; no table of what was found is kept but for counts, and no page is made.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["bad_rows", "flags", "gaps"]

PRICES = ["open", "high", "low", "close"]
FACTORS = np.log([10.0, 100.0, 1e3, 1e4, 1e5, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 15.0, 20.0, 25.0, 50.0])


def bad_rows(bars: pd.DataFrame) -> pd.Series:
    """Rows that are no bars."""
    bad = bars["timestamp"].duplicated(keep=False) | (bars["timestamp"] > pd.Timestamp("2100-01-01", tz="UTC"))
    for name in PRICES:
        bad |= bars[name].isna() | np.isinf(bars[name]) | (bars[name] <= 0)
    for upper, lower in [("high", "low"), ("high", "open"), ("open", "low"), ("high", "close"), ("close", "low")]:
        bad |= bars[upper] < bars[lower]
    return bad | (bars["volume"] < 0) | np.isinf(bars["volume"])


def flags(bars: pd.DataFrame) -> dict[str, int]:
    """How many bars look wrong, by rule."""
    close, opened = np.log(bars["close"]), np.log(bars["open"])
    move = close.diff()
    usual = _usual(move.abs().where(move != 0))
    step = opened - close.shift()
    near = pd.concat([(step.abs() - factor).abs() for factor in FACTORS], axis=1).min(axis=1) < 0.1
    apart = close - (close.shift() + close.shift(-1)) / 2
    found = {
        "jumps": move.abs() > 0.25,
        "units_or_splits": near & (step.abs() > 8 * usual),
        "spikes": (apart.abs() > 15 * usual) & ((close.shift(-1) - close.shift()).abs() <= 0.2 * apart.abs()),
        "stuck_price": _streak(bars["close"] == bars["close"].shift()) >= 12,
        "stale_opens": _streak(bars["open"] == bars["close"].shift()) >= 20,
        "repeated_bars": _repeated(bars, 12),
        "flat_bars": bars["high"] == bars["low"],
        "off_grid": bars["timestamp"].diff().mod(bars["timestamp"].diff().mode()[0]) != pd.Timedelta(0),
        "volume_units": _volume_units(np.log(bars["volume"].where(bars["volume"] > 0))),
        "zero_volume": bars["volume"] == 0,
    }
    years = (bars["open"] == bars["close"].shift()).groupby(bars["timestamp"].dt.year).mean()
    return {rule: int(rows.sum()) for rule, rows in found.items()} | {"stale_years": int((years > 0.2).sum())}


def gaps(bars: pd.DataFrame) -> pd.DataFrame:
    """Bars that are not there though the same minute of the week usually has one."""
    minute = bars["timestamp"].dt.dayofweek * 1440 + bars["timestamp"].dt.hour * 60 + bars["timestamp"].dt.minute
    usual = minute.value_counts()
    usual = usual[usual > 0.5 * usual.max()]
    steps = bars["timestamp"].diff()
    found = bars[steps > 1.5 * steps.mode()[0]]
    return found.assign(expected=minute[found.index].isin(usual.index))


def _usual(sizes: pd.Series) -> pd.Series:
    before = sizes.rolling(100, min_periods=20).median().shift()
    after = sizes[::-1].rolling(100, min_periods=20).median()[::-1]
    return 1.4826 * np.fmax(before, after)


def _streak(same: pd.Series) -> pd.Series:
    return same.groupby((~same).cumsum()).cumsum()


def _repeated(bars: pd.DataFrame, length: int) -> pd.Series:
    hashes = pd.util.hash_pandas_object(bars[PRICES], index=False)
    blocks = sum(hashes.shift(-k, fill_value=0) * np.uint64(31) ** np.uint64(k) for k in range(length))
    return pd.Series(blocks).duplicated()


def _volume_units(logs: pd.Series) -> pd.Series:
    before = logs.rolling(50, min_periods=20).median().shift()
    after = logs[::-1].rolling(50, min_periods=20).median()[::-1]
    spread = 1.4826 * (logs - before).abs().rolling(50, min_periods=20).median().shift()
    lasting = ((after - before).abs() - np.log(1e3)).abs() < np.log(3)
    alone = ((logs - before).abs() - np.log(1e3)).abs() < np.log(3)
    return (lasting & ((after - before).abs() > 6 * spread)) | (alone & ((logs - before).abs() > 8 * spread))
