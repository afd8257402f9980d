"""Which regime a network takes each market to be in, through time: the mean probability of each, stacked.

What does not belong here: telling regimes (`betti.networks.conditioning`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.charts import theme
from betti.charts.markup import escaped, percent
from betti.charts.timeline import milliseconds, period_name, period_starts

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["Portrait", "areas", "names"]

REGIME = "output_regime_"
# From calm to stopped, from the bottom up; cold colours are calm and warm ones wild.
COLOURS = {
    "low_vol": theme.SKY,
    "normal": "#C5CBD3",
    "mean_reverting": theme.GREEN,
    "trending": theme.BLUE,
    "illiquid": theme.PURPLE,
    "high_vol": theme.ORANGE,
    "ssr_active": theme.RED,
    "luld_active": theme.INK,
}
MOST_SYMBOLS = 4
SEEN = 0.005  # of a period's rows, in any period: less is no area that one could see


@dataclass(frozen=True)
class Portrait:
    """The picture, and a caption that says what is seen in it."""

    figure: go.Figure
    caption: str


def names(predictions: pd.DataFrame) -> list[str]:
    """Regimes whose probabilities stand in the predictions, as `output_regime_NAME`."""
    return [str(name).removeprefix(REGIME) for name in predictions.columns if str(name).startswith(REGIME)]


def areas(predictions: pd.DataFrame) -> Portrait:
    """Mean probability of each regime over the test rows of each calendar period, a panel for each symbol.

    More than `MOST_SYMBOLS` symbols share one panel, of their mean. Regimes that are never seen are named alone.
    """
    from plotly.subplots import make_subplots

    rows = predictions.sort_values(["fold", "symbol", "timestamp"], kind="stable")
    panels = {str(symbol): own for symbol, own in rows.groupby("symbol", sort=True)}
    if len(panels) > MOST_SYMBOLS:
        panels = {f"{len(panels)} symbols": rows}
    columns = [REGIME + name for name in _ordered(names(predictions))]
    means = {title: own.groupby(period_starts(own["timestamp"]))[columns].mean() for title, own in panels.items()}
    seen = [column for column in columns if max(float(one[column].max()) for one in means.values()) >= SEEN]
    figure = make_subplots(
        rows=len(means), shared_xaxes=True, vertical_spacing=0.24 / len(means), subplot_titles=list(means)
    )
    for row, table in enumerate(means.values(), start=1):
        for number, column in enumerate(seen):
            _area(figure, table[column], number, row)
    figure.update_xaxes(type="date")
    figure.update_yaxes(range=[0, 1], tickformat=".0%", tickvals=[0, 0.5, 1])
    figure.update_layout(showlegend=True, legend={"traceorder": "normal", "y": 1 + 0.16 / len(means)})
    theme.framed(figure, height=140 + 170 * len(means))
    figure.update_layout(margin={"t": 76})
    return Portrait(figure, _caption(rows, columns, seen))


def _ordered(found: list[str]) -> list[str]:
    return [name for name in COLOURS if name in found] + [name for name in found if name not in COLOURS]


def _area(figure: go.Figure, share: pd.Series, number: int, row: int) -> None:
    name = str(share.name).removeprefix(REGIME)
    words, colour = name.replace("_", " "), COLOURS.get(name, theme.series_colour(number))
    figure.add_scatter(
        x=milliseconds(share.index.to_series()),
        y=share.to_numpy(dtype=np.float32),
        mode="lines",
        stackgroup=f"regimes-{row}",
        name=words,
        legendgroup=name,
        showlegend=row == 1,
        line={"width": 0.5, "color": colour},
        fillcolor=theme.faint(colour, 0.75),
        hovertemplate="%{y:.0%}<extra>" + words + "</extra>",
        row=row,
        col=1,
    )


def _caption(rows: pd.DataFrame, columns: list[str], seen: list[str]) -> str:
    """What is drawn, how often each regime is the likeliest, how often that changes, and which are never seen."""
    likeliest = rows[columns].to_numpy(dtype=float).argmax(axis=1)
    counts = np.bincount(likeliest, minlength=len(columns))
    most = [
        f"{_words(columns[place])} {percent(counts[place] / len(rows), 0)}"
        for place in np.argsort(-counts, kind="stable")
        if counts[place]
    ]
    follows = ((rows["symbol"] == rows["symbol"].shift()) & (rows["fold"] == rows["fold"].shift())).to_numpy()
    changed = follows & (likeliest != np.roll(likeliest, 1))
    never = [_words(column) for column in columns if column not in seen]
    return (
        f"Mean probability of each regime over the test rows of each {period_name(rows['timestamp'])}. "
        f"The likeliest one: {', '.join(most)}. "
        f"It differs from that of the row before in {percent(changed.sum() / max(1, int(follows.sum())), 1)} of rows."
        + (f" Never seen: {', '.join(never)}." if never else "")
    )


def _words(column: str) -> str:
    return escaped(column.removeprefix(REGIME).replace("_", " "))
