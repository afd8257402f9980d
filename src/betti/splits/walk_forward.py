"""Walk-forward: train on the past, test on the block that follows, move on.

The time line is cut into `folds` + 1 blocks of equally many instants; fold i tests block i + 1 and trains on what lies
before it. All symbols are cut at the same instants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from betti.splits._roles import Embargo, Fold, Spans, folds_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["split"]


def split(
    labels: pd.DataFrame,
    *,
    folds: Annotated[int, Field(ge=1, le=100)] = 5,
    valid_share: Annotated[float, Field(gt=0, lt=0.9)] = 0.15,
    embargo: Embargo = "1D",
    history: Literal["expanding", "rolling"] = "expanding",
) -> pd.DataFrame:
    """Roles per fold: `timestamp`, `symbol`, `fold`, `role`.

    Args:
        labels: rows with `timestamp`, `symbol`, `span_start`, `span_end`.
        folds: test blocks.
        valid_share: the last part of each training stretch, by time, kept for early stopping.
        embargo: training spans must end at least this long before the test block begins.
        history: "expanding" trains on everything before the test block, "rolling" on as long a stretch as the first.

    Returns:
        One row per label and fold. `purged`: its span overlaps the test block's spans (or the validation stretch's,
        for a training row). `embargoed`: its span ends within the embargo. `unused`: after the test block, or before
        a rolling history.

    Raises:
        BadParam: fewer instants than blocks.
    """
    import numpy as np

    spans = Spans.of(labels, least=3 * (folds + 1), knob="folds", value=folds, parts=f"{folds + 1} blocks")
    edges = np.linspace(0, spans.instants, folds + 2).round().astype(int).tolist()
    planned = []
    for fold in range(folds):
        first = 0 if history == "expanding" else edges[fold]
        begin = edges[fold + 1]
        valid_from = first + int((begin - first) * (1 - valid_share))
        planned.append(Fold(((begin, edges[fold + 2]),), (first, begin), valid_from))
    return folds_table(spans, planned, embargo)
