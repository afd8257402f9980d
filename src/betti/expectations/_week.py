"""The usual week of a market, told from its bars alone: at which times of the week it usually has one.

What does not belong here: trading calendars (`_calendars.py`), and what is missing (`gaps.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.expectations._calendars import DAY, MINUTE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Micros = NDArray[np.int64]
    Grid = NDArray[np.bool_]
    Counts = NDArray[np.int16]

__all__ = ["Week", "usual_week"]

WEEK = 7 * DAY
MONDAY = 4 * DAY  # 1970-01-05, the first Monday of the epoch
# Sessions keep local time, so that in UTC they move when clocks change. Only the rule of the change matters here, and
# these are those in use at large markets: none, the United States', Europe's, Australia's.
ZONES = ("UTC", "America/New_York", "Europe/London", "Australia/Sydney")
COARSER = (15 * MINUTE, 60 * MINUTE, 240 * MINUTE, DAY)
COLUMNS = 1008  # cells of the week looked at together
NEAR = 26  # weeks on either side that tell what is usual: trading hours change over the years
FEW = 4  # known weeks nearby below which all weeks tell
# A bar that no week has is not usual, and its absence no gap: an hour's halt, or five minutes missing every night.
USUAL = 0.75  # share of the other weeks that must have a bar at a time for it to be usual there
CLOSED = 0.25  # share of all weeks up to which a market is closed at a time
GOOD = 0.75  # quantile of weeks that stands for one without outages
FULL = 0.95  # of its usual times that such a week must have, or the times are made coarser
COVERED = 0.9  # of the bars that must lie at usual times, likewise


@dataclass(frozen=True)
class Week:
    """What is usual, as one flat row of cells from the Monday before the first bar on.

    Attributes:
        zone: the clock that the market keeps, as far as changes of clocks go.
        cell: length of a cell in microseconds: the bar's own, or more where bars come thinly.
        cells: (k,) the cell of each bar.
        usual: (n,) whether a cell usually has a bar.
        sure: (n,) share of other weeks that have one, (k + 1) / (m + 2): one week proves little.
        weeks: how many weeks the habit rests on.
        bars_per_cell: bars in a cell that has any, on average.
        least: empty cells in a row that chance would hardly leave: 1 where cells are bars.
    """

    zone: str
    cell: int
    cells: Micros
    usual: Grid
    sure: NDArray[np.float32]
    weeks: int
    bars_per_cell: float
    least: int


def usual_week(times: Micros, step: int) -> Week | None:
    """The market's usual week, or None where bars span less than two weeks, or their step does not divide a week.

    Args:
        times: (k,) opens of bars on their grid, microseconds since 1970, UTC, ascending, none twice.
        step: length of a bar in microseconds.
    """
    if not len(times) or times[-1] - times[0] < 2 * WEEK or WEEK % step:
        return None
    zone = "UTC" if step >= DAY else _zone(times, max(step, 60 * MINUTE))
    local = _local(times, zone)
    finest = [step, *(cell for cell in COARSER if cell > step and cell % step == 0)]
    for cell in finest:
        week, fits = _habit(times, local, zone, step, cell)
        if fits:
            break
    return week


def _zone(times: Micros, cell: int) -> str:
    """The clock under which weeks resemble each other most; UTC unless another one is clearly better."""
    # Clocks differ by whole hours and so do cells: of each cell one time tells as much as all of its bars.
    times = pd.unique(times // cell) * cell
    misfits = {zone: _misfit(_local(times, zone), cell) for zone in ZONES}
    best = min(ZONES, key=lambda zone: misfits[zone])
    return best if misfits[best] < 0.9 * misfits["UTC"] else "UTC"


def _local(times: Micros, zone: str) -> Micros:
    """Wall clock times as if they were UTC."""
    if zone == "UTC":
        return times
    index = pd.DatetimeIndex(times.view("datetime64[us]")).tz_localize("UTC").tz_convert(zone)
    return index.tz_localize(None).as_unit("us").asi8


def _laid_out(local: Micros, cell: int) -> tuple[Micros, Grid, Grid]:
    """Each bar's cell, and (weeks, cells of a week) which cells have a bar and which lie between first and last."""
    of_week = WEEK // cell
    monday = (local[0] - MONDAY) // WEEK * WEEK + MONDAY
    number = local - monday
    number //= cell
    number = number.astype("int32")
    weeks = int(number.max()) // of_week + 1
    present = np.zeros(weeks * of_week, dtype=bool)
    present[number] = True
    known = np.zeros_like(present)
    known[number[0] : number.max() + 1] = True
    # A week without any bar is an outage and says nothing of the habit.
    known = known.reshape(weeks, of_week) & present.reshape(weeks, of_week).any(axis=1)[:, None]
    return number, present.reshape(weeks, of_week), known


