"""Which column of a raw table is which column of bars, by name.

A column is found by its own name, by what the options say, or by one of the exact names below. Where two would do, it
is an error and not a choice. Volume alone may be absent: there are markets without any. What does not belong here:
reading cells.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from betti.errors import BadBars, UnknownName
from betti.schemas import BARS, PRICE_COLUMNS
from betti.sources._cells import short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Columns", "Given", "find_columns", "plain", "tell_of_volume"]

log = logging.getLogger(__name__)

# Other names of each column, as `plain` writes them.
ALIASES: dict[str, tuple[str, ...]] = {
    "timestamp": (
        "date", "time", "datetime", "date time", "open time", "opentime", "open datetime", "open timestamp", "ts",
        "time open", "start time", "begin", "unix", "unix time", "unix timestamp", "gmt time", "local time", "time utc",
    ),
    "symbol": ("ticker", "tic", "instrument", "pair"),
    "open": ("o", "open price", "price open"),
    "high": ("h", "high price", "price high"),
    "low": ("l", "low price", "price low"),
    "close": ("c", "close/last", "close price", "price close"),
    "volume": (
        "v", "vol", "vol.", "base volume", "volume base", "tickvol", "tick volume", "real volume", "volume usd",
        "volume usdt", "volume btc", "volume eth", "volume (btc)", "volume (eth)", "volume (currency)",
    ),
    "buy_volume": (
        "taker buy base asset volume", "taker buy base volume", "taker buy base", "taker base volume",
        "taker buy volume", "taker base vol",
    ),
    "sell_volume": ("taker sell volume", "taker sell base asset volume"),
    "trades": ("number of trades", "num trades", "trade count", "tradecount", "count"),
    "open_interest": ("openint", "open int", "oi"),
    "close_time": ("closetime", "close datetime", "close timestamp", "time close", "end time"),
}  # fmt: skip
_TAKEN = (*BARS.names, "close_time", "date", "time")


@dataclass(frozen=True)
class Given:
    """What the options say about a file. None means: found by looking.

    Attributes:
        columns: their name -> ours.
        unit: s, ms, us or ns where times are epoch numbers.
        timezone: IANA zone of times that carry none.
        hours_ahead: hours that the clock of such times runs ahead of that zone.
        time_format: how times are written, in the signs of `strptime`.
        day_first: whether 01/02/2020 is in February.
        stamped: whether a bar carries the time of its open or of its close.
        decimal: the sign before the fraction of a number.
        thousands: the sign between a number's groups of three digits.
        prefer: which of a column's other names counts where a file has several of them.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None
    timezone: str | None = None
    hours_ahead: int = 0
    time_format: str | None = None
    day_first: bool | None = None
    stamped: Literal["open", "close"] | None = None
    decimal: str | None = None
    thousands: str | None = None
    prefer: tuple[str, ...] = ()


@dataclass(frozen=True)
class Columns:
    """Where the columns of bars stand in a raw table, by position from 0.

    Attributes:
        time: one position, or those of a date and of a time of day.
        closes: the time is that of the bar's close.
        symbol: the column that names each row's market, if any.
        values: bar column -> position, in the order of `betti.schemas.BARS`; without those that are not there.
    """

    time: tuple[int, ...]
    closes: bool
    symbol: int | None
    values: dict[str, int]

    @property
    def positions(self) -> tuple[int, ...]:
        """All of them, sorted."""
        markets = () if self.symbol is None else (self.symbol,)
        return tuple(sorted({*self.time, *markets, *self.values.values()}))


