"""Relevance in pictures: the price, and below it how far context supported its move, over either horizon.

What does not belong here: making labels (`betti.labelling.relevance`), the balance of classes (`balance.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.charts import candles, theme
from betti.charts.markup import escaped, grid, number, picture, slug
from betti.charts.timeline import envelope, milliseconds

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["COLOURS", "NAMES", "body", "figure", "fits"]

NAMES = ("against", "none", "with the move")
COLOURS = (theme.RED, theme.GREY, theme.BLUE)
SCORES = {"score_7d": ("over 7 days", theme.ORANGE), "score_30d": ("over 30 days", theme.BLUE)}
MOST_POINTS = 600


def fits(labels: pd.DataFrame) -> bool:
    """Whether these are labels of relevance: they have its scores."""
    return set(SCORES) <= set(labels.columns)


def body(name: str, labels: pd.DataFrame, clean: pd.DataFrame, max_points: int = MOST_POINTS) -> str:
    """Price and scores of each of the first four symbols in order of name.

    Args:
        name: the target's.
        labels: columns as in `betti.schemas.LABELS`, `score_7d` and `score_30d`.
        clean: columns as in `betti.schemas.BARS`.
        max_points: points drawn of a line, at most.
    """
    pieces = []
    for symbol in sorted(labels["symbol"].unique())[: candles.MOST_SYMBOLS]:
        bars, mine = candles.bars_of(clean, symbol), labels[labels["symbol"] == symbol]
        if bars.empty:
            continue
        means = ", ".join(f"{number(mine[column].mean(), 3)} {words}" for column, (words, _) in SCORES.items())
        caption = f"{escaped(symbol)}: above zero context supported what the price did next, below it opposed it; mean "
        ident = f"fig-relevance-{slug(name)}-{slug(symbol)}"
        pieces.append(picture(ident, figure(bars, mine, min(max_points, MOST_POINTS)), caption + means))
    return grid(pieces) if pieces else ""


def figure(bars: pd.DataFrame, labels: pd.DataFrame, max_points: int) -> go.Figure:
    """The price of one symbol, and its scores in [-1, 1] below.

    Args:
        bars: bars of one symbol in time order, at least one.
        labels: its labels, at least one.
        max_points: points of a line at most.
    """
    from plotly.subplots import make_subplots

    drawn = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.55, 0.45])
    close = bars["close"].to_numpy(dtype=np.float64)
    kept = envelope(close, max_points)
    drawn.add_scatter(
        x=milliseconds(bars["timestamp"].iloc[kept]), y=close[kept].astype(np.float32), mode="lines",
        line={"color": theme.GREY, "width": 1}, name="close", hoverinfo="x+y", row=1, col=1,
    )  # fmt: skip
    ordered = labels.sort_values("timestamp", kind="stable")
    for column, (words, colour) in SCORES.items():
        known = ordered[ordered[column].notna()]
        score = known[column].to_numpy(dtype=np.float64)
        kept = envelope(score, max_points)
        drawn.add_scatter(
            x=milliseconds(known["timestamp"].iloc[kept]), y=score[kept].astype(np.float32), mode="lines",
            line={"color": colour, "width": 1}, name=words, hoverinfo="x+y", row=2, col=1,
        )  # fmt: skip
    drawn.add_hline(y=0, line={"color": theme.INK, "width": 1, "dash": "dot"}, row=2, col=1)
    drawn.update_layout(showlegend=True, margin_t=62)
    drawn.update_xaxes(type="date")
    drawn.update_xaxes(title_text="time, UTC", row=2, col=1)
    drawn.update_yaxes(title_text="close, price", row=1, col=1)
    drawn.update_yaxes(title_text="score", range=[-1.05, 1.05], row=2, col=1)
    return theme.framed(drawn, height=candles.HEIGHT + 60)
