"""Stage 2: which bars can be trusted. Good rows pass, bad rows go to quarantine with reasons, nothing is repaired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from betti import schemas
from betti.errors import BadBars, BettiError, TooManyQuarantined
from betti.expectations import _engine as engine
from betti.expectations.bars import suite
from betti.expectations.result import Validation
from betti.records import SymbolQuality, ValidationSummary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Validated", "validate"]


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
    expected = suite(pd.Timestamp(until))
    found = engine.run(_with_steps(ordered), expected)
    reasons = _reasons(ordered, found)
    bad = reasons != ""
    clean = ordered[~bad].reset_index(drop=True)
    quarantine = ordered[bad].assign(reason=reasons[bad]).reset_index(drop=True)
    _stop_if_too_many(ordered, quarantine, max_quarantined_share)
    proof = engine.run(_with_steps(clean), expected)
    if not proof.success:
        raise BettiError("validation let rows pass that break its own suite: report this as a fault of Betti")
    summary = ValidationSummary(
        symbols=[
            _quality(str(symbol), rows, quarantine[quarantine["symbol"] == symbol], stale_open_share, jump)
            for symbol, rows in ordered.groupby("symbol", sort=True)
        ],
        expectations=engine.outcome(found),
    )
    pages = {
        "incoming.html": engine.page(found, "Betti: bars as they came"),
        "clean.html": engine.page(proof, "Betti: bars that passed"),
    }
    return Validated(clean, quarantine, Validation(summary, pages))


def _with_steps(bars: pd.DataFrame) -> pd.DataFrame:
    """The bars and the seconds since each symbol's bar before."""
    steps = bars.groupby("symbol")["timestamp"].diff().dt.total_seconds()
    return bars.assign(step_seconds=steps)


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


def _quality(symbol: str, rows: pd.DataFrame, bad: pd.DataFrame, stale_open_share: float, jump: float) -> SymbolQuality:
    return SymbolQuality(
        symbol=symbol,
        rows_in=len(rows),
        rows_clean=len(rows) - len(bad),
        rows_quarantined=len(bad),
        first=rows["timestamp"].iloc[0].isoformat(),
        last=rows["timestamp"].iloc[-1].isoformat(),
        reasons=_counted(bad) if len(bad) else {},
        flags=_flags(rows, stale_open_share, jump),
    )


def _flags(rows: pd.DataFrame, stale_open_share: float, jump: float) -> dict[str, int]:
    """Facts worth a look that condemn no row: rule -> how often. Rules that found nothing are left out."""
    import numpy as np

    close = rows["close"].to_numpy(dtype="float64")
    stale = rows["open"].eq(rows["close"].shift())
    yearly = stale.groupby(rows["timestamp"].dt.year).mean()
    step = rows["timestamp"].diff()
    with np.errstate(invalid="ignore", divide="ignore"):
        moves = np.abs(np.diff(np.log(close)))
    counts = {
        "years_with_stale_opens": int((yearly >= stale_open_share).sum()),
        "jumps": int(np.nansum(moves > jump)),
        "zero_volume": int((rows["volume"] == 0).sum()),
        "missing_volume": int(rows["volume"].isna().sum()),
        "flat_bars": int((rows["high"] == rows["low"]).sum()),
        # Nights, weekends and holidays are steps too: a step is a gap beyond five times the usual one.
        "gaps": int((step > 5 * step.median()).sum()),
    }
    return {rule: n for rule, n in counts.items() if n}
