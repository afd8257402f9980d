"""Stage 1: bars from a source. Fetching belongs to `betti.sources`, judging the rows to `validate`, growing by month to
`betti.growth`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betti import sources
from betti.errors import BadParam

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

__all__ = ["ingest", "pieces"]


def ingest(*, source: str, symbols: list[str], interval: str, options: dict[str, Any], until: str) -> pd.DataFrame:
    """Bars of these markets, stamped with their open time in UTC, none later than `until`.

    Returns:
        Columns as in `betti.schemas.BARS`, sorted by symbol and time; rows are as the source has them.

    Raises:
        UnknownName, BadParam, MissingFile, UnreadableFile, BadBars: see `betti.sources.stream`.
    """
    import pandas as pd

    fetched = pieces(source=source, symbols=symbols, interval=interval, options=options, until=until)
    bars = pd.concat(fetched, ignore_index=True)
    return bars.sort_values(["symbol", "timestamp"], kind="stable").reset_index(drop=True)


def pieces(
    *, source: str, symbols: list[str], interval: str, options: dict[str, Any], until: str
) -> Iterator[pd.DataFrame]:
    """The same bars piece by piece, each of one symbol, in the source's order: what need not fit into memory.

    Raises:
        UnknownName, BadParam, MissingFile, UnreadableFile, BadBars: see `betti.sources.stream`.
    """
    return sources.stream(source, tuple(symbols), interval, last_bar(until), options)


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
