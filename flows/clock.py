"""The one place where the clock enters: asof.yaml says up to which bar the pipeline looks, and which were accepted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from betti import io, params

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["accept", "advance", "last_closed"]

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def last_closed(interval: str, now: datetime) -> datetime:
    """Open time of the last bar that had closed by `now`, on a grid from midnight UTC.

    >>> last_closed("15m", datetime(2026, 1, 2, 10, 7, tzinfo=UTC)).isoformat()
    '2026-01-02T09:45:00+00:00'
    >>> last_closed("1d", datetime(2026, 1, 2, 10, 7, tzinfo=UTC)).isoformat()
    '2026-01-01T00:00:00+00:00'
    """
    step = timedelta(**{UNITS[interval[-1]]: int(interval[:-1])})
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + ((now - epoch) // step - 1) * step


def advance(root: Path, *, complete: bool) -> str:
    """Move asof.yaml to the last closed bar; it never moves back. Returns what `until` says now.

    Args:
        root: the repository.
        complete: nothing was stale: the run up to `until` was made without a stop, so its bars are accepted, and what
            comes is compared with them.
    """
    before = params.until(root)
    closed = last_closed(params.load(root).ingest.interval, datetime.now(UTC))
    if closed <= datetime.fromisoformat(before):
        return before
    accepted = before if complete else params.clock(root, "accepted")
    _write(root, closed.isoformat(), accepted)
    return closed.isoformat()


def accept(root: Path) -> str:
    """Accept the bars up to `until`, as they are: what comes is compared with them. Returns that time."""
    until = params.until(root)
    _write(root, until, until)
    return until


def _write(root: Path, until: str, accepted: str | None) -> None:
    known = "null" if accepted is None else f'"{accepted}"'
    io.write_text(root / params.ASOF, f'until: "{until}"\naccepted: {known}\n')
