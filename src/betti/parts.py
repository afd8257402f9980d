"""The part cache: content-addressed Parquet parts, the only memory between runs.

A stage that works bar by bar (features, labels) is computed one (symbol, period) at a time. A part's key is the hash
of everything its bytes depend on: the bars it reads, look-back and look-ahead included, its knobs, its code and the
libraries that compute and write it. So a nightly run computes the new period alone, and incremental output equals a
full rebuild byte for byte: both copy the same parts. A period that has grown since is continued from the part it had
before: rows whose look-ahead was complete stand, the others and the new ones are computed. The cache is bounded, shared
by branches, and safe to delete.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from betti import code, counts, io, progress
from betti.errors import BettiError
from betti.schemas import BARS, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from betti.context import Context

__all__ = ["CodeEdited", "Recipe", "broken", "build", "prune", "versions"]

DAY = 86_400_000_000  # microseconds
LIBRARIES = (
    *("numpy", "numba", "pandas", "pyarrow", "scipy", "scikit-learn", "ta", "giotto-tda", "giotto-ph"),
    *("exchange-calendars", "tzdata", "vaderSentiment"),
)


class CodeEdited(BettiError):
    """Betti's code changed on disk while a part was computed: its key would name code that did not compute it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: Betti's source files changed while it ran; nothing of it was kept. Run it again")


@dataclass(frozen=True)
class Recipe:
    """How to compute one part.

    Attributes:
        compute: bars of one symbol -> table with a row for each of those bars that has one.
        back: bars before a row that its values may depend on.
        ahead: bars after a row that its values may depend on.
        knobs: what `compute` was bound with, JSON-serialisable.
        modules: the modules whose import closure computes it.
        schema: the table's schema.
        what: the name that progress is told under.
        context: what surrounds the market, where `compute` looks at it: what was known of it when a part's bars had
            closed is a part of the key.
    """

    compute: Callable[[pd.DataFrame], pd.DataFrame]
    back: int
    ahead: int
    knobs: Mapping[str, Any]
    modules: tuple[str, ...]
    schema: Schema
    what: str
    context: Context | None = None


@cache
def versions() -> str:
    """The versions of the libraries that compute and write tables: `numpy=1.26.4,...`, or absent."""
    found = []
    for library in LIBRARIES:
        try:
            found.append(f"{library}={importlib.metadata.version(library)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{library}=absent")
    return ",".join(found)


def _base(recipe: Recipe) -> bytes:
    """What all parts of one recipe share: knobs, code, versions."""
    facts = (
        json.dumps(dict(recipe.knobs), sort_keys=True),
        code.digest(*recipe.modules, "betti.io", "betti.parts"),
        versions(),
    )
    return hashlib.blake2b("\0".join(facts).encode()).digest()


def _rows(bars: pd.DataFrame) -> NDArray[Any]:
    """The bars as bytes to hash: a row of times and every numeric column, in the schema's order, for each."""
    import numpy as np

    columns = [name for name in BARS.names[2:] if name in bars.columns]
    times = bars["timestamp"].astype("int64").to_numpy(dtype="int64")
    return np.column_stack([times.view("float64"), bars[columns].to_numpy(dtype="float64")])


def build(bars: pd.DataFrame, recipe: Recipe, cache_folder: Path) -> dict[tuple[str, str], Path]:
    """Compute the parts that the cache lacks; returns every part's file, keyed (symbol, period).

    Args:
        bars: clean bars of all symbols, columns as in `schemas.BARS`.
        recipe: what to compute.
        cache_folder: where parts live.
    """
    cache_folder.mkdir(parents=True, exist_ok=True)
    base = _base(recipe)
    plan = [
        job
        for symbol, rows in bars.groupby("symbol", sort=True)
        for job in _jobs(str(symbol), rows.reset_index(drop=True), recipe, base)
    ]
    known = {file.name.partition("-")[0]: file for file in cache_folder.glob("*.parquet")}
    files: dict[tuple[str, str], Path] = {}
    for job in progress.track(plan, recipe.what):
        file = known.get(job.key)
        if file is None or not _whole(file):
            file = _keep(_computed(job, recipe, known), job, recipe, cache_folder)
        files[job.symbol, job.period] = file
    return files


def broken(cache_folder: Path) -> list[Path]:
    """Parts whose content is not what their name says."""
    return [file for file in sorted(cache_folder.glob("*.parquet")) if not _whole(file)]


def _whole(file: Path) -> bool:
    """Whether a part's content has the digest in its name; marks it as recently used, for `prune`."""
    try:
        os.utime(file)
        return _digest(file) == file.stem.partition("-")[2]
    except FileNotFoundError:
        return False  # pruned by another run


