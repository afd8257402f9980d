"""How complexity modulates a network: gamma against each indicator, and gamma and beta through the epochs.

What does not belong here: the network (`betti.networks.film`), and which runs have such numbers beside knowing theirs
by the names of columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.charts import theme

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = ["FAMILY", "INDICATORS", "against_indicators", "indicators", "layers", "noted", "through_epochs"]

FAMILY = "complexity"
# The six that condition the network, in its order.
INDICATORS = (
    *("ma_separation", "bollinger_width", "price_efficiency"),
    *("support_reaction", "directional_result", "volume_price_alignment"),
)
GAMMA = "output_gamma_"
STATISTICS = ("gamma", "beta")
NAMES = {"nbeats": "bars", "tda": "topology", "shared": "shared"}
BINS = 12
KEY = ["timestamp", "symbol"]
FINAL = -1  # the fold number of the model trained on everything known


def layers(predictions: pd.DataFrame) -> list[str]:
    """Layers whose mean gamma stands in the predictions: `nbeats`, `tda`, `shared`."""
    return [str(name).removeprefix(GAMMA) for name in predictions.columns if str(name).startswith(GAMMA)]


def indicators(family: pd.DataFrame) -> pd.DataFrame:
    """`timestamp`, `symbol` and those of the six indicators that the family's table has, by their own names."""
    present = {f"{FAMILY}__{name}": name for name in INDICATORS if f"{FAMILY}__{name}" in family}
    return family[[*KEY, *present]].rename(columns=present)


def against_indicators(predictions: pd.DataFrame, known: pd.DataFrame) -> tuple[go.Figure, int]:
    """Mean gamma of each layer over bins of equally many rows of each indicator, the middle half of the rows shaded;
    and the fold that it is drawn of, the last: each has a network of its own.

    Args:
        predictions: test rows with `output_gamma_LAYER`, a row's mean gamma.
        known: the indicators, as `indicators` gives them.
    """
    from plotly.subplots import make_subplots

    fold = int(predictions["fold"].max())
    rows = predictions[predictions["fold"] == fold].merge(known, on=KEY, how="inner")
    names = [name for name in known.columns if name not in KEY]
    titles = [name.replace("_", " ") for name in names]
    drawn = make_subplots(rows=2, cols=3, shared_yaxes=True, subplot_titles=titles, vertical_spacing=0.18)
    for at, name in enumerate(names):
        place = {"row": at // 3 + 1, "col": at % 3 + 1}
        bins = pd.qcut(rows[name], BINS, duplicates="drop")
        for number, layer in enumerate(layers(predictions)):
            grouped = rows.groupby(bins, observed=True)
            x = grouped[name].median().to_numpy(dtype=np.float32)
            low, high = (grouped[GAMMA + layer].quantile(one).to_numpy(dtype=np.float32) for one in (0.25, 0.75))
            _band(drawn, x, np.column_stack([low, high]), theme.series_colour(number), place)
            drawn.add_scatter(
                x=x,
                y=grouped[GAMMA + layer].mean().to_numpy(dtype=np.float32),
                mode="lines+markers",
                name=NAMES.get(layer, layer),
                legendgroup=layer,
                showlegend=at == 0,
                line={"color": theme.series_colour(number), "width": 1.6},
                marker={"size": 4},
                hovertemplate="%{x:.3g}: %{y:.4f}<extra>" + NAMES.get(layer, layer) + "</extra>",
                **place,
            )
    drawn.update_yaxes(title_text="mean gamma", col=1)
    drawn.update_layout(showlegend=True, legend={"y": -0.12, "yanchor": "top"}, margin_t=40)
    return theme.framed(drawn, height=460), fold


def _band(drawn: go.Figure, x: Floats, spread: Floats, colour: str, place: dict[str, int]) -> None:
    """The area between two lines (k, 2) over x."""
    drawn.add_scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([spread[:, 0], spread[::-1, 1]]),
        fill="toself",
        fillcolor=theme.faint(colour, 0.15),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        **place,
    )


# Through the epochs ----------------------------------------------------------------------------------------------


def noted(learning: pd.DataFrame) -> list[str]:
    """Layers whose gamma and beta were noted after each epoch."""
    wanted = ("gamma_mean_", "gamma_std_", "beta_mean_", "beta_std_")
    found = [name.removeprefix(wanted[0]) for name in map(str, learning.columns) if name.startswith(wanted[0])]
    return [layer for layer in found if all(f"{prefix}{layer}" in learning for prefix in wanted)]


def through_epochs(learning: pd.DataFrame) -> go.Figure:
    """Mean of gamma and of beta after each epoch, one standard deviation to either side shaded; a colour for each fold.

    Args:
        learning: `fold`, `epoch`, and `gamma_mean_LAYER`, `gamma_std_LAYER`, `beta_mean_LAYER`, `beta_std_LAYER`.
    """
    from plotly.subplots import make_subplots

    found = noted(learning)
    titles = [NAMES.get(layer, layer) for layer in found]
    drawn = make_subplots(rows=2, cols=len(found), shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.08)
    folds = sorted(learning.groupby("fold"), key=lambda item: (item[0] == FINAL, item[0]))
    for number, (fold, rows) in enumerate(folds):
        name = "final" if fold == FINAL else f"fold {fold}"
        colour = theme.INK if fold == FINAL else theme.series_colour(number)
        epochs = rows["epoch"].to_numpy(dtype=np.float32)
        for row, statistic in enumerate(STATISTICS, start=1):
            for column, layer in enumerate(found, start=1):
                mean, std = (rows[f"{statistic}_{one}_{layer}"].to_numpy(dtype=np.float32) for one in ("mean", "std"))
                place = {"row": row, "col": column}
                _band(drawn, epochs, np.column_stack([mean - std, mean + std]), colour, place)
                drawn.add_scatter(
                    x=epochs,
                    y=mean,
                    mode="lines" if len(rows) > 1 else "markers",
                    name=name,
                    legendgroup=name,
                    showlegend=row == column == 1,
                    line={"color": colour, "width": 1.6},
                    hovertemplate="epoch %{x}: %{y:.4f}<extra>" + f"{name}, {statistic}" + "</extra>",
                    **place,
                )
    drawn.update_xaxes(title_text="epoch", row=2)
    for row, statistic in enumerate(STATISTICS, start=1):
        drawn.update_yaxes(title_text=statistic, row=row, col=1)
    drawn.update_layout(showlegend=True, legend={"y": -0.14, "yanchor": "top"}, margin_t=40)
    return theme.framed(drawn, height=400)
