"""Reliability: does a class that is given 60 % happen 60 % of the time, and how often is 60 % given at all.

What does not belong here: the Brier score (`betti.metrics`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.charts import theme

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from numpy.typing import NDArray

__all__ = ["binned", "diagram", "drawn_classes"]

BINS = 10


def drawn_classes(predictions: pd.DataFrame) -> list[int]:
    """Classes to draw: every class with a probability; of two only class 1, since class 0 is its mirror image."""
    classes = sorted(int(name[2:]) for name in predictions.columns if re.fullmatch(r"p_\d+", name))
    return [1] if classes == [0, 1] else classes


def binned(probability: NDArray[np.float64], happened: NDArray[np.bool_]) -> pd.DataFrame:
    """Ten equal bins of probability: `given` (mean), `observed` (share that happened), `rows`; empty bins left out."""
    place = np.clip((probability * BINS).astype(np.int64), 0, BINS - 1)
    rows = np.bincount(place, minlength=BINS)
    given = np.bincount(place, weights=probability, minlength=BINS)
    observed = np.bincount(place, weights=happened.astype(float), minlength=BINS)
    full = rows > 0
    return pd.DataFrame(
        {"given": given[full] / rows[full], "observed": observed[full] / rows[full], "rows": rows[full]}
    )


def diagram(predictions: pd.DataFrame) -> go.Figure:
    """Observed share against given probability above, the number of rows in each bin below."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.07)
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": theme.GREY, "dash": "dot", "width": 1},
        showlegend=False,
        hoverinfo="skip",
        row=1,
        col=1,
    )
    for place, name in enumerate(drawn_classes(predictions)):
        known = predictions[[f"p_{name}", "label"]].dropna()
        table = binned(known[f"p_{name}"].to_numpy(dtype=float), (known["label"] == name).to_numpy(dtype=bool))
        _one_class(figure, table, name, theme.series_colour(place))
    figure.update_layout(showlegend=True, bargap=0.1)
    figure.update_xaxes(range=[0, 1])
    figure.update_xaxes(title_text="probability given", row=2, col=1)
    figure.update_yaxes(title_text="observed", range=[0, 1], row=1, col=1)
    figure.update_yaxes(title_text="rows", rangemode="tozero", nticks=3, row=2, col=1)
    return theme.framed(figure, height=340)


def _one_class(figure: go.Figure, table: pd.DataFrame, name: int, colour: str) -> None:
    rows = table["rows"].to_numpy(dtype=float)
    figure.add_scatter(
        x=table["given"].to_numpy(dtype=float),
        y=table["observed"].to_numpy(dtype=float),
        customdata=rows,
        mode="lines+markers",
        name=f"class {name}",
        legendgroup=str(name),
        line={"color": colour, "width": 1.6},
        marker={"size": 7},
        hovertemplate="given %{x:.2f}, observed %{y:.2f}, %{customdata:,} rows<extra>class " + f"{name}</extra>",
        row=1,
        col=1,
    )
    figure.add_bar(
        x=table["given"].to_numpy(dtype=float),
        y=rows,
        legendgroup=str(name),
        showlegend=False,
        marker_color=colour,
        width=0.025,
        hovertemplate="%{y:,} rows<extra>class " + f"{name}</extra>",
        row=2,
        col=1,
    )