def _digest(file: Path) -> str:
    return hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class _Job:
    """One part to be.

    Attributes:
        symbol, period: which.
        bars: its bars, after those it looks back on, before those it looks ahead to.
        first, last: timestamps of its own bars.
        start: how many of `bars` come before them.
        key: the hash of all it depends on.
        earlier: keys of the same part when there were fewer bars -> how many of `bars` there were, the most first.
    """

    symbol: str
    period: str
    bars: pd.DataFrame
    first: pd.Timestamp
    last: pd.Timestamp
    start: int
    key: str
    earlier: Mapping[str, int]


def _jobs(symbol: str, bars: pd.DataFrame, recipe: Recipe, base: bytes) -> list[_Job]:
    """One job per period: its slice of bars with look-back and look-ahead, and its key."""
    import numpy as np

    names = io.periods(bars["timestamp"]).to_numpy(dtype=object)
    rows, stamps = _rows(bars), bars["timestamp"]
    days = stamps.dt.as_unit("us").astype("int64").to_numpy() // DAY  # with a zone, pandas would make objects of them
    midnights = np.flatnonzero(np.r_[False, days[1:] != days[:-1]])
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    ends = np.r_[starts[1:], len(names)]
    jobs = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        low, high = max(0, start - recipe.back), min(len(bars), end + recipe.ahead)
        head = base + f"{symbol}|{names[start]}|{','.join(bars.columns)}".encode()
        nights = midnights[(midnights > start) & (midnights < high)].tolist()
        *earlier, key = _digests(head, rows, low, [*nights, high], recipe.context)
        counts = {name: night - low for name, night in zip(reversed(earlier), reversed(nights), strict=True)}
        own = stamps.iloc[start], stamps.iloc[end - 1]
        jobs.append(_Job(symbol, names[start], bars.iloc[low:high], *own, start - low, key, counts))
    return jobs


def _digests(head: bytes, rows: NDArray[Any], low: int, stops: list[int], context: Context | None) -> list[str]:
    """The hash of `head`, the rows from `low` up to each stop, in ascending order, and what was known then."""
    running, found = hashlib.blake2b(head, digest_size=20), []
    times = rows[low : stops[-1], 0].copy().view("int64")
    stamps = [""] * len(stops) if context is None else context.stamps(times, [stop - low for stop in stops])
    for stop, stamp in zip(stops, stamps, strict=True):
        running.update(rows[low:stop].tobytes())
        whole = running.copy()
        whole.update(stamp.encode())
        found.append(whole.hexdigest())
        low = stop
    return found


def _computed(job: _Job, recipe: Recipe, known: Mapping[str, Path]) -> pd.DataFrame:
    """The part's table: continued from the latest earlier one that the cache holds, or all of it."""
    import pandas as pd

    for key, bars_then in job.earlier.items():
        stands = min(bars_then - recipe.ahead, len(job.bars)) - job.start  # own rows whose look-ahead was complete
        file = known.get(key)
        if stands < 1:
            break
        if file is None or not _whole(file):
            continue
        last = job.bars["timestamp"].iloc[job.start + stands - 1]
        whole = io.read_part(file, recipe.schema)
        before: pd.DataFrame = whole[whole["timestamp"] <= last]
        if last >= job.last:
            return before
        since = recipe.compute(job.bars.iloc[max(0, job.start + stands - recipe.back) :].reset_index(drop=True))
        since = since[(since["timestamp"] > last) & (since["timestamp"] <= job.last)]
        return counts.attach(pd.concat([before, since]), counts.total([counts.of(before), counts.of(since)]))
    table = recipe.compute(job.bars.reset_index(drop=True))
    own: pd.DataFrame = table[(table["timestamp"] >= job.first) & (table["timestamp"] <= job.last)]
    return own


def _keep(table: pd.DataFrame, job: _Job, recipe: Recipe, cache_folder: Path) -> Path:
    """Put one part into the cache; its file is named after its key and its content."""
    # The name carries the process (a dead one's is swept) and a random suffix: two threads may compute one part, and
    # the last rename wins.
    scratch = cache_folder / ".tmp" / f"{os.getpid()}-{os.urandom(6).hex()}"
    scratch.parent.mkdir(exist_ok=True)
    try:
        io.table_bytes_to(scratch, table, recipe.schema)
        if code.edited(*recipe.modules, "betti.io", "betti.parts"):
            raise CodeEdited(recipe.what)
        file = cache_folder / f"{job.key}-{_digest(scratch)}.parquet"
        scratch.replace(file)
        return file
    finally:
        scratch.unlink(missing_ok=True)


def prune(cache_folder: Path, limit_bytes: int) -> int:
    """Delete the parts unused for longest until the cache holds at most `limit_bytes`; returns how many went."""
    io.sweep(cache_folder)
    files = sorted(cache_folder.glob("*.parquet"), key=lambda f: f.stat().st_mtime, reverse=True)
    held, gone = 0, 0
    for file in files:
        held += file.stat().st_size
        if held > limit_bytes:
            file.unlink(missing_ok=True)
            gone += 1
    return gone
