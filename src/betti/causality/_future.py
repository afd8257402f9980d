"""Whether a family reads the future, or something outside its bars and what surrounds them.

What does not belong here: how bars and surroundings are changed (`betti.probes`, `betti.releases`), and histories that
are longer than declared (`_memory`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from betti import probes, releases
from betti.causality._computing import WORK, Computing, TooFewBars, differs
from betti.context import _known as known
from betti.progress import tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from betti.causality._computing import Floats
    from betti.context import Context
    from betti.features import FeatureFamily

__all__ = ["Kind", "Leak", "Lookahead", "lookahead"]

Kind = Literal["future", "elsewhere", "unsteady"]

CUT = next(iter(probes.FUTURES))  # nothing follows
OPPOSITE = "the opposite"


@dataclass(frozen=True)
class Leak:
    """One column at fault, and how.

    Attributes:
        column: its full name.
        kind: `future`: it reads bars after its own, or what was released after its close; `elsewhere`: it reads
            something that depends on the date and is not in the bars; `unsteady`: the same bars give other values.
        row: position of the first row that changed.
        time: that row's bar.
        ahead: bars it reads ahead, at least; 0 where the kind is not `future`.
        change: the largest change of a value, in the column's unit; infinite where a value came or went.
        shown_by: what was done to the bars, or to what surrounds them, when it changed.
    """

    column: str
    kind: Kind
    row: int
    time: pd.Timestamp
    ahead: int
    change: float
    shown_by: tuple[str, ...]


@dataclass(frozen=True)
class Lookahead:
    """What looking for look-ahead found.

    Attributes:
        family: its name.
        columns: the columns that were looked at.
        bars: bars it was computed on.
        warm_up: rows at their start that hold no value.
        possible: bars t that a bar follows: after each of them the future was cut off, and turned around.
        tried: those after which it was exchanged in every other way too, with all bars there.
        moments: times at which something around the market became known.
        moments_tried: those from which on that was taken away, and exchanged.
        leaks: the faults, in order of columns.
    """

    family: str
    columns: tuple[str, ...]
    bars: int
    warm_up: int
    possible: int
    tried: int
    moments: int
    moments_tried: int
    leaks: tuple[Leak, ...]


@dataclass
class _Found:
    """What is known of one column's fault so far."""

    row: int
    ahead: int
    change: float
    shown_by: list[str] = field(default_factory=list)


@dataclass
class _Faults:
    """Faults by column and kind, gathered over all probes."""

    found: dict[tuple[int, Kind], _Found] = field(default_factory=dict)

    def compare(
        self,
        kind: Kind,
        shown_by: str,
        before: Floats,
        after: Floats,
        *,
        first_row: int = 0,
        ahead_of: int | None = None,
    ) -> None:
        """Note every column of two (rows, columns) tables that differs; `ahead_of` is the first bar exchanged."""
        changed = differs(before, after)
        for column in np.flatnonzero(changed.any(axis=0)):
            rows = np.flatnonzero(changed[:, column])
            size = np.abs(after[rows, column].astype("float64") - before[rows, column])
            first = int(rows[0]) + first_row
            ahead = 0 if ahead_of is None else ahead_of - first
            change = float(np.where(np.isnan(size), np.inf, size).max())
            noted = self.found.setdefault((int(column), kind), _Found(first, ahead, change))
            noted.row, noted.ahead = min(noted.row, first), max(noted.ahead, ahead)
            noted.change = max(noted.change, change)
            if shown_by not in noted.shown_by:
                noted.shown_by.append(shown_by)

    @property
    def columns(self) -> list[int]:
        """Places of the columns at fault."""
        return sorted({column for column, _ in self.found})

    def leaks(self, names: tuple[str, ...], times: pd.Series[pd.Timestamp]) -> tuple[Leak, ...]:
        """The faults by name; a column that is unsteady differs in every probe, and has that fault alone."""
        unsteady = {column for column, kind in self.found if kind == "unsteady"}
        return tuple(
            Leak(names[column], kind, at.row, times.iloc[at.row], at.ahead, at.change, tuple(at.shown_by))
            for (column, kind), at in sorted(self.found.items())
            if kind == "unsteady" or column not in unsteady
        )


