"""Pictures of one window: its closes, its delay-embedded cloud, persistence diagram, barcode, Betti curves, landscapes.

Arrays in, figures out. What does not belong here: embedding and persistence (`betti.topology`), many windows
(`topology.py`), the page around the pictures (`portrait.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.charts import theme

if TYPE_CHECKING:
    from collections.abc import Sequence

    import plotly.graph_objects as go
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "MOST_BARS",
    "alive",
    "barcode",
    "betti_curves",
    "closes",
    "diagram",
    "landscapes",
    "layers",
    "longest",
    "points",
]

MOST_BARS = 100  # of H0; as many points have as many classes, most of them as short as the steps between bars

NAMES = ("H0", "H1")
COLOURS = (theme.BLUE, theme.RED)
SHAPES = ("circle", "diamond")
# Dark to bright, even to eyes that do not tell red from green, and in print.
TIME_SCALE = "Viridis"
OUTLINE = {"width": 0.5, "color": theme.GREY}  # bright markers on white need an edge
MANY = 300  # points beyond which markers are drawn smaller
FINE = 1000  # filtration values of a drawn line


def longest(diagram: Floats, most: int) -> Floats:
    """The `most` pairs that live longest, the longest first.

    Args:
        diagram: (k, 2) of [birth, death].
        most: at most so many.

    >>> longest(np.array([[0.0, 1.0], [0.0, 3.0], [1.0, 3.0]]), 2).tolist()
    [[0.0, 3.0], [1.0, 3.0]]
    """
    order = np.argsort(diagram[:, 0] - diagram[:, 1], kind="stable")
    return np.asarray(diagram[order[:most]], dtype=np.float64)


def alive(diagram: Floats, grid: Floats) -> NDArray[np.int64]:
    """Betti numbers (bins,): pairs with birth <= x < death at each filtration value x.

    >>> alive(np.array([[0.0, 2.0], [1.0, 2.0]]), np.array([0.0, 1.0, 2.0])).tolist()
    [1, 2, 0]
    """
    births, deaths = np.sort(diagram, axis=0).T
    born, dead = (np.searchsorted(ends, grid, side="right") for ends in (births, deaths))
    return np.asarray(born - dead, dtype=np.int64)


def layers(diagram: Floats, grid: Floats, count: int) -> Floats:
    """The first layers of a persistence landscape (Bubenik 2015), sampled.

    Layer k at x is the k-th largest of max(0, min(x - birth, death - x)) over the pairs.

    Args:
        diagram: (k, 2) of [birth, death].
        grid: filtration values (bins,).
        count: layers.

    Returns:
        (count, bins), the largest layer first.

    >>> layers(np.array([[0.0, 2.0], [1.0, 2.0]]), np.array([0.5, 1.0, 1.5]), 2).tolist()
    [[0.5, 1.0, 0.5], [0.0, 0.0, 0.5]]
    """
    births, deaths = diagram[:, :1], diagram[:, 1:]
    tents = np.maximum(np.minimum(grid - births, deaths - grid), 0.0)
    padded = np.concatenate([tents, np.zeros((count, len(grid)))])
    return np.sort(padded, axis=0)[::-1][:count].copy()


def closes(times: Floats, prices: Floats) -> go.Figure:
    """The closes of the window, coloured by time as the cloud is.

    Args:
        times: UTC milliseconds (window,).
        prices: (window,).
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(
        x=times,
        y=prices,
        mode="lines+markers",
        line={"color": theme.GREY, "width": 1},
        marker={"color": _along(len(times)), "colorscale": TIME_SCALE, "size": _size(len(times)), "line": OUTLINE},
        hovertemplate="%{x|%Y-%m-%d %H:%M}: %{y:,.6g}<extra></extra>",
    )
    figure.update_xaxes(type="date")
    figure.update_yaxes(title_text="close")
    return theme.framed(figure.update_layout(showlegend=False), height=440)


