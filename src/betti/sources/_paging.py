"""From pages to bars: where to begin, where to go on, what came twice, what is missing, which bar is still open.

Nothing that a source sends is lost and nothing is counted twice: a row that comes again as it was is the same row; one
that comes again with other values stays beside the first, and validation decides. What does not belong here: how a page
is asked for, and what its fields mean.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from betti.errors import BadParam, BettiError
from betti.sources._http import BadAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Ask = Callable[[pd.Timestamp, pd.Timestamp], pd.DataFrame]

__all__ = [
    "RepeatingSource",
    "Seen",
    "beginning",
    "from_milliseconds",
    "page_of",
    "pages",
    "step_of",
    "time_now",
    "to_milliseconds",
    "until_closed",
]

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class RepeatingSource(BettiError):
    """A source that answers with bars before those asked for, again and again: going on would lose what follows."""

    def __init__(self, symbol: str, cursor: pd.Timestamp, newest: pd.Timestamp) -> None:
        super().__init__(
            f"{symbol}: asked for bars from {cursor} on, the source sends older ones alone (up to {newest}), twice. "
            "It may be out of order: run again later, or set ingest.options.start past that time"
        )


def clock() -> datetime:
    """The time it is, UTC; tests put another in its place."""
    return datetime.now(UTC)


def time_now() -> pd.Timestamp:
    """The time it is, UTC."""
    import pandas as pd

    return pd.Timestamp(clock())


def step_of(interval: str) -> pd.Timedelta:
    """The length of a bar: 1m, 15m, 1h, 1d, 1w.

    Raises:
        BadParam: a month has no one length, and what else is no number with a unit.
    """
    import pandas as pd

    if interval[-1:] not in UNITS or not interval[:-1].isdigit():
        raise BadParam("ingest.interval", interval, f"it takes a number and one of {', '.join(UNITS)}")

    return pd.Timedelta(timedelta(**{UNITS[interval[-1]]: int(interval[:-1])}))


def until_closed(until: pd.Timestamp, step: pd.Timedelta) -> pd.Timestamp:
    """`until`, or an earlier time: no bar that opened later than this has closed by now."""
    return min(until, time_now() - step)


def beginning(start: str | None, since: pd.Timestamp | None) -> pd.Timestamp:
    """The first bar to ask for: where the bars at hand end, or else the start knob, or else 1970.

    Raises:
        BadParam: `start` is no date.
    """
    import pandas as pd

    first = pd.Timestamp(0, tz="UTC")
    if start is not None:
        try:
            first = pd.Timestamp(start)
        except ValueError as cause:
            raise BadParam("ingest.options.start", start, "it takes a date such as '2020-01-31'") from cause
        first = first.tz_localize("UTC") if first.tzinfo is None else first.tz_convert("UTC")
    return first if since is None else max(first, since.tz_convert("UTC"))


def to_milliseconds(time: pd.Timestamp) -> int:
    """Milliseconds since 1970, as exchanges count."""
    return time.value // 1_000_000


def from_milliseconds(times: Sequence[int]) -> pd.DatetimeIndex:
    """Times in UTC from milliseconds since 1970."""
    import numpy as np
    import pandas as pd

    naive = np.array(times, dtype="int64").astype("datetime64[ms]").astype("datetime64[us]")
    return pd.DatetimeIndex(naive).tz_localize("UTC")


def page_of(symbol: str, times: pd.DatetimeIndex, fields: Mapping[str, Iterable[object]], request: str) -> pd.DataFrame:
    """One page as `betti.schemas.BARS` has it.

    Args:
        symbol: the market.
        times: open time of each row, UTC.
        fields: column -> its values, numbers or numbers as text; None where there is none.
        request: names the request in an error.

    Raises:
        BadAnswer: a value is no number; the row's time is named.
    """
    import pandas as pd

    page = pd.DataFrame({"timestamp": times, "symbol": pd.Series([symbol] * len(times), dtype="str")})
    for name, values in fields.items():
        numbers = [_number(value, name, time, request) for value, time in zip(values, times, strict=True)]
        page[name] = pd.Series(numbers, dtype="float64")
    return page


def _number(value: object, name: str, time: pd.Timestamp, request: str) -> float:
    """Python's own reading of a number as text is exact to the last digit, which pandas' is not."""
    if value is None:
        return float("nan")
    try:
        return float(value)  # type: ignore[arg-type]  # whatever else it is raises
    except (ValueError, TypeError) as cause:
        raise BadAnswer(request, f"{name} is {value!r} at {time} and no number", "Run again later") from cause


def pages(
    ask: Ask, first: pd.Timestamp, until: pd.Timestamp, step: pd.Timedelta, window: pd.Timedelta | None = None
) -> Iterator[pd.DataFrame]:
    """All closed bars of one market from `first` to `until`, page by page, in the source's order within a page.

    A page that is empty or brings nothing new is asked for once more. Where bars are missing between others, the
    missing ones are asked for once more, with what follows them; what still is missing is a gap of the market.

    Args:
        ask: `ask(first, last)` gives bars from `first` to `last`, both included, or as many of the first of them as a
            page holds; bars outside that range do no harm.
        first: open time of the first bar wanted.
        until: open time of the last bar wanted.
        step: length of a bar.
        window: the time that one page covers, for sources that answer with nothing where a market had no bars for that
            long. None for those whose empty page says that nothing follows.

    Raises:
        RepeatingSource: the source sends older bars than asked for, twice.
    """
    last = until_closed(until, step)
    seen, cursor, begun = Seen(), first, False

    def asked(since: pd.Timestamp) -> pd.DataFrame:
        page = ask(since, last)
        return page[(page["timestamp"] >= first) & (page["timestamp"] <= last)]

    while cursor <= last:
        page = asked(cursor)
        nothing = page.empty
        if not _reaches(page, cursor) and (begun or cursor == first):
            yield seen.unknown(page)
            page = asked(cursor)
            nothing = nothing or page.empty
        fresh = seen.unknown(page)
        if not _reaches(page, cursor):
            yield fresh
            if window is not None:
                cursor += window
                continue
            if nothing:
                return
            raise RepeatingSource(str(page["symbol"].iloc[0]), cursor, page["timestamp"].max())
        newest = page["timestamp"].max()
        missing = _first_missing(page["timestamp"], cursor if begun else None, step)
        if missing is not None:
            found = seen.unknown(asked(missing))
            fresh = _together(fresh, found)
            later = found.loc[found["timestamp"] >= missing, "timestamp"]
            # Go on from what was found, be it a part of the gap alone: the rest of the page comes again and is known.
            # What is missing behind the page was looked for once only: go on from there.
            newest = newest if later.empty else _unbroken(newest, later, step)
        yield fresh
        cursor, begun = newest + step, True


class Seen:
    """Which rows came before. It keeps a 64-bit hash of each (8 bytes a bar), with the newest time of its page."""

    def __init__(self) -> None:
        self._pages: list[tuple[pd.Timestamp, NDArray[np.uint64]]] = []

    def unknown(self, page: pd.DataFrame) -> pd.DataFrame:
        """The rows that no earlier page had with the same time and values; from now on they are known."""
        import numpy as np
        import pandas as pd

        if page.empty:
            return page
        codes = pd.util.hash_pandas_object(page, index=False).to_numpy()
        oldest = page["timestamp"].min()
        known = [earlier for newest, earlier in self._pages if newest >= oldest]
        fresh = ~np.isin(codes, np.concatenate(known)) if known else np.ones(len(codes), dtype=bool)
        self._pages.append((page["timestamp"].max(), codes[fresh]))
        return page[fresh]


def _reaches(page: pd.DataFrame, cursor: pd.Timestamp) -> bool:
    """Whether a page has a bar that the walk has not come to yet."""
    return bool((page["timestamp"] >= cursor).any())


def _first_missing(times: pd.Series, expected: pd.Timestamp | None, step: pd.Timedelta) -> pd.Timestamp | None:
    """The first bar that is not there though a later one is; `expected` is the one that should come first, if any."""
    ordered = times.drop_duplicates().sort_values()
    if expected is not None:
        ordered = ordered[ordered >= expected]
        if ordered.iloc[0] - expected >= step:
            return expected
    before = ordered.shift()[ordered.diff() > step]
    return None if before.empty else before.iloc[0] + step


def _unbroken(newest: pd.Timestamp, later: pd.Series, step: pd.Timedelta) -> pd.Timestamp:
    """The last of `later`, or the last before the first gap behind `newest`."""
    import pandas as pd

    last: pd.Timestamp = later.max()
    if last <= newest:
        return last
    behind = pd.concat([pd.Series([newest]), later[later > newest]], ignore_index=True)
    gap = _first_missing(behind, None, step)
    return last if gap is None else gap - step


def _together(page: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """A page with what filled its gaps, in time order; as it was if nothing did."""
    import pandas as pd

    if found.empty:
        return page
    return pd.concat([page, found], ignore_index=True).sort_values("timestamp", kind="stable")
