"""Triggers in pictures: where they fire along the price, how often over time, and one of them among its bars.

What does not belong here: making labels (`betti.labelling.trigger`), candles themselves, topology behind a trigger
(`topology.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.charts import balance, candles, theme
from betti.charts.markup import escaped, grid, number, percent, picture, slug
from betti.charts.timeline import envelope, milliseconds, period_name
from betti.charts.topology_tracks import TRIGGER, fired

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

__all__ = ["COLOURS", "NAMES", "Move", "around", "body", "fits", "marked", "over_time"]

NAMES = ("does not fire", "fires")
COLOURS = (theme.GREY, theme.ORANGE)
MOST_POINTS, MOST_MARKS = 600, 300  # of a price line, and of hits along it
SHAPES = {1.0: "triangle-up", -1.0: "triangle-down", 0.0: "diamond"}


@dataclass(frozen=True)
class Move:
    """One trigger label among bars; places count from the first bar.

    Attributes:
        row: place of the decision bar.
        last: of the last bar of the horizon.
        upper, lower: prices that make it fire; NaN on a side that is not asked about.
        reached: place of the bar of the largest move that was asked about.
        price: how far price went there.
        hit: whether it fires.
    """

    row: int
    last: int
    upper: float
    lower: float
    reached: int
    price: float
    hit: bool


def fits(labels: pd.DataFrame) -> bool:
    """Whether these are labels of a trigger: that is their first column."""
    return balance.target_column(labels) == TRIGGER


def body(name: str, labels: pd.DataFrame, clean: pd.DataFrame, max_points: int = MOST_POINTS) -> str:
    """Price with hits and their share over time, for each of the first four symbols in order of name.

    Args:
        name: the target's.
        labels: columns as in `betti.schemas.LABELS`, and `trigger`; `side` where there is one.
        clean: columns as in `betti.schemas.BARS`.
        max_points: points drawn of the price, at most.
    """
    pieces = []
    for symbol in sorted(labels["symbol"].unique())[: candles.MOST_SYMBOLS]:
        bars, mine = candles.bars_of(clean, symbol), labels[labels["symbol"] == symbol].dropna(subset=[TRIGGER])
        if bars.empty or mine.empty:
            continue
        stretches, marks = marked(bars, mine)
        words = f"{escaped(symbol)}: {_hits(int((mine[TRIGGER] == 1).sum()), stretches)}; "
        if len(marks) < stretches:
            words += f"{number(len(marks), 0)} of the stretches are marked, evenly chosen; "
        words += f"the share of bars that are hits per {period_name(mine['timestamp'])} below"
        drawn = over_time(bars, mine, marks, min(max_points, MOST_POINTS))
        pieces.append(picture(f"fig-trigger-{slug(name)}-{slug(symbol)}", drawn, words))
    return grid(pieces) if pieces else ""


def _hits(hits: int, stretches: int) -> str:
    words = f"{number(hits, 0)} {'hit' if hits == 1 else 'hits'}"
    return words + (f" in {number(stretches, 0)} stretches, a mark where each begins" if stretches > 1 else "")


def marked(bars: pd.DataFrame, labels: pd.DataFrame) -> tuple[int, pd.DataFrame]:
    """How many stretches of hits there are, and where to mark them: `timestamp`, `close`, `side`, 300 rows at most.

    Args:
        bars: bars of one symbol in time order.
        labels: its labels, with `trigger`, and `side` where there is one.
    """
    import pandas as pd

    found = fired(TRIGGER, labels)
    starts = pd.DatetimeIndex([] if found is None else found.stretches["start"], tz="UTC")
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(MOST_MARKS, len(starts))).round().astype(int))
    sides = labels.set_index("timestamp")["side"] if "side" in labels else pd.Series(0.0, index=labels["timestamp"])
    marks = pd.DataFrame({"timestamp": starts[chosen], "side": sides.reindex(starts[chosen]).to_numpy()})
    marks["close"] = bars.set_index("timestamp")["close"].reindex(marks["timestamp"]).to_numpy()
    return len(starts), marks


# Drawing ------------------------------------------------------------------------------------------------------------


def over_time(bars: pd.DataFrame, labels: pd.DataFrame, marks: pd.DataFrame, max_points: int) -> go.Figure:
    """Price with marks where hits begin, and below it the share of hits per calendar period.

    Args:
        bars: bars of one symbol in time order, at least one.
        labels: its labels, at least one.
        marks: what `marked` gives.
        max_points: points of the price at most.
    """
    from plotly.subplots import make_subplots

    drawn = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.65, 0.35])
    close = bars["close"].to_numpy(dtype=np.float64)
    kept = envelope(close, max_points)
    drawn.add_scatter(
        x=milliseconds(bars["timestamp"].iloc[kept]), y=close[kept].astype(np.float32), mode="lines",
        line={"color": theme.GREY, "width": 1}, name="close", hoverinfo="x+y", row=1, col=1,
    )  # fmt: skip
    drawn.add_scatter(
        x=milliseconds(marks["timestamp"]), y=marks["close"].to_numpy(dtype=np.float32), mode="markers",
        marker={"symbol": _shapes(marks["side"]), "size": 6, "color": theme.RED,
                "line": {"color": "#FFFFFF", "width": 0.5}},
        name="hits begin", hoverinfo="x+y", row=1, col=1,
    )  # fmt: skip
    table = balance.shares(labels)
    share = table[1].to_numpy(dtype=np.float64) if 1 in table.columns else np.zeros(len(table))
    period = period_name(labels["timestamp"])
    drawn.add_bar(
        x=milliseconds(table.index.to_series()), y=share.astype(np.float32), marker_color=theme.ORANGE,
        hovertemplate="%{x|%Y-%m-%d}: %{y:.1%}<extra></extra>", showlegend=False, row=2, col=1,
    )  # fmt: skip
    whole = float((labels[TRIGGER] == 1).mean())
    drawn.add_hline(y=whole, line={"color": theme.INK, "width": 1, "dash": "dot"}, row=2, col=1)
    drawn.update_layout(showlegend=True, bargap=0.05, margin_t=62)
    drawn.update_xaxes(type="date")
    drawn.update_xaxes(title_text=f"time, UTC; dotted: {percent(whole)} of all, per {period}", row=2, col=1)
    drawn.update_yaxes(title_text="close, price", **_price_axis(close), row=1, col=1)
    drawn.update_yaxes(title_text="share of bars", tickformat=".0%", rangemode="tozero", row=2, col=1)
    return theme.framed(drawn, height=candles.HEIGHT + 60)


def _shapes(sides: pd.Series) -> str | list[str]:
    """A mark's shape says to which side price moves; one word where all are alike."""
    shapes = [SHAPES.get(side, "diamond") for side in sides]
    return shapes if len(set(shapes)) > 1 else next(iter(shapes), "diamond")


