"""Market data sources: one file = one source, registered by being in this folder.

A source module offers `fetch(symbols, interval, until, *, ...options) -> Iterator[pd.DataFrame]`: bars in pieces that
fit into memory, each of one symbol, with the columns of `betti.schemas.BARS`, stamped with their OPEN time in UTC, as
the source has them (nothing repaired) and in its order. A piece holds a million rows or fewer. Bars later than `until`
need not be left out: that is done here. A symbol that it does not have is an `UnknownName`.

A source that can be asked for a part of its history takes one more keyword, `since: pd.Timestamp | None = None`, and
is marked `@incremental`: bars before `since` are at hand already. It may give more than was asked for, never less. It
gives one symbol after the other, each from its oldest bar on and in pieces as they come: what came before it broke off
is kept, and the next try asks from the first bar of the last piece on (`betti.fetched`).
"""

from __future__ import annotations

import inspect
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar, cast

from betti import knobs as _knobs
from betti.discovery import Folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd

__all__ = ["FOLDER", "fetch", "incremental", "stream", "takes_since"]

FOLDER = Folder("betti.sources", kind="source")

Fetch = TypeVar("Fetch", bound="Callable[..., Iterator[pd.DataFrame]]")


def incremental(function: Fetch) -> Fetch:
    """Mark a `fetch` that takes `since`, and leave `since` out of its knobs: the pipeline sets it, not params.yaml.

    >>> @incremental
    ... def fetch(symbols, interval, until, *, path="x", since=None):
    ...     yield from ()
    >>> list(_knobs.accepted(fetch)), takes_since(fetch)
    (['path'], True)
    """
    whole = inspect.signature(function)
    knobs = [parameter for parameter in whole.parameters.values() if parameter.name != "since"]
    cast("Any", function).__signature__ = whole.replace(parameters=knobs)
    return function


def takes_since(function: Callable[..., object]) -> bool:
    """Whether this `fetch` can be asked for what is new alone."""
    return "since" in (getattr(function, "__kwdefaults__", None) or {})


def stream(
    source: str,
    /,
    symbols: tuple[str, ...],
    interval: str,
    until: pd.Timestamp,
    options: dict[str, Any],
    *,
    since: Mapping[str, pd.Timestamp] | None = None,
) -> Iterator[pd.DataFrame]:
    """Bars from one source, piece by piece, each of one symbol, in the source's order, none later than `until`.

    Args:
        source: a file in `betti/sources`.
        symbols: the markets to fetch.
        interval: bar length as pandas writes it in short: 1m, 15m, 1h, 1d.
        until: open time of the last bar wanted, UTC.
        options: the source's own keyword arguments, checked against its signature.
        since: symbol -> open time of the first bar wanted, UTC, for markets whose earlier bars are at hand. Best an
            earlier one than the last bar at hand, so that late corrections come too. A source that cannot be asked
            for a part gives all it has, as for a symbol that is not named.

    Raises:
        UnknownName, BadParam: the source, a symbol or an option does not exist, or a value is out of range.
        MissingFile, UnreadableFile, BadBars: what the source found instead of bars, when it comes to it.
        PartUnavailable: the source needs a library that is not installed.
        SourceUnreachable, RequestRefused, BadAnswer, RepeatingSource: what a source on the network found; they stand
            in `betti.sources._http` and `betti.sources._paging`.
    """
    module = FOLDER.load(source)
    values = _knobs.checked(module.fetch, options, "ingest.options")
    if since and takes_since(module.fetch):
        asked = [
            module.fetch(group, interval, until, since=first, **values) for first, group in _groups(symbols, since)
        ]
    else:
        asked = [module.fetch(symbols, interval, until, **values)]
    return (piece[piece["timestamp"] <= until] for piece in chain.from_iterable(asked))


def _groups(
    symbols: tuple[str, ...], since: Mapping[str, pd.Timestamp]
) -> list[tuple[pd.Timestamp | None, tuple[str, ...]]]:
    """Symbols with the same first bar, together: a source connects once for all of a call."""
    groups: dict[pd.Timestamp | None, list[str]] = {}
    for symbol in symbols:
        groups.setdefault(since.get(symbol), []).append(symbol)
    return [(first, tuple(group)) for first, group in groups.items()]


def fetch(
    source: str,
    /,
    symbols: tuple[str, ...],
    interval: str,
    until: pd.Timestamp,
    options: dict[str, Any],
    *,
    since: Mapping[str, pd.Timestamp] | None = None,
) -> pd.DataFrame:
    """All of `stream` as one table, sorted by symbol and time; a table without rows where nothing is new.

    Raises:
        UnknownName, BadParam, MissingFile, UnreadableFile, BadBars: as `stream`, and what else it raises.
    """
    import pandas as pd

    found = list(stream(source, symbols, interval, until, options, since=since))
    whole = pd.concat(found or [_no_bars()], ignore_index=True)
    return whole.sort_values(["symbol", "timestamp"], kind="stable").reset_index(drop=True)


def _no_bars() -> pd.DataFrame:
    import pandas as pd

    from betti.schemas import BARS

    empty = pd.DataFrame({name: pd.Series(dtype="float64") for name in BARS.required})
    return empty.astype({"timestamp": "datetime64[us, UTC]", "symbol": "str"})
