"""Bars from Binance, or from any server that speaks its klines format, over plain HTTP and without a key.

The format is that of `GET /api/v3/klines` in Binance's documentation of its spot API: a list of rows of at least ten
fields, times in milliseconds, a thousand rows at most. Where a server asks for a key, it stands in the environment
variable BETTI_BINANCE_KEY and is sent as `X-MBX-APIKEY`. What does not belong here: other formats (`ccxt` has them).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from betti.errors import BadParam, UnknownName
from betti.schemas import BARS
from betti.sources import incremental
from betti.sources._http import BadAnswer, Client, RequestRefused, SourceUnreachable, key
from betti.sources._paging import beginning, from_milliseconds, page_of, pages, step_of, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

__all__ = ["fetch"]

MARKET_DATA = "https://data-api.binance.vision"  # Binance's own address for public data alone
INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d")
LIMIT = 1000  # rows of a page
# Which field of a row is which column; 0 is the open time, 6 the close time, 7 the volume in the quote currency.
FIELDS = {"open": 1, "high": 2, "low": 3, "close": 4, "volume": 5, "trades": 8, "buy_volume": 9}
NO_SUCH_SYMBOL = -1121  # Binance's code for it
MILLISECONDS = (1.6e11, 9.3e12)  # 1975 to 2264: seconds and microseconds lie outside


@incremental
def fetch(
    symbols: tuple[str, ...],
    interval: str,
    until: pd.Timestamp,
    *,
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] = MARKET_DATA,
    start: str | None = None,
    since: pd.Timestamp | None = None,
) -> Iterator[pd.DataFrame]:
    """Bars from klines; see `betti.sources`. A bar that is still open is left out.

    Volumes are in units of the base currency; `buy_volume` is what takers bought, `sell_volume` the rest.

    Args:
        symbols: markets as Binance spells them: BTCUSDT.
        interval: 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d or 3d.
        until: open time of the last bar wanted.
        base_url: the server, e.g. "https://api.binance.us".
        start: date of the first bar wanted, UTC, e.g. "2020-01-31"; the market's first bar when not given.
        since: open time of the first bar wanted, where earlier ones are at hand.

    Raises:
        UnknownName: the server does not have a symbol.
        BadParam: another interval, or a start that is no date.
        RequestRefused, SourceUnreachable: the server says no, or does not answer; the request is named.
        BadAnswer: the answer is no list of klines.
        RepeatingSource: the server sends the same bars again and again.
    """
    if interval not in INTERVALS:
        raise BadParam("ingest.interval", interval, f"source 'binance' has {', '.join(INTERVALS)}")
    first, step = beginning(start, since), step_of(interval)
    secret = key("BETTI_BINANCE_KEY")
    with Client(base_url, {"X-MBX-APIKEY": secret} if secret else None) as client:
        for symbol in symbols:
            yield from pages(_Market(client, symbol, interval).ask, first, until, step)


@dataclass(frozen=True)
class _Market:
    """One symbol at one bar length."""

    client: Client
    symbol: str
    interval: str

    def ask(self, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
        """The first thousand bars of a time range, as `betti.schemas.BARS` has them."""
        query: dict[str, str | int] = {
            "symbol": self.symbol,
            "interval": self.interval,
            "startTime": to_milliseconds(first),
            "endTime": to_milliseconds(last),
            "limit": LIMIT,
        }
        about = f"{self.symbol} {self.interval}, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
        try:
            answer = self.client.get("/api/v3/klines", query, about)
        except RequestRefused as refusal:
            if _code(refusal.body) != NO_SUCH_SYMBOL:
                raise
            raise UnknownName("symbol of source 'binance'", self.symbol, self._symbols()) from refusal
        return _page(answer, self.symbol, self.client.named("/api/v3/klines", query, about))

    def _symbols(self) -> list[str]:
        """What the server has instead; nothing if it does not say, since another error stands already."""
        try:
            prices = self.client.get("/api/v3/ticker/price", {}, "the list of all symbols")
            return [str(entry["symbol"]) for entry in prices]
        except (RequestRefused, SourceUnreachable, TypeError, KeyError):
            return []


def _page(answer: Any, symbol: str, request: str) -> pd.DataFrame:
    """The rows of one page.

    Raises:
        BadAnswer: it is no list of klines.
    """
    if not isinstance(answer, list) or not all(map(_is_kline, answer)):
        strange = next((row for row in answer if not _is_kline(row)), None) if isinstance(answer, list) else answer
        found = f"the answer is no list of klines with times in milliseconds: {json.dumps(strange)[:120]}"
        raise BadAnswer(request, found, "Check ingest.options.base_url")
    times = from_milliseconds([row[0] for row in answer])
    page = page_of(symbol, times, {name: [row[place] for row in answer] for name, place in FIELDS.items()}, request)
    # Amounts have eight decimals at most; the subtraction brings more.
    page["sell_volume"] = (page["volume"] - page["buy_volume"]).round(8)
    return page[[name for name in BARS.names if name in page.columns]]


def _is_kline(row: object) -> bool:
    """Whether this is a row as documented: an open time in milliseconds, with nine fields or more after it."""
    if not isinstance(row, list) or len(row) <= FIELDS["buy_volume"]:
        return False
    return type(row[0]) is int and MILLISECONDS[0] < row[0] < MILLISECONDS[1]


def _code(body: str) -> object:
    """Binance's own number for what is wrong, from a body like {"code":-1121,"msg":"Invalid symbol."}."""
    try:
        refusal = json.loads(body)
    except ValueError:
        return None
    return refusal.get("code") if isinstance(refusal, dict) else None
