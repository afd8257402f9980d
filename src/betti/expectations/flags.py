"""Flags: bars that look wrong and may be right. A flag names the rule that raised it; it condemns and repairs nothing.

Every rule is a function of the bars of ONE symbol in time order, with its own knobs, and returns a table with the
columns `COLUMNS`. `flags` runs them all, and hands the usual one-bar move (`usual`, of `_habits.usual_move`) to those
that ask for it, so that it is found once. What is usual is measured by medians in a window beside the bar, so that
neither a crash nor the fault itself sets its own limit. What does not belong here: rows that break the suite
(`bars.py`), bars that are not there (`gaps.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.expectations._flagged import COLUMNS, Flagged, between, combined, nothing, stacked
from betti.expectations._habits import deviation, long_runs, median_after, median_before, runs, strays, usual_move
from betti.schemas import BARS, PRICE_COLUMNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

__all__ = [
    "COLUMNS",
    "SPLITS",
    "Flagged",
    "combined",
    "flags",
    "flat_bars",
    "jumps",
    "missing_extras",
    "missing_volume",
    "off_grid",
    "repeated_bars",
    "spikes",
    "split_like",
    "stale_opens",
    "stale_years",
    "stuck_price",
    "unit_change",
    "volume_units",
    "zero_volume",
]

ROWS_KEPT = 1000  # flagged bars kept per rule and frame; the count is of all
EXTRAS = tuple(column.name for column in BARS.columns if not column.required)
UNITS = (10.0, 100.0, 1e3, 1e4, 1e5)  # cents, and points of as many decimals
SPLITS = (1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 25.0, 50.0, 100.0)
NEIGHBOURS = 5  # bars on either side whose median says where the price lay


def flags(
    bars: pd.DataFrame,
    *,
    jump: float,
    stale_open_share: float,
    since: pd.Timestamp | None = None,
    before: pd.Timestamp | None = None,
) -> Flagged:
    """Every rule at its default knobs.

    Args:
        bars: columns as in `betti.schemas.BARS`, one symbol, in time order.
        jump: flag a close-to-close move larger than this, in log units.
        stale_open_share: flag a year in which this share of opens more than is the market's habit repeats the close
            before; its habit is that of its calmest years.
        since: report bars from this time on; those earlier are there to tell what is usual.
        before: report bars before this time; those later are there to tell whether a change lasts.

    Returns:
        The flagged bars. In a market without any volume its bars are counted, and none is listed: that is legal.
    """
    bars = bars.reset_index(drop=True)
    usual = usual_move(_moves(_log(bars, "close")))
    tables = [
        jumps(bars, jump=jump, usual=usual),
        *(rule(bars, usual=usual) for rule in (unit_change, split_like, spikes)),
        *(rule(bars) for rule in (stuck_price, stale_opens, repeated_bars)),
        *(rule(bars) for rule in (flat_bars, off_grid, volume_units, zero_volume, missing_volume, missing_extras)),
    ]
    found: dict[str, int] = {}
    kept = []
    for table in tables:
        if table.empty:
            continue
        inside = between(table, since, before)
        found.update({str(rule): int(n) for rule, n in inside["rule"].value_counts().items()})
        legal = len(table) == len(bars) and table["rule"].isin(["zero_volume", "missing_volume"]).all()
        kept.append(inside.iloc[: 0 if legal else ROWS_KEPT])
    return Flagged(stacked(kept), found, stale_years(between(bars, since, before), bars), stale_open_share)


def _table(bars: pd.DataFrame, rule: str, at: NDArray[np.intp], value: Floats, usual: Floats) -> pd.DataFrame:
    """The bars at these positions; `value` and `usual` belong to them one by one."""
    if not len(at):
        return nothing()
    key = bars[["timestamp", "symbol"]].iloc[at].reset_index(drop=True)
    return key.assign(rule=rule, value=value, usual=usual)[list(COLUMNS)]


def _log(bars: pd.DataFrame, column: str) -> Floats:
    """Logarithm of a column, NaN where it has none."""
    values = bars[column].to_numpy(dtype="float64")
    logs: Floats = np.log(np.where((values > 0) & np.isfinite(values), values, np.nan))
    return logs


def _moves(close: Floats) -> Floats:
    """(n,) log change from the bar before, NaN at the first."""
    return np.diff(close, prepend=np.nan)


# Prices -------------------------------------------------------------------------------------------------------------


def jumps(bars: pd.DataFrame, *, jump: float, usual: Floats | None = None) -> pd.DataFrame:
    """Close-to-close moves beyond `jump`, in log units, up or down. A fixed limit: the one who set it knows the market.

    `value` is the move, `usual` the usual one-bar move beside it.
    """
    move = _moves(_log(bars, "close"))
    at = np.flatnonzero(np.abs(move) > jump)
    return _table(bars, "jumps", at, move[at], (usual_move(move) if usual is None else usual)[at])


def unit_change(bars: pd.DataFrame, *, tolerance: float = 0.1, usual: Floats | None = None) -> pd.DataFrame:
    """The price goes on near 10, 100 ... 100,000 times higher or lower: cents for dollars, points for prices.

    A step qualifies when it lies within `tolerance` (log units) of such a factor and the median price of the five bars
    from here on lies as far from that of the five before; a single wrong tick does not. A 10:1 split looks the same
    and is flagged as `split_like` too: prices alone cannot tell them apart.

    `value` is the factor found, `usual` the factor of a usual one-bar move.
    """
    return _persistent(bars, "unit_change", UNITS, tolerance, usual)


def split_like(bars: pd.DataFrame, *, tolerance: float = 0.02, usual: Floats | None = None) -> pd.DataFrame:
    """The price goes on near a share split's ratio, or a reverse split's: 3:2, 2:1, 3:1 ... 100:1.

    A split happens between two bars, so that the open is compared with the close before, and the ratio is met up to
    the usual gap: `tolerance` in log units. A crash that happens to halve the price is flagged as well.

    `value` is the factor found, `usual` the factor of a usual one-bar move.
    """
    return _persistent(bars, "split_like", SPLITS, tolerance, usual)


def _persistent(
    bars: pd.DataFrame, rule: str, factors: tuple[float, ...], tolerance: float, usual: Floats | None
) -> pd.DataFrame:
    """Steps from a close to the next open that are near a factor, out of the ordinary, and last."""
    close = _log(bars, "close")
    step = _log(bars, "open") - np.concatenate([[np.nan], close])[: len(close)]
    distance = np.full(len(step), np.inf)
    for factor in factors:
        distance = np.fmin(distance, np.abs(np.abs(step) - np.log(factor)))
    near = np.flatnonzero(distance <= tolerance)
    if not len(near):
        return _table(bars, rule, near, step[near], step[near])
    usual = usual_move(_moves(close)) if usual is None else usual
    # Where such a move is not far out of the ordinary, its ratio means nothing.
    near = near[np.abs(step[near]) > 8 * usual[near]]
    level = np.array([_middle(close[i : i + NEIGHBOURS]) - _middle(close[max(0, i - NEIGHBOURS) : i]) for i in near])
    at = near[np.abs(level - step[near]) <= 0.25 * np.abs(step[near])]
    return _table(bars, rule, at, np.exp(step[at]), np.exp(usual[at]))


def _middle(values: Floats) -> float:
    """The median of the known values, NaN where there are none."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def spikes(bars: pd.DataFrame, *, times: float = 15.0, agree: float = 0.2, usual: Floats | None = None) -> pd.DataFrame:
    """A close far from both its neighbours, which agree with each other: a wrong tick that the next bar takes back.

    Far is `times` the usual one-bar move (1.4826 times the median absolute one, so that it is a standard deviation for
    Gaussian moves); agreeing is a difference of at most `agree` times the distance. With moves as heavy-tailed as a
    t distribution of three degrees, both together happen by chance about once in a million bars.

    `value` is the distance in log units, signed, `usual` the usual one-bar move.
    """
    close = _log(bars, "close")
    if len(close) < 3:
        return _table(bars, "spikes", np.empty(0, dtype=np.intp), np.empty(0), np.empty(0))
    usual = usual_move(_moves(close)) if usual is None else usual
    apart = np.full(len(close), np.nan)
    apart[1:-1] = close[1:-1] - (close[:-2] + close[2:]) / 2
    neighbours = np.full(len(close), np.nan)
    neighbours[1:-1] = np.abs(close[2:] - close[:-2])
    at = np.flatnonzero((np.abs(apart) > times * usual) & (neighbours <= agree * np.abs(apart)))
    return _table(bars, "spikes", at, apart[at], usual[at])


