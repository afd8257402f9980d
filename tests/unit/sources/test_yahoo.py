"""The Yahoo source.

A small module in yfinance's place mimics what its manual documents:
`Ticker(symbol, session).history(start, end, interval, auto_adjust, actions, timeout, raise_errors)` with an end that is
left out, an index in the exchange's zone, capitalized columns, `Stock Splits`, and the errors of `yfinance.exceptions`.
So zones, splits and errors can be written down here, and the tests run where yfinance is not installed. The last test
holds the names to the real one; `test_yahoo_http.py` has the real one against a server.
"""

from __future__ import annotations

import inspect
import json
import sys
from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest

from betti import sources
from betti.errors import BadInput, BadParam, PartUnavailable, UnknownName
from betti.sources import _paging
from betti.sources._http import RequestRefused, SourceUnreachable
from tests.conftest import random_bars
from tests.unit.sources.files import END
from tests.unit.sources.server import Waits

NOW = pd.Timestamp("2026-03-20 15:00", tz="UTC")
NAMES = ["Open", "High", "Low", "Close", "Volume"]


def errors() -> SimpleNamespace:
    base = type("YFException", (Exception,), {})
    missing = type("YFTickerMissingError", (base,), {})
    return SimpleNamespace(
        YFException=base,
        YFTickerMissingError=missing,
        YFPricesMissingError=type("YFPricesMissingError", (missing,), {}),
        YFRateLimitError=type("YFRateLimitError", (base,), {}),
    )


class Yahoo(ModuleType):
    """One ticker, its bars in the exchange's zone, and the requests for them."""

    def __init__(self, bars: pd.DataFrame) -> None:
        super().__init__("yfinance")
        self.exceptions = errors()
        self.bars = bars
        self.asked: list[dict[str, object]] = []
        self.script: list[Exception | None] = []

    def Ticker(self, symbol: str, session: object) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(history=lambda **how: self._history(symbol, **how))

    def _history(self, symbol: str, *, start, end, interval, auto_adjust, actions, timeout, raise_errors):
        assert actions
        assert raise_errors
        assert timeout
        self.asked.append({"symbol": symbol, "start": start, "end": end, "interval": interval, "adjusted": auto_adjust})
        fault = self.script.pop(0) if self.script else None
        if fault is not None:
            raise fault
        zone = self.bars.index.tz
        first, last = (pd.Timestamp(time) for time in (start, end))
        first, last = (time.tz_localize(zone) if time.tzinfo is None else time for time in (first, last))
        found = self.bars[(self.bars.index >= first) & (self.bars.index < last)]
        if symbol != "AAPL" or found.empty:
            raise self.exceptions.YFPricesMissingError("possibly delisted; no price data found")
        return found


def table(stamps: pd.DatetimeIndex) -> pd.DataFrame:
    bars = random_bars(len(stamps))
    prices = bars[[name.lower() for name in NAMES]].set_axis(NAMES, axis=1)
    return prices.set_axis(stamps).assign(**{"Dividends": 0.0, "Stock Splits": 0.0})


def daily(zone: str = "America/New_York") -> pd.DataFrame:
    return table(pd.bdate_range("2026-01-02", "2026-03-20", tz=zone))


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    monkeypatch.setattr(_paging, "clock", lambda: NOW)
    return Waits(monkeypatch)


@pytest.fixture
def yahoo(monkeypatch):
    module = Yahoo(daily())
    monkeypatch.setitem(sys.modules, "yfinance", module)
    session = SimpleNamespace(request=lambda *_, **__: None)  # nothing here goes over a network
    monkeypatch.setitem(sys.modules, "curl_cffi.requests", SimpleNamespace(Session=lambda *, impersonate: session))
    return module


def read(symbol="AAPL", interval="1d", until=END, since=None, **options):
    return sources.fetch("yahoo", (symbol,), interval, until, options, since=since)


def stamps(*dates: str) -> list[pd.Timestamp]:
    return [pd.Timestamp(date, tz="UTC") for date in dates]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC", "Pacific/Auckland"])
def test_a_daily_bar_carries_its_trading_date(yahoo, zone):
    yahoo.bars = daily(zone)
    found = read()
    assert found["timestamp"].head(3).tolist() == stamps("2026-01-02", "2026-01-05", "2026-01-06")
    assert found["timestamp"].max() == pd.Timestamp("2026-03-19", tz="UTC"), "today's bar is still open"
    assert list(found.columns) == ["timestamp", "symbol", "open", "high", "low", "close", "volume"]
    assert found["close"].tolist() == yahoo.bars["Close"].head(len(found)).tolist()
    assert str(found["timestamp"].dtype) == "datetime64[us, UTC]"


def test_intraday_bars_are_turned_to_utc_across_a_clock_change(yahoo):
    """New York is five hours behind until 8 March 2026, and four after."""
    open_times = [f"2026-03-{day:02} 09:30" for day in (5, 6, 9, 10)]
    yahoo.bars = table(pd.DatetimeIndex(open_times).tz_localize("America/New_York"))
    found = read(interval="1h")
    assert found["timestamp"].dt.strftime("%d %H:%M").tolist() == ["05 14:30", "06 14:30", "09 13:30", "10 13:30"]
    assert yahoo.asked[0]["interval"] == "1h"


