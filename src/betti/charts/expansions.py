"""Expansions in a picture: the candles of a window, the bars of its expansion shaded, the countdown below.

What does not belong here: finding expansions (`betti.labelling.expansion`), candles themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.charts import candles, theme
from betti.charts.markup import escaped, grid, picture, slug

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

__all__ = ["COLOURS", "NAMES", "Window", "body", "countdown", "figure", "fits", "told", "window"]

NAMES = ("no expansion", "expansion")
COLOURS = (theme.GREY, theme.ORANGE)
TYPES = ("a consolidation", "a retracement", "a reversal")
COLUMNS = frozenset({"expansion", "start", "end", "type", "begun", "ahead", "censored"})


@dataclass(frozen=True)
class Window:
    """One window and its expansion, in places from the window's first bar.

    Attributes:
        bars: of the window.
        start: the expansion's first bar: below 0 where it began before, beyond the window where it lies ahead, NaN
            without one.
        end: its last bar in the window; NaN without one there.
        type: 0, 1 or 2: what came before it; NaN where that is not asked.
        censored: whether it goes on after the window.
    """

    bars: int
    start: float
    end: float
    type: float
    censored: bool

    @property
    def begun(self) -> bool:
        """Whether the expansion began before the window."""
        return self.start < 0

    @property
    def ahead(self) -> bool:
        """Whether the expansion starts after the window."""
        return self.start > self.bars - 1


def fits(labels: pd.DataFrame) -> bool:
    """Whether these are labels of expansions: they have all of those columns."""
    return set(labels.columns) >= COLUMNS


def window(row: pd.Series) -> Window:
    """The window of one row of `candles.spans`."""
    bars = int(row["row"] - row["first_row"]) + 1
    start, end, kind = (float(row[name]) for name in ("start", "end", "type"))
    return Window(bars, start, end, kind, bool(row["censored"] > 0))


def body(name: str, labels: pd.DataFrame, clean: pd.DataFrame) -> str:
    """A window of each of the first four symbols in order of name: one with its last whole expansion.

    Args:
        name: the target's.
        labels: columns as in `betti.schemas.LABELS`, and those of an expansion.
        clean: columns as in `betti.schemas.BARS`.
    """
    pieces = []
    for symbol in sorted(labels["symbol"].unique())[: candles.MOST_SYMBOLS]:
        bars = candles.bars_of(clean, symbol)
        known = candles.spans(bars, labels[labels["symbol"] == symbol])
        if known.empty:
            continue
        which, row = _telling(known)
        found = window(row)
        shown = bars.iloc[int(row["first_row"]) : int(row["row"]) + 1].reset_index(drop=True)
        caption = f"{escaped(symbol)}: {which}. {told(found)}"
        pieces.append(picture(f"fig-expansion-{slug(name)}-{slug(symbol)}", figure(shown, found), caption))
    return grid(pieces) if pieces else ""


def _telling(known: pd.DataFrame) -> tuple[str, pd.Series]:
    """The row that shows most, and what it is called: a whole expansion, else the start of one, else the last row.

    Of the windows that hold the last expansion, the one in which it starts nearest to the middle.
    """
    starts = (known["expansion"] == 1) & (known["begun"] == 0) & (known["ahead"] == 0)
    for which, wanted in (
        ("a window with the last whole expansion", starts & (known["censored"] == 0)),
        ("a window with the last start of an expansion", starts),
    ):
        if wanted.any():
            places = known["first_row"] + known["start"]
            mine = known[wanted & (places == places[wanted].max())]
            return which, mine.loc[(mine["start"] - (mine["row"] - mine["first_row"]) / 2).abs().idxmin()]
    return "the last window", known.iloc[-1]


def told(found: Window) -> str:
    """What the picture shows, in words; places count from 0."""
    if np.isnan(found.start):
        return f"None of its {found.bars} bars belongs to an expansion"
    if found.ahead:
        words = f"An expansion starts {found.start - found.bars + 1:g} bars after the window"
    elif found.begun:
        words = f"An expansion that began before it goes on to bar {found.end:g}"
    else:
        words = f"Shaded: the expansion from bar {found.start:g} to {found.end:g}"
    words += "" if np.isnan(found.type) else f", after {TYPES[int(found.type)]}"
    return words + (", and on after the window" if found.censored else "")


def countdown(found: Window) -> NDArray[np.float64]:
    """(bars,) bars until the expansion starts, negative after; NaN where that is not asked."""
    counted: NDArray[np.float64] = found.start - np.arange(found.bars, dtype=np.float64)
    return np.full(found.bars, np.nan) if found.begun else counted


def figure(bars: pd.DataFrame, found: Window, *, most: int = candles.MOST_CANDLES) -> go.Figure:
    """Candles above with the mask shaded, the countdown below.

    Args:
        bars: those of the window, and after them what the label read or some of it; all are drawn.
        found: the window, which begins with the first of them.
        most: candles at most; of more bars, neighbours are drawn as one.
    """
    from plotly.subplots import make_subplots

    drawn = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.04, row_heights=[0.7, 0.3])
    candles.add(drawn, bars, most, rows=2)
    if np.isfinite(found.end):
        for axis in ("y", "y2"):
            candles.shade(drawn, max(found.start, 0.0), found.end, theme.ORANGE, axis=axis)
    counted = countdown(found)
    drawn.add_scatter(
        x=np.arange(found.bars, dtype=np.float32),
        y=counted.astype(np.float32),
        mode="lines",
        line={"color": theme.BLUE, "width": 2},
        name="countdown",
        hovertemplate="%{y:.0f} bars until the start<extra></extra>",
        showlegend=False,
        row=2,
        col=1,
    )
    if np.isnan(counted).all():
        drawn.add_annotation(
            text="no countdown: no start is asked for", xref="x2 domain", yref="y2 domain", x=0.5, y=0.5,
            showarrow=False, font_color=theme.GREY,
        )  # fmt: skip
        drawn.update_yaxes(range=[-1, 1], row=2, col=1)
    if len(bars) > found.bars:
        _after(drawn, found, len(bars))
    drawn.update_yaxes(title_text="bars until start", row=2, col=1)
    drawn.update_layout(margin_t=40)  # there is no legend
    return theme.framed(drawn, height=candles.HEIGHT + 90)


def _after(drawn: go.Figure, found: Window, bars: int) -> None:
    """Shade the bars after the window, which a model does not see."""
    for axis in ("y", "y2"):
        candles.shade(drawn, found.bars, bars - 1, theme.GREY, axis=axis)
    drawn.add_annotation(
        text="after the window", x=found.bars - 0.5, xref="x", xanchor="left", y=1, yref="y domain", yanchor="top",
        showarrow=False, font_color=theme.GREY,
    )  # fmt: skip