def find_columns(names: Sequence[str], where: object, given: Given) -> Columns:
    """Find every column of bars among these names.

    Raises:
        BadBars: a column other than volume is missing, occurs twice, or may be one of several; those found are named.
        UnknownName: `given.columns` names a column that bars do not have.
    """
    for ours in given.columns.values():
        if ours not in _TAKEN:
            raise UnknownName("column in ingest.options.columns:", ours, _TAKEN)
    for theirs in given.columns:
        if theirs not in [name.strip() for name in names] and theirs not in names:
            raise BadBars(where, f"no column '{theirs}'", f"Columns found: {short(', '.join(names))}")
    time, closes = _time(names, where, given)
    values = {role: _one(role, names, where, given) for role in BARS.names[2:]}
    missing = [role for role in PRICE_COLUMNS if values[role] is None]
    if not time:
        missing.insert(0, "timestamp")
    if missing:
        raise BadBars(
            where,
            f"no column {', '.join(missing)} (found: {short(', '.join(names))})",
            "Name them in ingest.options.columns: {theirs: ours}",
        )
    found = {role: position for role, position in values.items() if position is not None}
    return Columns(time, closes, _one("symbol", names, where, given), found)


def tell_of_volume(columns: Columns, names: Sequence[str], where: object) -> None:
    """Say in the log that no column is one of volume, if so: it may have a name that is not known."""
    if "volume" not in columns.values:
        log.warning(
            "%s has no column of volume (found: %s), and its bars have none. If one of them is it, name it in "
            "ingest.options.columns: {theirs: volume}",
            where,
            short(", ".join(names)),
        )


def plain(name: str) -> str:
    """A column's name without what exporters vary: case, angle brackets, underscores, repeated space."""
    return re.sub(r"[\s_]+", " ", name.strip().strip("<>")).strip().casefold()


def _time(names: Sequence[str], where: object, given: Given) -> tuple[tuple[int, ...], bool]:
    """The column of the time, or those of date and clock, and whether it is the bar's close."""
    close = None if given.stamped == "open" else _one("close_time", names, where, given)
    if given.stamped == "close" and close is not None:
        return (close,), True
    pair = _date_and_clock(names, where, given)
    if pair:
        return pair, given.stamped == "close"
    found = _one("timestamp", names, where, given)
    if found is None:
        return ((), False) if close is None else ((close,), True)
    named_close = plain(names[found]) in ("close time", *ALIASES["close_time"])
    return (found,), given.stamped == "close" or (named_close and given.stamped is None)


def _date_and_clock(names: Sequence[str], where: object, given: Given) -> tuple[int, ...]:
    """The columns of a date and of a time of day, where no column has both; else nothing."""
    days, clocks = (_said(role, names, given) for role in ("date", "time"))
    if len(days) == len(clocks) == 1:
        return days[0], clocks[0]
    if _exact("timestamp", names, given):
        return ()
    others = _aliases("timestamp", names, given)
    if sorted(plain(names[position]) for position in others) == ["date", "time"]:
        return tuple(sorted(others, key=lambda position: plain(names[position])))
    return ()


def _one(role: str, names: Sequence[str], where: object, given: Given) -> int | None:
    """The one column of this role; None where there is none."""
    found = _exact(role, names, given)
    if len(found) > 1:
        raise BadBars(where, f"column {role} occurs twice", "Keep one of them")
    if found:
        return found[0]
    others = _aliases(role, names, given)
    preferred = [position for position in others if plain(names[position]) in given.prefer]
    others = preferred or others
    if len(others) > 1:
        candidates = ", ".join(f"'{names[position]}'" for position in others)
        raise BadBars(
            where,
            f"column {role} may be {short(candidates)}",
            f"Say which in ingest.options.columns: {{{names[others[0]]}: {role}}}",
        )
    return others[0] if others else None


def _said(role: str, names: Sequence[str], given: Given) -> list[int]:
    """The columns that the options give this role."""
    return [i for i, name in enumerate(names) if given.columns.get(name, given.columns.get(name.strip())) == role]


def _exact(role: str, names: Sequence[str], given: Given) -> list[int]:
    """The columns of this role by the options or by its own name."""
    own = [i for i in _free(names, given) if plain(names[i]) == role.replace("_", " ")]
    return sorted(_said(role, names, given) + own)


def _aliases(role: str, names: Sequence[str], given: Given) -> list[int]:
    return [i for i in _free(names, given) if plain(names[i]) in ALIASES.get(role, ())]


def _free(names: Sequence[str], given: Given) -> list[int]:
    """The columns that the options do not speak of."""
    return [i for i, name in enumerate(names) if name not in given.columns and name.strip() not in given.columns]