def test_the_request_is_as_documented(yahoo):
    read(start="2026-01-10", until=pd.Timestamp("2026-02-03", tz="UTC"))
    wanted = {"symbol": "AAPL", "start": "2026-01-10", "end": "2026-02-04", "interval": "1d", "adjusted": True}
    assert yahoo.asked == [wanted]
    read(prices="raw")
    assert yahoo.asked[1]["adjusted"] is False
    assert yahoo.asked[1]["start"] == "1900-01-01"


@pytest.mark.parametrize(("interval", "days"), [("1m", 29), ("15m", 59), ("60m", 729)])
def test_intraday_history_begins_where_yahoo_keeps_it(yahoo, interval, days):
    yahoo.bars = table(pd.date_range(NOW - pd.Timedelta("2D"), NOW, freq="1h", tz="UTC"))
    read(interval=interval, start="1999-01-01")
    assert pd.Timestamp(yahoo.asked[0]["start"]) == NOW - pd.Timedelta(days=days)


def test_minutes_come_in_weeks_and_none_is_lost_between_them(yahoo):
    yahoo.bars = table(pd.date_range(NOW - pd.Timedelta("20D"), NOW, freq="30min", tz="UTC").floor("min"))
    found = read(interval="1m")
    assert len(yahoo.asked) == 5
    assert all(pd.Timestamp(a["end"]) - pd.Timestamp(a["start"]) < pd.Timedelta("7.1D") for a in yahoo.asked)
    wanted = yahoo.bars.index[yahoo.bars.index <= NOW - pd.Timedelta("1min")]
    assert found["timestamp"].tolist() == wanted.tolist()


SINCE = {"AAPL": pd.Timestamp("2026-03-10", tz="UTC")}


def test_raw_prices_are_fetched_from_where_they_end(yahoo):
    found = read(prices="raw", since=SINCE)
    assert found["timestamp"].min() == SINCE["AAPL"]
    assert [request["start"] for request in yahoo.asked] == ["2026-03-10"]


def test_adjusted_prices_are_fetched_whole(yahoo):
    """A dividend changes all earlier prices: half of them would be of another base."""
    assert len(read(since=SINCE)) == len(read())
    assert yahoo.asked[0]["start"] == "1900-01-01"


def test_a_split_among_what_is_new_fetches_raw_prices_whole(yahoo):
    yahoo.bars.loc["2026-03-12", "Stock Splits"] = 4.0
    found = read(prices="raw", since=SINCE)
    assert [request["start"] for request in yahoo.asked] == ["2026-03-10", "1900-01-01"]
    assert found["timestamp"].min() == pd.Timestamp("2026-01-02", tz="UTC")
    assert not found["timestamp"].duplicated().any()
    assert "Stock Splits" not in found.columns


def test_nothing_new_is_no_fault(yahoo):
    assert read(prices="raw", since={"AAPL": pd.Timestamp("2026-03-21", tz="UTC")}).empty
    yahoo.bars = yahoo.bars[:"2026-03-01"]
    assert read(prices="raw", since=SINCE).empty


def test_a_symbol_without_prices_is_unknown(yahoo):
    with pytest.raises(UnknownName, match=r"'APPL'.*finance\.yahoo\.com"):
        read("APPL")


@pytest.mark.parametrize(
    "fault", [ConnectionError("reset"), TimeoutError(), json.JSONDecodeError("x", "", 0), RuntimeError("down"), "rate"]
)
def test_what_may_pass_is_asked_again(yahoo, waits, fault):
    yahoo.script = [yahoo.exceptions.YFRateLimitError("Too Many Requests") if fault == "rate" else fault]
    assert len(read()) == len(yahoo.bars) - 1
    assert len(waits.seconds) == 1


def test_what_stays_names_the_request(yahoo):
    yahoo.script = [yahoo.exceptions.YFRateLimitError("Too Many Requests")] * 7
    with pytest.raises(SourceUnreachable, match=r"yfinance history \(AAPL 1d, 1900-01-01.*7 tries.*some hours"):
        read()


def test_a_refusal_is_final(yahoo, waits):
    yahoo.script = [yahoo.exceptions.YFException("no such period")]
    with pytest.raises(RequestRefused, match="no such period") as caught:
        read()
    assert isinstance(caught.value, BadInput)
    assert waits.seconds == []


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"interval": "4h"}, r"ingest\.interval = '4h': source 'yahoo' has 1m, 2m"),
        ({"start": "soon"}, r"ingest\.options\.start"),
        ({"prices": "nice"}, r"ingest\.options\.prices"),
    ],
)
def test_options_are_checked(yahoo, given, match):
    with pytest.raises(BadParam, match=match):
        read(**given)


def test_without_the_library_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "yfinance", None)  # what Python takes for a module that cannot be found
    with pytest.raises(PartUnavailable, match=r"source 'yahoo'.*pip install 'betti\[sources\]'"):
        read()


def test_the_real_library_has_what_is_used_of_it():
    """Without a network: names, errors and keywords."""
    real = pytest.importorskip("yfinance")
    for name in vars(errors()):
        assert issubclass(getattr(real.exceptions, name), real.exceptions.YFException)
    keywords = inspect.signature(real.scrapers.history.PriceHistory.history).parameters
    assert {"ticker", "session"} <= set(inspect.signature(real.Ticker).parameters)
    assert {"start", "end", "interval", "auto_adjust", "actions", "timeout", "raise_errors"} <= set(keywords)
