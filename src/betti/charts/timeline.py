"""Time on an axis: milliseconds for plotly, calendar periods for counting, fewer points for long lines.

What does not belong here: figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["envelope", "milliseconds", "period_name", "period_starts"]

# The shortest history, in days, that is counted by the period named.
PERIODS = ((365 * 60, "Y", "year"), (365 * 2, "Q", "quarter"), (120, "M", "month"), (28, "W", "week"), (0, "D", "day"))


def milliseconds(times: pd.Series) -> NDArray[np.float64]:
    """UTC milliseconds since 1970: half the bytes of ISO text, and what plotly's date axes take."""
    utc = pd.to_datetime(times, utc=True).dt.as_unit("ms")
    return np.asarray(utc.astype("int64"), dtype=np.float64)


def _period(times: pd.Series) -> tuple[str, str]:
    days = (times.max() - times.min()).days if len(times) else 0
    return next((code, name) for least, code, name in PERIODS if days >= least)


def period_name(times: pd.Series) -> str:
    """What `period_starts` counts by: a quarter beyond two years of history, shorter periods below.

    >>> period_name(pd.Series(pd.date_range("2001-01-01", "2009-01-01", tz="UTC")))
    'quarter'
    """
    return _period(times)[1]


def period_starts(times: pd.Series) -> pd.Series:
    """The start of the calendar period that each time lies in, UTC."""
    code = _period(times)[0]
    starts: pd.Series = times.dt.tz_convert(None).dt.to_period(code).dt.start_time.dt.tz_localize("UTC")
    return starts


def envelope(values: NDArray[np.float64], max_points: int) -> NDArray[np.int64]:
    """Positions to draw so that a line of at most `max_points` keeps every peak and every trough.

    The line is cut into equal stretches; the lowest and the highest point of each are kept, and both ends.

    >>> envelope(np.array([0.0, 9.0, 1.0, 1.0, -5.0, 1.0, 1.0, 2.0]), 6).tolist()
    [0, 1, 4, 7]
    """
    rows = len(values)
    if rows <= max_points:
        return np.arange(rows, dtype=np.int64)
    stretches = np.array_split(np.arange(rows, dtype=np.int64), max(1, (max_points - 2) // 2))
    # NaN never wins: a stretch of nothing but NaN keeps its first point, and the line breaks there.
    low = np.where(np.isnan(values), np.inf, values)
    high = np.where(np.isnan(values), -np.inf, values)
    kept = {0, rows - 1}
    for stretch in stretches:
        kept.add(int(stretch[np.argmin(low[stretch])]))
        kept.add(int(stretch[np.argmax(high[stretch])]))
    return np.array(sorted(kept), dtype=np.int64)