@dataclass
class _Search:
    """One search: the bars, the values on them, and what was found."""

    computing: Computing
    bars: pd.DataFrame
    names: tuple[str, ...]
    present: Floats
    rng: np.random.Generator
    faults: _Faults = field(default_factory=_Faults)
    done: int = 0
    due: int = 0

    def values(self, bars: pd.DataFrame, what: str, within: Context | None = None) -> Floats:
        """(rows, columns) on other bars, or in other surroundings."""
        computing = self.computing if within is None else self.computing.within(within)
        # A column that is not there with another future is one whose every value went.
        found: Floats = computing.table(bars, what).reindex(columns=list(self.names)).to_numpy()
        return found

    def told(self, count: int) -> None:
        """So many more computations are done."""
        self.done += count
        tell(self.done, self.due, WORK)


def lookahead(
    family: FeatureFamily,
    bars: pd.DataFrame,
    *,
    knobs: Mapping[str, Any] | None = None,
    context: Context | None = None,
    times: int = 100,
    seed: int = 0,
) -> Lookahead:
    """Look for values that depend on what follows their bar, or on what is not in the bars.

    Args:
        family: any family, registered or not.
        bars: one symbol's, columns as in `betti.schemas.BARS`, in time order.
        knobs: the family's own; those left out have their defaults.
        context: what surrounds the market. Where it is None, a family that takes one gets one that is made up.
        times: bars t after which every future is tried at most, and as many moments of release.
        seed: of those tried where there are more, of the futures put in, and of what is made up.

    Returns:
        What was tried and every column at fault. A leak shows in a row at or before t if it reaches a bar after t, so
        one that looks h bars ahead shows only where h bars follow the warm-up.

    Raises:
        TooFewBars: no bar has both a full look-back and a bar after it.
        UnknownName, BadParam: a knob does not exist, or a value is out of range.
        NotFinite: the family gave an infinity.
        ProbeFailed: the family raised.
    """
    computing, rng = Computing.of(family, bars, knobs, context, seed), np.random.default_rng(seed)
    back = computing.warm_up
    if len(bars) < back + 2:
        raise TooFewBars(family.name, len(bars), back + 2, back)
    table = computing.table(bars, "these bars")
    search = _Search(computing, bars, tuple(table.columns), table.to_numpy(), rng)
    every = np.arange(back, len(bars) - 1)
    tried, moments = _chosen(every, times, rng), _moments(search)
    released = _chosen(moments, times, rng)
    search.due = 2 * len(every) + len(tried) * len(probes.FUTURES) + len(released) * len(releases.LATER)

    search.faults.compare("unsteady", "the same bars again", search.present, search.values(bars, "these bars"))
    _cut_after_suspects(search, _look_at_every_row(search), times)
    _look_at_futures(search, tried)
    _look_at_releases(search, released)
    _look_elsewhere(search, probes.replaced(bars, rng))
    search.faults.compare("unsteady", "the same bars after others", search.present, search.values(bars, "these bars"))
    leaks = search.faults.leaks(search.names, bars["timestamp"])
    return Lookahead(
        family=family.name,
        columns=search.names,
        bars=len(bars),
        warm_up=back,
        possible=len(every),
        tried=len(tried),
        moments=len(moments),
        moments_tried=len(released),
        leaks=leaks,
    )


# Bars ---------------------------------------------------------------------------------------------------------------


def _look_at_every_row(search: _Search) -> dict[int, NDArray[np.bool_]]:
    """Compare each row with what its declared history alone gives, and with what that gives in the opposite future.

    Returns the rows that differ from their history's, and in which columns: they read later bars, or remember more than
    is declared. A row that equals its history's to the last bit was computed when its bar closed.
    """
    back, suspects = search.computing.warm_up, {}
    for t in range(back, len(search.bars) - 1):
        around, stamp = search.bars.iloc[t - back : t + 1 + probes.NEAR], search.bars["timestamp"].iloc[t]
        alone = search.values(around.iloc[: back + 1], f"the {back + 1} bars up to {stamp}")[back:]
        turned = search.values(probes.opposite(around, back), f"these bars with {OPPOSITE} after {stamp}")
        search.faults.compare(
            "future", OPPOSITE, alone, turned[back : back + 1], first_row=t, ahead_of=t + 1
        )  # the same history twice: nothing but the future differs
        differing = differs(alone, search.present[t : t + 1])[0]
        if differing.any():
            suspects[t] = differing
        search.told(2)
    return suspects


