"""What columns or inputs were worth to a run's models: a bar for the mean share, a whisker from the least to the most.

What does not belong here: finding it (`betti.training.importance`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.charts import theme

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["SHOWN", "bars", "caption"]

SHOWN = 20  # columns, the most important first


def caption(importance: pd.DataFrame) -> str:
    """What the bars are, in words.

    Args:
        importance: as for `bars`. A feature's name has two underscores; that of an input or of a group of its columns,
            which a model of several inputs tells instead, has none.

    >>> import pandas as pd
    >>> caption(pd.DataFrame({"column": ["technical__rsi_14", "technical__adx_14"]}))
    "Importance: 2 of 2 columns, those that count most; mean over the folds' models, with the least and the most"
    >>> caption(pd.DataFrame({"column": ["context:news", "stock:returns", "stock:trend"]}))
    "Importance of inputs: how far the newest fold's answers move when one, or a group of its columns, is mute"
    """
    if not any("__" in str(name) for name in importance["column"]):
        return (
            "Importance of inputs: how far the newest fold's answers move when one, or a group of its columns, is mute"
        )
    shown = f"{min(len(importance), SHOWN)} of {len(importance)} columns"
    return f"Importance: {shown}, those that count most; mean over the folds' models, with the least and the most"


def bars(importance: pd.DataFrame) -> go.Figure:
    """The columns with the largest shares.

    Args:
        importance: `column`, `share`, `least`, `most`, the largest share first, at least one row.
    """
    import plotly.graph_objects as go

    top = importance.head(SHOWN).iloc[::-1]  # plotly draws upwards
    share, least, most = (top[name].to_numpy(dtype=np.float64) for name in ("share", "least", "most"))
    figure = go.Figure()
    figure.add_bar(
        x=share.astype(np.float32), y=top["column"].astype(str).tolist(), orientation="h", marker_color=theme.BLUE,
        error_x={"type": "data", "symmetric": False, "array": (most - share).astype(np.float32),
                 "arrayminus": (share - least).astype(np.float32), "color": theme.GREY, "thickness": 1},
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title_text="share of the whole importance", tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(automargin=True)
    return theme.framed(figure, height=120 + 18 * len(top))
