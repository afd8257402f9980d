"""From rows under known names to bars: what all sources share. Nothing is repaired; what cannot be read is an error.

What does not belong here: files and their formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from betti.errors import BadBars, BettiError, UnknownName
from betti.schemas import BARS
from betti.sources._cells import USUAL, Style, numbers, texts
from betti.sources._columns import Given, find_columns, tell_of_volume
from betti.sources._files import Place, file_for, files_for, one_file_each
from betti.sources._times import EPOCH_UNITS, find_clock, opened, read_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from betti.sources._columns import Columns
    from betti.sources._times import Clock

__all__ = [
    "EPOCH_UNITS",
    "Asked",
    "Reading",
    "assembled",
    "by_file",
    "check_found",
    "file_for",
    "files_for",
    "named",
    "no_rows",
    "one_file_each",
    "to_bars",
]

MOST_MARKETS = 1000  # of a file, remembered to name them where the one asked for is not there


@dataclass(frozen=True)
class Asked:
    """What is wanted of a file: a market by our name, what the file calls it, and the bar length."""

    symbol: str
    market: str
    interval: str


@dataclass(frozen=True)
class Reading:
    """How the cells of one table are read.

    Attributes:
        clock: how times are written.
        closes: the times are those of the bars' closes.
        style: how numbers are written.
    """

    clock: Clock
    closes: bool = False
    style: Style = USUAL


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
    """Bars of one symbol from a raw table; without a column of volume they have none, and the log says so.

    Args:
        raw: the table as read; text is allowed in any column. Its index counts its rows from 0 as the source has them.
        symbol: the market's name in `symbol`; a column `symbol` of the table is not looked at.
        where: what to call the table in an error.
        columns: raw column name -> bar column name, for names that are not found by themselves.
        unit: s, ms, us or ns where times are epoch numbers and not as they seem.
        timezone: the zone of times that carry none.
        first_line: line of the first row, to name a line in an error.

    Raises:
        BadBars: a column other than volume is missing, one is there twice, there are no rows, a price is not a number,
            a time is not a time.
    """
    import pandas as pd

    given = Given(columns=columns, unit=unit, timezone=timezone)
    found = find_columns([str(name) for name in raw.columns], where, given)
    if raw.empty:
        raise BadBars(where, "a header and no rows", "Check that the export is complete")
    counts = raw.index if pd.api.types.is_integer_dtype(raw.index.dtype) else pd.RangeIndex(len(raw))
    rows = named(raw.set_axis(counts + first_line, axis=0), found).drop(columns="symbol", errors="ignore")
    tell_of_volume(found, [str(name) for name in raw.columns], where)
    clock = find_clock(rows["timestamp"], where, given)
    return _bars(rows, Asked(symbol, symbol, ""), Reading(clock), where)


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
    rows: pd.DataFrame, asked: Sequence[Asked], reading: Reading, path: Path, seen: set[str]
) -> list[pd.DataFrame]:
    """Bars of each market asked for from rows under the names of bars; of all rows where these name no market.

    Args:
        rows: `timestamp` as the source writes it, optional `symbol`, and the other columns; indexed by line.
        asked: the markets and the bar length; several only where rows name theirs.
        reading: how times and numbers are written.
        path: what to call the table in an error.
        seen: gets the markets that the rows name.

    Returns:
        One table per market that has a row, in the order asked.

    Raises:
        BadBars: a price is not a number, a time is not a time; the line is named.
    """
    if "symbol" not in rows:
        found = [_bars(rows, one, reading, Place(path, one.symbol)) for one in asked]
        return [bars for bars in found if len(bars)]
    markets = texts(rows["symbol"])
    if len(seen) < MOST_MARKETS:
        seen.update(markets.unique())
    places = rows.groupby(markets.to_numpy(dtype=object), sort=False).indices
    return [
        _bars(rows.iloc[places[one.market]], one, reading, Place(path, one.symbol))
        for one in asked
        if one.market in places
    ]


def _bars(rows: pd.DataFrame, asked: Asked, reading: Reading, where: object) -> pd.DataFrame:
    """Bars of one market from its rows; those of a table without volume have none."""
    import pandas as pd

    times = read_times(rows["timestamp"], reading.clock, where)
    bars = pd.DataFrame({"timestamp": opened(times, asked.interval) if reading.closes else times})
    bars.insert(1, "symbol", asked.symbol)
    for name in BARS.names[2:]:
        if name in rows:
            bars[name] = numbers(rows[name], where, name, reading.style)
        elif name == "volume":
            bars[name] = float("nan")
    return bars.reset_index(drop=True)


def by_file(
    path: str, symbols: Sequence[str], interval: str, markets: Mapping[str, str] | None
) -> dict[Path, tuple[Asked, ...]]:
    """The files of these symbols, each with what is wanted of it.

    Raises:
        BadParam, MissingFile: as `file_for`.
    """
    found: dict[Path, tuple[Asked, ...]] = {}
    for symbol in symbols:
        file = file_for(path, symbol, interval)
        found[file] = (*found.get(file, ()), Asked(symbol, (markets or {}).get(symbol, symbol), interval))
    return found


def check_found(path: Path, asked: Sequence[Asked], found: Iterable[str], seen: Iterable[str]) -> None:
    """Refuse a file without a row of a market that was asked for.

    Raises:
        UnknownName: its rows name other markets.
        BadBars: it has no rows.
    """
    there = set(found)
    for one in asked:
        if one.symbol not in there:
            raise no_rows(Place(path, one.symbol), one, seen)


def no_rows(where: Place, asked: Asked, seen: Iterable[str]) -> BettiError:
    """The error of a file without a row of the market asked for."""
    markets = set(seen)
    if markets:
        kind = f"symbol in {where.path} (ingest.options.markets gives it another name there):"
        return UnknownName(kind, asked.market, markets)
    return BadBars(where, "a header and no rows", "Check that the export is complete")