def stuck_price(bars: pd.DataFrame, *, least_bars: int = 12, hours: float = 6.0) -> pd.DataFrame:
    """The same close for `least_bars` bars or more though they traded, or for `hours` whether they did or not.

    One row per stretch, at its first bar. Prices sit on ticks, and in a quiet market a close repeats: a stretch is
    flagged only when repeats as frequent as elsewhere in these bars would hardly ever make one so long. A market
    without volume counts as trading.

    `value` is the length in bars, `usual` the longest that repeats elsewhere would make.
    """
    close = bars["close"].to_numpy(dtype="float64")
    same = np.concatenate([[False], close[1:] == close[:-1]]) if len(close) else np.empty(0, dtype=bool)
    found = long_runs(same, least_bars - 1)
    first, last = found.start - 1, found.start + found.length - 1
    volume = bars["volume"].to_numpy(dtype="float64")
    traded = np.concatenate([[0], np.cumsum(np.isnan(volume) | (volume > 0) | ~np.any(volume > 0))])
    seconds = bars["timestamp"].dt.as_unit("us").astype("int64").to_numpy() / 1e6
    kept = (traded[last + 1] - traded[first] >= least_bars) | (seconds[last] - seconds[first] >= 3600 * hours)
    return _table(bars, "stuck_price", first[kept], found.length[kept] + 1.0, found.usual[kept] + 1.0)


