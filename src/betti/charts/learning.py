"""Learning curves: loss per epoch, one colour per fold, dotted on training rows and solid on validation rows.

What does not belong here: training (`betti.training`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.charts import theme
from betti.charts.timeline import envelope

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["curves"]

FINAL = -1  # the fold number of the model trained on everything known


def curves(learning: pd.DataFrame, max_points: int) -> go.Figure:
    """Training and validation loss of every fold."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for place, (fold, rows) in enumerate(
        sorted(learning.groupby("fold"), key=lambda item: (item[0] == FINAL, item[0]))
    ):
        name = "final" if fold == FINAL else f"fold {fold}"
        colour = theme.INK if fold == FINAL else theme.series_colour(place)
        epochs = rows["epoch"].to_numpy(dtype=float)
        for column, dash in (("train_loss", "dot"), ("valid_loss", "solid")):
            values = rows[column].to_numpy(dtype=float)
            if not np.isfinite(values).any():
                continue
            kept = envelope(values, max_points)
            figure.add_scatter(
                x=epochs[kept],
                y=values[kept],
                name=name,
                legendgroup=name,
                showlegend=column == "train_loss",
                # A single epoch is a point, which a line alone would not show.
                mode="lines" if len(kept) > 1 else "markers",
                line={"color": colour, "dash": dash, "width": 1.6},
                hovertemplate="epoch %{x}: %{y:.4f}<extra>" + f"{name}, {column}" + "</extra>",
            )
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text="loss")
    return theme.framed(figure.update_layout(showlegend=True), height=340)
