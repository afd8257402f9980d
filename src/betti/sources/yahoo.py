"""Bars from Yahoo Finance through the library yfinance, which the extra `sources` installs.

Daily bars are stamped with their trading date at 00:00 UTC, intraday bars with their open time turned from the
exchange's zone to UTC. Yahoo rewrites the past: each dividend changes all earlier adjusted prices, and each split all
prices. So adjusted prices are fetched whole every time, and raw ones as soon as a split is among what is new. Of
intraday bars Yahoo keeps days or months alone, and what is older than that stays as it was fetched.

What does not belong here: the wire format of Yahoo, which is yfinance's work and changes without notice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from betti.errors import BadParam, UnknownName
from betti.sources import incremental
from betti.sources._http import RequestRefused, Transient, library, overloading, passing, redacted, retried, retry_after
from betti.sources._paging import Seen, beginning, page_of, step_of, time_now, until_closed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

__all__ = ["fetch"]

TIMEOUT = 20.0  # seconds
EARLIEST = "1900-01-01"  # before the first bar of any ticker
COLUMNS = ("open", "high", "low", "close", "volume")  # capitalized in yfinance
SPLITS = "Stock Splits"
CHART = "/v8/finance/chart/"  # where yfinance asks for prices and for a ticker's zone; its cookies are its own business
LATER = "Check the network, and run again later"


@dataclass(frozen=True)
class _Offer:
    """What Yahoo has of one bar length: its own name, days kept (None: all), and days of one request."""

    name: str
    kept: int | None
    each: int | None = None


# One day less than Yahoo keeps: a request that is a moment too old is refused as a whole.
OFFERS = {
    "1m": _Offer("1m", 29, 7),
    "2m": _Offer("2m", 59),
    "5m": _Offer("5m", 59),
    "15m": _Offer("15m", 59),
    "30m": _Offer("30m", 59),
    "90m": _Offer("90m", 59),
    "60m": _Offer("1h", 729),
    "1h": _Offer("1h", 729),
    "1d": _Offer("1d", None),
}


@incremental
def fetch(
    symbols: tuple[str, ...],
    interval: str,
    until: pd.Timestamp,
    *,
    prices: Literal["adjusted", "raw"] = "adjusted",
    start: str | None = None,
    since: pd.Timestamp | None = None,
) -> Iterator[pd.DataFrame]:
    """Bars from Yahoo; see `betti.sources`. A bar that is still open is left out, and so is one without any price.

    Args:
        symbols: tickers as finance.yahoo.com spells them: AAPL, ^GSPC, EURUSD=X, BTC-USD.
        interval: 1m, 2m, 5m, 15m, 30m, 60m, 90m, 1h or 1d.
        until: open time of the last bar wanted.
        prices: adjusted for dividends and splits, or raw: for splits alone, as Yahoo has no others.
        start: date of the first bar wanted, e.g. "2020-01-31"; all that Yahoo keeps when not given, or not so much.
        since: open time of the first bar wanted, where earlier ones are at hand.

    Raises:
        PartUnavailable: yfinance is not installed.
        UnknownName: Yahoo has no prices of a symbol.
        BadParam: another interval, or a start that is no date.
        RequestRefused, SourceUnreachable: Yahoo says no, or does not answer; the request is named.
    """
    if interval not in OFFERS:
        raise BadParam("ingest.interval", interval, f"source 'yahoo' has {', '.join(OFFERS)}")
    yahoo, last = library("yfinance", "yahoo"), until_closed(until, step_of(interval))
    watch = _Watch.opened()
    first = _kept(beginning(start or EARLIEST, None), OFFERS[interval])
    for symbol in symbols:
        chart = _Chart(yahoo, watch, symbol, OFFERS[interval], prices)
        resumed = None if since is None or prices == "adjusted" else max(first, since.tz_convert("UTC"))
        bars = None if resumed is None else chart.between(resumed, last)
        if bars is None or bars[SPLITS].any():
            bars = chart.between(first, last)
        if bars.empty and since is None:
            raise UnknownName("symbol of source 'yahoo'", symbol, ["tickers with prices on finance.yahoo.com"])
        if not bars.empty:
            yield bars.drop(columns=SPLITS)


def _kept(first: pd.Timestamp, offer: _Offer) -> pd.Timestamp:
    """`first`, or as far back as Yahoo keeps bars of this length."""
    import pandas as pd

    return first if offer.kept is None else max(first, time_now() - pd.Timedelta(days=offer.kept))


class _Watch:
    """A session like yfinance's own, and what was wrong with its last answer about prices.

    yfinance looks at no HTTP code: an error of the server that is written as JSON is a ticker without prices to it, and
    so is any failure to learn the ticker's zone. And it keeps answers about the past as long as the process lives, bad
    ones too, so that whoever asks again reads the same answer again. So a bad one is stopped here.
    """

    def __init__(self, session: Any) -> None:
        self.session = session
        self.trouble: Transient | None = None
        self.refused: int | None = None
        self._ask = session.request
        session.request = self._asked

    @classmethod
    def opened(cls) -> _Watch:
        """The session that yfinance would open."""
        return cls(library("curl_cffi.requests", "yahoo").Session(impersonate="chrome"))

    def begin(self) -> None:
        """Forget what was."""
        self.trouble, self.refused = None, None

    def _asked(self, method: str, url: str, **how: Any) -> Any:
        if CHART not in url:
            return self._ask(method, url, **how)
        self.begin()
        try:
            answer = self._ask(method, url, **how)
        except OSError as fault:
            self.trouble = _passing(fault)
            raise
        self.trouble = _trouble(answer)
        self.refused = answer.status_code if answer.status_code in (401, 403) else None
        if self.trouble is not None:
            raise self.trouble
        return answer


def _trouble(answer: Any) -> Transient | None:
    """What is wrong with an answer about prices that may be another one later; None if nothing is."""
    status = int(answer.status_code)
    if overloading(status):
        return None  # yfinance asks again with other cookies, and raises an error of its own
    found = f"status {status}: {redacted(answer.text)[:200]!r}"
    if passing(status):
        return Transient(found, LATER, retry_after(answer.headers))
    try:
        answer.json()
    except ValueError:
        return Transient(f"the answer is no whole JSON, {found}", LATER)
    return None


def _passing(fault: Exception) -> Transient:
    return Transient(f"{type(fault).__name__}: {redacted(str(fault))[:200]}", LATER)


@dataclass(frozen=True)
class _Chart:
    """One ticker at one bar length."""

    yahoo: Any
    watch: _Watch
    symbol: str
    offer: _Offer
    prices: str

    def between(self, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
        """Bars from `first` to `last` with the column `Stock Splits`, asked for in as many requests as Yahoo wants."""
        import pandas as pd

        each = pd.Timedelta(days=self.offer.each) if self.offer.each else None
        seen, found, cursor = Seen(), [self._none()], first
        while cursor <= last:
            end = last if each is None else min(cursor + each, last)
            found.append(seen.unknown(self._asked(cursor, end)))
            cursor = end + pd.Timedelta(microseconds=1)
        bars = pd.concat([part for part in found if len(part)] or found, ignore_index=True)
        return bars[(bars["timestamp"] >= first) & (bars["timestamp"] <= last)]

    def _asked(self, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
        about = f"{self.symbol} {self.offer.name}, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
        request = f"yfinance history ({about})"
        raw = retried(lambda: self._once(first, last, request), request)
        return self._none() if raw is None or raw.empty else self._page(raw, request)

    def _once(self, first: pd.Timestamp, last: pd.Timestamp, request: str) -> Any:
        """yfinance's table, or None where Yahoo has no prices."""
        errors = self.yahoo.exceptions
        begin, end = self._ends(first, last)
        self.watch.begin()
        try:
            return self.yahoo.Ticker(self.symbol, session=self.watch.session).history(
                start=begin,
                end=end,
                interval=self.offer.name,
                auto_adjust=self.prices == "adjusted",
                actions=True,
                timeout=TIMEOUT,
                raise_errors=True,
            )
        except errors.YFRateLimitError as fault:
            raise Transient(f"Yahoo limits requests: {fault}", "Run again in some hours, or fetch less") from fault
        except errors.YFTickerMissingError as missing:  # no zone, no prices: unknown, delisted, or nothing in that time
            if self.watch.trouble is not None:
                raise self.watch.trouble from missing
            if self.watch.refused is not None:
                advice = "Check whether Yahoo lets you in from here"
                raise RequestRefused(request, self.watch.refused, redacted(str(missing)), advice) from missing
            return None
        except errors.YFException as refusal:
            raise RequestRefused(request, None, redacted(str(refusal)), "Check ingest in params.yaml") from refusal
        except (OSError, json.JSONDecodeError, RuntimeError) as fault:
            raise _passing(fault) from fault  # its network errors are OSErrors

    def _ends(self, first: pd.Timestamp, last: pd.Timestamp) -> tuple[Any, Any]:
        """Yahoo's begin (included) and end (left out): dates of the exchange's days, or moments."""
        import pandas as pd

        if self.offer.name == "1d":
            return f"{first:%Y-%m-%d}", f"{last + pd.Timedelta(days=1):%Y-%m-%d}"
        return first.floor("s").to_pydatetime(), (last + pd.Timedelta(seconds=1)).to_pydatetime()

    def _page(self, raw: pd.DataFrame, request: str) -> pd.DataFrame:
        import pandas as pd

        index = pd.DatetimeIndex(raw.index)
        if self.offer.name == "1d":
            # Midnight in Tokyo is another date in UTC: the trading date itself is kept.
            times = index.tz_localize(None).normalize().tz_localize("UTC")
        else:
            times = index.tz_convert("UTC")
        page = page_of(self.symbol, times.as_unit("us"), {name: raw[name.capitalize()] for name in COLUMNS}, request)
        return page.assign(**{SPLITS: raw[SPLITS].to_numpy() if SPLITS in raw.columns else 0.0})

    def _none(self) -> pd.DataFrame:
        import pandas as pd

        nothing = page_of(self.symbol, pd.DatetimeIndex([], tz="UTC").as_unit("us"), dict.fromkeys(COLUMNS, ()), "")
        return nothing.assign(**{SPLITS: 0.0})
