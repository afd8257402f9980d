"""Which regime a network takes the market to be in, through time: the mean probability of each, stacked.

What does not belong here: telling regimes (`betti.networks.conditioning`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.charts import theme
from betti.charts.timeline import milliseconds, period_name, period_starts

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["areas", "names"]

REGIME = "output_regime_"


def names(predictions: pd.DataFrame) -> list[str]:
    """Regimes whose probabilities stand in the predictions, as `output_regime_NAME`."""
    return [str(name).removeprefix(REGIME) for name in predictions.columns if str(name).startswith(REGIME)]


def areas(predictions: pd.DataFrame) -> tuple[go.Figure, str]:
    """Mean probability of each regime over the test rows of each calendar period, and what that period is called."""
    import plotly.graph_objects as go

    found = names(predictions)
    rows = predictions.sort_values("timestamp")
    grouped = rows.groupby(period_starts(rows["timestamp"]))[[REGIME + name for name in found]].mean()
    times = milliseconds(grouped.index.to_series())
    figure = go.Figure()
    for number, name in enumerate(found):
        # Eight regimes, seven colours: the last is drawn in ink.
        colour = theme.series_colour(number) if number < len(theme.SERIES) else theme.INK
        figure.add_scatter(
            x=times,
            y=grouped[REGIME + name].to_numpy(dtype=np.float32),
            mode="lines",
            stackgroup="regimes",
            name=name.replace("_", " "),
            line={"width": 0.5, "color": colour},
            fillcolor=theme.faint(colour, 0.6),
            hovertemplate="%{y:.0%}<extra>" + name.replace("_", " ") + "</extra>",
        )
    figure.update_xaxes(type="date")
    figure.update_yaxes(title_text="mean probability", range=[0, 1], tickformat=".0%")
    return theme.framed(figure.update_layout(showlegend=True), height=320), period_name(rows["timestamp"])
