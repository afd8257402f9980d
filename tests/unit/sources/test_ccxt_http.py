"""The ccxt source with the real library, against a local server of Binance's klines that misbehaves by a script.

The exchange is ccxt's own `binance` with two things of its own replaced: its addresses, and its list of markets, which
is given by hand. What goes over the wire, and which error ccxt makes of an answer, is ccxt's.
"""

from __future__ import annotations

import pandas as pd
import pytest

from betti import sources
from betti.errors import BadInput
from betti.sources._http import RequestRefused, SourceUnreachable
from tests.conftest import random_bars
from tests.unit.sources import server
from tests.unit.sources.server import Fault, KlinesServer, Reply, Waits

ccxt = pytest.importorskip("ccxt", reason="the extra `sources` (ccxt) is not installed")

STEP = pd.Timedelta("15min")
MADE = random_bars(60, symbol="BTC/USDT", start="2024-01-01", freq="15min")
BARS = MADE.round(dict.fromkeys(MADE.columns[2:], 8))  # as many decimals as the exchange has
UNTIL = BARS["timestamp"].iloc[-1]
ROWS = server.klines(BARS, STEP)
MARKET = {"id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT",
          "type": "spot", "spot": True, "active": True, "linear": None, "inverse": None, "margin": False, "swap": False,
          "future": False, "option": False, "contract": False}  # fmt: skip


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    for name in ("BETTI_CCXT_KEY", "BETTI_CCXT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    return Waits(monkeypatch)


@pytest.fixture
def fetched(monkeypatch):
    """Fetch through a server with this script."""

    def fetch(script: list[Fault], limit: int = 10) -> pd.DataFrame:
        with KlinesServer({"BTCUSDT": ROWS}, script, limit) as there:
            monkeypatch.setattr(ccxt, "binance", at(there.url))
            return sources.fetch("ccxt", ("BTC/USDT",), "15m", UNTIL, {"exchange": "binance", "start": "2024-01-01"})

    return fetch


def at(url: str) -> type:
    """ccxt's binance at another address, with one market."""

    class Here(ccxt.binance):
        def load_markets(self, *_: object, **__: object) -> object:
            self.urls["api"] = dict.fromkeys(self.urls["api"], f"{url}/api/v3")
            self.rateLimit = 0
            return self.set_markets([self.safe_market_structure(MARKET)])

    return Here


def empty_body(status: int) -> Fault:
    return lambda rows: Reply(b"", status)


def page_of_html(status: int) -> Fault:
    return lambda rows: Reply(b"<html>Bad gateway</html>", status, {"Content-Type": "text/html"})


FAULTS = {
    "429": server.status(429, Retry_After="3"),
    "418": server.status(418),
    **{f"{code} as JSON": server.status(code) for code in (500, 502, 503, 504, 520)},
    "500 with nothing": empty_body(500),
    "503 as HTML": page_of_html(503),
    "truncated": server.truncated,
    "html": server.html,
    "cut": server.cut,
    "repeated": server.instead(ROWS[:10]),
    "half a page": server.short(5),
    "empty": server.empty,
    "out of order": server.shuffled,
    "hole": server.without(3, 4),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_that_passes_loses_nothing(fetched, fault):
    pd.testing.assert_frame_equal(fetched([server.plain, fault]), BARS)


def test_retry_after_is_kept_to(fetched, waits):
    fetched([server.status(503, Retry_After="17")])
    assert 17 <= waits.seconds[0] <= 18


def test_a_server_that_stays_in_trouble_is_no_fault_of_the_user(fetched):
    with pytest.raises(SourceUnreachable, match=r"BTC/USDT 15m, from 2024-01-01 02:30.*status 500.*7 tries") as caught:
        fetched([server.plain] + [server.status(500)] * 7)
    assert not isinstance(caught.value, BadInput)


def test_a_refusal_is_final_and_has_the_status_that_was_sent(fetched, waits):
    with pytest.raises(RequestRefused, match="refused with status 422") as caught:
        fetched([server.status(422)])
    assert caught.value.status == 422
    assert waits.seconds == []


def test_an_error_in_an_answer_that_is_well_says_so(fetched):
    """Some exchanges send their errors with status 200."""
    with pytest.raises(RequestRefused, match="refused with status 200") as caught:
        fetched([lambda rows: server.as_json({"code": -1, "msg": "an error"})])
    assert caught.value.status == 200


def test_a_status_of_an_earlier_answer_is_not_told(fetched, monkeypatch):
    """An error that ccxt raises before it asks has no status."""

    def refuses(*_: object, **__: object) -> None:
        raise ccxt.BadRequest("an argument that is none")

    monkeypatch.setattr(ccxt.binance, "fetch_ohlcv", refuses)
    with pytest.raises(RequestRefused, match=r"refused: 'BadRequest") as caught:
        fetched([])
    assert caught.value.status is None
