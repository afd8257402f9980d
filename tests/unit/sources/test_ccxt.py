"""The ccxt source.

A small module in the library's place mimics what its manual documents: the list `exchanges`, one class per exchange,
`load_markets`, `markets`, `symbols`, `timeframes`, `has`, `feature_value`, `fetch_ohlcv`, `last_response_headers`,
`on_rest_response`, and the tree of errors. So what an exchange says can be written down here, error by error, and the
tests run where ccxt is not installed. The last test holds the names to the real one; `test_ccxt_http.py` has the real
one against a server.
"""

from __future__ import annotations

import sys
import traceback
from types import ModuleType
from typing import ClassVar

import pandas as pd
import pytest

from betti import sources
from betti.errors import BadInput, BadParam, PartUnavailable, UnknownName
from betti.sources import _paging
from betti.sources._http import BadAnswer, RequestRefused, SourceUnreachable
from tests.conftest import random_bars
from tests.unit.sources.files import END
from tests.unit.sources.server import Waits

STEP = pd.Timedelta("1h")
BARS = random_bars(50, symbol="BTC/USDT", start="2024-01-01", freq="1h")
UNTIL = BARS["timestamp"].iloc[-1]
ROWS = [
    [bar.timestamp.value // 1_000_000, bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in BARS.itertuples()
]


def errors() -> dict[str, type[Exception]]:
    """The part of ccxt's tree of errors that matters here."""
    tree = {
        "BaseError": "", "ExchangeError": "BaseError", "OperationFailed": "BaseError",
        "AuthenticationError": "ExchangeError", "BadRequest": "ExchangeError", "BadSymbol": "BadRequest",
        "BadResponse": "ExchangeError", "NetworkError": "OperationFailed", "DDoSProtection": "NetworkError",
        "RateLimitExceeded": "NetworkError", "ExchangeNotAvailable": "NetworkError", "RequestTimeout": "NetworkError",
    }  # fmt: skip
    made: dict[str, type[Exception]] = {}
    for name, parent in tree.items():
        made[name] = type(name, (made.get(parent, Exception),), {})
    return made


class Exchange:
    """One exchange: pages of `limit` bars, as a stretch of time where `windowed`, with errors in the order written."""

    has: ClassVar[dict[str, object]] = {"fetchOHLCV": True}
    timeframes: ClassVar[dict[str, str]] = {"1m": "1m", "1h": "60", "1d": "D"}
    windowed = False
    limit: int | None = 7
    made: ClassVar[list[Exchange]]
    script: ClassVar[list[object]]

    def __init__(self, settings: dict[str, object]) -> None:
        self.settings = settings
        self.markets: dict[str, dict[str, str]] = {}
        self.symbols: list[str] = []
        self.last_response_headers: dict[str, str] | None = None
        self.asked: list[tuple[object, ...]] = []
        type(self).made.append(self)

    def on_rest_response(self, code: int, *rest: object) -> object:
        return rest[-3]

    def load_markets(self) -> dict[str, dict[str, str]]:
        self.markets = {"BTC/USDT": {"type": "spot"}, "BTC/USDT:USDT": {"type": "swap"}}
        self.symbols = sorted(self.markets)
        return self.markets

    def feature_value(self, symbol: str, method: str, name: str, default: object) -> object:
        assert (method, name) == ("fetchOHLCV", "limit")
        return self.limit if self.limit is not None else default

    def fetch_ohlcv(self, symbol: str, timeframe: str = "1m", since: int = 0, limit: int | None = None) -> object:
        self.asked.append((symbol, timeframe, since, limit))
        if self.script:
            fault = self.script.pop(0)
            if isinstance(fault, Exception):
                self.last_response_headers = {"Retry-After": "17"} if "limit" in str(fault) else {}
                raise fault
            return fault
        count = limit or 7
        end = since + count * 3_600_000 if self.windowed else END.value
        return [list(row) for row in ROWS if since <= row[0] < end][:count]


@pytest.fixture
def library(monkeypatch):
    """A module `ccxt` with one exchange, `kraken`."""
    module = ModuleType("ccxt")
    venue = type("kraken", (Exchange,), {"script": [], "made": []})
    vars(module).update(errors(), exchanges=["kraken", "okx"], kraken=venue, okx=venue)
    monkeypatch.setitem(sys.modules, "ccxt", module)
    monkeypatch.delenv("BETTI_CCXT_KEY", raising=False)
    monkeypatch.delenv("BETTI_CCXT_SECRET", raising=False)
    return module


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    return Waits(monkeypatch)


def read(symbol="BTC/USDT", interval="1h", until=UNTIL, since=None, **options):
    given = {"exchange": "kraken", "start": "2024-01-01", **options}
    return sources.fetch("ccxt", (symbol,), interval, until, given, since=since)


@pytest.mark.parametrize("limit", [1, 7, 49, 50, 500, None])
@pytest.mark.parametrize("windowed", [False, True])
def test_pages_make_the_whole(library, limit, windowed):
    library.kraken.limit, library.kraken.windowed = limit, windowed
    pd.testing.assert_frame_equal(read(), BARS)
    (venue,) = library.kraken.made
    assert {request[3] for request in venue.asked} == {limit}


def test_the_exchange_is_asked_politely(library):
    read(market="spot")
    (venue,) = library.kraken.made
    assert venue.settings == {"enableRateLimit": True, "timeout": 20_000, "options": {"defaultType": "spot"}}
    assert venue.asked[0] == ("BTC/USDT", "1h", ROWS[0][0], 7)


@pytest.mark.parametrize("name", ["RateLimitExceeded", "ExchangeNotAvailable", "RequestTimeout", "BadResponse"])
def test_what_may_pass_is_asked_again(library, waits, name):
    library.kraken.script = [getattr(library, name)("gone"), getattr(library, name)("gone")]
    pd.testing.assert_frame_equal(read(), BARS)
    assert len(waits.seconds) == 2


def test_retry_after_is_kept_to(library, waits):
    library.kraken.script = [library.RateLimitExceeded("over the limit")]
    read()
    assert 17 <= waits.seconds[0] <= 18


@pytest.mark.parametrize("fault", [[], ROWS[:7], ROWS[10:13], ROWS[7:14][::-1], ROWS[5:12]])
def test_one_bad_page_loses_nothing(library, fault):
    first = [ROWS[:7]]
    library.kraken.script = [*first, [list(row) for row in fault]]
    pd.testing.assert_frame_equal(read(), BARS)


def test_what_stays_names_the_request(library):
    library.kraken.script = [library.ExchangeNotAvailable("down")] * 7
    with pytest.raises(SourceUnreachable, match=r"ccxt 'kraken' \(BTC/USDT 1h, from 2024-01-01 00:00 UTC\).*7 tries"):
        read()


@pytest.mark.parametrize(
    ("name", "advice"),
    [("AuthenticationError", "BETTI_CCXT_KEY"), ("BadSymbol", "ingest.symbols"), ("ExchangeError", "ingest.options")],
)
def test_a_refusal_is_final(library, waits, name, advice):
    library.kraken.script = [getattr(library, name)("no")]
    with pytest.raises(RequestRefused, match=advice) as caught:
        read()
    assert isinstance(caught.value, BadInput)
    assert waits.seconds == []


def test_keys_come_from_the_environment_and_are_never_shown(library, monkeypatch):
    monkeypatch.setenv("BETTI_CCXT_KEY", "hush-key")
    monkeypatch.setenv("BETTI_CCXT_SECRET", "hush-secret")
    words = "GET https://x.org/p?apiKey=" + "hush-" + "key&signature=" + "f00 " + "hush-" + "secret"
    library.kraken.script = [library.AuthenticationError(words)]
    with pytest.raises(RequestRefused) as caught:
        read()
    (venue,) = library.kraken.made
    assert (venue.settings["apiKey"], venue.settings["secret"]) == ("hush-key", "hush-secret")
    shown = "".join(traceback.format_exception(caught.value))
    assert "apiKey=***" in shown
    for secret in ("hush-" + "key", "f0" + "0 ", "hush-" + "secret"):
        assert secret not in shown


@pytest.mark.parametrize("value", [None, {"error": 1}, [1, 2], [[1, 2]], [["t", 1, 2, 3, 4, 5]]])
def test_another_shape_is_an_error(library, value):
    library.kraken.script = [value]
    with pytest.raises(BadAnswer, match="no list of bars"):
        read()


def test_the_open_bar_is_left_out(library, monkeypatch):
    monkeypatch.setattr(_paging, "clock", lambda: UNTIL + pd.Timedelta("30min"))
    assert read()["timestamp"].max() == UNTIL - STEP


def test_a_later_fetch_asks_for_what_is_new_alone(library):
    since = BARS["timestamp"].iloc[45]
    pd.testing.assert_frame_equal(read(since={"BTC/USDT": since}), BARS.iloc[45:].reset_index(drop=True))
    (venue,) = library.kraken.made
    assert [request[2] for request in venue.asked] == [ROWS[45][0]]


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({"exchange": "krakn"}, UnknownName, "did you mean 'kraken'"),
        ({"symbol": "BTC/USD"}, UnknownName, "did you mean 'BTC/USDT'"),
        ({"symbol": "BTC/USDT:USDT"}, BadParam, "is a swap market"),
        ({"interval": "7m"}, BadParam, r"ingest\.interval = '7m': exchange 'kraken' has 1m, 1h, 1d"),
        ({"start": "soon"}, BadParam, r"ingest\.options\.start"),
        ({"market": "moon"}, BadParam, r"ingest\.options\.market"),
    ],
)
def test_options_are_checked(library, given, error, match):
    with pytest.raises(error, match=match):
        read(**given)


