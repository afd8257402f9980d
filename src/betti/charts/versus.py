"""Runs against baselines: the difference with its interval, one column per baseline, one line per run.

What does not belong here: computing intervals (`betti.metrics`), or what they decide (`betti.promotion`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.charts import theme
from betti.charts.markup import escaped, standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import plotly.graph_objects as go

    from betti.records import RunMetrics

__all__ = ["baselines", "forest", "score_of"]

# Shape and colour say the same thing, for readers and printers without colour.
LOOK = {
    "better": (theme.BLUE, "triangle-right", "better: the whole interval is above zero"),
    "unclear": (theme.GREY, "circle-open", "unclear: the interval contains zero"),
    "worse": (theme.RED, "triangle-left", "worse: the whole interval is below zero"),
}


def baselines(runs: Sequence[RunMetrics]) -> list[str]:
    """Every baseline that any run is compared with, in order of appearance."""
    return list(dict.fromkeys(name for run in runs for name in run.versus))


def score_of(runs: Sequence[RunMetrics], baseline: str) -> str:
    """The score, or scores, in which runs are compared with a baseline."""
    return " / ".join(dict.fromkeys(run.versus_score[baseline] for run in runs if baseline in run.versus_score))


def forest(runs: Sequence[RunMetrics]) -> go.Figure:
    """Difference to each baseline with its interval; right of zero the run is better."""
    from plotly.subplots import make_subplots

    columns = baselines(runs)
    figure = make_subplots(
        cols=len(columns),
        shared_yaxes=True,
        horizontal_spacing=0.04,
        subplot_titles=[f"{escaped(name)}<br>({escaped(score_of(runs, name))})" for name in columns],
    )
    legend_given: set[str] = set()
    for col, baseline in enumerate(columns, start=1):
        for verdict in LOOK:
            mine = [run for run in runs if baseline in run.versus and standing(run.versus[baseline]) == verdict]
            if mine:
                _points(figure, mine, baseline, verdict, col, fresh=verdict not in legend_given)
                legend_given.add(verdict)
        figure.add_vline(x=0, line={"color": theme.INK, "width": 1}, row=1, col=col)
    names = [escaped(run.run) for run in runs]
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=names[::-1], range=[-0.7, len(names) - 0.3]
    )
    figure.update_xaxes(nticks=6, title_text="difference")
    figure.update_annotations(font_size=12)
    # The legend stands under the picture: above it are the panels' titles.
    figure.update_layout(showlegend=True, legend={"yref": "container", "y": 0.0, "yanchor": "bottom"})
    figure.update_layout(margin={"t": 84, "b": 84})  # the tools of the plot stand above its titles
    return theme.framed(figure, height=190 + 30 * len(runs))


def _points(
    figure: go.Figure, runs: Sequence[RunMetrics], baseline: str, verdict: str, col: int, *, fresh: bool
) -> None:
    colour, shape, meaning = LOOK[verdict]
    found = [run.versus[baseline] for run in runs]
    figure.add_scatter(
        x=[one.estimate for one in found],
        y=[escaped(run.run) for run in runs],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [one.high - one.estimate for one in found],
            "arrayminus": [one.estimate - one.low for one in found],
            "color": colour,
            "thickness": 2,
            "width": 4,
        },
        mode="markers",
        marker={"color": colour, "symbol": shape, "size": 10, "line": {"width": 2, "color": colour}},
        customdata=[f"{one.estimate:+.3g} [{one.low:+.3g}, {one.high:+.3g}]" for one in found],
        hovertemplate="%{y}: %{customdata}<extra></extra>",
        name=meaning,
        legendgroup=verdict,
        showlegend=fresh,
        row=1,
        col=col,
    )
