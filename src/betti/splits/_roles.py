"""From stretches of time to a role for every labelled row, in the same way for every scheme.

A scheme says which stretches a fold tests, learns from and validates on (`Fold`), counted in distinct times; the purge
and the embargo follow from the spans. What does not belong here: how a scheme cuts time into stretches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from betti.errors import BadParam
from betti.schemas import ROLES
from betti.splits.purge import overlaps

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Micros = NDArray[np.int64]
    Stretch = tuple[int, int]

__all__ = ["Embargo", "Fold", "Spans", "folds_table"]

TRAIN, VALID, TEST, PURGED, EMBARGOED, UNUSED = range(len(ROLES))

# A time, not a number of rows.
Embargo = Annotated[str, Field(pattern=r"^\d{1,5}(min|h|D)$")]


@dataclass(frozen=True)
class Spans:
    """Labelled rows by symbol and time, as numbers. Instants are microseconds since 1970.

    Attributes:
        timestamp: (rows,) as in the labels.
        symbol: (rows,) categorical, its categories in order.
        place: (rows,) int32, the place of the row's time among the distinct times of all symbols.
        start: (rows,) where the row's span begins.
        end: (rows,) where it ends.
        first: (instants,) the earliest start among the spans of one time.
        last: (instants,) the latest end among them.
    """

    timestamp: pd.Series
    symbol: pd.Categorical
    place: NDArray[np.int32]
    start: Micros
    end: Micros
    first: Micros
    last: Micros

    @property
    def instants(self) -> int:
        """How many distinct times have a labelled row."""
        return len(self.first)

    @classmethod
    def of(cls, labels: pd.DataFrame, *, least: int, knob: str, value: float, parts: str) -> Self:
        """Read the keys and spans of a label table.

        Args:
            labels: rows with `timestamp`, `symbol`, `span_start`, `span_end`, in any order.
            least: the fewest distinct times that can be split.
            knob: for the message: which knob asks for so many,
            value: its value,
            parts: and what they would be cut into.

        Raises:
            BadParam: fewer distinct times than `least`.
        """
        import numpy as np
        import pandas as pd

        symbol = pd.Categorical(labels["symbol"].astype("str"))
        moments = _micros(labels["timestamp"])
        order = np.lexsort((moments, symbol.codes))
        instants, place = np.unique(moments[order], return_inverse=True)
        if len(instants) < least:
            raise BadParam(f"split.{knob}", value, f"{len(instants)} labelled instants are too few for {parts}")
        start, end = (_micros(labels[name])[order] for name in ("span_start", "span_end"))
        by_time = np.argsort(place, kind="stable")
        begins = np.searchsorted(place[by_time], np.arange(len(instants)))
        return cls(
            labels["timestamp"].iloc[order],
            symbol[order],
            place.astype("int32"),
            start,
            end,
            np.minimum.reduceat(start[by_time], begins),
            np.maximum.reduceat(end[by_time], begins),
        )


def _micros(times: pd.Series) -> Micros:
    # Finer times are cut off, which can only make spans touch that did not.
    whole: Micros = times.dt.as_unit("us").astype("int64").to_numpy()
    return whole


@dataclass(frozen=True)
class Fold:
    """What a fold does with which stretches of time, as half-open ranges (first, end) of the distinct times.

    Attributes:
        tested: stretches it tests.
        learnt: the stretch it learns from, apart from what it tests.
        valid_from: from here on, what it would learn from validates instead.
    """

    tested: tuple[Stretch, ...]
    learnt: Stretch
    valid_from: int


def folds_table(spans: Spans, folds: Sequence[Fold], embargo: str) -> pd.DataFrame:
    """The columns of `betti.schemas.FOLDS`: one row per label and fold, by fold, symbol and time.

    A combinatorial split of a long history has tens of millions of rows. So `role` and `symbol` are categorical and
    `fold` is int16: 12 bytes a row, and nothing is held twice while the table is made.
    """
    import numpy as np
    import pandas as pd

    rows = len(spans.place)
    wait = pd.Timedelta(embargo) // pd.Timedelta(microseconds=1)
    role = np.empty(rows * len(folds), dtype="int8")
    for number, fold in enumerate(folds):
        role[number * rows : (number + 1) * rows] = _roles(spans, fold, wait)
    columns = {
        "timestamp": pd.concat([spans.timestamp] * len(folds), ignore_index=True),
        "symbol": pd.Categorical.from_codes(np.tile(spans.symbol.codes, len(folds)), dtype=spans.symbol.dtype),
        "fold": np.repeat(np.arange(len(folds), dtype="int16"), rows),
        "role": pd.Categorical.from_codes(role, categories=pd.Index(ROLES)),
    }
    return pd.DataFrame(columns, copy=False)


def _roles(spans: Spans, fold: Fold, embargo: int) -> NDArray[np.int8]:
    """(rows,) place in `ROLES` of each row's role; `embargo` in microseconds."""
    import numpy as np

    timeline = np.full(spans.instants, UNUSED, dtype="int8")
    timeline[slice(*fold.learnt)] = TRAIN
    timeline[fold.valid_from : fold.learnt[1]] = VALID
    for stretch in fold.tested:
        timeline[slice(*stretch)] = TEST
    role = timeline[spans.place]
    learnt = role <= VALID
    validating = timeline == VALID
    if validating.any():
        reach = overlaps(spans.start, spans.end, spans.first[validating].min(), spans.last[validating].max())
        role[reach & (role == TRAIN)] = PURGED
    # The tested stretches are walked twice: a row that waits for one of them may overlap another.
    walls = [(int(spans.first[a:b].min()), int(spans.last[a:b].max())) for a, b in fold.tested]
    near = [
        np.flatnonzero(learnt & overlaps(spans.start, spans.end, first - embargo, last + embargo))
        for first, last in walls
    ]
    for rows in near:
        role[rows] = EMBARGOED
    for rows, (first, last) in zip(near, walls, strict=True):
        role[rows[overlaps(spans.start[rows], spans.end[rows], first, last)]] = PURGED
    return role
