"""The wall between training and test: purging by span overlap, embargo in time.

Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 7. Spans are compared as times, never as row
counts, so that labels of different lengths and several symbols are handled alike. What does not belong here: which
stretches test and which train (the schemes), and roles (`_roles.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Micros = NDArray[np.int64]

__all__ = ["overlaps", "union_of_spans"]


def overlaps(starts: Micros, ends: Micros, first: int, last: int) -> NDArray[np.bool_]:
    """Which spans [start, end] share an instant with [first, last], both ends included.

    Args:
        starts: (rows,) first instant of each span.
        ends: (rows,) last instant of each span, in the same unit.
        first: first instant of the interval.
        last: last instant of the interval.

    >>> import numpy as np
    >>> overlaps(np.array([0, 3, 9]), np.array([4, 5, 9]), first=5, last=8).tolist()
    [False, True, False]
    """
    touches: NDArray[np.bool_] = (starts <= last) & (ends >= first)
    return touches


def union_of_spans(labels: pd.DataFrame, *others: pd.DataFrame) -> pd.DataFrame:
    """One span per row over every label that a model with several heads learns: what to split such a model by.

    Args:
        labels: the label table of one head: `timestamp`, `symbol`, `span_start`, `span_end`.
        *others: those of the other heads.

    Returns:
        The same four columns by symbol and time: every row that any table labels, once, from the earliest start to
        the latest end of its spans. All spans of a row hold its decision, so nothing lies between them.
    """
    import pandas as pd

    columns = ["timestamp", "symbol", "span_start", "span_end"]
    heads = pd.concat([table[columns] for table in (labels, *others)], ignore_index=True)
    rows = heads.groupby(["symbol", "timestamp"], sort=True, observed=True, as_index=False)
    return rows.agg(span_start=("span_start", "min"), span_end=("span_end", "max"))[columns]
