"""Distributions of features: the first half of history over the second, for the columns that moved most.

What does not belong here: the measure of drift (`drift.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.charts import theme
from betti.charts.drift import halves, short
from betti.charts.markup import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

__all__ = ["SHOWN", "densities", "multiples"]

SHOWN = 12
BINS, WIDE = 36, 4
TAIL = 0.005  # share at either end that is gathered in the outermost bin


def densities(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Bin centres and the share of each sample per bin, over bins that both share.

    The outer half percent at either end is counted in the outermost bins, so shares sum to one and one freak value
    does not squeeze the rest into a single bar.
    """
    first, second = first[np.isfinite(first)], second[np.isfinite(second)]
    both = np.concatenate([first, second])
    low, high = np.quantile(both, [TAIL, 1 - TAIL]) if len(both) else (0.0, 0.0)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    shares = [np.histogram(np.clip(sample, low, high), edges)[0] / max(len(sample), 1) for sample in (first, second)]
    return (edges[:-1] + edges[1:]) / 2, shares[0], shares[1]


def multiples(table: pd.DataFrame, columns: Sequence[str]) -> go.Figure:
    """Small panels, one per column: share of values per bin in either half."""
    from plotly.subplots import make_subplots

    rows = -(-len(columns) // WIDE)
    figure = make_subplots(
        rows=rows,
        cols=WIDE,
        subplot_titles=[escaped(short(name)) for name in columns],
        horizontal_spacing=0.05,
        vertical_spacing=0.32 / max(rows, 2),
    )
    first, second = halves(table)
    for place, name in enumerate(columns):
        values = table[name].to_numpy(dtype=np.float64)
        centres, *shares = densities(values[first], values[second])
        for share, half, colour in zip(shares, ("first half", "second half"), (theme.BLUE, theme.ORANGE), strict=True):
            figure.add_scatter(
                x=centres.astype(np.float32),
                y=share.astype(np.float32),
                name=half,
                legendgroup=half,
                showlegend=place == 0,
                mode="lines",
                line={"shape": "hvh", "color": colour, "width": 1.5},
                fill="tozeroy",
                fillcolor=theme.faint(colour),
                hovertemplate="%{x:.4g}: %{y:.1%}<extra>" + half + "</extra>",
                row=place // WIDE + 1,
                col=place % WIDE + 1,
            )
    # Annotations are the panels' titles here.
    figure.update_annotations(font_size=11)
    figure.update_yaxes(tickformat=".0%", nticks=4, rangemode="tozero")
    figure.update_xaxes(nticks=5)
    figure.update_layout(legend_y=1 + 30 / (40 + 150 * rows), margin_t=64)
    return theme.framed(figure, height=100 + 150 * rows)
