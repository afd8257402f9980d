"""What was counted while a table was made, carried with the table: through Parquet and back, summed over its parts.

For facts about how rows came to be that are no column: how many clouds each algorithm took. What does not belong here:
numbers that a model may see.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

__all__ = ["attach", "metadata", "of", "of_metadata", "total"]

_NAME = "betti.counts"  # among a frame's attributes, and in a Parquet file's metadata


def attach(frame: pd.DataFrame, counts: Mapping[str, int]) -> pd.DataFrame:
    """The same frame with these counts in the place of what it carried, which pandas takes along from its sources."""
    frame.attrs.pop(_NAME, None)
    if counts:
        frame.attrs[_NAME] = dict(sorted(counts.items()))
    return frame


def of(frame: pd.DataFrame) -> dict[str, int]:
    """What a frame carries; empty where nothing was counted."""
    return dict(frame.attrs.get(_NAME, {}))


def metadata(frame: pd.DataFrame) -> dict[bytes, bytes]:
    """What a frame carries as metadata of a Parquet file: equal counts give equal bytes, no counts no entry."""
    counted = of(frame)
    return {_NAME.encode(): json.dumps(counted, sort_keys=True).encode()} if counted else {}


def of_metadata(found: Mapping[bytes, bytes] | None) -> dict[str, int]:
    """What `metadata` wrote, among a file's metadata; empty where nothing was counted."""
    counted: dict[str, int] = json.loads((found or {}).get(_NAME.encode(), b"{}"))
    return counted


def total(several: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sums of counts by name.

    >>> total([{"planar": 3}, {"planar": 2, "fallback": 1}])
    {'fallback': 1, 'planar': 5}
    """
    sums: Counter[str] = Counter()
    for counts in several:
        sums.update(counts)
    return dict(sorted(sums.items()))
