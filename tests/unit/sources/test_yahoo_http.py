"""The Yahoo source with the real yfinance and curl_cffi, against a local server that misbehaves by a script.

yfinance's addresses stand in its code, so the one thing replaced is where a session sends its requests: to
http://127.0.0.1/HOST/PATH instead of https://HOST/PATH. What goes over the wire, and what yfinance makes of an answer,
is yfinance's.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import pandas as pd
import pytest

from betti import sources
from betti.errors import UnknownName
from betti.sources._http import RequestRefused, SourceUnreachable
from tests.unit.sources.server import Fault, KlinesServer, Reply, Request, Rows, Waits, as_json, cut, html, truncated

yfinance = pytest.importorskip("yfinance", reason="the extra `sources` (yfinance) is not installed")
curl = pytest.importorskip("curl_cffi.requests", reason="yfinance without curl_cffi sends its requests another way")

pytestmark = pytest.mark.filterwarnings("ignore:'raise_errors' deprecated:DeprecationWarning")

DAYS = pd.bdate_range("2026-01-05", "2026-01-30", tz="America/New_York")
UNTIL = pd.Timestamp("2026-01-31", tz="UTC")
META = {"currency": "USD", "symbol": "AAPL", "exchangeTimezoneName": "America/New_York", "instrumentType": "EQUITY",
        "dataGranularity": "1d", "validRanges": ["1d", "max"], "regularMarketTime": 1769788800,
        "currentTradingPeriod": {name: {"start": 0, "end": 1, "timezone": "EST", "gmtoffset": -18000}
                                 for name in ("pre", "regular", "post")}}  # fmt: skip


def chart(first: int, last: int) -> object:
    """Yahoo's answer: one bar a day, stamped with the opening of the exchange."""
    opened = [int((day + pd.Timedelta("9h30min")).timestamp()) for day in DAYS]
    kept = [(time, 100.0 + place) for place, time in enumerate(opened) if first <= time < last]
    prices = [price for _, price in kept]
    quote = {"open": prices, "high": [p + 1 for p in prices], "low": [p - 1 for p in prices], "close": prices,
             "volume": [1000] * len(prices)}  # fmt: skip
    indicators = {"quote": [quote], "adjclose": [{"adjclose": prices}]}
    return {"chart": {"result": [{"meta": META, "timestamp": [t for t, _ in kept], "indicators": indicators}],
                      "error": None}}  # fmt: skip


def error(code: str) -> object:
    return {"chart": {"result": None, "error": {"code": code, "description": "in Yahoo's words"}}}


def replies(status: int, body: object) -> Fault:
    return lambda rows: as_json(body, status)


class Yahoo(KlinesServer):
    """The same server with Yahoo's answers; a fault takes the place of an answer about prices, zones aside."""

    def reply(self, request: Request) -> Reply:
        self.requests.append(request)
        if "/v8/finance/chart/" not in request.path:
            return Reply(b"a crumb" if request.path.endswith("getcrumb") else b"")
        if not request.path.endswith("/AAPL"):
            return as_json(error("Not Found"), 404)
        rows: Rows = [[chart(int(request.query.get("period1", 0)), int(request.query.get("period2", 2**40)))]]
        fault = self.script.pop(0) if self.script else answer
        return fault(rows)


def answer(rows: Rows) -> Reply:
    return as_json(rows[0][0])


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    return Waits(monkeypatch)


@pytest.fixture
def there(monkeypatch, tmp_path):
    """A server, and a yfinance that has no cookies and no answers of earlier tests."""
    monkeypatch.setattr(yfinance.data.SingletonMeta, "_instances", {})
    monkeypatch.setattr(yfinance.cache, "get_tz_cache", lambda: yfinance.cache._TzCacheDummy())
    monkeypatch.setattr(yfinance.cache, "get_cookie_cache", lambda: yfinance.cache._CookieCacheDummy())
    plain = curl.Session.request
    with Yahoo({}) as server:

        def here(session: object, method: str, url: str, **how: object) -> object:
            parts = urlsplit(url)
            return plain(session, method, f"{server.url}/{parts.hostname}{parts.path}", **how)

        monkeypatch.setattr(curl.Session, "request", here)
        yield server


def read(symbol: str = "AAPL") -> pd.DataFrame:
    return sources.fetch("yahoo", (symbol,), "1d", UNTIL, {"start": "2026-01-01"})


def assert_whole(found: pd.DataFrame) -> None:
    assert [f"{time:%Y-%m-%d}" for time in found["timestamp"]] == [f"{day:%Y-%m-%d}" for day in DAYS]
    assert found["close"].tolist() == [100.0 + place for place in range(len(DAYS))]


def test_bars_are_those_of_the_server(there):
    assert_whole(read())
    asked = [request for request in there.requests if "chart" in request.path]
    assert asked[-1].path == "/query2.finance.yahoo.com/v8/finance/chart/AAPL"
    assert asked[-1].query["interval"] == "1d"


FAULTS = {
    **{f"{code} as JSON": replies(code, error("Internal Server Error")) for code in (500, 502, 503)},
    "500 of another shape": replies(500, {"finance": {"result": None, "error": {"code": "x", "description": "y"}}}),
    "500 with nothing": lambda rows: Reply(b"", 500),
    "429": lambda rows: Reply(b"Too Many Requests", 429),
    "html": html,
    "truncated": lambda rows: truncated(rows[0][0]),
    "cut": lambda rows: cut(rows[0][0]),
}


@pytest.mark.parametrize("at", [0, 1], ids=["zone", "prices"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_that_passes_loses_nothing(there, fault, at):
    """Three times in a row: yfinance asks some twice by itself, with other cookies."""
    there.script = [answer] * at + [fault] * 3
    assert_whole(read())


@pytest.mark.parametrize("at", [0, 1], ids=["zone", "prices"])
@pytest.mark.parametrize("name", ["500 as JSON", "html"])
def test_a_server_that_stays_in_trouble_is_no_unknown_symbol(there, name, at):
    there.script = [answer] * at + [FAULTS[name]] * 100
    with pytest.raises(SourceUnreachable, match=r"yfinance history \(AAPL 1d, 2026-01-01.*7 tries"):
        read()


def test_retry_after_is_kept_to(there, waits):
    there.script = [answer, lambda rows: as_json({}, 503, Retry_After="17")]
    assert_whole(read())
    assert 17 <= waits.seconds[0] <= 18


def test_a_closed_door_is_no_unknown_symbol(there):
    there.script = [answer] + [replies(401, {"finance": {"error": {"code": "Unauthorized"}}})] * 10
    with pytest.raises(RequestRefused, match="refused with status 401") as caught:
        read()
    assert caught.value.status == 401


def test_a_symbol_without_prices_is_unknown(there, waits):
    with pytest.raises(UnknownName, match="'APPL'"):
        read("APPL")
    assert waits.seconds == []
