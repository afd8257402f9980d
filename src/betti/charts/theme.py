"""The look that all pictures share: colours that colour-blind readers tell apart, fonts, sizes, the frame.

Colours are those of Okabe & Ito (2008). What does not belong here: what a picture shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = [
    "BLUE",
    "GREY",
    "INK",
    "LIGHT",
    "ORANGE",
    "RED",
    "ROLE_COLOURS",
    "SERIES",
    "SHADES",
    "faint",
    "framed",
    "series_colour",
]

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, GREY, LIGHT, INK = "#CC79A7", "#56B4E9", "#7F7F7F", "#E3E6EA", "#1F2933"

SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, GREY)
ROLE_COLOURS = {
    "train": SKY,
    "valid": GREEN,
    "test": ORANGE,
    "purged": RED,
    "embargoed": PURPLE,
    "unused": LIGHT,
}
# White to blue: reads as "more" in print and to every eye.
SHADES = [[0.0, "#FFFFFF"], [0.5, "#9CC7E3"], [1.0, "#00517F"]]

FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


def series_colour(index: int) -> str:
    """The colour of the index-th series; colours repeat after the seventh."""
    return SERIES[index % len(SERIES)]


def faint(colour: str, share: float = 0.25) -> str:
    """A colour of the form #RRGGBB, seen through.

    >>> faint("#0072B2", 0.5)
    'rgba(0,114,178,0.5)'
    """
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"


def _template() -> dict[str, Any]:
    axis = {
        "gridcolor": LIGHT,
        "zerolinecolor": "#C5CBD3",
        "linecolor": "#C5CBD3",
        "automargin": True,
        "title": {"standoff": 8},
    }
    return {
        "layout": {
            "font": {"family": FONT, "size": 12, "color": INK},
            "colorway": list(SERIES),
            "paper_bgcolor": "#FFFFFF",
            "plot_bgcolor": "#FFFFFF",
            "margin": {"l": 56, "r": 16, "t": 36, "b": 44},
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom"},
            "hoverlabel": {"font": {"family": FONT, "size": 12}},
            "xaxis": axis,
            "yaxis": axis,
        }
    }


def framed(figure: go.Figure, *, height: int) -> go.Figure:
    """Give a figure the shared look and its height in pixels; the width follows the page."""
    return figure.update_layout(template=_template(), height=height)
