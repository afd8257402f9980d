"""Tables of topology cut down to what a screen can show: lines, Betti curves as shades, where a trigger fires.

Each table is cut down as soon as it is read, so that none has to stay. What does not belong here: figures and words
(`topology.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.charts.balance import target_column
from betti.charts.timeline import envelope, milliseconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["FAMILY", "LINES", "TRIGGER", "Fired", "Heat", "Line", "Track", "fired", "heat", "tracks"]

FAMILY = "topology"
TRIGGER = "trigger"  # the label column of a target of that kind
LINES = ("total_h1", "entropy_h1", "landscape_h1_1")  # columns of the family that are drawn as lines

MOST_COLUMNS, MOST_LEVELS = 600, 100  # cells of a heat map: more than a screen has, and pages stay small


@dataclass(frozen=True)
class Line:
    """Points of one line: UTC milliseconds and values, both (points,)."""

    times: Floats
    values: Floats


@dataclass(frozen=True)
class Heat:
    """Betti numbers over time and filtration value.

    Attributes:
        edges: UTC milliseconds where columns begin, and where the last one ends (columns + 1,).
        levels: steps of the filtration grid, from 0 (levels,).
        counts: mean Betti number (levels, columns); NaN where no window is known.
    """

    edges: Floats
    levels: NDArray[np.int64]
    counts: Floats


@dataclass(frozen=True)
class Track:
    """One symbol's topology through time, cut down to what is drawn.

    Attributes:
        symbol: the market.
        rows: rows of its table.
        known: rows in which every drawn line has a value.
        bins: filtration values of a Betti curve.
        close: closes, in price.
        lines: one per entry of `LINES`, in that order.
        heat: the Betti curves of H1; None without any.
    """

    symbol: str
    rows: int
    known: int
    bins: int
    close: Line
    lines: tuple[Line, ...]
    heat: Heat | None


@dataclass(frozen=True)
class Fired:
    """Where a trigger fires.

    Attributes:
        target: its name.
        labelled: bars that have a label.
        bars: those whose label is 1.
        stretches: consecutive bars that fire as one row: `symbol`, `start`, `end` (the next bar's open), `bars`.
    """

    target: str
    labelled: int
    bars: int
    stretches: pd.DataFrame


def tracks(table: pd.DataFrame, clean: pd.DataFrame, max_points: int) -> tuple[Track, ...]:
    """What is drawn of the family's table, symbol by symbol in order of name.

    Args:
        table: `timestamp`, `symbol` and columns of the family; one that is absent counts as unknown throughout.
        clean: columns as in `betti.schemas.BARS`.
        max_points: points of a line and columns of a heat map, at most.
    """
    closes = {str(symbol): rows for symbol, rows in clean.groupby("symbol", sort=True, observed=True)}
    found = []
    for symbol, rows in table.groupby("symbol", sort=True, observed=True):
        bars = closes.get(str(symbol), clean.iloc[:0])
        found.append(_track(str(symbol), rows.sort_values("timestamp"), bars.sort_values("timestamp"), max_points))
    return tuple(found)


def _track(symbol: str, rows: pd.DataFrame, bars: pd.DataFrame, max_points: int) -> Track:
    times = milliseconds(rows["timestamp"])
    values = [_column(rows, name) for name in LINES]
    curve = sorted(name for name in rows.columns if re.fullmatch(rf"{FAMILY}__betti1_\d+", name))
    betti = rows[curve].to_numpy(dtype=np.float64)
    return Track(
        symbol=symbol,
        rows=len(rows),
        known=int(np.isfinite(values).all(axis=0).sum()),
        bins=len(curve),
        close=_line(milliseconds(bars["timestamp"]), bars["close"].to_numpy(dtype=np.float64), max_points),
        lines=tuple(_line(times, one, max_points) for one in values),
        heat=heat(times, betti, min(max_points, MOST_COLUMNS)) if np.isfinite(betti).any() else None,
    )


def _column(rows: pd.DataFrame, name: str) -> Floats:
    full = f"{FAMILY}__{name}"
    return rows[full].to_numpy(dtype=np.float64) if full in rows.columns else np.full(len(rows), np.nan)


def _line(times: Floats, values: Floats, max_points: int) -> Line:
    kept = envelope(values, max_points)
    return Line(times[kept], values[kept])


def heat(times: Floats, betti: Floats, columns: int) -> Heat:
    """Betti curves as a table of at most `columns` columns and 100 levels.

    Bars are cut into equal stretches, one a column, and a cell is the mean of the known bars in its stretch. Levels at
    which nothing is ever alive are cut off above the highest one at which something is.

    Args:
        times: UTC milliseconds (rows,), ascending, at least one.
        betti: Betti numbers (rows, bins).
        columns: at most so many.
    """
    starts = np.unique(np.linspace(0, len(times), min(columns, len(times)), endpoint=False).astype(np.int64))
    alive = np.flatnonzero((np.nan_to_num(betti) > 0).any(axis=0))
    top = min(int(alive[-1]) + 2, betti.shape[1]) if len(alive) else betti.shape[1]
    levels = np.arange(0, top, -(-top // MOST_LEVELS))
    chosen = betti[:, levels]
    known = np.add.reduceat(np.isfinite(chosen).astype(np.float64), starts, axis=0)
    sums = np.add.reduceat(np.nan_to_num(chosen), starts, axis=0)
    means = np.divide(sums, known, out=np.full_like(sums, np.nan), where=known > 0)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    return Heat(np.append(times[starts], times[-1] + step), levels, means.T.copy())


def fired(target: str, labels: pd.DataFrame) -> Fired | None:
    """Where this target fires, or None if it is no trigger: its first column has another name.

    Args:
        target: its name.
        labels: columns as in `betti.schemas.LABELS`, of any symbols.
    """
    if TRIGGER not in labels.columns or target_column(labels) != TRIGGER:
        return None
    found = [
        _stretches(str(symbol), rows.sort_values("timestamp"))
        for symbol, rows in labels.groupby("symbol", sort=True, observed=True)
    ]
    none = pd.DataFrame({"symbol": [], "start": [], "end": [], "bars": []})
    on = int((labels[TRIGGER] == 1).sum())
    return Fired(target, int(labels[TRIGGER].notna().sum()), on, pd.concat(found, ignore_index=True) if found else none)


def _stretches(symbol: str, rows: pd.DataFrame) -> pd.DataFrame:
    on = (rows[TRIGGER] == 1).to_numpy(dtype=bool)
    turns = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    first, behind = turns[::2], turns[1::2]
    times = rows["timestamp"].reset_index(drop=True)
    return pd.DataFrame(
        {
            "symbol": symbol,
            "start": times.iloc[first].to_numpy(),
            "end": times.iloc[np.minimum(behind, len(times) - 1)].to_numpy(),
            "bars": behind - first,
        }
    )
