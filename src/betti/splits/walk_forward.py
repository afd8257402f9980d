"""Walk-forward: train on the past, test on the block that follows, move on.

The time line is cut into `folds` + 1 blocks of equally many instants; fold i tests block i + 1 and trains on what lies
before it. All symbols are cut at the same instants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from betti.errors import BadParam
from betti.splits.purge import overlaps

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["split"]


def split(
    labels: pd.DataFrame,
    *,
    folds: Annotated[int, Field(ge=1, le=100)] = 5,
    valid_share: Annotated[float, Field(gt=0, lt=0.9)] = 0.15,
    embargo: Annotated[str, Field(pattern=r"^\d+(min|h|D)$")] = "1D",
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
    import pandas as pd

    instants = np.sort(labels["timestamp"].unique())
    if len(instants) < 3 * (folds + 1):
        raise BadParam("split.folds", folds, f"{len(instants)} labelled instants are too few for {folds + 1} blocks")
    edges = np.linspace(0, len(instants), folds + 1 + 1).round().astype(int)
    tables = []
    for fold in range(folds):
        first = 0 if history == "expanding" else edges[fold]
        block = instants[edges[fold + 1] : edges[fold + 2]]
        past = instants[first : edges[fold + 1]]
        role = _roles(labels, past, block, valid_share, pd.Timedelta(embargo))
        tables.append(
            pd.DataFrame({"timestamp": labels["timestamp"], "symbol": labels["symbol"], "fold": fold, "role": role})
        )
    whole = pd.concat(tables, ignore_index=True)
    return whole.sort_values(["fold", "symbol", "timestamp"], kind="stable").reset_index(drop=True)


def _roles(
    labels: pd.DataFrame,
    past: NDArray[np.datetime64],
    block: NDArray[np.datetime64],
    valid_share: float,
    embargo: pd.Timedelta,
) -> NDArray[np.object_]:
    """The role of every labelled row in the fold that tests `block` and trains on `past` (sorted instants)."""
    import numpy as np
    import pandas as pd

    stamps = labels["timestamp"]
    test = stamps.isin(block).to_numpy()
    # A span may begin before the row's own time (a label over a window stamped with its last bar).
    test_start, test_end = labels["span_start"][test].min(), labels["span_end"][test].max()
    usable = ((stamps >= past[0]) & (stamps <= past[-1])).to_numpy()
    late = (stamps >= pd.Timestamp(past[int(len(past) * (1 - valid_share))])).to_numpy()
    valid_start = labels["span_start"][usable & late].min()

    role = np.full(len(labels), "unused", dtype=object)
    role[usable & late] = "valid"
    role[usable & ~late] = "train"
    role[usable & ~late & overlaps(labels, valid_start, test_end)] = "purged"
    role[usable & overlaps(labels, test_start - embargo, test_end)] = "embargoed"
    role[usable & overlaps(labels, test_start, test_end)] = "purged"
    role[test] = "test"
    return role
