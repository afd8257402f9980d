"""Which columns of a set one model is given: constant ones go, and of two that say the same the later one.

Two columns say the same when the absolute value of their rank correlation (Spearman 1904) exceeds a limit. Ranks,
because a tree sees nothing else, and because one crash makes or breaks a plain correlation of returns; a column and
its logarithm are one. Columns are taken in the order of their set: each is dropped if one that was kept before it is
like it. So a column is never dropped for the sake of one that is itself gone, and no two that are left are alike.

The rows that decide are the train rows of one fold. What does not belong here: choosing the rows (`prepare.py`), the
order of columns (`betti.features._sets`), scaling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from betti.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AllConstant", "Choice", "choose", "everything", "rank_correlations"]

# Ranks of more rows cost seconds and tell nothing: at a correlation of 0.95 the error is 0.0004 here.
MOST_ROWS = 50_000
BLOCK = 1 << 15  # rows looked at together


class AllConstant(BadInput):
    """Train rows in which no column varies."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        super().__init__(
            f"all {columns} columns are constant in {rows} train rows. "
            "Fetch more bars, or choose columns that vary under `sets` in params.yaml"
        )


class Choice(BaseModel):
    """Columns that one model is given.

    Attributes:
        kept: their names, in the order of the set.
        constant: names of those that had one value in all train rows.
        alike: name of a dropped column -> the kept one that it is most like.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kept: tuple[str, ...]
    constant: tuple[str, ...]
    alike: dict[str, str]

    @property
    def dropped(self) -> int:
        """How many columns the model is not given."""
        return len(self.constant) + len(self.alike)


def everything(columns: tuple[str, ...]) -> Choice:
    """All columns: nothing is pruned."""
    return Choice(kept=columns, constant=(), alike={})


def choose(columns: tuple[str, ...], values: NDArray[np.float32], rows: NDArray[np.int64], limit: float) -> Choice:
    """Choose columns by what the train rows show.

    Args:
        columns: names, in the order in which they are taken.
        values: (n, columns) float32, the whole matrix.
        rows: positions of the train rows in it, all of them finite; no other row is looked at.
        limit: largest absolute rank correlation of two columns that are both kept; 1 drops constant columns alone.

    Raises:
        AllConstant: no column varies.

    >>> values = np.array([[1, 2, 5, 0], [2, 4, 5, 1], [3, 9, 5, 0]], dtype="float32")
    >>> choose(("a", "square", "five", "other"), values, np.arange(3), 0.9)
    Choice(kept=('a', 'other'), constant=('five',), alike={'square': 'a'})
    """
    varies = _varies(values, rows)
    if not varies.any():
        raise AllConstant(len(columns), len(rows))
    places = np.flatnonzero(varies)
    kept = places.tolist()
    alike: dict[str, str] = {}
    if limit < 1:
        size = np.abs(rank_correlations(np.take(values[_sample(rows)], places, axis=1)))
        own: list[int] = []
        for one in range(len(places)):
            near = size[one, own]
            if len(own) and near.max() > limit:
                alike[columns[places[one]]] = columns[places[own[int(near.argmax())]]]
            else:
                own.append(one)
        kept = places[own].tolist()
    constant = tuple(columns[place] for place in np.flatnonzero(~varies))
    return Choice(kept=tuple(columns[place] for place in kept), constant=constant, alike=alike)


def rank_correlations(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """(columns, columns) Spearman's correlation of (rows, columns), equal values sharing their mean rank.

    0 where a column is constant. Twice a rank is a whole number, and sums of their products stay below 2^53 for
    `MOST_ROWS` rows: the sums are exact, and equal on every machine and number of threads.
    """
    import pandas as pd

    ranks = 2 * pd.DataFrame(values).rank().to_numpy() - (len(values) + 1)
    products = ranks.T @ ranks
    norms = np.sqrt(np.diag(products))
    whole = np.outer(norms, norms)
    found: NDArray[np.float64] = np.divide(products, whole, out=np.zeros_like(products), where=whole > 0)
    return found


def _varies(values: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(columns,) whether two of these rows differ; block by block, so that the rows are not copied at once."""
    found = np.zeros(values.shape[1], dtype="bool")
    for first in range(0, len(rows), BLOCK):
        block = values[rows[first : first + BLOCK]]
        found |= (block != values[rows[0]]).any(axis=0)
    return found


def _sample(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most `MOST_ROWS` of the rows, in their order.

    Drawn by a fixed seed: every tenth row of 15-minute bars would see half of the hours only.
    """
    if len(rows) <= MOST_ROWS:
        return rows
    return rows[np.sort(np.random.default_rng(0).choice(len(rows), MOST_ROWS, replace=False, shuffle=False))]
