"""From rows under known names to bars: what all sources share. Nothing is repaired; what cannot be read is an error.

What does not belong here: files and their formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from betti.errors import BadBars, BettiError, UnknownName
from betti.schemas import BARS
from betti.sources._cells import numbers, texts
from betti.sources._columns import Given, find_columns
from betti.sources._files import file_for, files_for, one_file_each
from betti.sources._times import EPOCH_UNITS, find_clock, opened, read_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from betti.sources._columns import Columns
    from betti.sources._files import Place
    from betti.sources._times import Clock

__all__ = ["EPOCH_UNITS", "Asked", "assembled", "file_for", "files_for", "named", "no_rows", "one_file_each", "to_bars"]

MOST_MARKETS = 1000  # of a file, remembered to name them where the one asked for is not there


@dataclass(frozen=True)
class Asked:
    """What is wanted of a file: a market by our name, what the file calls it, and the bar length."""

    symbol: str
    market: str
    interval: str


def to_bars(
    raw: pd.DataFrame,
    symbol: str,
    where: object,
    *,
    columns: Mapping[str, str],
    unit: str | None,
    timezone: str | None,
    first_line: int = 2,
) -> pd.DataFrame:
    """Bars of one symbol from a raw table.

    Args:
        raw: the table as read; text is allowed in any column. Its index counts its rows from 0 as the source has them.
        symbol: the market's name in `symbol`; a column `symbol` of the table is not looked at.
        where: what to call the table in an error.
        columns: raw column name -> bar column name, for names that are not found by themselves.
        unit: s, ms, us or ns where times are epoch numbers and not as they seem.
        timezone: the zone of times that carry none.
        first_line: line of the first row, to name a line in an error.

    Raises:
        BadBars: a column is missing or there twice, there are no rows, a price is not a number, a time is not a time.
    """
    import pandas as pd

    given = Given(columns=columns, unit=unit, timezone=timezone)
    found = find_columns([str(name) for name in raw.columns], where, given)
    if raw.empty:
        raise BadBars(where, "a header and no rows", "Check that the export is complete")
    counts = raw.index if pd.api.types.is_integer_dtype(raw.index.dtype) else pd.RangeIndex(len(raw))
    rows = named(raw.set_axis(counts + first_line, axis=0), found).drop(columns="symbol", errors="ignore")
    clock = find_clock(rows["timestamp"], where, given)
    return assembled(rows, Asked(symbol, symbol, ""), clock, where, closes=False, seen=set())


def named(raw: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """The columns of a raw table under the names of bars; a date and a time of day are joined as text."""
    import pandas as pd

    time = raw.iloc[:, columns.time[0]]
    for position in columns.time[1:]:
        time = texts(time) + " " + texts(raw.iloc[:, position])
    table = {"timestamp": time}
    if columns.symbol is not None:
        table["symbol"] = raw.iloc[:, columns.symbol]
    return pd.DataFrame(table | {name: raw.iloc[:, position] for name, position in columns.values.items()})


def assembled(
    rows: pd.DataFrame, asked: Asked, clock: Clock, where: object, *, closes: bool, seen: set[str]
) -> pd.DataFrame:
    """Bars from rows under the names of bars, those of the market asked for alone where rows name theirs.

    Args:
        rows: `timestamp` as the source writes it, optional `symbol`, and the other columns; indexed by line.
        asked: the market and the bar length.
        clock: how times are written.
        where: what to call the table in an error.
        closes: the times are those of the bars' closes.
        seen: gets the markets that the rows name.

    Raises:
        BadBars: a price is not a number, a time is not a time; the line is named.
    """
    import pandas as pd

    if "symbol" in rows:
        markets = texts(rows["symbol"])
        if len(seen) < MOST_MARKETS:
            seen.update(markets.unique())
        rows = rows[markets == asked.market]
        if rows.empty:
            return rows
    times = read_times(rows["timestamp"], clock, where)
    bars = pd.DataFrame({"timestamp": opened(times, asked.interval) if closes else times})
    bars.insert(1, "symbol", asked.symbol)
    for name in BARS.names[2:]:
        if name in rows:
            bars[name] = numbers(rows[name], where, name)
    return bars.reset_index(drop=True)


def no_rows(where: Place, asked: Asked, seen: Iterable[str]) -> BettiError:
    """The error of a file without a row of the market asked for."""
    markets = set(seen)
    if markets:
        kind = f"symbol in {where.path} (ingest.options.markets gives it another name there):"
        return UnknownName(kind, asked.market, markets)
    return BadBars(where, "a header and no rows", "Check that the export is complete")
