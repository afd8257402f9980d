"""Backtest paths: what one unit became on each of them, as thin lines, beside the strategy that acts on their mean.

What does not belong here: cutting history into paths, and trading (`betti.metrics`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from betti.charts import theme
from betti.charts.timeline import envelope, milliseconds

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["columns", "curves"]


def columns(equity: pd.DataFrame) -> list[str]:
    """Names of the columns that hold paths: `path_0`, `path_1`, ..."""
    return [str(name) for name in equity.columns if re.fullmatch(r"path_\d+", str(name))]


def curves(equity: pd.DataFrame, max_points: int) -> go.Figure:
    """Every path thin, the strategy on the mean probabilities above them; logarithmic unless one reached zero."""
    import plotly.graph_objects as go

    figure, lowest = go.Figure(), np.inf
    times, names = milliseconds(equity["timestamp"]), columns(equity)
    share = max(max_points // max(len(names), 1), 50)  # together the paths have as many points as one line
    for number, name in enumerate([*names, "strategy"]):
        line, path = equity[name].to_numpy(dtype=float), name != "strategy"
        lowest = min(lowest, float(np.nanmin(line, initial=np.inf)))
        kept = envelope(line, share if path else max_points)
        figure.add_scatter(
            x=times[kept],
            y=line[kept].astype(np.float32),
            mode="lines",
            name="a path" if path else "mean of the paths' probabilities",
            legendgroup="paths" if path else name,
            showlegend=number == 0 or not path,
            hovertemplate=f"{name.replace('_', ' ')}: %{{y:.3f}}<extra></extra>",
            line={"color": theme.faint(theme.SKY, 0.8) if path else theme.BLUE, "width": 0.8 if path else 1.6},
        )
    figure.update_xaxes(type="date")
    figure.update_yaxes(title_text="equity", type="log" if lowest > 0 else "linear")
    return theme.framed(figure.update_layout(showlegend=True), height=320)
