"""Expansions as they were and as a model said, among the candles of a few test windows, with the countdown below.

What does not belong here: the picture of a window without a model (`expansions.py`), scores (`betti.metrics.span`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.charts import candles, expansions, theme
from betti.charts.markup import escaped, grid, picture, slug

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["SAID", "Said", "body", "figure", "fits"]

# What the model says of each window: first and last bar in places of the window, and bars from its last to the start.
SAID = ("output_start", "output_end", "output_countdown")
KEY = ["timestamp", "symbol"]
AHEAD = 5  # bars between the window shown and the start that lies ahead, as near as there is one
AFTER = 10  # bars that are shown beyond that start


@dataclass(frozen=True)
class Said:
    """What a model says of one window, in places from its first bar.

    Attributes:
        start, end: first and last bar of the expansion, as the pointers have it.
        countdown: bars from the window's last to the start; below 0 where it lies before.
    """

    start: float
    end: float
    countdown: float


def fits(predictions: pd.DataFrame, labels: pd.DataFrame) -> bool:
    """Whether the model says where expansions lie, and the labels say where they lay."""
    return set(SAID) <= set(predictions) and expansions.fits(labels) and len(predictions) > 0


def body(run: str, predictions: pd.DataFrame, labels: pd.DataFrame, clean: pd.DataFrame) -> str:
    """Two windows of each of the first symbols in order of name: one that holds a start, one that ends before it.

    Args:
        run: its name, for the pictures' ids.
        predictions: test rows with `SAID`; of a row that several folds test, the last one's answer counts.
        labels: columns as in `betti.schemas.LABELS`, and those of an expansion.
        clean: columns as in `betti.schemas.BARS`.
    """
    answers = predictions.sort_values("fold", kind="stable").drop_duplicates(KEY, keep="last")[[*KEY, *SAID]]
    tested = labels.merge(answers, on=KEY, how="inner")
    rows_of_pictures = []
    for symbol in sorted(tested["symbol"].unique())[: candles.MOST_SYMBOLS // 2]:
        bars = candles.bars_of(clean, symbol)
        known = candles.spans(bars, tested[tested["symbol"] == symbol])
        pieces = []
        for which, row in _telling(known):
            found, said = expansions.window(row), Said(*(float(row[name]) for name in SAID))
            first = int(row["first_row"])
            last = int(row["row"]) if not found.ahead else first + int(found.start) + AFTER
            caption = f"{escaped(symbol)}, {which}. {expansions.told(found)}. {_told(found, said)}"
            shown = bars.iloc[first : last + 1].reset_index(drop=True)
            ident = f"fig-forecast-{slug(run)}-{slug(symbol)}-{'ahead' if found.ahead else 'inside'}"
            pieces.append(picture(ident, figure(shown, found, said), caption))
        # Two side by side: of more, the days below the candles would run into each other.
        rows_of_pictures += [grid(pieces)] if pieces else []
    return "".join(rows_of_pictures)


def _telling(known: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    """Of the last whole expansion the window with the start nearest to its middle, and of the last one ahead the
    window that ends nearest to `AHEAD` bars before it.
    """
    inside = (known["expansion"] == 1) & (known["begun"] == 0) & (known["ahead"] == 0) & (known["censored"] == 0)
    last = known["row"] - known["first_row"]
    wanted = (
        ("a test window with an expansion", inside, last / 2),
        ("a test window that ends before one", known["ahead"] == 1, last + AHEAD),
    )
    found = []
    for which, rows, place in wanted:
        if rows.any():
            starts = known["first_row"] + known["start"]
            mine = known[rows & (starts == starts[rows].max())]
            found.append((which, mine.loc[(mine["start"] - place[mine.index]).abs().idxmin()]))
    return found


def _told(found: expansions.Window, said: Said) -> str:
    """What the model says of the window, in words."""
    start = found.bars - 1 + said.countdown
    counted = f"the countdown at its last bar means a start at bar {start:.0f} (dashed)"
    if found.ahead:
        return f"Said: {counted}"
    return f"Said (blue): bar {said.start:.0f} to {said.end:.0f}; {counted}"


def figure(bars: pd.DataFrame, found: expansions.Window, said: Said) -> go.Figure:
    """The window as it was, and beside it in blue what was said; the countdown said at its last bar is dashed.

    In a window that ends before the start no span is asked, and none is drawn.

    Args:
        bars: those of the window, and after them what is shown beyond it.
        found: the window, which begins with the first of them.
        said: what the model says of it.
    """
    drawn = expansions.figure(bars, found)
    if not found.ahead:
        first, last = np.clip([said.start, said.end], 0, found.bars - 1)
        for axis in ("y", "y2"):
            candles.shade(drawn, float(first), float(last), theme.BLUE, axis=axis)
    places = np.arange(found.bars, dtype=np.float32)
    drawn.add_scatter(
        x=places,
        y=(found.bars - 1 + said.countdown - places).astype(np.float32),
        mode="lines",
        line={"color": theme.RED, "width": 2, "dash": "dash"},
        name="countdown as said",
        hovertemplate="said: %{y:.0f} bars until the start<extra></extra>",
        showlegend=False,
        row=2,
        col=1,
    )
    return drawn
