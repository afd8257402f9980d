"""What the page says about a network beside its scores: only what its tables have the numbers for.

What does not belong here: drawing (`modulation.py`, `expansion_forecast.py`, ...), which model has which numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from betti.charts import embeddings, expansion_forecast, loss_shares, modulation, regimes
from betti.charts.markup import number, paragraph, percent, picture, slug, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from betti.records import RunMetrics, SpanScore

__all__ = ["Surroundings", "pictures", "span_table"]

SPAN = (
    *("windows", "start within 3 bars", "the same by countdown", "countdown off, bars", "centre off", "length off"),
    *("span IoU", "span F1", "mask IoU", "mask F1"),
    *("recall: consolidation", "retracement", "reversal", "type macro F1"),
)


@dataclass(frozen=True)
class Surroundings:
    """Tables of other stages that pictures of some runs need.

    Attributes:
        clean: columns as in `betti.schemas.BARS`.
        expansions: target -> its labels, of the targets that say where expansions lie.
        indicators: what `modulation.indicators` gives; None without that family.
    """

    clean: pd.DataFrame
    expansions: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    indicators: pd.DataFrame | None = None


def span_table(metrics: RunMetrics) -> str:
    """How well expansions are found, windows that hold the start apart from those that end before it."""
    if metrics.span is None:
        return ""
    words = paragraph(
        "Detection: the start lies in the window, and the model sees the expansion's bars. Anticipation: the window "
        "ends before the start, so that the countdown is a forecast; there no span is asked. Distances of centre and "
        "length are in parts of the window."
    )
    settings = [
        *((name.replace("_", " "), one) for name, one in metrics.span.folds.items()),
        ("all", metrics.span.pooled),
    ]
    rows = [
        [f"{kind}, {name}", *_span_cells(getattr(one, kind))]
        for kind in ("detection", "anticipation")
        for name, one in settings
    ]
    return "<h4>Expansions found</h4>" + words + table(["", *SPAN], rows)


def _span_cells(one: SpanScore) -> list[str]:
    return [
        number(one.rows, 0),
        percent(one.hits),
        percent(one.countdown_hits),
        number(one.countdown_mae, 1),
        *(number(value) for value in (one.centre_mae, one.length_mae)),
        *(number(value) for value in (one.span_iou, one.span_f1, one.mask_iou, one.mask_f1)),
        *(percent(value) for value in one.type_recall),
        number(one.type_macro_f1),
    ]


def pictures(
    metrics: RunMetrics,
    learning: pd.DataFrame,
    predictions: pd.DataFrame,
    around: Surroundings,
    max_points: int,
) -> str:
    """Every picture that the run's tables have the numbers for, under a heading each."""
    ident = f"fig-runs-{slug(metrics.run)}"
    labels = around.expansions.get(metrics.target)
    found = ""
    if labels is not None and expansion_forecast.fits(predictions, labels):
        drawn = expansion_forecast.body(metrics.run, predictions, labels, around.clean)
        found += "<h4>Expansions, as they were and as it said</h4>" + drawn if drawn else ""
    return (
        found
        + _shares(ident, learning)
        + _modulation(ident, learning, predictions, around.indicators)
        + _embeddings(ident, predictions, max_points)
        + _regimes(ident, predictions)
    )


def _shares(ident: str, learning: pd.DataFrame) -> str:
    if learning.empty or not loss_shares.parts(learning):
        return ""
    caption = "What each loss contributes to their sum, mean of the folds' models and the final one, and their range"
    return "<h4>Shares of the losses</h4>" + picture(f"{ident}-shares", loss_shares.curves(learning), caption)


def _modulation(ident: str, learning: pd.DataFrame, predictions: pd.DataFrame, indicators: pd.DataFrame | None) -> str:
    """Gamma against what it is made of, and gamma and beta through the epochs."""
    found = ""
    if indicators is not None and modulation.layers(predictions) and len(predictions):
        drawn, fold = modulation.against_indicators(predictions, indicators)
        caption = f"Mean gamma of each layer over an indicator, in bins of equally many test rows of fold {fold}"
        found += picture(f"{ident}-gamma", drawn, f"{caption}, their middle half shaded")
    if not learning.empty and modulation.noted(learning):
        caption = "Gamma and beta after each epoch: mean, and one standard deviation over rows and features shaded"
        found += picture(f"{ident}-modulation", modulation.through_epochs(learning), caption)
    words = paragraph("A layer with gamma 1 and beta 0 passes its features on as they are.")
    return "<h4>Modulation</h4>" + words + found if found else ""


def _embeddings(ident: str, predictions: pd.DataFrame, max_points: int) -> str:
    if not embeddings.fits(predictions):
        return ""
    drawn, fold = embeddings.scatter(predictions, max_points)
    caption = f"Test rows of fold {fold} in the plane in which its training rows' embeddings spread most"
    return "<h4>Embeddings</h4>" + picture(f"{ident}-embeddings", drawn, caption)


def _regimes(ident: str, predictions: pd.DataFrame) -> str:
    if predictions.empty or not regimes.names(predictions):
        return ""
    drawn = regimes.areas(predictions)
    return "<h4>Regimes</h4>" + picture(f"{ident}-regimes", drawn.figure, drawn.caption)
