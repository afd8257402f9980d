"""The lengths that bars come in, and which are made of which. What does not belong here: making them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from betti.errors import BadInput, UnknownName
from betti.sessions import DAY, WEEK

if TYPE_CHECKING:
    import pandas as pd

    from betti.sessions import Sessions

__all__ = ["INTERVALS", "MINUTE", "Coarser", "NotFiner", "NotMultiple", "length", "micros", "name_of", "ratio"]

MINUTE = 60_000_000  # microseconds, as everywhere below
INTERVALS = {
    "1m": MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": 60 * MINUTE,
    "2h": 120 * MINUTE,
    "4h": 240 * MINUTE,
    "6h": 360 * MINUTE,
    "12h": 720 * MINUTE,
    "1d": DAY,
    "1w": WEEK,
}


class NotFiner(BadInput):
    """Bars that are no finer than those asked for."""

    def __init__(self, base: str, interval: str) -> None:
        super().__init__(
            f"bars of {base} cannot be resampled to {interval}: it is not coarser. Ask for an interval above {base}"
        )


class NotMultiple(BadInput):
    """An interval that whole base bars do not fill."""

    def __init__(self, base: str, interval: str) -> None:
        super().__init__(
            f"bars of {base} do not fill {interval}: it is no multiple. Start from finer bars, or ask for a multiple"
        )


@dataclass(frozen=True)
class Coarser:
    """What is made of base bars.

    Attributes:
        intervals: of the bars to make. With more than one, a symbol's name says which: `BTCUSDT@1h`.
        base: the interval of the base bars.
        sessions: when the market is open; None where it never closes.
    """

    intervals: tuple[str, ...]
    base: str
    sessions: Sessions | None


def name_of(symbol: str, interval: str, coarser: Coarser) -> str:
    """What bars of this interval are called.

    >>> name_of("BTC", "1h", Coarser(("15m", "1h"), "1m", None)), name_of("BTC", "1h", Coarser(("1h",), "1m", None))
    ('BTC@1h', 'BTC')
    """
    return symbol if len(coarser.intervals) == 1 else f"{symbol}@{interval}"


def length(interval: str) -> pd.Timedelta:
    """How long an interval is.

    Raises:
        UnknownName: it is none of `INTERVALS`.

    >>> length("15m")
    Timedelta('0 days 00:15:00')
    """
    import pandas as pd

    return pd.Timedelta(microseconds=micros(interval)).as_unit("us")


def micros(interval: str) -> int:
    """How long an interval is, in microseconds.

    Raises:
        UnknownName: it is none of `INTERVALS`.
    """
    if interval not in INTERVALS:
        raise UnknownName("interval", interval, INTERVALS)
    return INTERVALS[interval]


def ratio(interval: str, base: str) -> tuple[int, int]:
    """Both lengths in microseconds, the coarser a multiple of the finer.

    Raises:
        UnknownName: an unknown interval.
        NotFiner, NotMultiple: the two do not go together.
    """
    size, step = micros(interval), micros(base)
    if size <= step:
        raise NotFiner(base, interval)
    if size % step:
        raise NotMultiple(base, interval)
    return size, step
