"""Stage 2: which bars can be trusted. Good rows pass, bad rows go to quarantine with reasons, nothing is repaired.

`validate` is the whole of it for bars in memory; `judged` and `described` are its two halves, for bars that need not
fit there.
"""

from __future__ import annotations

import gc
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from betti.beside import ahead
from betti.expectations import drift as _drift
from betti.expectations.flags import combined, flags
from betti.expectations.gaps import gaps_between
from betti.expectations.judging import Judged, Tally, judge
from betti.expectations.moves import Limits, Moves
from betti.expectations.result import Validation
from betti.records import FlaggedBar, Gap, Moved, SymbolQuality, ValidationSummary
from betti.stretches import stretches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from betti.context import Context
    from betti.expectations.flags import Flagged
    from betti.expectations.gaps import Gaps
    from betti.expectations.judging import Count
    from betti.stretches import Stretch

__all__ = ["MARGIN", "Settings", "Validated", "described", "judged", "settings", "validate"]

MARGIN = 200  # bars on either side of a stretch that its flags look at
EXAMPLES = 10  # flagged bars per symbol and rule that the summary shows, the earliest
LONGEST_GAPS = 50  # gaps per symbol, likewise
CONFIDENCE = 0.95  # that no drift is told by chance


@dataclass(frozen=True)
class Validated:
    """The outs of this stage. Rows in = rows of `clean` + rows of `quarantine`."""

    clean: pd.DataFrame
    quarantine: pd.DataFrame
    context: Context
    validation: Validation


@dataclass(frozen=True)
class Settings:
    """The knobs of `validate`, read."""

    max_quarantined_share: float
    stale_open_share: float
    jump: float
    calendars: dict[str, str]
    limits: Limits
    until: pd.Timestamp
    accepted: pd.Timestamp | None


def settings(
    *,
    max_quarantined_share: float,
    stale_open_share: float,
    jump: float,
    calendars: dict[str, str],
    drift: dict[str, float | None],
    until: str,
    accepted: str | None,
) -> Settings:
    """The knobs of `validate` in their types."""
    since = None if accepted is None else pd.Timestamp(accepted)
    limits = Limits(**drift)  # type: ignore[arg-type]  # params.yaml's types are checked when it is read
    return Settings(max_quarantined_share, stale_open_share, jump, calendars, limits, pd.Timestamp(until), since)


def validate(
    bars: pd.DataFrame,
    given_context: Context,
    *,
    max_quarantined_share: float,
    stale_open_share: float,
    jump: float,
    calendars: dict[str, str],
    drift: dict[str, float | None],
    until: str,
    accepted: str | None,
) -> Validated:
    """Split bars into clean and quarantined rows, and describe both.

    Args:
        bars: columns as in `schemas.BARS`.
        given_context: what surrounds the markets; it holds its own rules, and is handed on.
        max_quarantined_share: share of one symbol's rows that may be bad.
        stale_open_share: flag a year in which this share of opens more than is usual repeats the previous close.
        jump: flag a close-to-close move larger than this, in log units.
        calendars: symbol -> trading calendar that says its gaps; others have their usual week.
        drift: how far moves, ranges, gaps and volumes may drift; the fields of `expectations.moves.Limits`.
        until: open time of the last bar that may exist, UTC.
        accepted: open time of the last bar that the last accepted run saw; None compares nothing.

    Raises:
        BadBars: there are no bars.
        TooManyQuarantined: more than the allowed share of one symbol is bad.
        Drifted: a quantity moved further than `drift` allows.
    """
    knobs = settings(
        max_quarantined_share=max_quarantined_share,
        stale_open_share=stale_open_share,
        jump=jump,
        calendars=calendars,
        drift=drift,
        until=until,
        accepted=accepted,
    )
    tally = Tally()
    parts = list(judged([bars] if len(bars) else [], tally, knobs))
    tally.refuse(max_quarantined_share)
    (one,) = parts
    by_symbol = ((str(s.rows["symbol"].iloc[0]), iter([s])) for s in stretches(one.clean))
    return Validated(one.clean, one.quarantine, given_context, described(by_symbol, tally, knobs))


def judged(batches: Iterable[pd.DataFrame], tally: Tally, knobs: Settings) -> Iterator[Judged]:
    """Good and bad rows, batch by batch, counted on the way; a batch holds all rows of its symbols and months."""
    # What is there now stays: looking through all imported modules takes a third of a second each time.
    ours = gc.get_freeze_count() == 0
    if ours:
        gc.freeze()
    try:
        for batch in batches:
            one = judge(batch, until=knobs.until)
            tally.add(one)
            yield one
            # Great Expectations' objects hold the batch in circles, and the collector counts objects, not their size.
            del one, batch
            gc.collect()
    finally:
        if ours:
            gc.unfreeze()


