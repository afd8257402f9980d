"""Stage 2: which bars can be trusted. Good rows pass, bad rows go to quarantine with reasons, nothing is repaired."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from betti import schemas
from betti.errors import BadBars, BettiError, TooManyQuarantined
from betti.expectations import _engine as engine
from betti.expectations.bars import prepared, suite
from betti.expectations.flags import flags
from betti.expectations.gaps import gaps
from betti.expectations.result import Validation
from betti.records import FlaggedBar, Gap, SymbolQuality, ValidationSummary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Validated", "validate"]

EXAMPLES = 10  # flagged bars per symbol and rule that the summary shows, the earliest
LONGEST_GAPS = 50  # gaps per symbol, likewise


@dataclass(frozen=True)
class Validated:
    """The outs of this stage. Rows in = rows of `clean` + rows of `quarantine`."""

    clean: pd.DataFrame
    quarantine: pd.DataFrame
    validation: Validation


def validate(
    bars: pd.DataFrame, *, max_quarantined_share: float, stale_open_share: float, jump: float, until: str
) -> Validated:
    """Split bars into clean and quarantined rows, and describe both.

    Args:
        bars: columns as in `schemas.BARS`.
        max_quarantined_share: share of one symbol's rows that may be bad.
        stale_open_share: flag a year in which this share of opens repeats the previous close.
        jump: flag a close-to-close move larger than this, in log units.
        until: open time of the last bar that may exist, UTC.

    Raises:
        BadBars: there are no bars.
        TooManyQuarantined: more than the allowed share of one symbol is bad.
    """
    import pandas as pd

    if bars.empty:
        raise BadBars("1_bars", "no rows", "Run `betti run --stages ingest --force`")
    ordered = bars.sort_values(["symbol", "timestamp"], kind="stable").reset_index(drop=True)
    expected = suite(until=pd.Timestamp(until))
    found = engine.run(prepared(ordered), expected)
    reasons = _reasons(ordered, found)
    bad = reasons != ""
    clean = ordered[~bad].reset_index(drop=True)
    quarantine = ordered[bad].assign(reason=reasons[bad]).reset_index(drop=True)
    _stop_if_too_many(ordered, quarantine, max_quarantined_share)
    proof = engine.run(prepared(clean), expected)
    if not proof.success:
        raise BettiError("validation let rows pass that break its own suite: report this as a fault of Betti")
    good, bad_rows = (dict(list(table.groupby("symbol"))) for table in (clean, quarantine))
    summary = ValidationSummary(
        symbols=[
            _quality(
                rows,
                good.get(symbol, clean.iloc[:0]).reset_index(drop=True),
                bad_rows.get(symbol, quarantine.iloc[:0]),
                stale_open_share=stale_open_share,
                jump=jump,
            )
            for symbol, rows in ordered.groupby("symbol", sort=True)
        ],
        expectations=engine.outcome(found),
    )
    pages = {
        "incoming.html": engine.page(found, "Betti: bars as they came"),
        "clean.html": engine.page(proof, "Betti: bars that passed"),
    }
    return Validated(clean, quarantine, Validation(summary, pages))


def _reasons(bars: pd.DataFrame, found: Any) -> pd.Series:
    """Comma-separated reasons per row in the order of `schemas.REASONS`, empty where the row is good."""
    import pandas as pd

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


def _stop_if_too_many(bars: pd.DataFrame, quarantine: pd.DataFrame, allowed: float) -> None:
    rows = bars["symbol"].value_counts()
    for symbol, bad in quarantine.groupby("symbol", sort=True):
        if len(bad) > allowed * rows[symbol]:
            counts = ", ".join(f"{reason} {n}" for reason, n in _counted(bad).items())
            raise TooManyQuarantined(
                str(symbol), len(bad), int(rows[symbol]), allowed, counts, str(bad["timestamp"].iloc[0])
            )


def _counted(quarantine: pd.DataFrame) -> dict[str, int]:
    """Rows per reason; a row with two reasons counts under both."""
    reasons = quarantine["reason"].str.split(",").explode()
    return {str(reason): int(n) for reason, n in reasons.value_counts().sort_index().items()}


def _quality(
    rows: pd.DataFrame, good: pd.DataFrame, bad: pd.DataFrame, *, stale_open_share: float, jump: float
) -> SymbolQuality:
    """What was found for one symbol: among all its rows, among those that passed, and in quarantine."""
    flagged, pauses = flags(good, jump=jump, stale_open_share=stale_open_share), gaps(good)
    return SymbolQuality(
        symbol=str(rows["symbol"].iloc[0]),
        rows_in=len(rows),
        rows_clean=len(good),
        rows_quarantined=len(bad),
        first=rows["timestamp"].iloc[0].isoformat(),
        last=rows["timestamp"].iloc[-1].isoformat(),
        reasons=_counted(bad) if len(bad) else {},
        flags=flagged.counts | pauses.counts,
        examples=_examples(flagged.rows),
        gaps=_longest(pauses.rows),
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


def _known(value: float) -> float | None:
    """A number that JSON can hold, or None."""
    return float(value) if math.isfinite(value) else None
