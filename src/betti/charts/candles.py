"""Candles: bars drawn one beside the other, and places among them.

A place is a bar's number from 0, so that nights and weekends leave no holes. What does not belong here: what is marked
among the candles (`barriers.py`, `expansions.py`, `triggers.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.charts import theme
from betti.charts.portrait import stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    import plotly.graph_objects as go
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

__all__ = [
    "HEIGHT",
    "MOST_CANDLES",
    "MOST_SYMBOLS",
    "add",
    "bars_of",
    "decide",
    "merged",
    "places",
    "shade",
    "spanned",
    "spans",
]

MOST_CANDLES = 120  # of one picture in the report
MOST_SYMBOLS = 4  # of one target that get pictures in the report
HEIGHT = 330
TICKS = 5


def bars_of(clean: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """The bars of one symbol in time order, numbered from 0."""
    return clean[clean["symbol"] == symbol].sort_values("timestamp", ignore_index=True)


def places(bars: pd.DataFrame, times: pd.Series) -> Integers:
    """(k,) place of each time among the bars of one symbol; -1 where no bar has it.

    >>> hours = pd.Series(pd.date_range("2001-01-01", periods=3, freq="h", tz="UTC"))
    >>> places(pd.DataFrame({"timestamp": hours[:2]}), hours).tolist()
    [0, 1, -1]
    """
    return np.asarray(pd.DatetimeIndex(bars["timestamp"]).get_indexer(pd.DatetimeIndex(times)), dtype=np.int64)


def spans(bars: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """The labels whose times are all among the bars, with places: `row` of the decision bar, `first_row` and
    `last_row` of the span.

    Args:
        bars: bars of one symbol in time order.
        labels: columns as in `betti.schemas.LABELS`, of the same symbol.
    """
    found = labels.sort_values("timestamp", ignore_index=True)
    for place, name in (("row", "timestamp"), ("first_row", "span_start"), ("last_row", "span_end")):
        found[place] = places(bars, found[name])
    return found[(found[["row", "first_row", "last_row"]] >= 0).all(axis=1)].reset_index(drop=True)


def merged(bars: pd.DataFrame, most: int) -> tuple[pd.DataFrame, int]:
    """Neighbouring bars as one until at most `most` are left, and how many make one; the last may hold fewer.

    Args:
        bars: bars of one symbol in time order, at least one.
        most: at most so many.

    >>> four = pd.DataFrame({"timestamp": range(4), "open": [1, 2, 3, 4], "high": [5, 9, 5, 5], "low": 0, "close": 3})
    >>> merged(four, 2)[0][["timestamp", "open", "high"]].to_numpy().tolist(), merged(four, 4)[1]
    ([[0, 1, 9], [2, 3, 5]], 1)
    """
    each = -(-len(bars) // most)
    groups = bars.groupby(np.arange(len(bars)) // each)
    how = {"timestamp": "first", "open": "first", "high": "max", "low": "min", "close": "last"}
    return groups.agg(how), each


def add(figure: go.Figure, bars: pd.DataFrame, most: int, *, rows: int = 1) -> None:
    """Draw candles into the first row of a figure, and set its axes of places.

    Rising ones are white and falling ones grey: colours are for what is marked.

    Args:
        figure: drawn into; with several rows, made by `make_subplots` with shared x axes.
        bars: bars of one symbol in time order, at least one; the first has place 0.
        most: candles at most, see `merged`.
        rows: rows of the figure.
    """
    drawn, each = merged(bars, most)
    line = {"color": theme.GREY, "width": 1}
    figure.add_candlestick(
        x=np.arange(len(drawn), dtype=np.float32) * each + (each - 1) / 2,
        **{name: drawn[name].to_numpy(dtype=np.float32) for name in ("open", "high", "low", "close")},
        increasing={"line": line, "fillcolor": "#FFFFFF"},
        decreasing={"line": line, "fillcolor": theme.GREY},
        text=[stamp(time) for time in drawn["timestamp"]],
        hoverinfo="y+text",
        name="bars" if each == 1 else f"{each} bars each",
        showlegend=each > 1,
        **({"row": 1, "col": 1} if rows > 1 else {}),
    )
    ticks = np.unique(np.linspace(0, len(bars) - 1, TICKS).round().astype(int))
    figure.update_xaxes(
        tickmode="array",
        tickvals=[int(tick) for tick in ticks],
        ticktext=[stamp(bars["timestamp"].iloc[tick]) for tick in ticks],
        tickangle=0,
        range=[-1, len(bars)],
        rangeslider_visible=False,
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(title_text="open of the bar, UTC", row=rows if rows > 1 else None, col=1 if rows > 1 else None)
    # Half of the last tick's label; and the legend below plotly's buttons, which would cover it.
    figure.update_layout(margin={"r": 44, "t": 62})
    figure.layout.yaxis.update(title_text="price", hoverformat=",.6~g")


def spanned(bars: pd.DataFrame, row: int, first: int, last: int, most: int = MOST_CANDLES) -> go.Figure:
    """Candles with a label's decision bar marked and its span shaded: what every label has.

    Args:
        bars: bars of one symbol in time order, at least one; all are drawn.
        row: place of the decision bar.
        first, last: places of the span's first and last bar.
        most: candles at most; of more bars, neighbours are drawn as one.
    """
    import plotly.graph_objects as go

    drawn = go.Figure()
    add(drawn, bars, most)
    shade(drawn, first, last, theme.BLUE)
    decide(drawn, bars, [row])
    drawn.update_layout(showlegend=True)
    return theme.framed(drawn, height=HEIGHT)


def decide(figure: go.Figure, bars: pd.DataFrame, rows: Sequence[int]) -> None:
    """Mark the closes of decision bars.

    Args:
        figure: what `add` drew into.
        bars: the same bars.
        rows: places of decision bars.
    """
    figure.add_scatter(
        x=list(rows),
        y=bars["close"].to_numpy(dtype=np.float32)[list(rows)],
        mode="markers",
        marker={"symbol": "circle", "size": 7, "color": theme.INK},
        name="decision",
        hoverinfo="y+name",
    )


def shade(figure: go.Figure, first: float, last: float, colour: str, *, axis: str = "y") -> None:
    """Shade the bars from one place to another, both included, behind the candles.

    Args:
        figure: what `add` drew into.
        first, last: places.
        colour: of the form #RRGGBB.
        axis: the y axis of the row that is shaded.
    """
    figure.add_shape(
        type="rect", xref=axis.replace("y", "x"), yref=f"{axis} domain", x0=first - 0.5, x1=last + 0.5, y0=0, y1=1,
        layer="below", fillcolor=theme.faint(colour, 0.14), line_width=0,
    )  # fmt: skip