def stale_opens(bars: pd.DataFrame, *, least_bars: int = 20) -> pd.DataFrame:
    """Stretches of `least_bars` bars or more whose open repeats the close before: a fill at such an open is fiction.

    One row per stretch, at its first bar. Markets that never close do this all the time, so that a stretch must be
    longer than the habit of the other bars explains. `stale_years` has the shares per year.

    `value` is the length in bars, `usual` the longest that the habit would make.
    """
    found = long_runs(_stale(bars), least_bars)
    return _table(bars, "stale_opens", found.start, found.length.astype("float64"), found.usual)


def stale_years(bars: pd.DataFrame, history: pd.DataFrame | None = None) -> pd.DataFrame:
    """Opens that repeat the close before, per calendar year (UTC): `symbol`, `year`, `bars`, `stale`.

    Args:
        bars: the rows to count, of one symbol.
        history: the same rows with those before them, so that the first has a close before it.
    """
    whole = bars if history is None else history
    stale = pd.Series(_stale(whole), index=whole.index).loc[bars.index].to_numpy()
    years, which, counts = np.unique(
        bars["timestamp"].dt.year.to_numpy(dtype="int64"), return_inverse=True, return_counts=True
    )
    found = np.bincount(which, weights=stale, minlength=len(years)).astype("int64")
    symbol = str(bars["symbol"].iloc[0]) if len(bars) else ""
    names = pd.Series([symbol] * len(years), dtype="str")
    return pd.DataFrame({"symbol": names, "year": years, "bars": counts.astype("int64"), "stale": found})


def _stale(bars: pd.DataFrame) -> Bools:
    same: Bools = bars["open"].eq(bars["close"].shift()).to_numpy(dtype=bool)
    return same


def repeated_bars(bars: pd.DataFrame, *, least_bars: int = 12) -> pd.DataFrame:
    """A block of `least_bars` bars or more whose open, high, low and close occurred before, bar for bar.

    One row per block, at its first bar. Blocks whose closes hardly move are left to `stuck_price`: a dead market
    repeats itself. Each bar is hashed to 64 bits and blocks are compared by the hash of theirs.

    `value` is the length in bars, `usual` is 0.
    """
    rows = len(bars)
    if rows < 2 * least_bars:
        return _table(bars, "repeated_bars", np.empty(0, dtype=np.intp), np.empty(0), np.empty(0))
    hashes = np.zeros(rows, dtype="uint64")
    for price in PRICE_COLUMNS:
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + pd.util.hash_array(bars[price].to_numpy(dtype="float64"))
    blocks = np.zeros(rows - least_bars + 1, dtype="uint64")
    for step in range(least_bars):
        blocks = blocks * np.uint64(0xD6E8FEB86659FD93) + hashes[step : step + len(blocks)]
    moved = np.concatenate([[0], np.cumsum(_moves(bars["close"].to_numpy(dtype="float64")) != 0)])
    alive = 2 * (moved[least_bars:] - moved[:-least_bars]) >= least_bars
    start, length = runs(pd.Series(blocks).duplicated().to_numpy() & alive)
    return _table(bars, "repeated_bars", start, length + least_bars - 1.0, np.zeros(len(start)))


