"""The part cache: content-addressed Parquet parts, the only memory between runs.

A stage that works bar by bar (features, labels) is computed one (symbol, period) at a time. A part's key is the hash of
everything its bytes depend on: the bars it reads (whole days of them), look-back and look-ahead included, its knobs,
its code and the libraries that compute and write it. So a nightly run computes the new period alone, and incremental
output equals a full rebuild byte for byte: both copy the same parts. A period that has grown since is continued from
the part it had before: rows whose look-ahead was complete stand, the others and the new ones are computed. The cache is
bounded, shared by branches, and safe to delete.
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pandas as pd

    from betti.context import Context
    from betti.history import History, Past
    from betti.schemas import Schema

__all__ = ["CodeEdited", "Recipe", "broken", "build", "prune", "versions"]

NEWEST = 2  # days inside which last night's history may have ended
OWN = ("betti.io", "betti.history", "betti.parts")
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
        code.digest(*recipe.modules, *OWN),
        versions(),
    )
    return hashlib.blake2b("\0".join(facts).encode()).digest()


def build(history: History, recipe: Recipe, cache_folder: Path) -> dict[tuple[str, str], Path]:
    """Compute the parts that the cache lacks; returns every part's file, keyed (symbol, period).

    Args:
        history: clean bars of all symbols.
        recipe: what to compute.
        cache_folder: where parts live.
    """
    cache_folder.mkdir(parents=True, exist_ok=True)
    base = _base(recipe)
    plan = [job for past in history for job in _jobs(past, recipe, base)]
    known = _known(cache_folder)
    files: dict[tuple[str, str], Path] = {}
    for job in progress.track(plan, recipe.what):
        file = known.get(job.key())
        if file is None or not _whole(file):
            file = _keep(_computed(job, recipe, known), job, recipe, cache_folder)
        files[job.past.symbol, job.period] = file
    return files


def _known(cache_folder: Path) -> dict[str, Path]:
    """Key -> file of every part that the cache holds; it holds thousands."""
    return {file.name.partition("-")[0]: file for file in cache_folder.iterdir() if file.suffix == ".parquet"}


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
    # All parts are read again every night, and processors have SHA-256 built in: it takes half of BLAKE2's time.
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


@dataclass(frozen=True)
class _Job:
    """One part to be: the bars from `start` up to `end`, and those from `low` up to `high` that they may depend on."""

    past: Past
    period: str
    low: int
    start: int
    end: int
    high: int
    head: bytes
    context: Context | None

    def key(self) -> str:
        """The hash of all that the part depends on."""
        return self._key(self.high)

    def earlier(self) -> Iterator[tuple[str, int]]:
        """Keys of the same part when there were fewer bars, and how many there were.

        Ends of days, the most bars first; then places inside the newest days, where a night may have ended.
        """
        for night in reversed(self.past.nights.tolist()):
            if self.start < night < self.high:
                yield self._key(night), night
        for cut, digest in self.past.cuts(NEWEST):
            if self.start < cut < self.high:
                yield self._key(cut, digest), cut

    def _key(self, high: int, cut: bytes | None = None) -> str:
        """Whole days are hashed, so that it may name some bars more than the part reads.

        Args:
            high: bars up to there; within a day only if `cut` is the digest of that day up to there.
            cut: in the place of the last day's digest.
        """
        first, last = self.past.days(self.low, high)
        days = self.past.digests[first:last] if cut is None else (*self.past.digests[first : last - 1], cut)
        whole = hashlib.blake2b(self.head, digest_size=20)
        whole.update(b"".join(days))
        if self.context is not None:
            whole.update(self.context.stamp(self.past.times[self.low : high]).encode())
        return whole.hexdigest()


def _jobs(past: Past, recipe: Recipe, base: bytes) -> list[_Job]:
    """One job per period: its own bars, and those that they look at."""
    starts, names = _periods(past)
    count, jobs = len(past.times), []
    for start, end, name in zip(starts, [*starts[1:], count], names, strict=True):
        head = base + f"{past.symbol}|{name}|{','.join(past.columns)}".encode()
        low, high = max(0, start - recipe.back), min(count, end + recipe.ahead)
        jobs.append(_Job(past, name, low, start, end, high, head, recipe.context))
    return jobs


def _periods(past: Past) -> tuple[list[int], list[str]]:
    """Where each period begins, and its name; days are asked, not bars."""
    import numpy as np

    mornings = np.append(0, past.nights[:-1])
    names = io.period_names(past.times[mornings], daily=io.midnights(past.times))
    fresh = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    return mornings[fresh].tolist(), names[fresh].tolist()


def _computed(job: _Job, recipe: Recipe, known: Mapping[str, Path]) -> pd.DataFrame:
    """The part's table: continued from the latest earlier one that the cache holds, or all of it."""
    import pandas as pd

    past = job.past
    found = _latest(job, recipe, known)
    if found is not None:
        whole, stands = found
        before: pd.DataFrame = whole[whole["timestamp"] < _stamp(past.times[stands - 1] + 1)]
        since = _rows_of(recipe, past, (max(job.low, stands - recipe.back), stands, job.end, job.high))
        return counts.attach(pd.concat([before, since]), counts.total([counts.of(before), counts.of(since)]))
    return _rows_of(recipe, past, (job.low, job.start, job.end, job.high))


def _latest(job: _Job, recipe: Recipe, known: Mapping[str, Path]) -> tuple[pd.DataFrame, int] | None:
    """The earlier part that had the most bars, and up to which place its rows had a complete look-ahead."""
    best: tuple[Path, int] | None = None
    for key, bars_then in job.earlier():
        stands = bars_then - recipe.ahead
        file = known.get(key)
        if file is not None and stands > max(job.start, best[1] if best else 0) and _whole(file):
            best = file, stands
    if best is None:
        return None
    return io.read_part(best[0], recipe.schema), best[1]


def _rows_of(recipe: Recipe, past: Past, places: tuple[int, int, int, int]) -> pd.DataFrame:
    """What is computed of the bars from `start` up to `end`, looking at those from `low` up to `high`."""
    low, start, end, high = places
    table = recipe.compute(past.rows(low, high))
    first, last = _stamp(past.times[start]), _stamp(past.times[end - 1])
    own: pd.DataFrame = table[(table["timestamp"] >= first) & (table["timestamp"] <= last)]
    return own


def _stamp(microseconds: int) -> pd.Timestamp:
    import pandas as pd

    return pd.Timestamp(int(microseconds), unit="us", tz="UTC")


def _keep(table: pd.DataFrame, job: _Job, recipe: Recipe, cache_folder: Path) -> Path:
    """Put one part into the cache; its file is named after its key and its content."""
    # The name carries the process (a dead one's is swept) and a random suffix: two threads may compute one part, and
    # the last rename wins.
    scratch = cache_folder / ".tmp" / f"{os.getpid()}-{os.urandom(6).hex()}"
    scratch.parent.mkdir(exist_ok=True)
    try:
        io.table_bytes_to(scratch, table, recipe.schema)
        if code.edited(*recipe.modules, *OWN):
            raise CodeEdited(recipe.what)
        file = cache_folder / f"{job.key()}-{_digest(scratch)}.parquet"
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