def described(clean: Iterable[tuple[str, Iterator[Stretch]]], tally: Tally, knobs: Settings) -> Validation:
    """The summary and the data docs.

    Args:
        clean: the clean bars of each symbol, with `MARGIN` rows around each stretch.
        tally: what was counted while they were judged.
        knobs: the stage's.

    Raises:
        Drifted: a quantity moved further than `drift` allows.
    """
    found = {symbol: _looked_at(symbol, rows, tally.symbols[symbol], knobs) for symbol, rows in clean}
    nothing = _Looked(None, None, None)
    symbols = [_quality(symbol, count, found.get(symbol, nothing)) for symbol, count in sorted(tally.symbols.items())]
    compared = [
        one.moves.compared(symbol, knobs.limits, 1 - (1 - CONFIDENCE) / len(found))
        for symbol, one in sorted(found.items())
        if one.moves is not None
    ]
    for table in compared:
        _drift.refuse(table, "clean bars")
    summary = ValidationSummary(
        symbols=symbols,
        expectations=tally.expectations(),
        accepted="" if knobs.accepted is None else knobs.accepted.isoformat(),
        moved=[row for table in compared for row in _moved(table)],
    )
    return Validation(summary, tally.pages())


@dataclass(frozen=True)
class _Looked:
    """What a look at one symbol's clean bars found; None where it has none, or where nothing is compared."""

    flagged: Flagged | None
    pauses: Gaps | None
    moves: Moves | None


def _looked_at(symbol: str, rows: Iterable[Stretch], count: Count, knobs: Settings) -> _Looked:
    """One look at each stretch for all that is asked; only what was found and the times are kept."""
    flagged, times = [], []
    compared = None if knobs.accepted is None else Moves(knobs.accepted, count.rows)
    for stretch in ahead(rows):
        around = {"since": stretch.since, "before": stretch.before}
        flagged.append(flags(stretch.rows, jump=knobs.jump, stale_open_share=knobs.stale_open_share, **around))
        times.append(stretch.own["timestamp"].dt.as_unit("us").astype("int64").to_numpy())
        if compared is not None:
            compared.add(stretch)
    opens = np.concatenate(times)
    times.clear()
    pauses = gaps_between(symbol, opens, calendar=knobs.calendars.get(symbol))
    return _Looked(combined(flagged), pauses, compared)


def _quality(symbol: str, count: Count, looked: _Looked) -> SymbolQuality:
    """What was found for one symbol: among all its rows, among those that passed, and in quarantine."""
    flagged, pauses = looked.flagged, looked.pauses
    return SymbolQuality(
        symbol=symbol,
        rows_in=count.rows,
        rows_clean=count.rows - count.bad,
        rows_quarantined=count.bad,
        first=count.first,
        last=count.last,
        reasons=dict(sorted(count.reasons.items())),
        flags=(flagged.counts if flagged else {}) | (pauses.counts if pauses else {}),
        examples=_examples(flagged.rows) if flagged else [],
        gaps=_longest(pauses.rows) if pauses else [],
    )


def _examples(flagged: pd.DataFrame) -> list[FlaggedBar]:
    """The earliest few bars of every rule."""
    shown = flagged.groupby("rule", sort=True).head(EXAMPLES)
    times = shown["timestamp"].map(lambda at: at.isoformat())
    return [
        FlaggedBar(timestamp=at, rule=rule, value=_known(value), usual=_known(usual))
        for at, rule, value, usual in zip(times, shown["rule"], shown["value"], shown["usual"], strict=True)
    ]


def _longest(pauses: pd.DataFrame) -> list[Gap]:
    """The gaps that miss most bars, first those within sessions: whole sessions may be holidays."""
    ordered = pauses.sort_values(["kind", "missing", "after"], ascending=[True, False, True], kind="stable")
    shown = ordered.head(LONGEST_GAPS)
    ends = (shown[name].map(lambda at: at.isoformat()) for name in ("after", "until"))
    return [
        Gap(after=after, until=until, missing=int(missing), sure=float(sure), kind=kind)
        for after, until, missing, sure, kind in zip(*ends, shown["missing"], shown["sure"], shown["kind"], strict=True)
    ]


def _moved(found: pd.DataFrame) -> list[Moved]:
    """The quantities that drifted."""
    rows = found[found["level"] != ""].to_dict("records")
    return [
        Moved(
            column=str(row["column"]),
            rows=int(row["known"]),
            psi=_known(row["psi"]),
            distance=_known(row["ks"]),
            finding=str(row["finding"]),
        )
        for row in rows
    ]


def _known(value: float) -> float | None:
    """A number that JSON can hold, or None."""
    return float(value) if math.isfinite(value) else None