def flat_bars(bars: pd.DataFrame) -> pd.DataFrame:
    """Bars whose high is their low: one trade, no trade, or a filler. `usual` is the median range, both in price."""
    width = (bars["high"] - bars["low"]).to_numpy(dtype="float64")
    at = np.flatnonzero(width == 0)
    usual = float(np.nanmedian(width)) if len(at) else 0.0
    return _table(bars, "flat_bars", at, width[at], np.full(len(at), usual))


def off_grid(bars: pd.DataFrame) -> pd.DataFrame:
    """Bars that open where others do not: at 10:03 among quarters of an hour. One may be part of another bar.

    `value` is the distance to the nearest usual opening, `usual` the step between bars, both in seconds.
    """
    at, distance, step = strays(bars["timestamp"].dt.as_unit("us").astype("int64").to_numpy())
    return _table(bars, "off_grid", at, distance / 1e6, np.full(len(at), step / 1e6))


# Volume -------------------------------------------------------------------------------------------------------------


def volume_units(bars: pd.DataFrame, *, factor: float = 1000.0, window: int = 50) -> pd.DataFrame:
    """The volume is near `factor` times what it was, or that part of it: lots for shares, thousands for units.

    Flags a bar that stands alone and the first bar of a change that lasts. Near is within a factor of three, for volume
    is noisy; it must also lie eight usual deviations (median absolute, in logs) out, so that markets whose volume
    swings by a thousand anyway are left alone.

    `value` is the volume, `usual` the median of the `window` bars before. Zero volumes are left out.
    """
    logs = _log(bars, "volume")
    earlier, later = median_before(logs, window), median_after(logs, window)
    spread = deviation(logs - earlier, window)
    lasting = _thousandfold(later - earlier, factor, 6 * spread)
    # Of the bars around a change that look alike, the one with the step itself.
    start, length = runs(lasting)
    step = np.nan_to_num(np.abs(_moves(logs)))
    at = {int(s + np.argmax(step[s : s + n])) for s, n in zip(start, length, strict=True)}
    following = np.concatenate([later[1:], [np.nan]]) if len(later) else later
    alone = _thousandfold(logs - earlier, factor, 8 * spread) & _thousandfold(logs - following, factor, 8 * spread)
    found = np.array(sorted(at | set(np.flatnonzero(alone).tolist())), dtype=np.intp)
    volume = bars["volume"].to_numpy(dtype="float64")
    return _table(bars, "volume_units", found, volume[found], np.exp(earlier[found]))


def _thousandfold(logs: Floats, factor: float, least: Floats) -> Bools:
    near: Bools = (np.abs(np.abs(logs) - np.log(factor)) <= np.log(3.0)) & (np.abs(logs) > least)
    return near


def zero_volume(bars: pd.DataFrame) -> pd.DataFrame:
    """Bars with a volume of zero. All of them may be so: an index has no volume. `usual` is the median volume."""
    return _volume(bars, "zero_volume", bars["volume"].eq(0).to_numpy(dtype=bool))


def missing_volume(bars: pd.DataFrame) -> pd.DataFrame:
    """Bars without a volume. All of them may be so. `usual` is the median volume."""
    return _volume(bars, "missing_volume", bars["volume"].isna().to_numpy(dtype=bool))


def missing_extras(bars: pd.DataFrame) -> pd.DataFrame:
    """Bars without a value in an optional column, such as `buy_volume`, that other of these bars have.

    `value` is the number of such columns, `usual` is 0. A column without any value is none of them: that is legal.
    """
    given = [name for name in EXTRAS if name in bars.columns and bars[name].notna().any()]
    missing = bars[given].isna().sum(axis=1).to_numpy(dtype="float64")
    at = np.flatnonzero(missing)
    return _table(bars, "missing_extras", at, missing[at], np.zeros(len(at)))


def _volume(bars: pd.DataFrame, rule: str, found: Bools) -> pd.DataFrame:
    at = np.flatnonzero(found)
    usual = float(bars["volume"].median()) if len(at) else 0.0
    return _table(bars, rule, at, bars["volume"].to_numpy(dtype="float64")[at], np.full(len(at), usual))
