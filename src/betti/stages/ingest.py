"""Stage 1: bars from a source. Fetching belongs to `betti.sources`, making coarser bars to `betti.resampling`, judging
the rows to `validate`, growing by month to `betti.growth`.
"""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING, Any

from betti import resampling, sources
from betti.errors import BadParam
from betti.intervals import Coarser, name_of, ratio
from betti.sessions import ExchangeSessions, LocalSessions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from betti.context import Context
    from betti.sessions import Sessions

__all__ = ["coarser_bars", "ingest", "last_bar", "pieces", "surroundings"]


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
        NotFiner, NotMultiple: see `betti.resampling.aggregated`.
    """
    import pandas as pd

    del context_files
    made = coarser_bars(interval, resample, sessions)
    bars = sources.fetch(source, tuple(symbols), interval, last_bar(until), options)
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
    """
    return sources.stream(source, tuple(symbols), interval, last_bar(until), options, since=since)


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
