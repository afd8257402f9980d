"""Bars of one symbol at a base interval to bars of a coarser one: 1m to 5m, 1h, 1d, 1w.

A coarse bar is stamped with the time it opens, as every bar is, and is made only when all of it is known. Bars of a
market that never closes are cut at multiples of the interval since midnight UTC, weeks on Mondays. Those of a market
that closes are counted from each open of its sessions. What does not belong here: when a market is open
(`betti.sessions`), and quarantine (`betti.stages.validate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.errors import BadBars, BadParam
from betti.intervals import MINUTE, micros, ratio
from betti.schemas import BARS, PRICE_COLUMNS, ROUNDING
from betti.sessions import DAY, OUTSIDE, SessionGrid, UnbrokenGrid, instants, stamped

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from betti.sessions import Instants, Schedule, Sessions

    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float64]

__all__ = ["Resampled", "aggregated", "buckets"]

SUMMED = ("volume", "buy_volume", "sell_volume", "trades")


@dataclass(frozen=True)
class Resampled:
    """Coarse bars, and where every base bar went: used + repeats + rows of `incomplete` and `outside` = rows in.

    Attributes:
        bars: one row per complete bucket that holds a base bar, in time order; columns as those of the base bars,
            values float64.
        incomplete: base bars of buckets that are not wholly known, at either end of the history.
        outside: base bars opened while the market was closed: before the open, after the close, on a weekend.
        used: base bars behind `bars`.
        repeats: exact repeats of a base bar, dropped.
        faulty: base bars, of those used, that validation would quarantine. Their buckets hold NaN.
        missing: base bars that do not exist though the market was open, inside the buckets of `bars`.
        since: the first complete bucket's time that the known history allows, whether or not a bar is in it.
        until: the last one's. With `since` it is what the next coarser step has to be told.
    """

    bars: pd.DataFrame
    incomplete: pd.DataFrame
    outside: pd.DataFrame
    used: int
    repeats: int
    faulty: int
    missing: int
    since: pd.Timestamp
    until: pd.Timestamp


def buckets(timestamps: pd.Series, interval: str, sessions: Sessions | None = None) -> pd.Series:
    """The coarse bar that each base bar belongs to, as the time that the coarse bar is stamped with.

    Without sessions these are multiples of the interval since midnight UTC: 1d is the UTC day, 1w begins on Monday.
    With sessions, hours and minutes are counted from each open, in time that passes and not by the clock on the wall;
    the last bucket before a close is as short as it must be. 1d is the session and stamped with its trading date at
    00:00 UTC; 1w holds the sessions of a calendar week and is stamped with the week's Monday.

    Args:
        timestamps: (n,) opens of bars shorter than a day, with a zone, in any order.
        interval: one of `betti.intervals.INTERVALS`.
        sessions: when the market is open; None where it never closes.

    Returns:
        (n,) UTC times in microseconds, same index; NaT where the market is closed.

    Raises:
        UnknownName: an unknown interval.
        BadBars: times without a zone, or a missing time.

    >>> import pandas as pd
    >>> from datetime import time
    >>> from betti.sessions import LocalSessions
    >>> new_york = LocalSessions("America/New_York", time(9, 30), time(16))
    >>> opens = pd.Series(pd.to_datetime(["2024-01-05 14:29Z", "2024-01-05 14:30Z", "2024-01-05 20:59Z"]))
    >>> buckets(opens, "1h", new_york).dt.strftime("%H:%M").tolist()
    [nan, '14:30', '20:30']
    >>> buckets(opens, "1w", new_york).dt.strftime("%Y-%m-%d").tolist()
    [nan, '2024-01-01', '2024-01-01']
    """
    import pandas as pd

    size = micros(interval)
    times = _times(timestamps)
    stamps = _grid(size, MINUTE, sessions, times).stamps(times) if len(times) else times
    return pd.Series(stamped(stamps), index=timestamps.index, name=timestamps.name)


def aggregated(
    bars: pd.DataFrame,
    interval: str,
    base: str,
    sessions: Sessions | None = None,
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
) -> Resampled:
    """Coarse bars of one symbol: the first open, the highest high, the lowest low, the last close, sums of volumes.

    Open interest is the last one known. A value that all base bars lack is missing, never 0. A bucket that begins
    before `since`, or is still open when the bar at `until` closes, makes no bar. A minute without trades is no fault.

    A bucket with a base bar at fault gets NaN in every value, for validation to quarantine. At fault is what
    validation itself would quarantine: a price that is missing, infinite or not positive, an open or close outside
    [low, high], a negative or infinite volume (or count of trades), one timestamp with different values.

    Args:
        bars: columns as in `schemas.BARS`, rows in any order. Daily bars are stamped with their trading date.
        interval: what to make, one of `betti.intervals.INTERVALS`.
        base: what `bars` are, another one of them.
        sessions: when the market is open; None where it never closes. A daily or weekly bar of a market that closes
            needs them: the UTC day and week end later than its last session.
        since: the time from which base bars are known; by default the first of them.
        until: the open of the last base bar known, the clock of the pipeline; by default the last of them.

    Raises:
        UnknownName: an unknown interval.
        NotFiner, NotMultiple: the two intervals do not go together.
        BadBars: no rows, more than one symbol, a column that no rule covers or that is not a number, times without a
            zone, bars that do not open where bars of `base` do.
    """
    size, step = ratio(interval, base)
    _check(bars)
    ordered, times, repeats = _in_order(bars)
    begun = int(times[0]) if since is None else _instant(since, "since")
    last = int(times[-1]) if until is None else _instant(until, "until")
    grid = _grid(size, step, sessions, np.append(times, [begun, last]))
    ended = grid.closed_by(last, step)
    stamps = grid.stamps(times)
    inside = stamps != OUTSIDE
    _refuse_off_grid(times[inside & (grid.into_bar(times, step) != 0)], base)
    begins, ends = grid.bounds(stamps[inside])
    whole = inside.copy()
    whole[inside] = (begins >= begun) & (ends <= ended)
    coarse, sound = _folded(ordered[whole], stamps[whole], times[whole])
    return Resampled(
        bars=coarse,
        incomplete=ordered[inside & ~whole].reset_index(drop=True),
        outside=ordered[~inside].reset_index(drop=True),
        used=len(sound),
        repeats=repeats,
        faulty=int((~sound).sum()),
        missing=int(grid.bars_in(instants(coarse["timestamp"]), step).sum()) - len(np.unique(times[whole])),
        since=stamped(np.array([grid.first_from(begun)]))[0],
        until=stamped(np.array([grid.last_by(ended)]))[0],
    )


def _grid(size: int, step: int, sessions: Sessions | None, times: Instants) -> UnbrokenGrid | SessionGrid:
    """The buckets around these instants. Daily bars lie on whole days: they carry dates, not opens."""
    if sessions is None:
        return UnbrokenGrid(size)
    schedule = _schedule(sessions, times)
    return SessionGrid(size, schedule.whole_days() if step >= DAY else schedule)


def _schedule(sessions: Sessions, times: Instants) -> Schedule:
    first, last = stamped(np.array([times.min(), times.max()]))
    return sessions.schedule(first, last)


def _instant(moment: pd.Timestamp, name: str) -> int:
    import pandas as pd

    if moment.tzinfo is None:
        raise BadParam(name, moment, "it takes a time with a zone")
    return int(instants(pd.DatetimeIndex([moment]))[0])


def _times(timestamps: pd.Series) -> Instants:
    import pandas as pd

    if not isinstance(timestamps.dtype, pd.DatetimeTZDtype):
        raise BadBars("resampling", f"times of type {timestamps.dtype}", "Give them a zone: UTC")
    if timestamps.isna().any():
        raise BadBars("resampling", f"{int(timestamps.isna().sum())} missing times", "Mend or remove those rows")
    return instants(timestamps)


def _check(bars: pd.DataFrame) -> None:
    import pandas as pd

    missing = [name for name in BARS.required if name not in bars.columns]
    if missing:
        raise BadBars("resampling", f"no column {', '.join(missing)}", "Bars need " + ", ".join(BARS.required))
    strange = [str(name) for name in bars.columns if name not in BARS.names]
    if strange:
        raise BadBars("resampling", f"no rule for column {', '.join(strange)}", "Drop it, and join it afterwards")
    values = bars.columns.difference(["timestamp", "symbol"], sort=False)
    texts = [name for name in values if not pd.api.types.is_numeric_dtype(bars[name].dtype)]
    if texts:
        raise BadBars("resampling", f"column {', '.join(texts)} holds no numbers", "Read it as numbers")
    if bars.empty:
        raise BadBars("resampling", "no rows", "Check the source")
    if bars["symbol"].nunique(dropna=False) > 1:
        names = ", ".join(map(str, bars["symbol"].unique()[:5]))
        raise BadBars("resampling", f"more than one symbol ({names})", "Resample one symbol at a time")


def _in_order(bars: pd.DataFrame) -> tuple[pd.DataFrame, Instants, int]:
    """Bars and their times in time order without exact repeats, and how many of those there were."""
    times = _times(bars["timestamp"])
    if (np.diff(times) < 0).any():
        order = np.argsort(times, kind="stable")
        bars, times = bars.iloc[order], times[order]
    keep = np.ones(len(times), dtype=bool)
    twins = _twins(times)
    if twins.any():
        keep[twins] = ~bars[twins].duplicated().to_numpy()
    return bars[keep], times[keep], int((~keep).sum())


def _twins(times: Instants) -> Mask:
    """Rows that share their time with a neighbour."""
    same = np.diff(times) == 0
    either: Mask = np.append(same, False) | np.append(False, same)
    return either


def _refuse_off_grid(times: Instants, base: str) -> None:
    """A bar across the end of a bucket would be a part of two."""
    if len(times):
        raise BadBars(
            "resampling",
            f"{len(times)} bars do not open where bars of {base} do, the first at {stamped(times[:1])[0]}",
            "Check the base interval, the times' zone and the sessions",
        )


def _sound(bars: pd.DataFrame, times: Instants) -> Mask:
    """Which bars validation would let pass. A comparison with NaN is false, which is what a missing price is."""
    open_, high, low, close = (_numbers(bars[name]) for name in PRICE_COLUMNS)
    least, most = low * (1 - ROUNDING), high * (1 + ROUNDING)
    sound = (low > 0) & (least <= open_) & (open_ <= most) & (least <= close) & (close <= most) & (high < np.inf)
    for name in SUMMED:
        if name in bars.columns:
            amount = _numbers(bars[name])
            sound &= ~((amount < 0) | np.isinf(amount))
    alone: Mask = ~_twins(times)
    return sound & alone


def _folded(bars: pd.DataFrame, stamps: Instants, times: Instants) -> tuple[pd.DataFrame, Mask]:
    """One row per run of equal stamps, and which base bars were sound. A run with a faulty one holds NaN."""
    import pandas as pd

    starts = np.flatnonzero(np.diff(stamps, prepend=OUTSIDE) != 0)
    sound = _sound(bars, times)
    whole = np.logical_and.reduceat(sound, starts) if len(starts) else sound
    folded = {"timestamp": stamped(stamps[starts]), "symbol": bars["symbol"].to_numpy()[starts]}
    for name in bars.columns.difference(["timestamp", "symbol"], sort=False):
        values = _fold(name, _numbers(bars[name]), starts) if len(starts) else np.array([])
        folded[name] = np.where(whole, values, np.nan)
    table = pd.DataFrame(folded, columns=bars.columns)
    return table.astype({"symbol": bars["symbol"].dtype}), sound


def _fold(name: str, values: Floats, starts: Instants) -> Floats:
    """One column, by its rule."""
    if name == "high":
        return np.maximum.reduceat(values, starts)
    if name == "low":
        return np.minimum.reduceat(values, starts)
    if name in SUMMED:
        return _sums(values, starts)
    if name == "open":
        return values[starts]
    ends = np.append(starts[1:], len(values)) - 1
    return values[ends] if name == "close" else _last_known(values, starts)


def _sums(values: Floats, starts: Instants) -> Floats:
    """Of what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # infinities of both signs: such a bucket is faulty and holds NaN
        sums = np.add.reduceat(np.where(known, values, 0.0), starts)
    return np.where(np.logical_or.reduceat(known, starts), sums, np.nan)


def _last_known(values: Floats, starts: Instants) -> Floats:
    """Of each run the last value that is not NaN; NaN where nothing is known."""
    places = np.where(np.isnan(values), -1, np.arange(len(values)))
    last = np.maximum.reduceat(places, starts)
    return np.where(last >= 0, values[last], np.nan)


def _numbers(column: pd.Series) -> Floats:
    return column.to_numpy(dtype="float64", na_value=np.nan)
