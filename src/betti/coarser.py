"""Bars of coarser intervals beside those they are made of: parts of the one from parts of the other.

A part is made from the base bars of its own period and of the days around it, so that sessions and weeks that cross a
border are whole, and memory does not grow with history. A part whose base did not change is copied, as long as
the code and the libraries that made it are the same (`made_by`).
What does not belong here: how a bar is made (`betti.resampling`).
"""

from __future__ import annotations

import filecmp
import shutil
from typing import TYPE_CHECKING

from betti import code, io, parts
from betti.resampling import aggregated
from betti.schemas import BARS

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from betti.intervals import Coarser

__all__ = ["is_yearly", "made_by", "write"]

_AROUND = 8  # days: the longest bucket is a week


def is_yearly(interval: str) -> bool:
    """Whether parts of bars this long are years: a day and more."""
    return interval[-1:] in ("d", "w")


def made_by() -> str:
    """The code and the versions that bars are made by here, as a line of text: bars made by others are not copied.

    Code that was edited since this process began is not the code that it runs: then the line names no code.
    """
    text = "code that was edited meanwhile" if code.edited(__name__) else code.digest(__name__)
    return f"{text} {parts.versions()}\n"


def write(base: Path, target: Path, symbol: str, interval: str, coarser: Coarser, before: tuple[Path, Path]) -> None:
    """Make one symbol's parts of one interval.

    Args:
        base: the folder of its base bars; not empty.
        target: the folder to fill.
        symbol: what the bars are to be called.
        interval: of the bars.
        coarser: what is made.
        before: the folders of base and target as they were; may not exist.
    """
    files = sorted(base.glob("*.parquet"))
    first = io.read_part(files[0], BARS)["timestamp"].min()
    last = io.read_part(files[-1], BARS)["timestamp"].max()
    old_base, old_target = before
    for period in sorted({file.stem[:4] if is_yearly(interval) else file.stem for file in files}):
        near = _near(files, period)
        done, known = target / f"{period}.parquet", old_target / f"{period}.parquet"
        done.parent.mkdir(parents=True, exist_ok=True)
        if known.is_file() and _same(near, _near(sorted(old_base.glob("*.parquet")), period)):
            shutil.copyfile(known, done)
            continue
        bars = _made(near, period, interval, coarser, first, last)
        if len(bars):
            io.table_bytes_to(done, bars.assign(symbol=symbol), BARS)


def _made(
    files: list[Path], period: str, interval: str, coarser: Coarser, first: pd.Timestamp, last: pd.Timestamp
) -> pd.DataFrame:
    """The bars of one period."""
    import pandas as pd

    begin, end = _bounds(period)
    around = pd.Timedelta(days=_AROUND)
    parts = (io.read_part(file, BARS) for file in files)
    near = pd.concat([p[p["timestamp"].between(begin - around, end + around, inclusive="left")] for p in parts])
    # Base bars before the margin are known too: only where history begins is a first bucket in doubt.
    since, until = max(first, begin - around), min(last, near["timestamp"].max())
    made = aggregated(near, interval, coarser.base, coarser.sessions, since=since, until=until).bars
    own: pd.DataFrame = made[made["timestamp"].between(begin, end, inclusive="left")]
    return own


def _bounds(period: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    """The first moment of a year or a month, and of the next."""
    import pandas as pd

    whole = pd.Period(period)
    return whole.start_time.tz_localize("UTC"), (whole + 1).start_time.tz_localize("UTC")


def _near(files: list[Path], period: str) -> list[Path]:
    """The files of base bars within a period and the days around it."""
    import pandas as pd

    begin, end = _bounds(period)
    around = pd.Timedelta(days=_AROUND)
    spans = {file: _bounds(file.stem) for file in files}
    return [file for file, (low, high) in spans.items() if low < end + around and high > begin - around]


def _same(files: list[Path], others: list[Path]) -> bool:
    """Whether these are the same files with the same content."""
    return [file.name for file in files] == [other.name for other in others] and all(
        filecmp.cmp(file, other, shallow=False) for file, other in zip(files, others, strict=True)
    )