def points(cloud: Floats, delay: int, stamps: Sequence[str]) -> go.Figure:
    """The delay vectors in the order of time, joined by a thin line; of more than three coordinates the first three.

    Args:
        cloud: (n, dimension), dimension >= 2, in deviations of the window.
        delay: bars between coordinates.
        stamps: (n,), when each vector's first bar opened, as text.
    """
    flat = cloud.shape[1] == 2
    names = [f"x(t + {k * delay})" if k else "x(t)" for k in range(3)]
    last = len(cloud) - 1 + (cloud.shape[1] - 1) * delay  # the window's last bar, so that its closes have these colours
    return (_plane if flat else _space)(cloud, names, stamps, last)


def _plane(cloud: Floats, names: Sequence[str], stamps: Sequence[str], last: int) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(
        x=cloud[:, 0],
        y=cloud[:, 1],
        mode="lines+markers",
        line={"color": theme.faint(theme.GREY, 0.5), "width": 0.8},
        marker=_by_time(stamps, _size(len(stamps)), last),
        customdata=list(stamps),
        hovertemplate="%{customdata}: %{x:.3f}, %{y:.3f}<extra></extra>",
    )
    figure.update_xaxes(title_text=names[0], zeroline=False)
    # Distances are what is measured: one unit is as long upwards as sideways.
    figure.update_yaxes(title_text=names[1], zeroline=False, scaleanchor="x", scaleratio=1)
    return theme.framed(figure.update_layout(showlegend=False), height=440)


def _space(cloud: Floats, names: Sequence[str], stamps: Sequence[str], last: int) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter3d(
        x=cloud[:, 0],
        y=cloud[:, 1],
        z=cloud[:, 2],
        mode="lines+markers",
        line={"color": theme.GREY, "width": 1},
        marker=_by_time(stamps, 3, last),
        customdata=list(stamps),
        hovertemplate="%{customdata}: %{x:.3f}, %{y:.3f}, %{z:.3f}<extra></extra>",
    )
    look = {"backgroundcolor": "#FFFFFF", "gridcolor": theme.LIGHT, "zerolinecolor": theme.LIGHT, "nticks": 5}
    axes = {f"{axis}axis": {"title": {"text": name}, **look} for axis, name in zip("xyz", names, strict=True)}
    # Prices that are close in time are close in value: the cloud lies along the diagonal, and is seen from its side.
    side = {"eye": {"x": 1.8, "y": -1.8, "z": 0.35}}
    figure.update_scenes(aspectmode="data", camera=side, **axes)
    return theme.framed(figure.update_layout(showlegend=False, margin={"l": 0, "r": 0, "b": 0}), height=440)


def _size(count: int) -> int:
    return 7 if count <= MANY else 5


def _along(count: int) -> NDArray[np.int64]:
    return np.arange(count, dtype=np.int64)


