"""Equity: what one unit became after costs, against holding the same bars, with the drawdown below.

What does not belong here: the simulation (`betti.metrics`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.charts import theme
from betti.charts.timeline import envelope, milliseconds

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

__all__ = ["curves", "drawdown"]

LINES = (("strategy", theme.BLUE), ("buy_and_hold", theme.GREY))


def drawdown(equity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fall from the highest equity so far, within [-1, 0]; the start, one unit, counts as a peak.

    >>> drawdown(np.array([1.0, 2.0, 1.0, 0.0])).tolist()
    [0.0, 0.0, -0.5, -1.0]
    """
    peak = np.maximum(np.fmax.accumulate(equity), 1.0)
    return np.asarray(np.clip(equity / peak - 1.0, -1.0, 0.0), dtype=np.float64)


def curves(equity: pd.DataFrame, max_points: int) -> go.Figure:
    """Equity above (logarithmic unless it reached zero), drawdown below."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.68, 0.32], vertical_spacing=0.06)
    times = milliseconds(equity["timestamp"])
    lowest = np.inf
    for column, colour in LINES:
        values = equity[column].to_numpy(dtype=float)
        lowest = min(lowest, float(np.nanmin(values, initial=np.inf)))
        name = column.replace("_", " ")
        for row, line in ((1, values), (2, drawdown(values))):
            kept = envelope(line, max_points)
            figure.add_scatter(
                x=times[kept],
                y=line[kept].astype(np.float32),
                mode="lines",
                name=name,
                legendgroup=column,
                showlegend=row == 1,
                line={"color": colour, "width": 1.4},
                fill="tozeroy" if row == 2 else None,
                fillcolor=theme.faint(colour, 0.2),
                row=row,
                col=1,
            )
    figure.update_xaxes(type="date")
    figure.update_yaxes(title_text="equity", type="log" if lowest > 0 else "linear", row=1, col=1)
    figure.update_yaxes(title_text="drawdown", tickformat=".0%", row=2, col=1)
    return theme.framed(figure.update_layout(showlegend=True, hovermode="x unified"), height=420)
