"""The triple barrier in a picture: candles, and for each label two prices and a time, and which was touched first.

What does not belong here: where barriers lie (`barrier_levels.py`, `betti.labelling.direction`), candles themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.charts import barrier_levels, candles, theme
from betti.charts.markup import escaped, grid, number, picture, slug
from betti.charts.portrait import stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["COLOURS", "NAMES", "Barriers", "body", "figure", "fits", "last_apart", "moved"]

NAMES = ("short", "neutral", "long")
COLOURS = (theme.RED, theme.GREY, theme.BLUE)
MOST_LABELS = 6  # in one picture
PAD = 4  # bars before the first decision and after the last barrier


@dataclass(frozen=True)
class Barriers:
    """One label among bars; places count from the first bar.

    Attributes:
        row: place of the decision bar.
        touch: of the bar of the first touch, else of the time barrier.
        last: of the time barrier.
        upper, lower: prices of the barriers; NaN where they are not known.
        answer: 0 short, 1 neutral, 2 long: neutral before the time barrier is both in one bar.
        weight: the label's.
    """

    row: int
    touch: int
    last: int
    upper: float
    lower: float
    answer: int
    weight: float

    @property
    def both(self) -> bool:
        """Whether one bar reached both barriers, as a neutral label says that ends before its time."""
        return self.answer == NAMES.index("neutral") and self.touch < self.last


def fits(labels: pd.DataFrame) -> bool:
    """Whether these are labels of the triple barrier: `direction` is the one column they have."""
    return set(labels.columns) - {"timestamp", "symbol", "span_start", "span_end", "weight"} == {"direction"}


def body(name: str, labels: pd.DataFrame, clean: pd.DataFrame) -> str:
    """Pictures of a target's last labels, one for each of the first four symbols in order of name.

    Args:
        name: the target's.
        labels: columns as in `betti.schemas.LABELS`, and `direction`.
        clean: columns as in `betti.schemas.BARS`.
    """
    pieces = []
    for symbol in sorted(labels["symbol"].unique())[: candles.MOST_SYMBOLS]:
        bars = candles.bars_of(clean, symbol)
        found = last_apart(bars, labels[labels["symbol"] == symbol])
        if not found:
            continue
        first = max(found[0].row - PAD, 0)
        shown = bars.iloc[first : found[-1].last + PAD + 1].reset_index(drop=True)
        words = (
            f"{escaped(symbol)}: the last {len(found)} labels that do not overlap. "
            if len(found) > 1
            else (f"{escaped(symbol)}: the last label. ")
        )
        drawn = figure(shown, [moved(one, first) for one in found])
        pieces.append(picture(f"fig-barriers-{slug(name)}-{slug(symbol)}", drawn, words + _known(found)))
    return grid(pieces) if pieces else ""


def _known(found: Sequence[Barriers]) -> str:
    if np.isnan([[one.upper, one.lower] for one in found]).all():
        return "The prices of their barriers cannot be told from these labels: a mark shows which one was touched"
    return "Blue the upper barrier, red the lower, dotted the one in time; a mark where one was touched first"


def moved(one: Barriers, places: int) -> Barriers:
    """The same label among bars that begin so many places later."""
    return Barriers(
        one.row - places, one.touch - places, one.last - places, one.upper, one.lower, one.answer, one.weight
    )


def last_apart(bars: pd.DataFrame, labels: pd.DataFrame) -> list[Barriers]:
    """The last labels whose bars until the time barrier do not overlap, in time order: six at most, on 120 bars.

    The time barrier is as far off as the longest span, which is exact as soon as one label was never touched.

    Args:
        bars: bars of one symbol in time order.
        labels: its labels.
    """
    known = candles.spans(bars, labels).dropna(subset=["direction"])
    if known.empty:
        return []
    rows, ends = known["row"].to_numpy(), known["last_row"].to_numpy()
    horizon = int((ends - rows).max())
    upper, lower = barrier_levels.read_back(bars, rows, ends, known["direction"].to_numpy())
    chosen: list[int] = []
    for k in range(len(known) - 1, -1, -1):
        apart = not chosen or rows[k] + horizon < rows[chosen[-1]]
        if chosen and rows[chosen[0]] + horizon - rows[k] + 1 + 2 * PAD > candles.MOST_CANDLES:
            break
        if apart:
            chosen.append(k)
        if len(chosen) == MOST_LABELS:
            break
    return [
        Barriers(
            int(rows[k]),
            int(ends[k]),
            min(int(rows[k]) + horizon, len(bars) - 1),
            float(upper[k]),
            float(lower[k]),
            int(known["direction"].iloc[k]),
            float(known["weight"].iloc[k]),
        )
        for k in reversed(chosen)
    ]


# Drawing ------------------------------------------------------------------------------------------------------------


def figure(bars: pd.DataFrame, found: Sequence[Barriers], *, most: int = candles.MOST_CANDLES) -> go.Figure:
    """Candles with the barriers of some labels and where each was touched.

    Args:
        bars: bars of one symbol in time order, at least one; all are drawn.
        found: labels whose places lie among them.
        most: candles at most; of more bars, neighbours are drawn as one.
    """
    import plotly.graph_objects as go

    drawn = go.Figure()
    candles.add(drawn, bars, most)
    for one in found:
        candles.shade(drawn, one.row + 1, one.touch, COLOURS[one.answer])
    _levels(drawn, found)
    candles.decide(drawn, bars, [one.row for one in found])
    _touches(drawn, bars, found)
    drawn.update_layout(showlegend=True)
    return theme.framed(drawn, height=candles.HEIGHT)


def _levels(drawn: go.Figure, found: Sequence[Barriers]) -> None:
    """The barriers as lines; NaN between two labels breaks them."""
    for name, colour in (("upper", theme.BLUE), ("lower", theme.RED)):
        prices = [getattr(one, name) for one in found]
        if np.isnan(prices).all():
            continue
        drawn.add_scatter(
            x=np.array([[one.row, one.last, np.nan] for one in found], dtype=np.float32).ravel(),
            y=np.array([[price, price, np.nan] for price in prices], dtype=np.float32).ravel(),
            mode="lines",
            line={"color": colour, "width": 2},
            name=f"{name} barrier",
            hoverinfo="y+name",
            showlegend=False,
        )
    upright = [one for one in found if np.isfinite(one.upper) and np.isfinite(one.lower)]
    if upright:
        drawn.add_scatter(
            x=np.array([[one.last, one.last, np.nan] for one in upright], dtype=np.float32).ravel(),
            y=np.array([[one.lower, one.upper, np.nan] for one in upright], dtype=np.float32).ravel(),
            mode="lines",
            line={"color": theme.INK, "width": 1.5, "dash": "dot"},
            name="time barrier",
            hoverinfo="name",
            showlegend=False,
        )


def _touches(drawn: go.Figure, bars: pd.DataFrame, found: Sequence[Barriers]) -> None:
    """A mark where each label was decided; shapes tell the answers apart without colours."""
    marks = (
        ("short", theme.RED, "triangle-down"),
        ("neutral", theme.GREY, "square"),
        ("long", theme.BLUE, "triangle-up"),
    )
    for answer, (name, colour, symbol) in enumerate(marks):
        mine = [one for one in found if one.answer == answer and not one.both]
        prices = [_price(bars, one) for one in mine]
        _mark(drawn, bars, mine, prices, name, colour, symbol)
    both = [one for one in found if one.both]
    prices = [float(bars["close"].iloc[one.touch]) for one in both]
    _mark(drawn, bars, both, prices, "neutral, both in one bar", theme.INK, "x")


def _price(bars: pd.DataFrame, one: Barriers) -> float:
    """Where a label's mark stands: at the barrier, or at the bar's own price where that is not known."""
    column, level = (("low", one.lower), ("close", np.nan), ("high", one.upper))[one.answer]
    return level if np.isfinite(level) else float(bars[column].iloc[one.touch])


def _mark(
    drawn: go.Figure,
    bars: pd.DataFrame,
    found: Sequence[Barriers],
    prices: Sequence[float],
    name: str,
    colour: str,
    symbol: str,
) -> None:
    if not found:
        return
    told = [
        f"{name}, {stamp(bars['timestamp'].iloc[one.touch])}, {one.touch - one.row} bars after the decision; "
        f"weight {number(one.weight)}"
        for one in found
    ]
    drawn.add_scatter(
        x=[one.touch for one in found],
        y=np.array(prices, dtype=np.float32),
        mode="markers",
        marker={"symbol": symbol, "size": 12, "color": colour, "line": {"color": "#FFFFFF", "width": 1}},
        text=told,
        hoverinfo="text",
        name=name,
    )
