"""Stage 1: bars from a source. Fetching belongs to `betti.sources`, judging the rows to `validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betti import sources
from betti.errors import BadBars, BadParam

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["accumulate", "ingest"]


def ingest(*, source: str, symbols: list[str], interval: str, options: dict[str, Any], until: str) -> pd.DataFrame:
    """Bars of these markets, stamped with their open time in UTC, none later than `until`.

    Returns:
        Columns as in `betti.schemas.BARS`, sorted by symbol and time; rows are as the source has them.

    Raises:
        UnknownName, BadParam, MissingFile, UnreadableFile, BadBars: see `betti.sources.fetch`.
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
    bars = sources.fetch(source, symbols=tuple(symbols), interval=interval, until=last, options=options)
    bars = bars[bars["timestamp"] <= last]
    for symbol in symbols:
        if not (bars["symbol"] == symbol).any():
            raise BadBars(f"source '{source}'", f"no bar of {symbol} up to {until}", "Check the symbol and asof.yaml")
    return bars.sort_values(["symbol", "timestamp"], kind="stable").reset_index(drop=True)


def accumulate(before: pd.DataFrame, fetched: pd.DataFrame, until: str) -> pd.DataFrame:
    """What is kept of earlier bars, with the fetched ones in place of those they correct.

    Markets that are no longer fetched, and bars later than `until`, go; a bar that was fetched again is the fetched
    one (repeats within one fetch all stay: telling them apart is validation's work).
    """
    import pandas as pd

    times = fetched.groupby("symbol")["timestamp"]
    known = {symbol: frozenset(stamps) for symbol, stamps in times}
    kept = [
        rows[~rows["timestamp"].isin(known[symbol]) & (rows["timestamp"] <= pd.Timestamp(until))]
        for symbol, rows in before.groupby("symbol")
        if symbol in known
    ]
    whole = pd.concat([*kept, fetched], ignore_index=True)
    return whole.sort_values(["symbol", "timestamp"], kind="stable").reset_index(drop=True)
