"""Coverage: how many bars each symbol has over time, where history pauses, what validation set aside or flagged.

What does not belong here: judging bars (`betti.expectations`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from betti.charts import theme
from betti.charts.markup import escaped
from betti.charts.timeline import milliseconds, period_starts

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from betti.records import ValidationSummary

__all__ = ["MOST_PANELS", "findings", "gaps", "heat", "panels", "per_period", "set_aside"]

MOST_PANELS = 8  # symbols that get a panel of their own; more are drawn as one heat map


def per_period(clean: pd.DataFrame) -> pd.DataFrame:
    """Bars per symbol and calendar period: `symbol`, `start`, `bars`."""
    starts = period_starts(clean["timestamp"])
    counted = clean.assign(start=starts).groupby(["symbol", "start"], sort=True, observed=True).size()
    return counted.rename("bars").reset_index()


def gaps(summary: ValidationSummary) -> pd.DataFrame:
    """The longest gaps of each symbol: `symbol`, `after`, `until`, `missing`, `sure`, `kind`.

    Those that miss most bars come first.
    """
    names = ("after", "until", "missing", "sure", "kind")
    rows = [(one.symbol, *(getattr(gap, name) for name in names)) for one in summary.symbols for gap in one.gaps]
    found = pd.DataFrame(rows, columns=["symbol", *names])
    for name in ("after", "until"):
        found[name] = pd.to_datetime(found[name], utc=True)
    return found.sort_values(["missing", "symbol", "until"], ascending=[False, True, True], ignore_index=True)


def panels(clean: pd.DataFrame, pauses: pd.DataFrame) -> go.Figure:
    """One panel of bars per period for each symbol, gaps within sessions marked above.

    Args:
        clean: bars.
        pauses: what `gaps` gives.
    """
    from plotly.subplots import make_subplots

    counted = per_period(clean)
    inside = pauses[pauses["kind"] == "bars"]
    symbols = sorted(counted["symbol"].unique())
    figure = make_subplots(
        rows=len(symbols),
        shared_xaxes=True,
        vertical_spacing=0.25 / max(len(symbols), 2),
        subplot_titles=[escaped(symbol) for symbol in symbols],
    )
    for row, symbol in enumerate(symbols, start=1):
        mine = counted[counted["symbol"] == symbol]
        figure.add_bar(
            x=milliseconds(mine["start"]),
            y=mine["bars"].to_numpy(dtype=float),
            name=escaped(symbol),
            marker_color=theme.BLUE,
            hovertemplate="%{x|%Y-%m-%d}: %{y:,} bars<extra></extra>",
            row=row,
            col=1,
        )
        _mark_gaps(figure, inside[inside["symbol"] == symbol], 1.08 * float(mine["bars"].max()), row)
    figure.update_layout(showlegend=False, bargap=0.08)
    figure.update_xaxes(type="date")
    figure.update_yaxes(title_text="bars", rangemode="tozero")
    return theme.framed(figure, height=90 + 130 * len(symbols))


def _mark_gaps(figure: go.Figure, pauses: pd.DataFrame, level: float, row: int) -> None:
    if pauses.empty:
        return
    figure.add_scatter(
        x=milliseconds(pauses["after"]),
        y=[level] * len(pauses),
        mode="markers",
        marker={"symbol": "triangle-down", "size": 9, "color": theme.RED},
        customdata=[f"{missing:,} bars missing" for missing in pauses["missing"]],
        hovertemplate="%{customdata} after %{x|%Y-%m-%d %H:%M}<extra></extra>",
        row=row,
        col=1,
    )


def heat(clean: pd.DataFrame) -> go.Figure:
    """Bars per symbol and period as shades, for many symbols."""
    import plotly.graph_objects as go

    counted = per_period(clean).pivot_table(index="symbol", columns="start", values="bars", fill_value=0)
    figure = go.Figure(
        go.Heatmap(
            x=milliseconds(counted.columns.to_series()),
            y=[escaped(symbol) for symbol in counted.index],
            z=counted.to_numpy(dtype=float),
            colorscale=theme.SHADES,
            colorbar={"title": {"text": "bars"}},
            hovertemplate="%{y}, %{x|%Y-%m-%d}: %{z:,} bars<extra></extra>",
        )
    )
    figure.update_xaxes(type="date")
    figure.update_yaxes(autorange="reversed")
    return theme.framed(figure, height=90 + min(900, 22 * len(counted)))


def set_aside(summary: ValidationSummary) -> pd.DataFrame:
    """What validation found: `symbol`, `finding`, `kind` (quarantined or flagged), `bars`."""
    rows = [
        (quality.symbol, name, kind, count)
        for quality in summary.symbols
        for kind, counts in (("quarantined", quality.reasons), ("flagged", quality.flags))
        for name, count in sorted(counts.items())
    ]
    return pd.DataFrame(rows, columns=["symbol", "finding", "kind", "bars"])


def findings(summary: ValidationSummary) -> go.Figure:
    """Quarantined and flagged bars per symbol and rule, longest bar first."""
    import plotly.graph_objects as go

    found = set_aside(summary)
    found["name"] = [
        f"{escaped(symbol)}: {escaped(finding)}"
        for symbol, finding in zip(found["symbol"], found["finding"], strict=True)
    ]
    found = found.sort_values(["bars", "name"], ascending=[True, False])
    figure = go.Figure()
    for kind, colour in (("quarantined", theme.RED), ("flagged", theme.ORANGE)):
        mine = found[found["kind"] == kind]
        figure.add_bar(
            x=mine["bars"].to_numpy(dtype=float),
            y=list(mine["name"]),
            orientation="h",
            name=kind,
            marker_color=colour,
            texttemplate="%{x:,}",
            textposition="outside",
            cliponaxis=False,
        )
    figure.update_layout(barmode="overlay", showlegend=True, margin_r=60)
    figure.update_yaxes(categoryorder="array", categoryarray=list(dict.fromkeys(found["name"])))
    figure.update_xaxes(title_text="count")
    return theme.framed(figure, height=110 + 24 * found["name"].nunique())
