"""Confusion: which class was predicted for which, over all test rows.

What does not belong here: scores (`betti.metrics`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.charts import theme

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

__all__ = ["matrix", "squares"]


def matrix(predictions: pd.DataFrame, classes: int) -> NDArray[np.int64]:
    """Counts of actual class (rows) against predicted class (columns); rows without a label are not counted."""
    known = predictions[["label", "prediction"]].dropna().to_numpy(dtype=float).astype(np.int64)
    size = max(classes, int(known.max()) + 1) if len(known) else max(classes, 1)
    counts = np.zeros((size, size), dtype=np.int64)
    np.add.at(counts, (known[:, 0], known[:, 1]), 1)
    return counts


def squares(predictions: pd.DataFrame, classes: int) -> go.Figure:
    """The matrix, each cell with its count and its share of the actual class, shaded by that share."""
    import plotly.graph_objects as go

    counts = matrix(predictions, classes)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [f"class {name}" for name in range(len(counts))]
    figure = go.Figure(
        go.Heatmap(
            x=names,
            y=names,
            z=share,
            text=[
                [f"{n:,}<br>{s:.0%}" for n, s in zip(*pair, strict=True)] for pair in zip(counts, share, strict=True)
            ],
            texttemplate="%{text}",
            zmin=0,
            zmax=1,
            colorscale=theme.SHADES,
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate="actual %{y}, predicted %{x}: %{text}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text="predicted", showgrid=False)
    figure.update_yaxes(title_text="actual", autorange="reversed", showgrid=False)
    return theme.framed(figure, height=340)