def test_an_exchange_without_bars_is_refused(library):
    library.kraken.has = {"fetchOHLCV": "emulated"}
    with pytest.raises(BadParam, match="it offers no bars"):
        read()


def test_without_the_library_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ccxt", None)  # what Python takes for a module that cannot be found
    with pytest.raises(PartUnavailable, match=r"source 'ccxt'.*pip install 'betti\[sources\]'"):
        read()


def test_the_real_library_has_what_is_used_of_it():
    """Without a network: names, errors and signatures, on an exchange whose markets are given by hand."""
    real = pytest.importorskip("ccxt")
    for name in errors():
        assert issubclass(getattr(real, name), Exception)
    assert issubclass(real.RateLimitExceeded, real.OperationFailed)
    assert issubclass(real.RequestTimeout, real.OperationFailed)
    assert "binance" in real.exchanges
    venue = real.binance({"enableRateLimit": True, "timeout": 20_000, "options": {"defaultType": "spot"}})
    assert venue.has["fetchOHLCV"] is True
    assert {"1m", "1h", "1d"} <= set(venue.timeframes)
    assert hasattr(venue, "last_response_headers")
    assert venue.on_rest_response(200, "OK", "", "GET", {}, "{}", {}, None) == "{}"
    assert callable(venue.feature_value)
    assert callable(venue.fetch_ohlcv)
