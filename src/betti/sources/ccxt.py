"""Bars from any exchange that the library ccxt knows, which the extra `sources` installs.

It uses ccxt's unified API: `fetch_ohlcv` page by page, at the exchange's own rate limit. Few exchanges ask for a key;
it stands in the environment as BETTI_CCXT_KEY and BETTI_CCXT_SECRET. What does not belong here: how Binance's own
server is asked without ccxt (`binance`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from betti.errors import BadParam, UnknownName
from betti.sources import incremental
from betti.sources._http import (
    BadAnswer,
    RequestRefused,
    Transient,
    key,
    library,
    overloading,
    passing,
    redacted,
    retried,
    retry_after,
)
from betti.sources._paging import beginning, from_milliseconds, page_of, pages, step_of, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

__all__ = ["fetch"]

T = TypeVar("T")

COLUMNS = ("open", "high", "low", "close", "volume")  # of a row, after its time in milliseconds
PAGE = 100  # bars that the smallest of the known pages hold; for an exchange that does not say
TIMEOUT_MS = 20_000


@incremental
def fetch(
    symbols: tuple[str, ...],
    interval: str,
    until: pd.Timestamp,
    *,
    exchange: str,
    start: str,
    market: Literal["spot", "margin", "swap", "future"] = "spot",
    since: pd.Timestamp | None = None,
) -> Iterator[pd.DataFrame]:
    """Bars through ccxt; see `betti.sources`. A bar that is still open is left out.

    Args:
        symbols: markets as ccxt spells them: BTC/USDT, and BTC/USDT:USDT for a perpetual swap.
        interval: a bar length that the exchange has.
        until: open time of the last bar wanted.
        exchange: ccxt's name of it: binance, kraken, okx.
        start: date of the first bar wanted, UTC, e.g. "2020-01-31". Some exchanges keep the newest bars alone.
        market: the kind of market that the symbols are.
        since: open time of the first bar wanted, where earlier ones are at hand.

    Raises:
        PartUnavailable: ccxt is not installed.
        UnknownName: no such exchange, or it does not have a symbol.
        BadParam: the exchange has no bars of that length, the symbol is another kind of market, or start is no date.
        RequestRefused, SourceUnreachable: the exchange says no, or does not answer; the request is named.
        BadAnswer: the answer is no list of bars.
    """
    venue = _Venue.opened(exchange, market)
    venue.check(interval)
    first, step = beginning(start, since), step_of(interval)
    for symbol in symbols:
        venue.know(symbol, market)
        limit = venue.limit(symbol)
        chart = _Chart(venue, symbol, interval, limit)
        yield from pages(chart.ask, first, until, step, window=step * (limit or PAGE))


class _Status:
    """The HTTP code of the last answer; ccxt's errors do not carry it.

    Its exchanges read an error out of a JSON body before they look at the code, so that a server in trouble and a
    request that is refused raise the same `ExchangeError`.
    """

    def __init__(self, exchange: Any) -> None:
        self.last: int | None = None
        self._answer = exchange.on_rest_response
        exchange.on_rest_response = self._noted  # ccxt's own hook: called with every answer before it is parsed

    def _noted(self, code: int, *rest: object) -> object:
        self.last = code
        return self._answer(code, *rest)


@dataclass(frozen=True)
class _Venue:
    """One exchange, and the library that its errors come from. Both are untyped."""

    name: str
    ccxt: Any
    exchange: Any
    secrets: tuple[str, ...]
    status: _Status

    @classmethod
    def opened(cls, name: str, market: str) -> _Venue:
        """The exchange with its list of markets."""
        ccxt = library("ccxt", "ccxt")
        if name not in ccxt.exchanges:
            raise UnknownName("exchange in params.yaml ingest.options.exchange:", name, ccxt.exchanges)
        keys = {"apiKey": key("BETTI_CCXT_KEY"), "secret": key("BETTI_CCXT_SECRET")}
        given = {word: value for word, value in keys.items() if value}
        settings = {"enableRateLimit": True, "timeout": TIMEOUT_MS, "options": {"defaultType": market}}
        exchange = getattr(ccxt, name)({**settings, **given})
        venue = cls(name, ccxt, exchange, tuple(given.values()), _Status(exchange))
        venue.answer(venue.exchange.load_markets, "its list of markets")
        return venue

    def check(self, interval: str) -> None:
        """Refuse an exchange without bars, and a bar length that it does not have."""
        if self.exchange.has.get("fetchOHLCV") is not True:
            raise BadParam("ingest.options.exchange", self.name, "it offers no bars")
        offered = self.exchange.timeframes or {}
        if interval not in offered:
            raise BadParam("ingest.interval", interval, f"exchange '{self.name}' has {', '.join(offered)}")

    def know(self, symbol: str, market: str) -> None:
        """Refuse a symbol that is not there, or is another kind of market."""
        known = self.exchange.markets.get(symbol)
        if known is None:
            raise UnknownName(f"symbol of exchange '{self.name}'", symbol, self.exchange.symbols)
        kind = known.get("type")
        if kind not in (market, None) and not (market == "margin" and kind == "spot"):
            raise BadParam("ingest.options.market", market, f"{symbol} of '{self.name}' is a {kind} market")

    def limit(self, symbol: str) -> int | None:
        """The most bars that a page may hold, where ccxt knows it."""
        known = self.exchange.feature_value(symbol, "fetchOHLCV", "limit", None)
        return None if known is None else int(known)

    def answer(self, call: Callable[[], T], about: str) -> T:
        """What the exchange answers, asked again while a fault may pass by itself."""
        request = f"ccxt '{self.name}' ({about})"
        return retried(lambda: self._once(call, request), request)

    def _once(self, call: Callable[[], T], request: str) -> T:
        self.status.last = None
        try:
            return call()
        except self.ccxt.BaseError as fault:
            # `from None`: ccxt's own message may hold an address with a signature, and a traceback would show it.
            raise self._meaning(fault, request) from None

    def _meaning(self, fault: Exception, request: str) -> Transient | RequestRefused:
        """What an error of ccxt says: try again, or do not. The HTTP code counts before ccxt's reading of the body."""
        ccxt, status, text = self.ccxt, self.status.last, self._text(fault)
        if status is not None and passing(status):
            return self._transient(f"status {status}: {text}", limited=overloading(status))
        if isinstance(fault, ccxt.OperationFailed | ccxt.BadResponse):
            return self._transient(text, limited=isinstance(fault, ccxt.DDoSProtection | ccxt.RateLimitExceeded))
        advice = "Check ingest.symbols, ingest.interval and ingest.options in params.yaml"
        if isinstance(fault, ccxt.BadSymbol):
            advice = "Check ingest.symbols in params.yaml"
        elif isinstance(fault, ccxt.AuthenticationError):
            advice = "Set BETTI_CCXT_KEY and BETTI_CCXT_SECRET in the environment"
        return RequestRefused(request, status, text, advice)

    def _transient(self, found: str, *, limited: bool) -> Transient:
        asked = retry_after(getattr(self.exchange, "last_response_headers", None))
        remedy = "Fetch fewer markets at once, or run again later" if limited else "Run again later"
        return Transient(found, remedy, asked)

    def _text(self, error: Exception) -> str:
        line = " ".join(redacted(f"{type(error).__name__}: {error}", self.secrets).split())
        return line[:300]


