"""What each of a network's losses contributes to their sum, through the epochs, and what the largest is meant to.

What does not belong here: balancing them (`betti.networks.balancing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.charts import theme

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["WANTED", "curves", "parts"]

SHARE = "share_"
POINTERS = "pointers"
WANTED = (0.6, 0.8)  # what the pointers are meant to contribute


def parts(learning: pd.DataFrame) -> list[str]:
    """The losses whose shares were noted after each epoch."""
    return [str(name).removeprefix(SHARE) for name in learning.columns if str(name).startswith(SHARE)]


def curves(learning: pd.DataFrame) -> go.Figure:
    """A line for each loss, the mean over all models of the run, with the range from one model to another shaded.

    Where the pointers are among the losses, what they are meant to contribute is marked.

    Args:
        learning: `fold`, `epoch`, and `share_LOSS`, parts of 1.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for number, part in enumerate(parts(learning)):
        known = learning[learning[SHARE + part].notna()]
        grouped = known.groupby("epoch")[SHARE + part]
        epochs = np.array(sorted(known["epoch"].unique()), dtype=np.float32)
        low, high = (one.to_numpy(dtype=np.float32) for one in (grouped.min(), grouped.max()))
        colour = theme.series_colour(number)
        figure.add_scatter(
            x=np.concatenate([epochs, epochs[::-1]]),
            y=np.concatenate([low, high[::-1]]),
            fill="toself",
            fillcolor=theme.faint(colour, 0.2),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            x=epochs,
            y=grouped.mean().to_numpy(dtype=np.float32),
            mode="lines+markers",
            name=part,
            line={"color": colour, "width": 1.6},
            marker={"size": 5},
            hovertemplate="epoch %{x}: %{y:.1%}<extra>" + part + "</extra>",
        )
    if POINTERS in parts(learning):
        least, most = WANTED
        figure.add_hrect(y0=least, y1=most, fillcolor=theme.faint(theme.GREY, 0.15), line_width=0, layer="below")
        figure.add_annotation(
            text=f"pointers are meant to lie here: {least:.0%} to {most:.0%}", x=1, xref="x domain", xanchor="right",
            y=most, yanchor="top", showarrow=False, font_color=theme.GREY,
        )  # fmt: skip
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text="share of the loss", range=[0, 1], tickformat=".0%")
    return theme.framed(figure.update_layout(showlegend=True), height=320)
