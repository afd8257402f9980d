"""The portrait of one window: its pictures, its numbers and the knobs they were made with, as one page.

What does not belong here: drawing (`cloud.py`), choosing the window and computing its homology.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from betti.charts import cloud
from betti.charts.markup import escaped, grid, number, paragraph, picture, table
from betti.charts.page import Section, page
from betti.charts.timeline import milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Portrait", "portrait", "stamp"]

LAYERS = 5  # landscape layers drawn


@dataclass(frozen=True)
class Portrait:
    """Everything the page shows of one window.

    Attributes:
        symbol: the market.
        asked: the time that was asked for.
        bar: the last bar at or before it.
        times: opens of the window's bars, UTC (window,); the last is the bar or, where windows are carried forward,
            an earlier one.
        closes: their closes, in price (window,).
        points: delay vectors in deviations of the window (n, dimension).
        diagrams: H0 and H1, each (k, 2) of [birth, death].
        grid: filtration values (bins,).
        betti: Betti numbers of H0 and H1 on the grid (2, bins).
        entropies: persistent entropy of H0 and H1, in bits (2,).
        totals: total persistence of H0 and H1 (2,).
        norms: L2 norms of landscape layers of H0 and H1 (2, layers).
        delay: bars between the coordinates of a point.
        knobs: every knob of the family by name, defaults included.
    """

    symbol: str
    asked: pd.Timestamp
    bar: pd.Timestamp
    times: pd.Series
    closes: Floats
    points: Floats
    diagrams: Sequence[Floats]
    grid: Floats
    betti: Floats
    entropies: Floats
    totals: Floats
    norms: Floats
    delay: int
    knobs: Mapping[str, object]


def stamp(time: pd.Timestamp) -> str:
    """A time as short as it can be said: its day at midnight, else with the minute, and seconds where it has any.

    >>> import pandas as pd
    >>> stamp(pd.Timestamp("2008-10-10", tz="UTC")), stamp(pd.Timestamp("2008-10-10 14:30", tz="UTC"))
    ('2008-10-10', '2008-10-10 14:30')
    """
    if time == time.normalize():
        return f"{time:%Y-%m-%d}"
    return f"{time:%Y-%m-%d %H:%M:%S}" if time.second else f"{time:%Y-%m-%d %H:%M}"


def portrait(found: Portrait) -> str:
    """The whole page as HTML that loads nothing; equal inputs give equal bytes."""
    return page(
        f"Topology of {found.symbol}, {stamp(found.times.iloc[-1])}",
        [_window(found), _persistence(found), _curves(found), _numbers(found), _knobs(found)],
    )


def _window(found: Portrait) -> Section:
    stamps = [stamp(time) for time in found.times[: len(found.points)]]
    shown = "" if found.points.shape[1] <= 3 else f"; the first 3 of {found.points.shape[1]} coordinates"
    pieces = [
        picture("fig-closes", cloud.closes(milliseconds(found.times), found.closes), "Closes, coloured by time"),
        picture(
            "fig-cloud",
            cloud.points(found.points, found.delay, stamps),
            f"{len(found.points):,} delay vectors of the standardised closes, in the same colours{shown}",
        ),
    ]
    return Section("window", "Window and cloud", paragraph(_which(found)) + _cards(found) + grid(pieces))


def _which(found: Portrait) -> str:
    """Which bar it is, and which window stands for it."""
    last = stamp(found.times.iloc[-1])
    words = f"Asked for {stamp(found.asked)} UTC: the last bar of {escaped(found.symbol)} at or before it opened "
    words += f"{stamp(found.bar)}. "
    if found.times.iloc[-1] != found.bar:
        words += f"With this stride that bar carries the window that ended at the bar opened {last}. "
    return words + (
        f"The window holds {len(found.times):,} bars, opened {stamp(found.times.iloc[0])} to {last}; its numbers are "
        f"known at the last one's close."
    )


def _cards(found: Portrait) -> str:
    holes = found.diagrams[1]
    lives = holes[:, 1] - holes[:, 0]
    shown = (
        ("bars", number(len(found.closes), 0)),
        ("points", number(len(found.points), 0)),
        ("classes of H0", number(len(found.diagrams[0]), 0)),
        ("classes of H1", number(len(holes), 0)),
        ("longest life in H1", number(float(lives.max()) if len(lives) else None)),
        ("entropy of H1, bits", number(float(found.entropies[1]))),
        ("total persistence of H1", number(float(found.totals[1]))),
    )
    cards = "".join(f'<div class="card"><b>{value}</b><span>{name}</span></div>' for name, value in shown)
    return f'<div class="cards">{cards}</div>\n'


def _persistence(found: Portrait) -> Section:
    words = paragraph(
        "Filtration values are distances in deviations of the window. H0 counts components, all born at 0; the one "
        "that never dies is left out. H1 counts holes: a long bar is a loop in the path of prices."
    )
    body = picture(
        "fig-diagram",
        cloud.diagram(found.diagrams),
        "Persistence diagram: the higher above the dotted diagonal, the longer a class lives",
    )
    body += picture("fig-barcode", cloud.barcode(found.diagrams), "Barcode: a bar per class, from birth to death")
    return Section("persistence", "Persistence", words + body)


def _curves(found: Portrait) -> Section:
    late = sum(int((pairs[:, 1] > found.grid[-1]).sum()) for pairs in found.diagrams)
    words = f"Lines are exact. Dots are what the features see: {len(found.grid):,} filtration values from 0 to "
    words += f"{found.grid[-1]:g}. "
    words += f"Classes that live beyond the last one: {late:,}." if late else "No class lives beyond the last one."
    body = picture(
        "fig-betti", cloud.betti_curves(found.diagrams, found.grid, found.betti), "Betti curves: classes alive"
    )
    body += picture(
        "fig-landscapes",
        cloud.landscapes(found.diagrams, found.grid, LAYERS),
        f"Persistence landscapes, the first {LAYERS} layers",
    )
    return Section("curves", "Betti curves and landscapes", paragraph(words) + body)


def _numbers(found: Portrait) -> Section:
    rows = [
        ["persistent entropy, bits", *_pair(found.entropies), "entropy_h0, entropy_h1"],
        ["total persistence, deviations", *_pair(found.totals), "total_h0, total_h1"],
        *(
            [f"L2 norm of landscape layer {k}", *_pair(values), f"landscape_h0_{k}, landscape_h1_{k}"]
            for k, values in enumerate(found.norms.T, start=1)
        ),
    ]
    words = paragraph("As the features have them, before they are rounded to single precision.")
    return Section("numbers", "Numbers", words + table(["", "H0", "H1", "features"], rows, kind="words"))


def _pair(values: Floats) -> list[str]:
    return [number(float(value), 6) for value in values]


def _knobs(found: Portrait) -> Section:
    words = paragraph("features.topology in params.yaml, with the defaults of what it leaves out.")
    rows = [[name, value] for name, value in found.knobs.items()]
    return Section("knobs", "Knobs", words + table(["knob", "value"], rows, kind="words"))
