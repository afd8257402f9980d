"""One row of the target `expansion`, unfolded into what a network is asked about every bar of its window.

What does not belong here: finding expansions, and losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Flags = NDArray[np.bool_]

__all__ = ["Sequences", "sequences"]


@dataclass(frozen=True)
class Sequences:
    """What a network is asked about n windows of `window` bars. NaN is what is not asked.

    Attributes:
        mask: (n, window) 1 from the expansion's first bar to its last, both included, else 0.
        countdown: (n, window) bars until the expansion starts, negative after; NaN in windows without a start.
        pointers: (n, 2) centre = (start + end) / 2 / (window - 1) and length = (end - start + 1) / window of the part
            that lies in the window; NaN where the start does not.
        type: (n,) 0 consolidation, 1 retracement, 2 reversal; NaN where it is not asked.
        detection: (n,) whether the expansion starts in the window, so that its bars are seen.
        anticipation: (n,) whether it starts after the window, so that the countdown is a forecast.
        censored: (n,) whether it goes on after the window: its end and length are those of the part that is seen.
    """

    mask: Floats
    countdown: Floats
    pointers: Floats
    type: Floats
    detection: Flags
    anticipation: Flags
    censored: Flags


def sequences(table: pd.DataFrame, window: int = 105) -> Sequences:
    """Unfold rows of an expansion table; n x window x 8 bytes, so take a batch at a time.

    Args:
        table: rows with `start`, `end`, `type`, `begun`, `ahead`, `censored`, as `label` gives them.
        window: bars in a window, as in `label`.

    >>> import pandas as pd
    >>> row = {"start": 50.0, "end": 65.0, "type": 0.0, "begun": 0.0, "ahead": 0.0, "censored": 0.0}
    >>> found = sequences(pd.DataFrame([row]))
    >>> int(found.mask.sum()), found.mask[0, 49:67].astype(int).tolist()
    (16, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0])
    >>> found.countdown[0, [45, 50, 55]].tolist()
    [5.0, 0.0, -5.0]
    >>> [round(float(number), 4) for number in found.pointers[0]]  # 57.5 / 104 and 16 / 105
    [0.5529, 0.1524]
    """
    start, end, kind = (table[name].to_numpy(dtype="float64") for name in ("start", "end", "type"))
    begun, ahead, censored = (table[name].to_numpy(dtype="float64") > 0 for name in ("begun", "ahead", "censored"))
    bars = np.arange(window)
    detection = ~np.isnan(start) & ~begun & ~ahead
    # Comparisons with the NaN of a window without an expansion are false.
    mask = (bars >= start[:, None]) & (bars <= end[:, None]) & ~ahead[:, None]
    timed = detection | ahead
    countdown = np.where(timed[:, None], start[:, None] - bars, np.nan)
    pointers = np.column_stack([(start + end) / 2 / (window - 1), (end - start + 1) / window])
    pointers[~detection] = np.nan
    return Sequences(
        mask.astype(np.float32),
        countdown.astype(np.float32),
        pointers.astype(np.float32),
        np.where(timed, kind, np.nan).astype(np.float32),
        detection,
        ahead,
        censored,
    )
