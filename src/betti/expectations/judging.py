"""Judge bars batch by batch: which pass, which go to quarantine and why, and what that adds up to.

The suite (`bars.py`) is the only definition of a good bar; this module turns its result into reasons per row. What does
not belong here: bars that look wrong and may be right (`flags.py`), bars that are not there (`gaps.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from betti import schemas
from betti.errors import BadBars, BettiError, TooManyQuarantined
from betti.expectations import _engine as engine
from betti.expectations.bars import prepared, suite

if TYPE_CHECKING:
    from betti.records import ExpectationResult

__all__ = ["Count", "Judged", "Tally", "judge"]


@dataclass(frozen=True)
class Judged:
    """One batch. Its rows = rows of `clean` + rows of `quarantine`, which has a `reason` more.

    `found` is Great Expectations' result for all of its rows, `proof` that for the clean ones.
    """

    clean: pd.DataFrame
    quarantine: pd.DataFrame
    found: Any
    proof: Any


def judge(bars: pd.DataFrame, *, until: pd.Timestamp) -> Judged:
    """Part good rows from bad ones; nothing is repaired.

    Args:
        bars: columns as in `schemas.BARS`; of each symbol and time all rows that there are.
        until: open time of the last bar that may exist.

    Raises:
        BettiError: rows passed that break the suite: a fault of Betti.
    """
    ordered = _in_order(bars)
    expected = suite(until=until)
    found = engine.run(prepared(ordered), expected)
    if found.success:
        return Judged(ordered, ordered.iloc[:0].assign(reason=pd.Series(dtype=object)), found, found)
    reasons = _reasons(ordered, found)
    bad = reasons != ""
    clean = ordered[~bad].reset_index(drop=True)
    quarantine = ordered[bad].assign(reason=reasons[bad]).reset_index(drop=True)
    proof = engine.run(prepared(clean), expected)
    if not proof.success:
        raise BettiError("validation let rows pass that break its own suite: report this as a fault of Betti")
    return Judged(clean, quarantine, found, proof)


def _in_order(bars: pd.DataFrame) -> pd.DataFrame:
    """By symbol and time; bars from disk are so already, and sorting a million takes half a second."""
    symbol, time = bars["symbol"], bars["timestamp"]
    one = len(bars) and symbol.iloc[0] == symbol.iloc[-1] and (symbol == symbol.iloc[0]).all()
    if one and time.is_monotonic_increasing:
        return bars.reset_index(drop=True)
    return bars.sort_values(["symbol", "timestamp"], kind="stable").reset_index(drop=True)


def _reasons(bars: pd.DataFrame, found: Any) -> pd.Series:
    """Comma-separated reasons per row in the order of `schemas.REASONS`, empty where the row is good."""
    broken = {reason: pd.Series(False, index=bars.index) for reason in schemas.REASONS}
    for reason, rows in engine.broken_rows(found):
        broken[reason].iloc[rows] = True
    # A uniqueness expectation blames every copy; of those that are otherwise good the last is kept: it is complete.
    good = bars[~pd.concat(broken.values(), axis=1).any(axis=1)]
    earlier = good[good.duplicated(["symbol", "timestamp"], keep="last")]
    values = [name for name in schemas.BARS.names if name in bars.columns]
    same = earlier.index[good.duplicated(values, keep="last").loc[earlier.index]]
    broken["duplicate_equal"].loc[same] = True
    broken["duplicate_differs"].loc[earlier.index.difference(same)] = True
    reasons = pd.Series("", index=bars.index, dtype=object)
    for reason, mask in broken.items():
        reasons[mask] = reasons[mask].map(lambda text, reason=reason: f"{text},{reason}" if text else reason)
    return reasons


@dataclass
class Count:
    """Rows of one symbol so far.

    Attributes:
        rows, bad: how many came, and how many of them went to quarantine.
        first, last: times of the first and the last that came.
        reasons: reason -> rows; a row with two reasons counts under both.
        first_bad: time of the first bad row, empty where there is none.
    """

    rows: int = 0
    bad: int = 0
    first: str = ""
    last: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    first_bad: str = ""


class Tally:
    """What was found in all batches so far, small enough to keep."""

    def __init__(self) -> None:
        self.symbols: dict[str, Count] = {}
        self._found: list[Any] = []
        self._proof: list[Any] = []

    def add(self, judged: Judged) -> None:
        """Count one batch; batches of one symbol come in time order."""
        both = pd.concat([judged.clean[["symbol", "timestamp"]], judged.quarantine[["symbol", "timestamp"]]])
        for symbol, times in both.groupby("symbol", sort=True)["timestamp"]:
            count = self.symbols.setdefault(str(symbol), Count())
            count.rows += len(times)
            count.first = count.first or times.min().isoformat()
            count.last = times.max().isoformat()
        for symbol, rows in judged.quarantine.groupby("symbol", sort=True):
            _add_bad(self.symbols[str(symbol)], rows)
        self._found = [engine.merged([*self._found, judged.found])]
        self._proof = [engine.merged([*self._proof, judged.proof])]

    def refuse(self, allowed: float) -> None:
        """Stop where too much is bad.

        Args:
            allowed: share of one symbol's rows that may be bad.

        Raises:
            BadBars: there are no bars.
            TooManyQuarantined: a symbol has more bad rows.
        """
        if not self.symbols:
            raise BadBars("1_bars", "no rows", "Run `betti run --stages ingest --force`")
        for symbol, count in sorted(self.symbols.items()):
            if count.bad > allowed * count.rows:
                reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(count.reasons.items()))
                raise TooManyQuarantined(symbol, count.bad, count.rows, allowed, reasons, count.first_bad)

    def expectations(self) -> list[ExpectationResult]:
        """What the suite found among all rows that came."""
        return engine.outcome(self._found[0])

    def pages(self) -> dict[str, str]:
        """The data docs by file name."""
        return {
            "incoming.html": engine.page(self._found[0], "Betti: bars as they came"),
            "clean.html": engine.page(self._proof[0], "Betti: bars that passed"),
        }


def _add_bad(count: Count, rows: pd.DataFrame) -> None:
    count.bad += len(rows)
    count.first_bad = count.first_bad or str(rows["timestamp"].iloc[0])
    for reason, n in rows["reason"].str.split(",").explode().value_counts().sort_index().items():
        count.reasons[str(reason)] = count.reasons.get(str(reason), 0) + int(n)
