"""Topology through time: price, the numbers of its holes below it, and the bars after which it expanded.

What does not belong here: cutting tables down to what is drawn (`topology_tracks.py`), the cloud of one window
(`cloud.py`), persistence itself (`betti.topology`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from betti.charts import theme
from betti.charts.markup import escaped, number, paragraph, percent, picture, slug
from betti.charts.page import Section, gathered
from betti.charts.timeline import milliseconds
from betti.charts.topology_tracks import FAMILY, LINES, TRIGGER

if TYPE_CHECKING:
    from collections.abc import Sequence

    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from betti.charts.topology_tracks import Fired, Heat, Line, Track

    Floats = NDArray[np.float64]

__all__ = ["EngineCounts", "engine_words", "panels", "section"]

MOST_SYMBOLS = 8  # symbols that get a picture

# Title and colour of a line's panel.
PANELS = {
    "total_h1": ("total persistence of H1, in deviations of the window", theme.BLUE),
    "entropy_h1": ("persistent entropy of H1, in bits", theme.GREEN),
    "landscape_h1_1": ("L2 norm of the first landscape layer of H1", theme.PURPLE),
}
HEIGHTS = (0.3, 0.15, 0.15, 0.15, 0.25)

WIDE = 5.0  # highest over lowest price; below it plotly's own ticks of a logarithmic axis do well
MARK = "#F5D590"  # orange mixed with white: bands that overlap stay as light as one
HIDDEN = {"visible": False, "range": [0, 1], "fixedrange": True}


@dataclass(frozen=True)
class EngineCounts:
    """How many clouds each algorithm of the persistence engine took.

    Attributes:
        planar: by faces in the plane.
        general: by lunes, because the clouds have another dimension.
        fallback: by lunes, because a check of the planar algorithm failed.
    """

    planar: int
    general: int
    fallback: int


def engine_words(planar: int, general: int, fallback: int) -> str:
    """One sentence on how many clouds each algorithm of the persistence engine took.

    >>> engine_words(9_812, 0, 1)
    'Of 9,813 clouds the planar algorithm took 9,812, the general one 0, and 1 fell back from the one to the other.'
    """
    total = planar + general + fallback
    if total == 0:
        return "No cloud was computed."
    noun = "cloud" if total == 1 else "clouds"
    return (
        f"Of {total:,} {noun} the planar algorithm took {planar:,}, the general one {general:,}, and {fallback:,} "
        f"fell back from the one to the other."
    )


def panels(track: Track, marks: pd.DataFrame, levels_title: str, level_scale: float = 1.0) -> go.Figure:
    """Price on top; below it, on the same time axis, the numbers of H1 and its Betti curves as shades.

    Args:
        track: what to draw.
        marks: stretches to mark (`start`, `end`), maybe none.
        levels_title: what the vertical axis of the heat map counts in.
        level_scale: that unit, per step of the filtration grid.
    """
    from plotly.subplots import make_subplots

    titles = ["close", *(PANELS[name][0] for name in LINES), "Betti curve of H1: holes alive"]
    figure = make_subplots(
        rows=len(HEIGHTS),
        shared_xaxes=True,
        vertical_spacing=0.045,
        row_heights=list(HEIGHTS),
        subplot_titles=titles,
        specs=[[{"secondary_y": True}] for _ in HEIGHTS],
    )
    # Annotations are the panels' titles here.
    figure.update_annotations(font_size=12, x=0, xanchor="left")
    _draw(figure, 1, track.close, titles[0], theme.INK)
    for row, (line, name) in enumerate(zip(track.lines, LINES, strict=True), start=2):
        _draw(figure, row, line, *PANELS[name])
    _mark(figure, marks)
    _lay_axes(figure, track, levels_title)
    if track.heat is not None:
        _shade(figure, track.heat, level_scale)
    # The legend stands above the panels' titles.
    figure.update_layout(
        showlegend=True, legend={"y": 1.03}, margin={"t": 74}, hovermode="x unified", barmode="overlay"
    )
    return theme.framed(figure, height=820)


def _lay_axes(figure: go.Figure, track: Track, levels_title: str) -> None:
    """Lines on the axes in front, at the left; marks behind them. The heat map is the other way round."""
    last = len(HEIGHTS)
    figure.update_yaxes(side="left", tickmode="auto", nticks=5, secondary_y=True)
    figure.update_yaxes(_price_axis(track.close.values), row=1, col=1, secondary_y=True)
    figure.update_yaxes(HIDDEN, secondary_y=False)
    figure.update_yaxes({**HIDDEN, "side": "right"}, row=last, col=1, secondary_y=True)
    levels = {"visible": True, "fixedrange": False, "showgrid": False, "title_text": levels_title}
    figure.update_yaxes(levels, row=last, col=1, secondary_y=False)
    figure.update_xaxes(type="date", range=_range(track), domain=[0, 1])


def _draw(figure: go.Figure, row: int, line: Line, name: str, colour: str) -> None:
    figure.add_scatter(
        x=line.times,
        y=line.values.astype(np.float32),
        mode="lines",
        name=name,
        showlegend=False,
        line={"color": colour, "width": 1.3},
        hovertemplate="%{y:.4g}<extra></extra>",
        row=row,
        col=1,
        secondary_y=True,
    )


def _price_axis(prices: Floats) -> dict[str, Any]:
    """Logarithmic, unless no price is positive; over a wide range ticks at 1, 2 and 5 of every decade."""
    positive = prices[prices > 0]
    if len(positive) == 0:
        return {"type": "linear"}
    low, high = float(positive.min()), float(positive.max())
    if high < WIDE * low:
        return {"type": "log"}
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    return {"type": "log", "tickmode": "array", "tickvals": ticks, "ticktext": [f"{tick:,.10g}" for tick in ticks]}


def _shade(figure: go.Figure, cells: Heat, level_scale: float) -> None:
    row = len(HEIGHTS)
    axis = figure.get_subplot(row, 1).yaxis
    known = cells.counts[np.isfinite(cells.counts)]
    figure.add_heatmap(
        x=cells.edges,
        y=cells.levels * level_scale,
        z=cells.counts.astype(np.float32),
        zmin=0,
        # One freak window does not pale all the others.
        zmax=max(1.0, float(np.quantile(known, 0.998))),
        colorscale=theme.SHADES,
        # Inside the panel: beside it, it would make all panels narrower.
        colorbar={
            "orientation": "h", "x": 0.995, "xanchor": "right", "y": axis.domain[1] - 0.015, "yanchor": "top",
            "len": 0.2, "thickness": 8, "nticks": 4,
        },
        hovertemplate="%{y:.3g}: %{z:.1f} holes<extra></extra>",
        name="holes",
        row=row,
        col=1,
        secondary_y=False,
    )  # fmt: skip
    axis.update(range=[0, _usual_top(cells) * level_scale])
    # Grey is unknown; white is no hole.
    place = axis.plotly_name.removeprefix("yaxis")
    figure.add_shape(
        type="rect", xref=f"x{row} domain", yref=f"y{place} domain", x0=0, x1=1, y0=0, y1=1, layer="below",
        fillcolor=theme.LIGHT, line_width=0,
    )  # fmt: skip


def _usual_top(cells: Heat) -> float:
    """The level below which all but a hundredth of the holes are alive; what lies above is there to be zoomed out to.

    The panel is higher by a third, so that neither its marks nor its colour bar cover holes.
    """
    mass = np.cumsum(np.nan_to_num(cells.counts).sum(axis=1))
    top = int(np.searchsorted(mass, 0.99 * mass[-1])) if mass[-1] > 0 else len(cells.levels) - 1
    return 4 / 3 * float(cells.levels[top] + 1)


def _mark(figure: go.Figure, marks: pd.DataFrame) -> None:
    """A band per stretch behind the lines, on an axis of its own; ticks along the upper edge of the heat map."""
    if marks.empty:
        return
    start, end = milliseconds(marks["start"]), milliseconds(marks["end"])
    for row in range(1, len(HEIGHTS) + 1):
        last = row == len(HEIGHTS)
        figure.add_bar(
            x=(start + end) / 2,
            width=end - start,
            base=0.95 if last else 0.0,
            y=np.full(len(start), 0.05 if last else 1.0, dtype=np.float32),
            # Without an outline a stretch of one bar would vanish below a pixel.
            marker={"color": MARK, "line": {"color": MARK, "width": 0.5}},
            name="the trigger fires",
            legendgroup=TRIGGER,
            showlegend=row == 1,
            hoverinfo="skip",
            row=row,
            col=1,
            secondary_y=last,
        )


def _range(track: Track) -> list[float]:
    ends = [one.times[[0, -1]] for one in (track.close, *track.lines) if len(one.times)]
    return [float(np.min(ends)), float(np.max(ends))]


def section(
    found: Sequence[Track] | None,
    marks: Fired | None,
    *,
    counts: EngineCounts | None = None,
    filtration_max: float | None = None,
) -> Section:
    """The section of the page.

    Args:
        found: what `tracks` made; None where the family is not among the features.
        marks: where the trigger fires; None where no target is a trigger.
        counts: how many clouds each algorithm took, where that is known.
        filtration_max: the last filtration value of the Betti curves, in deviations of the window; without it the
            axis counts steps of the grid.
    """
    if found is None:
        words = paragraph(f"The feature family {FAMILY} is not declared, so there is nothing to show here.")
        return Section(FAMILY, "Topology through time", words)
    words = paragraph(
        "A bar's numbers are those of the window that it shows: what was known at its close. Where bars are too many "
        "to draw, lines keep the peaks and troughs, and shades are means over neighbours. White is no hole, grey is "
        "unknown (warm-up)."
    )
    words += paragraph(_mark_words(marks))
    if counts is not None:
        words += paragraph(engine_words(counts.planar, counts.general, counts.fallback))
    if len(found) > MOST_SYMBOLS:
        words += paragraph(f"The first {MOST_SYMBOLS} of {len(found)} symbols, in order of name.")
    return gathered(
        FAMILY,
        "Topology through time",
        words,
        {one.symbol: _body(one, marks, filtration_max) for one in found[:MOST_SYMBOLS]},
    )


def _mark_words(marks: Fired | None) -> str:
    if marks is None:
        return "No bars are marked: no target is a trigger."
    if marks.labelled == 0:
        return f"No bars are marked: target {escaped(marks.target)} has no label."
    return (
        f"Orange: bars at which target {escaped(marks.target)} fires, {number(marks.bars, 0)} of "
        f"{number(marks.labelled, 0)} labelled ones ({percent(marks.bars / marks.labelled)}). A label looks ahead: the "
        f"move comes after the bar, so what matters is the topology at the left edge of a band and before."
    )


def _body(track: Track, marks: Fired | None, filtration_max: float | None) -> str:
    if track.known == 0 and track.heat is None:
        return paragraph(f"None of the {track.rows:,} rows has a value: the history is shorter than a window.")
    words = paragraph(f"{track.rows:,} rows, {track.rows - track.known:,} of them without a value.")
    mine = pd.DataFrame({"start": [], "end": []})
    if marks is not None:
        mine = marks.stretches[marks.stretches["symbol"] == track.symbol]
    if filtration_max is None or track.bins < 2:
        figure = panels(track, mine, f"filtration step of {track.bins}")
    else:
        figure = panels(track, mine, "filtration value", filtration_max / (track.bins - 1))
    caption = f"{escaped(track.symbol)}: price above, the holes of its delay embedding below"
    return words + picture(f"fig-topology-{slug(track.symbol)}", figure, caption)
