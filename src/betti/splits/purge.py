"""The wall between training and test: purging by span overlap, embargo in time.

Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 7. Spans are compared as times, never as row
counts, so that labels of different lengths and several symbols are handled alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["overlaps"]


def overlaps(labels: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> NDArray[np.bool_]:
    """Which rows' spans share an instant with [start, end], both ends included.

    Args:
        labels: `span_start` and `span_end` per row.
        start: first instant of the interval.
        end: last instant of the interval.
    """
    touches: NDArray[np.bool_] = ((labels["span_start"] <= end) & (labels["span_end"] >= start)).to_numpy(dtype=bool)
    return touches
