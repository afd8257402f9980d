"""Label balance per symbol: the share of each class over time, or the spread of a target that has no classes.

What does not belong here: making labels (`betti.labelling`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.charts import theme
from betti.charts.markup import escaped
from betti.charts.timeline import milliseconds, period_name, period_starts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import plotly.graph_objects as go

__all__ = ["MOST_PANELS", "class_name", "has_classes", "panels", "shares", "spread", "stacked", "target_column"]

MOST_CLASSES = 20
MOST_PANELS = 8  # symbols that get a panel of their own; more are drawn as one
KEYS = ("timestamp", "symbol", "span_start", "span_end", "weight")


def target_column(labels: pd.DataFrame) -> str:
    """The first target column of a label table."""
    return next(name for name in labels.columns if name not in KEYS)


def has_classes(values: pd.Series) -> bool:
    """Whether a target column holds classes: few distinct whole numbers."""
    found = values.dropna().unique()
    return len(found) <= MOST_CLASSES and bool(np.all(found == np.floor(found)))


def class_name(number: int, names: Sequence[str]) -> str:
    """A class in words, where its target has words for it.

    >>> class_name(2, ("short", "neutral", "long")), class_name(2, ())
    ('class 2, long', 'class 2')
    """
    return f"class {number}, {names[number]}" if 0 <= number < len(names) else f"class {number}"


def shares(labels: pd.DataFrame) -> pd.DataFrame:
    """Share of each class per calendar period: index period start, one column per class; each row sums to one."""
    known = labels.dropna(subset=[target_column(labels)])
    counted = pd.crosstab(period_starts(known["timestamp"]), known[target_column(labels)].astype(int))
    return counted.div(counted.sum(axis=1), axis=0)


def panels(labels: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows that have an answer, by symbol in order of name; as one table where symbols are more than eight."""
    known = labels.dropna(subset=[target_column(labels)])
    if known["symbol"].nunique() > MOST_PANELS:
        return {f"all {known['symbol'].nunique():,} symbols": known}
    return {str(symbol): rows for symbol, rows in known.groupby("symbol", sort=True, observed=True)}


def stacked(labels: pd.DataFrame, names: Sequence[str] = (), colours: Sequence[str] = ()) -> go.Figure:
    """Share of each class per period, stacked to one: a panel for each symbol.

    Args:
        labels: columns as in `betti.schemas.LABELS`, and a first target column of classes, at least one known.
        names: what classes 0, 1, ... are called.
        colours: their colours; by default those of the shared series.
    """
    drawn = panels(labels)
    figure = _figure(list(drawn))
    classes = sorted(labels[target_column(labels)].dropna().astype(int).unique())
    for row, rows in enumerate(drawn.values(), start=1):
        table = shares(rows).reindex(columns=classes, fill_value=0.0)
        times = milliseconds(table.index.to_series())
        for number in classes:
            told = class_name(number, names)
            figure.add_bar(
                x=times,
                y=table[number].to_numpy(dtype=np.float32),
                name=told,
                legendgroup=told,
                showlegend=row == 1,
                marker_color=colours[number] if 0 <= number < len(colours) else theme.series_colour(number),
                hovertemplate="%{x|%Y-%m-%d}: %{y:.1%}<extra>" + told + "</extra>",
                row=row,
                col=1,
            )
    figure.update_layout(barmode="stack", bargap=0.04, showlegend=True)
    figure.update_yaxes(tickformat=".0%", range=[0, 1], title_text="share of labels")
    return _dated(figure, labels, len(drawn))


def spread(labels: pd.DataFrame) -> go.Figure:
    """Median and quartiles per period for a target that is a number: a panel for each symbol."""
    drawn = panels(labels)
    figure = _figure(list(drawn))
    column = target_column(labels)
    for row, rows in enumerate(drawn.values(), start=1):
        table = rows[column].groupby(period_starts(rows["timestamp"])).quantile(np.array([0.25, 0.5, 0.75])).unstack()
        times = milliseconds(table.index.to_series())
        for level, name, fill in (
            (0.25, "25% quantile", None),
            (0.75, "75% quantile", "tonexty"),
            (0.5, "median", None),
        ):
            figure.add_scatter(
                x=times,
                y=table[level].to_numpy(dtype=np.float32),
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                line={"color": theme.BLUE, "width": 2 if level == 0.5 else 0.5},
                fill=fill,
                fillcolor=theme.faint(theme.BLUE),
                row=row,
                col=1,
            )
    figure.update_yaxes(title_text=escaped(column))
    return _dated(figure, labels, len(drawn))


def _figure(symbols: Sequence[str]) -> go.Figure:
    """Empty panels one below the other, each under its symbol."""
    from plotly.subplots import make_subplots

    return make_subplots(
        rows=len(symbols),
        shared_xaxes=True,
        vertical_spacing=0.3 / max(len(symbols), 2),
        subplot_titles=[escaped(symbol) for symbol in symbols],
    )


def _dated(figure: go.Figure, labels: pd.DataFrame, rows: int) -> go.Figure:
    figure.update_xaxes(type="date")
    figure.update_xaxes(title_text=f"start of the {period_name(labels['timestamp'])}, UTC", row=rows, col=1)
    figure.update_layout(legend_y=1 + 24 / (60 + 140 * rows))  # above the first panel's title
    return theme.framed(figure, height=130 + 140 * rows)
