"""Targets: one file = one question asked of the market, registered by being in this folder.

A target module offers

* `COLUMNS`: the names of its label columns, the class first; a two-class target that can be traded has a column
  `side` (1 long, -1 short, 0 not at all), and without one is not traded;
* `CLASSES`: the class count of its first column;
* `reach(**knobs) -> tuple[int, int]`: bars before and after a decision bar that enter its row, weight included;
* `label(bars, *, ...knobs) -> pd.DataFrame`, or `label(bars, context, *, ...knobs)`: bars of ONE symbol -> rows with
  `timestamp`, `span_start`, `span_end`, its columns and `weight`. A bar whose future is not all there has no row:
  labels are absent, never guessed;
* where some of its columns do not apply to every row, `MASKED`: their names. They hold NaN there, the class never does.

What a target counts on the way (`betti.counts`) it counts among the rows whose whole reach is there, so that the counts
of the parts sum to those of the whole.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from betti import counts
from betti import knobs as _knobs
from betti.discovery import Folder
from betti.errors import BadBars

if TYPE_CHECKING:
    import pandas as pd

    from betti.context import Context

__all__ = ["FOLDER", "label", "reach", "takes_context"]

FOLDER = Folder("betti.labelling", kind="target")


def label(target: str, bars: pd.DataFrame, /, context: Context | None = None, **knobs: Any) -> pd.DataFrame:
    """One label table: `timestamp`, `symbol`, `span_start`, `span_end`, the target's columns, `weight`.

    Args:
        target: a file in `betti/labelling`, e.g. "direction".
        bars: columns as in `betti.schemas.BARS`, in time order within each symbol.
        context: what surrounds the markets, for targets that look at it.
        **knobs: the target's own, checked against its signature.

    Raises:
        UnknownName, BadParam: the target or a knob does not exist, or a value is out of range.
        BadBars: a symbol's bars are not in time order, or two have one time.
    """
    import pandas as pd

    module = FOLDER.load(target)
    values = _knobs.checked(module.label, knobs, f"targets.{target}")
    beside = (context,) if takes_context(target) else ()
    tables = []
    for symbol, rows in bars.groupby("symbol", sort=False):
        _refuse_disorder(str(symbol), rows["timestamp"])
        table = module.label(rows, *beside, **values)
        table.insert(1, "symbol", symbol)
        tables.append(table)
    order = ["timestamp", "symbol", "span_start", "span_end", *module.COLUMNS, "weight"]
    if not tables:
        return pd.DataFrame({name: [] for name in order})
    whole: pd.DataFrame = pd.concat(tables, ignore_index=True)[order]
    return counts.attach(whole, counts.total(counts.of(table) for table in tables))


def _refuse_disorder(symbol: str, times: pd.Series[pd.Timestamp]) -> None:
    """Refuse bars whose rows after are not the bars after: a span would end before its decision."""
    import numpy as np

    late = np.flatnonzero(np.diff(times.astype("int64").to_numpy()) <= 0)
    if len(late):
        at = times.iloc[int(late[0]) + 1]
        found = f"{at} follows {times.iloc[int(late[0])]}, which is not earlier"
        raise BadBars(symbol, found, "Give each symbol's bars in time order, each time once: sort_values('timestamp')")


def reach(target: str, /, **knobs: Any) -> tuple[int, int]:
    """Bars before and after a decision bar that one row of this target depends on."""
    module = FOLDER.load(target)
    back, ahead = module.reach(**_knobs.checked(module.label, knobs, f"targets.{target}"))
    return int(back), int(ahead)


def takes_context(target: str) -> bool:
    """Whether a target looks at what surrounds the market: `label` then has `context` as its second argument."""
    return "context" in signature(FOLDER.load(target).label).parameters