def _price_axis(values: NDArray[np.float64]) -> dict[str, Any]:
    """An axis of prices: logarithmic where the highest is more than four times the lowest."""
    known = values[np.isfinite(values)]
    wide = len(known) > 0 and known.min() > 0 and known.max() > 4 * known.min()
    return {"type": "log", "dtick": "D2", "tickformat": ",.6~g"} if wide else {"tickformat": ",.6~g"}


def around(bars: pd.DataFrame, found: Move, *, most: int = candles.MOST_CANDLES) -> go.Figure:
    """Candles with the prices that make one label fire, its horizon, and the largest move in it.

    Args:
        bars: bars of one symbol in time order, at least one; all are drawn.
        found: the label, with places among them.
        most: candles at most; of more bars, neighbours are drawn as one.
    """
    import plotly.graph_objects as go

    drawn = go.Figure()
    candles.add(drawn, bars, most)
    candles.shade(drawn, found.row + 1, found.last, COLOURS[found.hit])
    for name, price, colour in (("above", found.upper, theme.BLUE), ("below", found.lower, theme.RED)):
        if np.isfinite(price):
            drawn.add_scatter(
                x=[found.row, found.last], y=[price, price], mode="lines", line={"color": colour, "width": 2},
                name=f"threshold {name}", hoverinfo="y+name",
            )  # fmt: skip
    candles.decide(drawn, bars, [found.row])
    drawn.add_scatter(
        x=[found.reached], y=[found.price], mode="markers", name="largest move asked about", hoverinfo="y+name",
        marker={"symbol": "star", "size": 11, "color": theme.PURPLE, "line": {"color": "#FFFFFF", "width": 1}},
    )  # fmt: skip
    drawn.update_layout(showlegend=True)
    return theme.framed(drawn, height=candles.HEIGHT)
