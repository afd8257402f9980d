"""Stage 1: bars from a source. Fetching belongs to `betti.sources`, making coarser bars to `betti.resampling`, judging
the rows to `validate`, growing by month to `betti.growth`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import time
from typing import TYPE_CHECKING, Any

import numpy as np

from betti import resampling, sources
from betti.errors import BadBars, BadParam
from betti.intervals import INTERVALS, MINUTE, Coarser, name_of, ratio
from betti.sessions import ExchangeSessions, LocalSessions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from betti.context import Context
    from betti.sessions import Sessions

__all__ = ["coarser_bars", "ingest", "last_bar", "pieces", "surroundings"]

HOUR = 60 * MINUTE  # microseconds, as all steps here
MANY = 20  # steps: a market that is often closed or often still has one of its interval among so many
REGULAR = 1 / 3  # share of the steps that are alike, above which they are no gaps of a still market
MOST = 10_000  # different steps that are counted: more are times without any grid


def ingest(
    *,
    source: str,
    symbols: list[str],
    interval: str,
    options: dict[str, Any],
    resample: list[str],
    sessions: str | dict[str, Any] | None,
    context_files: dict[str, list[dict[str, Any]]],
    until: str,
) -> pd.DataFrame:
    """Bars of these markets, stamped with their open time in UTC, none later than `until`.

    Args:
        source: a file in `betti/sources`.
        symbols: markets to fetch.
        interval: length of the source's bars.
        options: the source's own.
        resample: intervals to make of them; none for the bars as they are. With several, symbols are called
            `BTCUSDT@1h`.
        sessions: see `coarser_bars`.
        context_files: what surrounds the markets; it is no bar, and `surroundings` reads it.
        until: open time of the last bar known.

    Returns:
        Columns as in `betti.schemas.BARS`, sorted by symbol and time; rows are as the source has them.

    Raises:
        UnknownName, BadParam, MissingFile, UnreadableFile, BadBars: see `betti.sources.stream`.
        BadBars: a symbol's bars are not `interval` long.
        NotFiner, NotMultiple: see `betti.resampling.aggregated`.
    """
    import pandas as pd

    del context_files
    made = coarser_bars(interval, resample, sessions)
    bars = sources.fetch(source, tuple(symbols), interval, last_bar(until), options)
    for _ in _as_long((rows for _, rows in bars.groupby("symbol")), source, interval, options):
        pass
    if made:
        bars = pd.concat(
            resampling.aggregated(rows, wanted, interval, made.sessions).bars.assign(
                symbol=name_of(str(symbol), wanted, made)
            )
            for symbol, rows in bars.groupby("symbol")
            for wanted in resample
        )
    return bars.sort_values(["symbol", "timestamp"], kind="stable").reset_index(drop=True)


def pieces(
    *,
    source: str,
    symbols: list[str],
    interval: str,
    options: dict[str, Any],
    until: str,
    since: Mapping[str, pd.Timestamp],
) -> Iterator[pd.DataFrame]:
    """The source's bars piece by piece, each of one symbol, in its order: what need not fit into memory.

    Args:
        source, symbols, interval, options, until: as for `ingest`.
        since: symbol -> from where on bars are wanted, for a source that can be asked for a part of its history.

    Raises:
        UnknownName, BadParam, MissingFile, UnreadableFile, BadBars: see `betti.sources.stream`.
        BadBars: a symbol's bars are not `interval` long; raised behind the last piece.
    """
    found = sources.stream(source, tuple(symbols), interval, last_bar(until), options, since=since)
    return _as_long(found, source, interval, options)


def _as_long(
    found: Iterable[pd.DataFrame], source: str, interval: str, options: Mapping[str, Any]
) -> Iterator[pd.DataFrame]:
    """The pieces as they come; behind the last, refuse a symbol whose bars are not as long as `interval` says."""
    import pandas as pd

    try:
        length = int(pd.Timedelta(interval) / pd.Timedelta(microseconds=1))
    except ValueError as cause:
        raise BadParam("ingest.interval", interval, "it takes a length such as 1m, 15m, 1h, 1d") from cause
    by_symbol: dict[str, _Steps] = {}
    for piece in found:
        if len(piece):
            symbol = str(piece["symbol"].iloc[0])
            times = piece["timestamp"].dt.as_unit("us").astype("int64").to_numpy()
            by_symbol.setdefault(symbol, _Steps(length)).add(times)
        yield piece
    for symbol, steps in by_symbol.items():
        fault = steps.fault(interval)
        if fault:
            path = str(options.get("path", "")).replace("{symbol}", symbol).replace("{interval}", interval)
            raise BadBars(f"{symbol} in {path}" if path else f"{symbol} of source '{source}'", *fault)


@dataclass
class _Steps:
    """How far apart the bars of one symbol open.

    Attributes:
        length: of a bar, as declared, in microseconds; as all steps here.
        counts: step -> how often.
        total: all of them.
        shorter: those shorter than a bar.
        followed: those of them behind which another one comes.
        edges: the first and the last time of the piece before.
    """

    length: int
    counts: Counter[int] = field(default_factory=Counter)
    total: int = 0
    shorter: int = 0
    followed: int = 0
    edges: tuple[int, int] | None = None

    def add(self, times: NDArray[np.int64]) -> None:
        """Count the steps between these times, and to the piece before wherever it lies; repeats are none."""
        times = np.unique(times)
        first, last = int(times[0]), int(times[-1])
        if self.edges and self.edges[1] < first:
            times = np.r_[self.edges[1], times]
        elif self.edges and self.edges[0] > last:  # the newest first
            times = np.r_[times, self.edges[0]]
        self.edges = first, last
        steps = np.diff(times)
        short = steps < self.length - self._slack
        self.total += len(steps)
        self.shorter += int(short.sum())
        self.followed += int((short[:-1] & short[1:]).sum())
        self.counts.update(dict(zip(*(found.tolist() for found in np.unique(steps, return_counts=True)), strict=True)))
        if len(self.counts) > MOST:
            self.counts = Counter(dict(self.counts.most_common(MOST // 2)))

    @property
    def _slack(self) -> int:
        """A day may be 23 or 25 hours long, where clocks change."""
        return HOUR if self.length >= 24 * HOUR else 0

    def fault(self, interval: str) -> tuple[str, str] | None:
        """What is wrong with them and what to do; None for bars of this length.

        A single short step is that of a market whose first bar begins with its session; several in a row are bars that
        are shorter. Bars are longer where none is a step of their length apart, and the steps are no gaps: alike.
        """
        if not self.counts:
            return None
        usual, count = max(self.counts.items(), key=lambda item: (item[1], item[0]))
        shorter = usual < self.length - self._slack and count > 1 and 2 * self.followed >= self.shorter
        none = not any(abs(step - self.length) <= self._slack for step in self.counts)
        longer = none and usual > self.length and self.total >= MANY and count >= REGULAR * self.total
        if not shorter and not longer:
            return None
        steps = f"{count} of the {self.total} steps from bar to bar are {_said(usual)}"
        return f"{steps}, and ingest.interval is {interval}", self._remedy(usual, interval)

    def _remedy(self, usual: int, interval: str) -> str:
        if usual % MINUTE:
            return f"Give bars of {interval}"  # params.yaml knows no seconds
        if interval in INTERVALS and self.length > usual and self.length % usual == 0:
            made = f"ingest.resample: [{interval}] makes bars of {interval} of them"
            return f"Set ingest.interval to {_said(usual)}; {made}"
        return f"Set ingest.interval to {_said(usual)}, or give bars of {interval}"


def _said(step: int) -> str:
    """A step as an interval is written; below a minute, in seconds."""
    for unit, size in (("d", 24 * HOUR), ("h", HOUR), ("m", MINUTE)):
        if step % size == 0:
            return f"{step // size}{unit}"
    return f"{step / 1e6:g}s"


def surroundings(context_files: dict[str, list[dict[str, Any]]], interval: str, until: str) -> Context:
    """What is known of the markets' surroundings when the last bar has closed.

    Args:
        context_files: headlines, policy, macro -> files, each with its `path` and the options of that kind.
        interval: length of the source's bars.
        until: open time of the last bar known.

    Raises:
        UnknownName, BadParam, MissingFile, UnreadableFile, BadContext: see `betti.context.gathered`.
    """
    import pandas as pd

    from betti.context import gathered

    return gathered(context_files).until(last_bar(until) + pd.Timedelta(interval))


def coarser_bars(interval: str, resample: list[str], sessions: str | dict[str, Any] | None) -> Coarser | None:
    """What is made of bars of this interval; None where they are left as they are.

    Args:
        interval: of the source's bars.
        resample: intervals to make.
        sessions: when the market is open. Null: always. A name such as XNYS: as the library exchange_calendars knows
            it. Or `{zone: America/New_York, opens: "09:30", closes: "16:00"}`, with `weekdays` from 0 (Monday).

    Raises:
        NotFiner, NotMultiple, UnknownName: an interval that cannot be made of the others.
        BadParam: hours that cannot be read.
        PartUnavailable: exchange_calendars is not installed.
    """
    if not resample:
        return None
    for wanted in resample:
        ratio(wanted, interval)
    return Coarser(tuple(resample), interval, _sessions(sessions))


def _sessions(written: str | dict[str, Any] | None) -> Sessions | None:
    if written is None:
        return None
    if isinstance(written, str):
        return ExchangeSessions(written)
    hours = dict(written)
    try:
        opens, closes = (time.fromisoformat(str(hours.pop(name))) for name in ("opens", "closes"))
        zone, weekdays = str(hours.pop("zone")), tuple(hours.pop("weekdays", (0, 1, 2, 3, 4)))
    except (KeyError, ValueError, TypeError) as cause:
        remedy = "it takes zone, opens and closes, e.g. {zone: America/New_York, opens: '09:30', closes: '16:00'}"
        raise BadParam("ingest.sessions", written, f"{remedy} ({cause})") from cause
    if hours:
        raise BadParam("ingest.sessions", written, f"{', '.join(hours)}: it takes zone, opens, closes and weekdays")
    return LocalSessions(zone, opens, closes, weekdays)


def last_bar(until: str) -> pd.Timestamp:
    """The clock of a run, from asof.yaml.

    Raises:
        BadParam: it is no time with a zone.
    """
    import pandas as pd

    try:
        last = pd.Timestamp(until)
    except ValueError as cause:
        raise BadParam(
            "until", until, "it takes a UTC time such as '2018-12-31T00:00:00+00:00'", "asof.yaml"
        ) from cause
    if last.tzinfo is None:
        raise BadParam("until", until, "it has no time zone; write it as '...+00:00'", "asof.yaml")
    return last.tz_convert("UTC")
