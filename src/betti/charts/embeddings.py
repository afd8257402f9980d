"""Where a network puts the rows: the two first principal components of its embeddings, coloured by what happened.

What does not belong here: making embeddings, and their plane (the model's own, `betti.models`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.charts import theme

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["PLACES", "fits", "scatter"]

PLACES = ("output_embedding_1", "output_embedding_2")


def fits(predictions: pd.DataFrame) -> bool:
    """Whether the model says where each row lies, and there are rows."""
    return set(PLACES) <= set(predictions) and len(predictions) > 0


def scatter(predictions: pd.DataFrame, max_points: int) -> tuple[go.Figure, int]:
    """The last fold's test rows, evenly thinned to at most `max_points`, and that fold's number.

    Each fold has a network and a plane of its own, so that places of several do not go into one picture.
    """
    import plotly.graph_objects as go

    fold = int(predictions["fold"].max())
    rows = predictions[predictions["fold"] == fold]
    rows = rows.iloc[:: -(-len(rows) // max_points)]
    figure = go.Figure()
    for label in np.unique(rows["label"].to_numpy(dtype=int)):
        own = rows[rows["label"] == label]
        x, y = (own[name].to_numpy(dtype=np.float32) for name in PLACES)
        figure.add_scatter(
            x=x,
            y=y,
            mode="markers",
            name=f"class {label}",
            marker={"color": theme.series_colour(int(label)), "size": 5, "opacity": 0.6},
            text=own["symbol"].astype(str) + " " + own["timestamp"].dt.strftime("%Y-%m-%d %H:%M"),
            hovertemplate="%{text}<extra>class " + f"{label}</extra>",
        )
    figure.update_xaxes(title_text="first component")
    figure.update_yaxes(title_text="second component")
    return theme.framed(figure.update_layout(showlegend=True), height=380), fold
