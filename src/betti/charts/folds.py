"""The picture of the folds: for each fold, which stretch of history trains, validates, tests, or is set aside.

What does not belong here: making folds (`betti.splits`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.charts import theme
from betti.charts.timeline import milliseconds
from betti.schemas import ROLES

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["bands", "role_counts", "segments"]

# Purge and embargo are a few bars wide: drawn last, with an outline, or they would vanish below a pixel.
THIN = ("purged", "embargoed")
OUTLINE = 2.0


def role_counts(folds: pd.DataFrame) -> pd.DataFrame:
    """Rows per fold (index) and role (columns, in the order of `betti.schemas.ROLES`)."""
    counted = pd.crosstab(folds["fold"], folds["role"])
    return counted.reindex(columns=list(ROLES), fill_value=0)


def segments(folds: pd.DataFrame) -> pd.DataFrame:
    """Consecutive times of one role as one row: `fold`, `role`, `start`, `end`, `rows`.

    `rows` counts rows of all symbols and sums to the length of the table. `end` is the time after the segment's last
    one, where there is any. Symbols whose roles differ at one time give segments that overlap there.
    """
    found = []
    for fold, table in folds.groupby("fold", sort=True):
        times, place = np.unique(table["timestamp"].to_numpy(), return_inverse=True)
        roles = table["role"].to_numpy()
        for role in ROLES:
            mine, counts = np.unique(place[roles == role], return_counts=True)
            if len(mine) == 0:
                continue
            first = np.flatnonzero(np.diff(mine, prepend=-2) > 1)
            last = np.append(first[1:], len(mine)) - 1
            found.append(
                pd.DataFrame(
                    {
                        "fold": fold,
                        "role": role,
                        "start": times[mine[first]],
                        "end": times[np.minimum(mine[last] + 1, len(times) - 1)],
                        "rows": np.add.reduceat(counts, first),
                    }
                )
            )
    return pd.concat(found, ignore_index=True)


def bands(folds: pd.DataFrame) -> go.Figure:
    """One band per fold over time, coloured by role."""
    import plotly.graph_objects as go

    table = segments(folds)
    figure = go.Figure()
    for role in sorted(table["role"].unique(), key=lambda name: (name in THIN, ROLES.index(name))):
        mine = table[table["role"] == role]
        start, end = milliseconds(mine["start"]), milliseconds(mine["end"])
        colour = theme.ROLE_COLOURS[role]
        figure.add_bar(
            base=start,
            x=end - start,
            y=[f"fold {fold}" for fold in mine["fold"]],
            orientation="h",
            name=role,
            marker={"color": colour, "line": {"color": colour, "width": OUTLINE if role in THIN else 0}},
            customdata=[
                f"{rows:,} rows, {first:%Y-%m-%d} to {last:%Y-%m-%d}"
                for rows, first, last in zip(mine["rows"], mine["start"], mine["end"], strict=True)
            ],
            hovertemplate="%{y}, " + role + ": %{customdata}<extra></extra>",
        )
    count = table["fold"].nunique()
    figure.update_layout(barmode="overlay", bargap=0.25, showlegend=True)
    figure.update_xaxes(type="date")
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    return theme.framed(figure, height=110 + 30 * count)
