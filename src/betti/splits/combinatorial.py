"""Combinatorial purged cross-validation: test every choice of groups, and have several histories to judge by.

Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 12. The time line is cut into N `groups` of
equally many instants. Each choice of k `test_groups` is a fold that learns from the other groups: C(N, k) folds, in
which each group is tested C(N - 1, k - 1) times. Taking each group once makes a backtest path over the whole history;
there are as many paths as a group is tested times. All symbols are cut at the same instants.
"""

from __future__ import annotations

from itertools import combinations, pairwise
from math import comb
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from betti.errors import BadParam
from betti.splits._roles import Embargo, Fold, Spans, folds_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["backtest_paths", "fold_groups", "path_rows", "split"]

# Each fold is a model to train, and a role for every row.
MOST_FOLDS = 1000


def split(
    labels: pd.DataFrame,
    *,
    groups: Annotated[int, Field(ge=2, le=100)] = 6,
    test_groups: Annotated[int, Field(ge=1, le=99)] = 2,
    valid_share: Annotated[float, Field(ge=0, lt=0.9)] = 0.15,
    embargo: Embargo = "1D",
) -> pd.DataFrame:
    """Roles per fold: `timestamp`, `symbol`, `fold`, `role`; `fold_groups` says which fold tests what.

    Args:
        labels: rows with `timestamp`, `symbol`, `span_start`, `span_end`.
        groups: stretches that time is cut into.
        test_groups: how many of them a fold tests, fewer than `groups`.
        valid_share: the last part, by time, of what a fold does not test, kept for early stopping; 0 keeps none.
        embargo: spans to learn from must lie further than this from the spans of a tested group. The source waits
            after a test alone; here it is on both sides, as the other schemes wait before it.

    Returns:
        One row per label and fold. `purged`: its span overlaps a tested group's spans (or the validation stretch's,
        for a training row). `embargoed`: its span lies within the embargo of them. Nothing is `unused`.

    Raises:
        BadParam: fewer instants than groups, nothing to learn from, or more than 1000 folds.
    """
    import numpy as np

    _refuse(groups, test_groups)
    spans = Spans.of(labels, least=3 * groups, knob="groups", value=groups, parts=f"{groups} groups")
    edges = np.linspace(0, spans.instants, groups + 1).round().astype(int).tolist()
    stretches = list(pairwise(edges))
    planned = []
    for tested in fold_groups(groups, test_groups):
        rest = [stretch for group, stretch in enumerate(stretches) if group not in tested]
        valid_from = _valid_from(rest, valid_share, spans.instants)
        planned.append(Fold(tuple(stretches[group] for group in tested), (0, spans.instants), valid_from))
    return folds_table(spans, planned, embargo)


def _refuse(groups: int, test_groups: int) -> None:
    if not 1 <= test_groups < groups:
        problem = f"of {groups} groups, one at least must be tested and one be left to learn from"
        raise BadParam("split.test_groups", test_groups, problem)
    folds = comb(groups, test_groups)
    if folds > MOST_FOLDS:
        problem = f"{test_groups} of {groups} groups makes {folds} folds, and {MOST_FOLDS} are the most"
        raise BadParam("split.groups", groups, problem)


def _valid_from(rest: Sequence[tuple[int, int]], share: float, instants: int) -> int:
    """Where the last share of these stretches begins, which may lie inside one of them."""
    if not share:
        return instants
    before = int(sum(end - first for first, end in rest) * (1 - share))
    for first, end in rest:
        if before < end - first:
            return first + before
        before -= end - first
    return instants


def fold_groups(groups: int, test_groups: int) -> tuple[tuple[int, ...], ...]:
    """Which groups each fold tests, in order of the folds.

    Raises:
        BadParam: nothing would be left to learn from, or there would be more than 1000 folds.

    >>> fold_groups(4, 2)
    ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    """
    _refuse(groups, test_groups)
    return tuple(combinations(range(groups), test_groups))


def backtest_paths(groups: int, test_groups: int) -> NDArray[np.int64]:
    """(paths, groups): the fold that tests each group on each path.

    Path p takes, for each group, the p-th of the folds that test it, as in the source's figure 12.1. Every test of
    every fold stands on exactly one path.

    Raises:
        BadParam: as `fold_groups`.

    >>> backtest_paths(4, 2).tolist()
    [[0, 0, 1, 2], [1, 3, 3, 4], [2, 4, 5, 5]]
    """
    import numpy as np

    chosen = fold_groups(groups, test_groups)
    columns = [[fold for fold, tested in enumerate(chosen) if group in tested] for group in range(groups)]
    return np.array(columns, dtype="int64").T


def path_rows(folds: pd.DataFrame) -> pd.DataFrame:
    """The test rows of a split with the backtest path each stands on: its place among the folds that test the row.

    Args:
        folds: columns as in `betti.schemas.FOLDS`, of any scheme; where blocks are tested once there is one path.

    Returns:
        `timestamp`, `symbol`, `fold`, `path` (from 0), by path, symbol and time. One path of a combinatorial split
        holds every labelled row once.
    """
    tested = folds.loc[folds["role"] == "test", ["timestamp", "symbol", "fold"]].sort_values("fold", kind="stable")
    path = tested.groupby(["symbol", "timestamp"], observed=True).cumcount()
    ordered = tested.assign(path=path.astype("int64")).sort_values(["path", "symbol", "timestamp"], kind="stable")
    return ordered.reset_index(drop=True)
