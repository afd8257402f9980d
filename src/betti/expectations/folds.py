"""What folds must satisfy: every labelled row has a role in every fold, and nothing that is learnt from sees the test.

Overlap is found here by another way than the splitter's purge and than the trainer's last check, so that a fault in
one of them cannot hide. What does not belong here: how rows get their roles (`betti.splits`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.expectations._rules import KEY, known, one_of, true, unique
from betti.schemas import ROLES

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd
    from numpy.typing import NDArray

    Micros = NDArray[np.int64]

__all__ = ["prepared", "suite"]

FOLD_KEY = ("fold", *KEY)
LEARNT = ("train", "valid")


def prepared(folds: pd.DataFrame, *, labels: pd.DataFrame) -> pd.DataFrame:
    """Every row of the folds, and every labelled row that a fold lacks, with what the suite judges.

    Args:
        folds: columns as in `betti.schemas.FOLDS`.
        labels: the labels they were made from.

    Returns:
        `fold`, `timestamp`, `symbol`, `role` (none where a fold lacks a labelled row), `labelled`, and `apart`: not a
        row to learn from whose span shares an instant with a test row's span of the same fold, whatever their symbols.
    """
    import pandas as pd

    spans = labels[[*KEY, "span_start", "span_end"]].drop_duplicates(list(KEY))
    numbers = pd.DataFrame({"fold": np.sort(folds["fold"].unique())})
    due = numbers.merge(spans, how="cross").assign(labelled=True)
    whole = due.merge(folds[[*FOLD_KEY, "role"]], on=list(FOLD_KEY), how="outer")
    whole["labelled"] = whole["labelled"].notna()
    apart = [_apart(rows) for _, rows in whole.groupby("fold", sort=False)]
    whole["apart"] = pd.concat(apart).loc[whole.index] if apart else True
    return whole[[*FOLD_KEY, "role", "labelled", "apart"]].reset_index(drop=True)


def _apart(rows: pd.DataFrame) -> pd.Series:
    """One fold: True but for rows to learn from that touch a test span. Rows without a span touch nothing."""
    import pandas as pd

    apart = pd.Series(True, index=rows.index)
    spanned = rows[rows["span_end"].notna()]
    test, learnt = spanned[spanned["role"] == "test"], spanned[spanned["role"].isin(LEARNT)]
    if len(test) and len(learnt):
        starts, ends = _union(_micros(test["span_start"]), _micros(test["span_end"]))
        following = np.searchsorted(ends, _micros(learnt["span_start"]), side="left")
        reached = np.append(starts, np.iinfo(np.int64).max)[following] <= _micros(learnt["span_end"])
        apart.loc[learnt.index] = ~reached
    return apart


def _union(starts: Micros, ends: Micros) -> tuple[Micros, Micros]:
    """The same instants as disjoint intervals in ascending order."""
    order = np.argsort(starts, kind="stable")
    starts, reach = starts[order], np.maximum.accumulate(ends[order])
    fresh = np.concatenate([[True], starts[1:] > reach[:-1]])
    return starts[fresh], reach[np.append(np.flatnonzero(fresh)[1:] - 1, len(reach) - 1)]


def _micros(times: pd.Series) -> Micros:
    """Microseconds since 1970."""
    instants: Micros = times.dt.as_unit("us").astype("int64").to_numpy()
    return instants


def suite() -> gx.ExpectationSuite:
    """The suite for what `prepared` returns."""
    import great_expectations as gx

    rules = [
        unique(FOLD_KEY, "a row has one role in a fold"),
        known("role", "every labelled row has a role in every fold"),
        one_of("role", list(ROLES), "roles are known"),
        true("labelled", "every row has a label"),
        true("apart", "no row to learn from has a span that touches a test span"),
    ]
    return gx.ExpectationSuite(name="folds", expectations=rules)
