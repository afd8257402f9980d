"""Whether a feature family reads the future, and whether it remembers more bars than it declares.

**Look-ahead.** A row may depend on bars up to its own alone. Three things show where that is broken:

1. What follows a bar t is cut off. Where every value up to t stays as it was, for every t that has a bar after it,
   each value is what could be computed when its bar closed. On these bars that is a proof. Where only some t are
   tried, it holds for those.
2. What follows t is exchanged for other futures: other levels, one wild bar, a standstill, a gap in time. A leak that
   acts only on some futures may be silent on the one that came. This is evidence: no list of futures is complete.
3. The same bars are moved by whole cycles of the calendar (28 or 400 years). A value that was looked up by time in a
   table from elsewhere changes; what is computed from the bars, or from hour, weekday and date, does not. Cutting
   bars off cannot show such a leak, since the table is not among them. Only bars that the table covers can show it.

A value that differs between two runs over the same bars is reported too: it is random, or remembers earlier calls.
Not seen is what is looked up elsewhere by anything but time. By row number, the second check sees it.

**Memory.** A row may depend on `lookback` bars before it. The last value of a slice with exactly that history is
compared with those of longer ones. A value that moves needs more.

Values are compared as the pipeline writes them: float32, NaN in the warm-up. What does not belong here: how
bars are changed (`betti.probes`), files, the terminal, and leaks between folds (`betti.training.leaks`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from betti import knobs as _knobs
from betti import probes
from betti.errors import BadInput, BettiError
from betti.progress import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from betti.features import FeatureFamily

    Floats = NDArray[np.float32]

__all__ = [
    "HISTORIES",
    "TOLERANCE",
    "WORK",
    "Drift",
    "Leak",
    "Lookahead",
    "Memory",
    "ProbeFailed",
    "TooFewBars",
    "lookahead",
    "memory",
]

Kind = Literal["future", "elsewhere", "unsteady"]

WORK = "computations"  # what is told to who listens (`betti.progress`)
HISTORIES = (1, 2, 4, 8)  # times the declared look-back
TOLERANCE = 1e-5  # relative drift that counts as forgotten: ten times what an exponential mean leaves out
ENDS = 10  # rows whose memory is measured


class TooFewBars(BadInput):
    """Fewer bars than the check of a family needs."""

    def __init__(self, family: str, found: int, needed: int, lookback: int) -> None:
        self.family, self.found, self.needed = family, found, needed
        super().__init__(
            f"{found} bars of one symbol are too few to check family '{family}', whose look-back is {lookback}: "
            f"give at least {needed}"
        )


class ProbeFailed(BettiError):
    """A family that raised while it was being checked."""

    def __init__(self, family: str, bars: str, cause: BaseException) -> None:
        self.family, self.cause = family, cause
        super().__init__(
            f"family '{family}' failed on {bars}: {type(cause).__name__}: {cause}. A family must take any bars in "
            "time order, and look nothing up outside them"
        )


# Look-ahead ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leak:
    """One column at fault, and how.

    Attributes:
        column: its full name.
        kind: `future`: it reads bars after its own; `elsewhere`: it reads something that depends on the date and is
            not in the bars; `unsteady`: the same bars give other values.
        row: position of the first row that changed.
        time: that row's bar.
        ahead: bars it reads ahead, at least; 0 where the kind is not `future`.
        change: the largest change of a value, in the column's unit; infinite where a value came or went.
        shown_by: what was done to the bars when it changed.
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
        tried: bars t after which the future was cut off and exchanged.
        possible: bars t at which that could be done.
        leaks: the faults, in order of columns.
    """

    family: str
    columns: tuple[str, ...]
    bars: int
    warm_up: int
    tried: int
    possible: int
    leaks: tuple[Leak, ...]

    @property
    def complete(self) -> bool:
        """Whether every bar was tried, so that nothing found is a proof for these bars."""
        return self.tried == self.possible


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

    def compare(self, kind: Kind, shown_by: str, before: Floats, after: Floats, ahead_of: int | None = None) -> None:
        """Note every column of two (rows, columns) tables that differs; `ahead_of` is the first bar exchanged."""
        differs = _differs(before, after)
        for column in np.flatnonzero(differs.any(axis=0)):
            rows = np.flatnonzero(differs[:, column])
            size = np.abs(after[rows, column].astype("float64") - before[rows, column])
            first = int(rows[0])
            ahead = 0 if ahead_of is None else ahead_of - first
            change = float(np.where(np.isnan(size), np.inf, size).max())
            known = self.found.setdefault((int(column), kind), _Found(first, ahead, change))
            known.row, known.ahead = min(known.row, first), max(known.ahead, ahead)
            known.change = max(known.change, change)
            if shown_by not in known.shown_by:
                known.shown_by.append(shown_by)

    def leaks(self, names: tuple[str, ...], times: pd.Series[pd.Timestamp]) -> tuple[Leak, ...]:
        """The faults by name; a column that is unsteady differs in every probe, and has that fault alone."""
        unsteady = {column for column, kind in self.found if kind == "unsteady"}
        return tuple(
            Leak(names[column], kind, at.row, times.iloc[at.row], at.ahead, at.change, tuple(at.shown_by))
            for (column, kind), at in sorted(self.found.items())
            if kind == "unsteady" or column not in unsteady
        )


def lookahead(
    family: FeatureFamily,
    bars: pd.DataFrame,
    *,
    knobs: Mapping[str, Any] | None = None,
    times: int = 100,
    seed: int = 0,
) -> Lookahead:
    """Look for values that depend on what follows their bar, or on what is not in the bars.

    Args:
        family: any family, registered or not.
        bars: one symbol's, columns as in `betti.schemas.BARS`, in time order.
        knobs: the family's own; those left out have their defaults.
        times: bars t to try at most; all of them make the result a proof for these bars.
        seed: of the bars tried where there are more, and of the futures put in.

    Returns:
        What was tried and every column at fault. A leak shows in a row at or before t if it reaches a bar after t, so
        one that looks h bars ahead shows only where h bars follow the warm-up.

    Raises:
        TooFewBars: no bar has both a full look-back and a bar after it.
        UnknownName, BadParam: a knob does not exist, or a value is out of range.
        NotFinite: the family gave an infinity.
        ProbeFailed: the family raised.
    """
    values = _knobs.checked(family.function, knobs or {}, f"features.{family.name}")
    warm_up, rng, faults = family.lookback(**values), np.random.default_rng(seed), _Faults()
    if len(bars) < warm_up + 2:
        raise TooFewBars(family.name, len(bars), warm_up + 2, warm_up)
    tried = _chosen(warm_up, len(bars) - 1, times, rng)

    table = _computed(family, bars, warm_up, values, "these bars")
    present, names = table.to_numpy(), tuple(table.columns)

    def compute(changed: pd.DataFrame, what: str) -> Floats:
        # A column that is not there with another future is one whose every value went.
        return _computed(family, changed, warm_up, values, what).reindex(columns=list(names)).to_numpy()

    faults.compare("unsteady", "the same bars again", present, compute(bars, "these bars"))
    for done, t in enumerate(tried, start=1):
        for what, change in probes.FUTURES.items():
            exchanged = compute(change(bars, t, rng), f"these bars with {what} after {bars['timestamp'].iloc[t]}")
            faults.compare("future", what, present[: t + 1], exchanged[: t + 1], ahead_of=t + 1)
        tell(done * len(probes.FUTURES), len(tried) * len(probes.FUTURES), WORK)
    _look_elsewhere(compute, bars, probes.replaced(bars, rng), faults)
    faults.compare("unsteady", "the same bars after others", present, compute(bars, "these bars"))
    leaks = faults.leaks(names, bars["timestamp"])
    return Lookahead(family.name, names, len(bars), warm_up, len(tried), len(bars) - 1 - warm_up, leaks)


def _look_elsewhere(
    compute: Callable[[pd.DataFrame, str], Floats], bars: pd.DataFrame, others: pd.DataFrame, faults: _Faults
) -> None:
    """Note the columns that no move by whole cycles of the calendar leaves alone.

    One move that leaves a column alone clears it: windows that end at round times may fall otherwise after another.
    Other bars at the same times, of which nothing is known elsewhere, show a family that keeps what it computed once.
    """
    what = "the same dates in another cycle of the calendar"
    for original in (others, bars):
        here = compute(original, "these bars")
        suspects: dict[tuple[int, Kind], _Found] = {}
        for round_, moved in enumerate(probes.moved(original)):
            there = _Faults()
            there.compare("elsewhere", what, here, compute(moved, what))
            suspects = there.found if round_ == 0 else {k: v for k, v in suspects.items() if k in there.found}
            if not suspects:
                break
        faults.found = suspects | faults.found


def _chosen(first: int, stop: int, most: int, rng: np.random.Generator) -> list[int]:
    """All of `first` ... `stop` - 1; where that is more than `most`, both ends and as many between by lot."""
    every = np.arange(first, stop)
    if len(every) <= most:
        return [int(t) for t in every]
    inner = rng.choice(every[1:-1], max(most - 2, 0), replace=False)
    return sorted({int(every[0]), int(every[-1]), *(int(t) for t in inner)})


# Memory -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drift:
    """How far one column's last value is from what a long history gives.

    Attributes:
        column: its full name.
        drifts: the largest difference over the measured rows, by history, as a share of the column's typical size
            (root mean square); infinite where a value is missing.
    """

    column: str
    drifts: tuple[float, ...]

    @property
    def short(self) -> bool:
        """Whether the declared look-back is too short."""
        return self.drifts[0] > TOLERANCE

    @property
    def settled(self) -> int | None:
        """The first history from which on the drift is small; None where none is long enough."""
        small = [drift <= TOLERANCE for drift in self.drifts]
        return next((k for k in range(len(small)) if all(small[k:])), None)


@dataclass(frozen=True)
class Memory:
    """What measuring a family's memory found.

    Attributes:
        family: its name.
        lookback: what it declares, in bars.
        histories: bars of history that were given, from the declared look-back on.
        reference: bars of the shortest history they were compared with.
        rows: rows at which that was done.
        drifts: every column.
    """

    family: str
    lookback: int
    histories: tuple[int, ...]
    reference: int
    rows: int
    drifts: tuple[Drift, ...]

    @property
    def short(self) -> tuple[Drift, ...]:
        """Columns that need more history than declared."""
        return tuple(drift for drift in self.drifts if drift.short)

    @property
    def inexact(self) -> tuple[Drift, ...]:
        """Columns that the declared look-back gives but for the last digits: a part is not what the whole gives."""
        return tuple(drift for drift in self.drifts if 0 < drift.drifts[0] <= TOLERANCE)


def memory(family: FeatureFamily, bars: pd.DataFrame, *, knobs: Mapping[str, Any] | None = None) -> Memory:
    """Compare the last value of slices with the declared look-back, and with multiples of it, with a long history's.

    Args:
        family: any family, registered or not.
        bars: one symbol's, columns as in `betti.schemas.BARS`, in time order. The longer before the measured rows, the
            better: what a history leaves out must be there to be missed.
        knobs: the family's own; those left out have their defaults.

    Returns:
        The drift of every column over up to `ENDS` rows of the last quarter.

    Raises:
        TooFewBars: not one row has more bars before it than the look-back.
        UnknownName, BadParam: a knob does not exist, or a value is out of range.
        NotFinite: the family gave an infinity.
        ProbeFailed: the family raised.
    """
    values = _knobs.checked(family.function, knobs or {}, f"features.{family.name}")
    back = family.lookback(**values)
    if len(bars) < back + 2:
        raise TooFewBars(family.name, len(bars), back + 2, back)
    first = max(back + 1, len(bars) * 3 // 4)
    ends = np.unique(np.linspace(first, len(bars) - 1, ENDS).astype(int))
    histories = tuple(sorted({m * back for m in HISTORIES if m == 1 or m * back < first}))
    lengths, last = (*histories, len(bars)), []
    for done, end in enumerate(ends, start=1):
        tables = [
            _computed(family, bars.iloc[max(end - length, 0) : end + 1], back, values, f"the last {length} bars")
            for length in lengths
        ]
        last.append([table.to_numpy()[-1] for table in tables])
        tell(done * len(lengths), len(ends) * len(lengths), WORK)
    found = _drifts(np.array(last, dtype="float64"))
    drifts = tuple(
        Drift(name, tuple(map(float, column))) for name, column in zip(tables[0].columns, found.T, strict=True)
    )
    return Memory(family.name, back, histories, int(first), len(ends), drifts)


def _drifts(last: NDArray[np.float64]) -> NDArray[np.float64]:
    """(histories, columns) from last values (ends, histories + 1, columns), the longest history last."""
    short, whole = last[:, :-1], last[:, -1:]
    size = np.sqrt(np.nanmean(np.where(np.isnan(last).all(axis=(0, 1)), 0.0, last) ** 2, axis=(0, 1)))
    distance = np.abs(short - whole) / np.where(size > 0, size, 1.0)
    missing = np.isnan(short), np.isnan(whole)
    distance = np.where(missing[0] & missing[1], 0.0, np.where(missing[0] | missing[1], np.inf, distance))
    largest: NDArray[np.float64] = distance.max(axis=0)
    return largest


# Computing ----------------------------------------------------------------------------------------------------------


def _computed(
    family: FeatureFamily, bars: pd.DataFrame, warm_up: int, values: Mapping[str, Any], what: str
) -> pd.DataFrame:
    """(rows, columns) in float32, as the pipeline would write them."""
    try:
        return family.of_symbol(bars.copy(), warm_up, values)
    except BettiError:
        raise
    except Exception as cause:  # whatever a family does, its user learns on which bars
        raise ProbeFailed(family.name, what, cause) from cause


def _differs(before: Floats, after: Floats) -> NDArray[np.bool_]:
    """Where two tables differ by one bit or more; NaN equals NaN."""
    differs: NDArray[np.bool_] = (before != after) & ~(np.isnan(before) & np.isnan(after))
    return differs
