"""Label balance: the share of each class over time, or the spread of a target that has no classes.

What does not belong here: making labels (`betti.labelling`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.charts import theme
from betti.charts.timeline import milliseconds, period_starts

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["has_classes", "shares", "spread", "stacked", "target_column"]

MOST_CLASSES = 20
KEYS = ("timestamp", "symbol", "span_start", "span_end", "weight")


def target_column(labels: pd.DataFrame) -> str:
    """The first target column of a label table."""
    return next(name for name in labels.columns if name not in KEYS)


def has_classes(values: pd.Series) -> bool:
    """Whether a target column holds classes: few distinct whole numbers."""
    found = values.dropna().unique()
    return len(found) <= MOST_CLASSES and bool(np.all(found == np.floor(found)))


def shares(labels: pd.DataFrame) -> pd.DataFrame:
    """Share of each class per calendar period: index period start, one column per class; each row sums to one."""
    known = labels.dropna(subset=[target_column(labels)])
    counted = pd.crosstab(period_starts(known["timestamp"]), known[target_column(labels)].astype(int))
    return counted.div(counted.sum(axis=1), axis=0)


def stacked(labels: pd.DataFrame) -> go.Figure:
    """Share of each class per period, stacked to one."""
    import plotly.graph_objects as go

    table = shares(labels)
    times = milliseconds(table.index.to_series())
    figure = go.Figure()
    for place, name in enumerate(table.columns):
        figure.add_bar(
            x=times,
            y=table[name].to_numpy(dtype=float),
            name=f"class {name}",
            marker_color=theme.series_colour(place),
            hovertemplate="%{x|%Y-%m}: %{y:.1%}<extra>class " + str(name) + "</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.04, showlegend=True)
    figure.update_xaxes(type="date")
    figure.update_yaxes(tickformat=".0%", range=[0, 1], title_text="share of labels")
    return theme.framed(figure, height=260)


def spread(labels: pd.DataFrame) -> go.Figure:
    """Median and quartiles per period, for a target that is a number."""
    import plotly.graph_objects as go

    known = labels.dropna(subset=[target_column(labels)])
    grouped = known[target_column(labels)].groupby(period_starts(known["timestamp"]))
    table = grouped.quantile(np.array([0.25, 0.5, 0.75])).unstack()
    times = milliseconds(table.index.to_series())
    figure = go.Figure()
    for level, fill in ((0.25, None), (0.75, "tonexty")):
        figure.add_scatter(
            x=times,
            y=table[level].to_numpy(dtype=float),
            name=f"{level:.0%} quantile",
            line={"color": theme.BLUE, "width": 0.5},
            fill=fill,
            fillcolor=theme.faint(theme.BLUE),
        )
    figure.add_scatter(x=times, y=table[0.5].to_numpy(dtype=float), name="median", line={"color": theme.BLUE})
    figure.update_xaxes(type="date")
    return theme.framed(figure, height=260)