def _cut_after_suspects(search: _Search, suspects: Mapping[int, NDArray[np.bool_]], times: int) -> None:
    """Tell leaks from long memories: cut the bars off after a suspect row, with all that came before it.

    Some by lot first, for how far the leaks reach; then every one with a column that is not known to leak.
    """
    first = _chosen(np.array(sorted(suspects), dtype=np.int64), times, search.rng)
    for t in (*first, *(t for t in suspects if t not in set(first))):
        suspected = suspects[t].copy()
        suspected[search.faults.columns] = False
        if suspected.any() or t in first:
            _exchange(search, t, CUT)


def _look_at_futures(search: _Search, tried: Sequence[int]) -> None:
    """Exchange what follows each of these bars, in every way, with all bars before it there."""
    for t in tried:
        for what in probes.FUTURES:
            _exchange(search, t, what)
        search.told(len(probes.FUTURES))


def _exchange(search: _Search, t: int, what: str) -> None:
    changed = probes.FUTURES[what](search.bars, t, search.rng)
    values = search.values(changed, f"these bars with {what} after {search.bars['timestamp'].iloc[t]}")
    search.faults.compare("future", what, search.present[: t + 1], values[: t + 1], ahead_of=t + 1)


# Surroundings -------------------------------------------------------------------------------------------------------


def _closes(search: _Search) -> NDArray[np.int64]:
    """Until when each bar and those before it have closed, microseconds."""
    found: NDArray[np.int64] = np.maximum.accumulate(known.closes(known.microseconds(search.bars["timestamp"])))
    return found


def _moments(search: _Search) -> NDArray[np.int64]:
    """When something became known while a bar with a value had closed already; none for a family without context."""
    if search.computing.context is None:
        return np.empty(0, dtype=np.int64)
    moments: NDArray[np.int64] = releases.moments(search.computing.context)
    found: NDArray[np.int64] = moments[moments >= _closes(search)[search.computing.warm_up]]
    return found


def _look_at_releases(search: _Search, moments: Sequence[int]) -> None:
    """Take away what was released from each moment on, and exchange it: bars that had closed must not change.

    Where it is taken away from every moment on, one after the other, a value that hangs on any later release shows.
    """
    context, closes = search.computing.context, _closes(search)
    if context is None:
        return
    for moment in moments:
        time = pd.Timestamp(moment, unit="us", tz="UTC")
        closed = int(np.searchsorted(closes, moment, side="right"))
        for what, change in releases.LATER.items():
            within = change(context, time, search.rng)
            values = search.values(search.bars, f"these bars with {what} from {time} on", within)
            search.faults.compare("future", what, search.present[:closed], values[:closed], ahead_of=closed)
        search.told(len(releases.LATER))


def _look_elsewhere(search: _Search, others: pd.DataFrame) -> None:
    """Note the columns that no move by whole cycles of the calendar leaves alone; what surrounds the bars moves along.

    One move that leaves a column alone clears it: windows that end at round times may fall otherwise after another.
    Other bars at the same times, of which nothing is known elsewhere, show a family that keeps what it computed once.
    """
    what, faults, context = "the same dates in another cycle of the calendar", search.faults, search.computing.context
    for original in (others, search.bars):
        here = search.values(original, "these bars")
        suspects: dict[tuple[int, Kind], _Found] = {}
        for round_, moved in enumerate(probes.moved(original)):
            distance = moved["timestamp"].iloc[0] - original["timestamp"].iloc[0]
            within = None if context is None else releases.moved(context, distance)
            there = _Faults()
            there.compare("elsewhere", what, here, search.values(moved, what, within))
            suspects = there.found if round_ == 0 else {k: v for k, v in suspects.items() if k in there.found}
            if not suspects:
                break
        faults.found = suspects | faults.found


def _chosen(every: NDArray[np.int64], most: int, rng: np.random.Generator) -> list[int]:
    """All of these; where that is more than `most`, both ends and as many between by lot."""
    if len(every) <= most:
        return [int(t) for t in every]
    inner = rng.choice(every[1:-1], max(most - 2, 0), replace=False)
    return sorted({int(every[0]), int(every[-1]), *(int(t) for t in inner)})