def _by_time(stamps: Sequence[str], size: int, last: int) -> dict[str, object]:
    """Markers coloured by their place among `last` + 1 bars, with a colour bar that names three times."""
    shown = sorted({0, (len(stamps) - 1) // 2, len(stamps) - 1})
    bar = {"thickness": 10, "tickvals": shown, "ticktext": [stamps[k] for k in shown], "outlinewidth": 0}
    return {
        "color": _along(len(stamps)),
        "cmin": 0,
        "cmax": max(last, 1),
        "colorscale": TIME_SCALE,
        "colorbar": bar,
        "size": size,
        "line": OUTLINE,
    }


def diagram(diagrams: Sequence[Floats]) -> go.Figure:
    """Births against deaths, with the diagonal: H0 and H1 together, and H1 alone, which lives in a small corner.

    Args:
        diagrams: H0 and H1, each (k, 2) of [birth, death].
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(cols=2, horizontal_spacing=0.08, subplot_titles=["H0 and H1", "H1 alone"])
    for col, shown in ((1, (0, 1)), (2, (1,))):
        top = 1.05 * _last([diagrams[h] for h in shown])
        _diagonal(figure, top, col)
        for h in shown:
            _births(figure, diagrams[h], h, col)
        room = 0.03 * top  # H0 is born at 0: without room its markers would be cut in half
        axes = {"range": [-room, top], "nticks": 7, "row": 1, "col": col, "zeroline": False}
        figure.update_xaxes(title_text="birth", constrain="domain", **axes)
        # A unit is as long upwards as sideways, or the diagonal would not look like one.
        figure.update_yaxes(title_text="death", scaleanchor=f"x{col}" if col > 1 else "x", constrain="domain", **axes)
    figure.update_annotations(font_size=12)
    # The legend stands under the picture: above it are the panels' titles.
    figure.update_layout(showlegend=True, legend={"yref": "container", "y": 0.0, "yanchor": "bottom"})
    return theme.framed(figure.update_layout(margin={"b": 84}), height=500)


def _diagonal(figure: go.Figure, top: float, col: int) -> None:
    line = {"color": theme.GREY, "width": 1, "dash": "dot"}
    ends = [0.0, top]
    figure.add_scatter(x=ends, y=ends, mode="lines", line=line, hoverinfo="skip", showlegend=False, row=1, col=col)


def _births(figure: go.Figure, pairs: Floats, h: int, col: int) -> None:
    name, colour = NAMES[h], COLOURS[h]
    edge = {"color": colour, "width": 1}
    figure.add_scatter(
        x=pairs[:, 0],
        y=pairs[:, 1],
        mode="markers",
        name=f"{name}: {_classes(len(pairs))}",
        legendgroup=name,
        showlegend=col == 1,
        marker={"color": theme.faint(colour, 0.5), "symbol": SHAPES[h], "size": _size(len(pairs)) + 1, "line": edge},
        customdata=pairs[:, 1] - pairs[:, 0],
        hovertemplate=name + ": %{x:.4f} to %{y:.4f}, lives %{customdata:.4f}<extra></extra>",
        row=1,
        col=col,
    )


def barcode(diagrams: Sequence[Floats]) -> go.Figure:
    """One bar per class from birth to death, the longest on top: of H0 the longest hundred, of H1 all.

    Args:
        diagrams: H0 and H1, each (k, 2) of [birth, death].
    """
    from plotly.subplots import make_subplots

    shown = [longest(diagrams[0], MOST_BARS), longest(diagrams[1], len(diagrams[1]))]
    titles = [f"{name}: {_of(len(some), len(every))}" for name, some, every in zip(NAMES, shown, diagrams, strict=True)]
    figure = make_subplots(cols=2, horizontal_spacing=0.06, subplot_titles=titles)
    for col, (pairs, name, colour) in enumerate(zip(shown, NAMES, COLOURS, strict=True), start=1):
        figure.add_bar(
            base=pairs[:, 0],
            x=pairs[:, 1] - pairs[:, 0],
            y=_along(len(pairs)) + 1,
            orientation="h",
            marker={"color": colour, "line": {"width": 0}},
            customdata=pairs,
            hovertemplate=name + " %{y}: %{customdata[0]:.4f} to %{customdata[1]:.4f}<extra></extra>",
            row=1,
            col=col,
        )
        # Bars as far apart as they are thick, however many there are; few do not become slabs.
        rows = max(len(pairs), 12)
        figure.update_yaxes(range=[rows + 0.5, 0.5], showgrid=False, nticks=6, row=1, col=col)
        figure.update_xaxes(range=[0, 1.03 * _last([pairs])], row=1, col=col)
    figure.update_annotations(font_size=12)
    figure.update_xaxes(title_text="filtration value")
    figure.update_layout(showlegend=False, bargap=0.35)
    return theme.framed(figure, height=max(340, min(640, 110 + 4 * max(len(pairs) for pairs in shown))))


def _of(shown: int, every: int) -> str:
    return f"the longest {shown:,} of {_classes(every)}" if shown < every else _classes(every)


def _classes(count: int) -> str:
    return "1 class" if count == 1 else f"{count:,} classes"


def betti_curves(diagrams: Sequence[Floats], grid: Floats, curves: Floats) -> go.Figure:
    """How many classes are alive at each filtration value: the curve itself, and dots where the features sample it.

    Args:
        diagrams: H0 and H1, each (k, 2) of [birth, death].
        grid: filtration values of the features (bins,).
        curves: the samples there (2, bins), H0 and H1.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(cols=2, horizontal_spacing=0.06, subplot_titles=["H0: components", "H1: holes"])
    for col, (pairs, samples, colour) in enumerate(zip(diagrams, curves, COLOURS, strict=True), start=1):
        fine = _fine(pairs)
        near = grid <= fine[-1]
        _line(figure, col, fine, alive(pairs, fine).astype(np.float64), colour, shape="hv")
        _dots(figure, col, grid[near], samples[near], colour, "%{x:.3f}: %{y:.0f} alive<extra></extra>")
    figure.update_annotations(font_size=12)
    figure.update_xaxes(title_text="filtration value", rangemode="tozero")
    figure.update_yaxes(rangemode="tozero", nticks=6)
    return theme.framed(figure.update_layout(showlegend=False), height=300)


def landscapes(diagrams: Sequence[Floats], grid: Floats, count: int) -> go.Figure:
    """The first layers of the persistence landscapes, and dots where the features sample them.

    Args:
        diagrams: H0 and H1, each (k, 2) of [birth, death].
        grid: filtration values of the features (bins,).
        count: layers.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(cols=2, horizontal_spacing=0.06, subplot_titles=list(NAMES))
    for col, pairs in enumerate(diagrams, start=1):
        fine = _fine(pairs)
        near = grid[grid <= fine[-1]]
        drawn = zip(layers(pairs, fine, count), layers(pairs, near, count), strict=True)
        for layer, (values, samples) in enumerate(drawn):
            colour = theme.series_colour(layer)
            _line(figure, col, fine, values, colour, name=f"layer {layer + 1}", showlegend=col == 1)
            hover = "%{x:.3f}: %{y:.4f}<extra>layer " + str(layer + 1) + "</extra>"
            _dots(figure, col, near, samples, colour, hover)
    figure.update_annotations(font_size=12)
    figure.update_xaxes(title_text="filtration value", rangemode="tozero")
    figure.update_yaxes(rangemode="tozero", nticks=6)
    # The legend stands under the picture: above it are the panels' titles.
    figure.update_layout(showlegend=True, legend={"yref": "container", "y": 0.0, "yanchor": "bottom"})
    return theme.framed(figure.update_layout(margin={"b": 84}), height=360)


def _line(
    figure: go.Figure,
    col: int,
    x: Floats,
    y: Floats,
    colour: str,
    *,
    shape: str = "linear",
    name: str = "",
    showlegend: bool = False,
) -> None:
    figure.add_scatter(
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        mode="lines",
        name=name,
        showlegend=showlegend,
        line={"color": colour, "width": 1.4, "shape": shape},
        hoverinfo="skip",
        row=1,
        col=col,
    )


def _dots(figure: go.Figure, col: int, x: Floats, y: Floats, colour: str, hover: str) -> None:
    marker = {"color": colour, "size": 4}
    figure.add_scatter(x=x, y=y, mode="markers", marker=marker, showlegend=False, hovertemplate=hover, row=1, col=col)


def _fine(pairs: Floats) -> Floats:
    """Filtration values close enough to draw a line through, from 0 to just beyond the last death."""
    return np.linspace(0.0, 1.03 * _last([pairs]), FINE)


def _last(diagrams: Sequence[Floats]) -> float:
    """The last death; 1 where nothing dies."""
    return max((float(pairs[:, 1].max()) for pairs in diagrams if len(pairs)), default=1.0)