@dataclass(frozen=True)
class _Chart:
    """One symbol at one bar length."""

    venue: _Venue
    symbol: str
    interval: str
    limit: int | None

    def ask(self, first: pd.Timestamp, _last: pd.Timestamp) -> pd.DataFrame:
        """A page of bars from `first` on. The end is not sent: not every exchange takes an end."""
        about = f"{self.symbol} {self.interval}, from {first:%Y-%m-%d %H:%M} UTC"
        begin, exchange = to_milliseconds(first), self.venue.exchange
        rows = self.venue.answer(lambda: exchange.fetch_ohlcv(self.symbol, self.interval, begin, self.limit), about)
        return _page(rows, self.symbol, f"ccxt '{self.venue.name}' ({about})")


def _page(rows: Any, symbol: str, request: str) -> pd.DataFrame:
    if not isinstance(rows, list) or not all(map(_is_bar, rows)):
        raise BadAnswer(request, f"the answer is no list of bars: {str(rows)[:120]}", "Run again, or update ccxt")
    times = from_milliseconds([row[0] for row in rows])
    fields = {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS, start=1)}
    return page_of(symbol, times, fields, request)


def _is_bar(row: object) -> bool:
    return isinstance(row, list) and len(row) > len(COLUMNS) and isinstance(row[0], int)
