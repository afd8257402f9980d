"""Drift: how far a feature's distribution moved between the first and the second half of history.

The measure is the population stability index (PSI): the sum over bins of (q - p) ln(q / p), with bins at the deciles
of the first half. What does not belong here: drawing the distributions themselves (`distribution.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.charts import theme
from betti.charts.markup import escaped

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from numpy.typing import NDArray

__all__ = ["feature_columns", "halves", "overview", "psi", "psi_by_column", "short", "top"]

BINS = 10
LEAST_ROWS = 20  # in each half; with fewer the index says nothing
FLOOR = 1e-4  # share given to an empty bin, so that the logarithm exists
MODERATE, LARGE = 0.1, 0.25  # the usual rules of thumb, drawn as lines
SHOWN = 30
GRID_WIDTH = 30


def feature_columns(table: pd.DataFrame) -> list[str]:
    """The columns that hold features."""
    return [name for name in table.columns if name not in {"timestamp", "symbol"}]


def short(column: str) -> str:
    """A feature's name without its family.

    >>> short("technical__rsi_14")
    'rsi_14'
    """
    return column.split("__", 1)[-1]


def halves(table: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows lie in the first and which in the second half of the table's distinct times."""
    times = np.sort(table["timestamp"].unique())
    second = (table["timestamp"] >= times[len(times) // 2]).to_numpy(dtype=bool)
    return ~second, second


def psi(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Population stability index of two samples; NaN when either holds fewer than 20 finite values.

    >>> psi(np.arange(100.0), np.arange(100.0))
    0.0
    """
    first, second = first[np.isfinite(first)], second[np.isfinite(second)]
    if min(len(first), len(second)) < LEAST_ROWS:
        return float("nan")
    deciles = np.quantile(first, np.linspace(0, 1, BINS + 1), method="lower")
    values, counts = np.unique(deciles, return_counts=True)
    atoms = values[counts > 1]
    # A value that fills a decile or more is a bin of its own, or a constant could only drift upwards.
    edges = np.unique(np.concatenate([values[:-1], atoms, np.nextafter(atoms, -np.inf)]))
    p, q = (np.maximum(_shares(sample, edges), FLOOR) for sample in (first, second))
    return float(np.sum((q - p) * np.log(q / p)))


def _shares(sample: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.bincount(np.searchsorted(edges, sample, side="left"), minlength=len(edges) + 1)
    return counts / len(sample)


def psi_by_column(table: pd.DataFrame) -> pd.Series:
    """PSI of every feature column, first half of history against the second, in column order."""
    columns = feature_columns(table)
    if table.empty:
        return pd.Series(np.nan, index=columns, dtype=float)
    first, second = halves(table)
    values = {}
    for name in columns:
        column = table[name].to_numpy(dtype=np.float64)
        values[name] = psi(column[first], column[second])
    return pd.Series(values, dtype=float)


def top(index: pd.Series) -> go.Figure:
    """The columns that drifted most, longest bar on top."""
    import plotly.graph_objects as go

    drawn = index.dropna().sort_values(ascending=False, kind="stable").head(SHOWN)[::-1]
    colours = [theme.RED if v >= LARGE else theme.ORANGE if v >= MODERATE else theme.BLUE for v in drawn]
    figure = go.Figure(
        go.Bar(
            x=drawn.to_numpy(dtype=float),
            y=[escaped(short(name)) for name in drawn.index],
            orientation="h",
            marker_color=colours,
            hovertemplate="%{y}: PSI %{x:.3f}<extra></extra>",
        )
    )
    for level in (MODERATE, LARGE):
        figure.add_vline(x=level, line={"color": theme.GREY, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="PSI", rangemode="tozero")
    # All labels, or plotly leaves out every other one.
    figure.update_yaxes(dtick=1, type="category")
    return theme.framed(figure, height=90 + 18 * len(drawn))


def overview(index: pd.Series) -> go.Figure:
    """One cell per column in declared order, shaded by PSI: where in a wide family the drift lies."""
    import plotly.graph_objects as go

    rows = -(-len(index) // GRID_WIDTH)
    cells = np.full(rows * GRID_WIDTH, np.nan)
    cells[: len(index)] = index.to_numpy(dtype=float)
    names = [escaped(short(name)) for name in index.index] + [""] * (rows * GRID_WIDTH - len(index))
    figure = go.Figure(
        go.Heatmap(
            z=cells.reshape(rows, GRID_WIDTH),
            text=np.array(names, dtype=object).reshape(rows, GRID_WIDTH),
            zmin=0,
            zmax=2 * LARGE,
            colorscale=theme.SHADES,
            colorbar={"title": {"text": "PSI"}, "tickvals": [0, MODERATE, LARGE, 2 * LARGE]},
            hovertemplate="%{text}: PSI %{z:.3f}<extra></extra>",
            xgap=2,
            ygap=2,
        )
    )
    figure.update_layout(plot_bgcolor=theme.LIGHT)
    figure.update_xaxes(title_text="column within the row", showgrid=False)
    first_of_row = [str(row * GRID_WIDTH + 1) for row in range(rows)]
    figure.update_yaxes(
        title_text="first column",
        autorange="reversed",
        showgrid=False,
        tickvals=list(range(rows)),
        ticktext=first_of_row,
    )
    return theme.framed(figure, height=max(230, 100 + 26 * rows))
