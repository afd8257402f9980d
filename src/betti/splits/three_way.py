"""Three-way: train on the past, validate on what follows, test once on the end.

One fold, for a first look or for a model too dear to be fitted several times. All symbols are cut at the same
instants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from betti.errors import BadParam
from betti.splits._roles import Embargo, Fold, Spans, folds_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["split"]

LEAST = 9


def split(
    labels: pd.DataFrame,
    *,
    valid_share: Annotated[float, Field(gt=0, lt=0.9)] = 0.15,
    test_share: Annotated[float, Field(gt=0, lt=0.9)] = 0.15,
    embargo: Embargo = "1D",
) -> pd.DataFrame:
    """Roles of the one fold: `timestamp`, `symbol`, `fold`, `role`.

    Args:
        labels: rows with `timestamp`, `symbol`, `span_start`, `span_end`.
        valid_share: share of all instants that validates, before the test.
        test_share: share of all instants that is tested, the last ones.
        embargo: training and validation spans must end at least this long before the test begins.

    Returns:
        One row per label, all of fold 0. `purged`: its span overlaps the test spans (or the validation stretch's, for
        a training row). `embargoed`: its span ends within the embargo. Nothing is `unused`.

    Raises:
        BadParam: too few instants for three parts, or shares that leave nothing to train on.
    """
    if valid_share + test_share >= 1:
        raise BadParam("split.test_share", test_share, f"with valid_share = {valid_share} nothing is left to train on")
    spans = Spans.of(labels, least=LEAST, knob="test_share", value=test_share, parts="three parts")
    test_from = int(spans.instants * (1 - test_share))
    valid_from = int(spans.instants * (1 - test_share - valid_share))
    if not 0 < valid_from < test_from < spans.instants:
        problem = f"{spans.instants} labelled instants are too few for parts of these shares"
        raise BadParam("split.test_share", test_share, problem)
    fold = Fold(((test_from, spans.instants),), (0, test_from), valid_from)
    return folds_table(spans, [fold], embargo)