def _shares(present: Grid, known: Grid) -> tuple[Counts, Counts]:
    """(weeks, cells) in how many of the other weeks nearby a cell has a bar, and how many are known.

    Where fewer than `FEW` weeks nearby are known, all weeks take their place.
    """
    if present.shape[1] > COLUMNS:  # minutes of a week over decades: their counts are many times the grid's size
        blocks = [
            _shares(present[:, start : start + COLUMNS], known[:, start : start + COLUMNS])
            for start in range(0, present.shape[1], COLUMNS)
        ]
        return np.hstack([share for share, _ in blocks]), np.hstack([weeks for _, weeks in blocks])
    counts = []
    for grid in (present & known, known):
        whole = np.concatenate([np.zeros((1, grid.shape[1]), dtype="int32"), np.cumsum(grid, axis=0, dtype="int32")])
        weeks = np.arange(len(grid))
        window = whole[np.minimum(weeks + NEAR + 1, len(grid))] - whole[np.maximum(weeks - NEAR, 0)]
        counts.append(((window - grid).astype("int16"), (whole[-1] - grid).astype("int16")))
    (near, all_present), (near_known, all_known) = counts
    few = near_known < FEW
    return np.where(few, all_present, near), np.where(few, all_known, near_known)


def _usual(present: Grid, known: Grid, share: Counts, weeks: Counts) -> Grid:
    """(weeks, cells) whether a cell usually has a bar: always, in a market that closes at no time of the week."""
    total = known.sum(axis=0)
    if ((present & known).sum(axis=0) > CLOSED * total).all():
        return np.broadcast_to(total > 0, present.shape)
    usual: Grid = (weeks > 0) & (share >= USUAL * weeks)
    return usual


def _misfit(local: Micros, cell: int) -> int:
    """Cells that have a bar where none is usual, or none where one is."""
    _, present, known = _laid_out(local, cell)
    share, weeks = _shares(present, known)
    usual = (weeks > 0) & (share >= USUAL * weeks)
    return int(((usual != present) & known).sum())


def _habit(times: Micros, local: Micros, zone: str, step: int, cell: int) -> tuple[Week, bool]:
    """The habit at one length of cell, and whether the bars follow it closely enough to speak of single cells."""
    number, present, known = _laid_out(local, cell)
    share, weeks = _shares(present, known)
    usual = _usual(present, known, share, weeks)
    met = (usual & present & known).sum(axis=1)
    due = (usual & known).sum(axis=1)
    middle, good = np.quantile(met[due > 0] / due[due > 0], [0.5, GOOD]) if (due > 0).any() else (0.0, 0.0)
    covered = float(met.sum() / max(present.sum(), 1))
    week = Week(
        zone=zone,
        cell=cell,
        cells=number,
        usual=usual.ravel(),
        sure=((share + np.float32(1)) / (weeks + np.float32(2))).ravel(),
        weeks=int(known.any(axis=1).sum()),
        bars_per_cell=len(times) / int(present.sum()),
        least=1 if cell == step else _least(float(middle), int(due.sum())),
    )
    return week, bool(good >= FULL and covered >= COVERED)


def _least(full: float, cells: int) -> int:
    """How many cells in a row chance leaves empty less than once in two such series, if a week is `full`."""
    if not 0 < full < 1 or not cells:
        return 1
    return max(1, int(np.ceil(np.log(0.5 / cells) / np.log(1 - full))))
