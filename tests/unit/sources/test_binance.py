"""The klines source against a local server that speaks the documented format, and misbehaves by a script."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from betti import sources
from betti.errors import BadInput, BadParam, UnknownName
from betti.schemas import BARS
from betti.sources import _paging, binance
from betti.sources._http import BadAnswer, RequestRefused, SourceUnreachable
from betti.sources._paging import RepeatingSource
from tests.conftest import random_bars
from tests.unit.sources import server
from tests.unit.sources.files import END
from tests.unit.sources.server import KlinesServer, Rows, Waits

STEP = pd.Timedelta("15min")
COUNT = 60


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    monkeypatch.delenv("BETTI_BINANCE_KEY", raising=False)
    return Waits(monkeypatch)


def market(rows: int = COUNT, symbol: str = "BTCUSDT", seed: int = 0) -> pd.DataFrame:
    """Bars whose numbers have eight decimals, as the exchange's have."""
    bars = random_bars(rows, seed, symbol, start="2024-01-01", freq="15min")
    return bars.round(dict.fromkeys(bars.columns[2:], 8))


BARS_THERE = market()
ROWS = server.klines(BARS_THERE, STEP)


def read(there: KlinesServer, until: pd.Timestamp = END, **more: object) -> pd.DataFrame:
    since = more.pop("since", None)
    given = None if since is None else dict.fromkeys(there.markets, since)
    symbols = tuple(there.markets)
    return sources.fetch("binance", symbols, "15m", until, {"base_url": there.url, **more}, since=given)


def fetched(script: list[server.Fault] | None = None, limit: int = 10, rows: Rows = ROWS) -> pd.DataFrame:
    with KlinesServer({"BTCUSDT": rows}, script, limit) as there:
        return read(there)


def assert_all_there(found: pd.DataFrame, wanted: pd.DataFrame = BARS_THERE) -> None:
    pd.testing.assert_frame_equal(found[wanted.columns], wanted)


def test_bars_are_those_of_the_exchange():
    found = fetched()
    assert_all_there(found)
    assert list(found.columns) == [name for name in BARS.names if name != "open_interest"]
    assert str(found["timestamp"].dtype) == "datetime64[us, UTC]"
    assert (found["trades"] == 7).all()
    halves = BARS_THERE["volume"] / 2
    assert (found["buy_volume"] - halves).abs().max() <= 1e-8
    assert (found["buy_volume"] + found["sell_volume"] - found["volume"]).abs().max() < 1e-8


def test_the_request_is_as_documented():
    with KlinesServer({"BTCUSDT": ROWS}, limit=1000) as there:
        read(there, start="2024-01-01T01:00", until=pd.Timestamp("2024-01-01T02:00", tz="UTC"))
    (asked,) = there.requests
    assert asked.path == "/api/v3/klines"
    first, last = ROWS[4][0], ROWS[8][0]
    wanted = {"symbol": "BTCUSDT", "interval": "15m", "startTime": str(first), "endTime": str(last), "limit": "1000"}
    assert asked.query == wanted


ONE_PAGE = ROWS[:10]
FAULTS = {
    "429": server.status(429, Retry_After="3"),
    "418": server.status(418),
    "500": server.status(500),
    "truncated": server.truncated,
    "html": server.html,
    "cut": server.cut,
    "repeated": server.instead(ONE_PAGE),
    "one row": server.short(1),
    "half a page": server.short(5),
    "empty": server.empty,
    "out of order": server.shuffled,
    "hole": server.without(3, 4),
}


@pytest.mark.parametrize("at", [0, 1, 3])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_that_passes_loses_nothing(fault, at):
    assert_all_there(fetched([server.plain] * at + [fault]))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.lists(st.sampled_from([server.plain, *FAULTS.values()]), max_size=12),
    gaps=st.sets(st.integers(len(ONE_PAGE), COUNT - 1), max_size=20),
    limit=st.integers(5, 30),
)
def test_nothing_is_lost_and_nothing_comes_twice(faults, gaps, limit):
    there = [number not in gaps for number in range(COUNT)]
    rows = [row for row, present in zip(ROWS, there, strict=True) if present]
    script = [entry for fault in faults for entry in (fault, server.plain)]
    assert_all_there(fetched(script, limit, rows), BARS_THERE[there].reset_index(drop=True))


def test_a_slow_answer_is_asked_for_again(monkeypatch):
    waits = Waits(monkeypatch, silence=0.1)
    assert_all_there(fetched([server.slow(30.0)]))
    assert len(waits.seconds) == 1


def test_retry_after_is_kept_to(waits):
    fetched([server.status(429, Retry_After="17")])
    assert 17 <= waits.seconds[0] <= 18


def test_a_gap_of_the_market_stays_a_gap():
    rows = ROWS[:13] + ROWS[20:]
    with KlinesServer({"BTCUSDT": rows}, limit=10) as there:
        found = read(there, until=BARS_THERE["timestamp"].iloc[-1])
    assert_all_there(found, BARS_THERE.drop(index=range(13, 20)).reset_index(drop=True))
    assert len(there.asked()) <= 8


def test_the_open_bar_is_neither_asked_for_nor_kept(monkeypatch):
    opened = BARS_THERE["timestamp"].iloc[20]
    monkeypatch.setattr(_paging, "clock", lambda: opened + pd.Timedelta("14min"))
    with KlinesServer({"BTCUSDT": ROWS}, [server.instead(ROWS[:21])]) as there:
        found = read(there)
    assert found["timestamp"].max() == opened - STEP
    assert int(there.asked()[0].query["endTime"]) < ROWS[20][0]


def test_a_later_fetch_asks_for_what_is_new_alone():
    since = BARS_THERE["timestamp"].iloc[55]
    with KlinesServer({"BTCUSDT": ROWS}) as there:
        found = read(there, until=BARS_THERE["timestamp"].iloc[-1], since=since)
    assert_all_there(found, BARS_THERE.iloc[55:].reset_index(drop=True))
    assert [request.query["startTime"] for request in there.asked()] == [str(ROWS[55][0])]


def test_nothing_new_is_no_fault():
    with KlinesServer({"BTCUSDT": ROWS}) as there:
        found = read(there, since=END - STEP)
    assert found.empty
    assert str(found["timestamp"].dtype) == "datetime64[us, UTC]"


def test_several_symbols_come_one_after_the_other():
    other = market(7, "ETHUSDT", seed=3)
    with KlinesServer({"BTCUSDT": ROWS, "ETHUSDT": server.klines(other, STEP)}) as there:
        found = read(there)
    assert_all_there(found[found["symbol"] == "ETHUSDT"].reset_index(drop=True), other)
    assert_all_there(found[found["symbol"] == "BTCUSDT"].reset_index(drop=True))


def test_an_error_says_which_request_failed_and_what_to_do():
    with pytest.raises(SourceUnreachable) as caught:
        fetched([server.plain] + [server.status(500)] * 7)
    text = str(caught.value)
    assert f"symbol=BTCUSDT&interval=15m&startTime={ROWS[10][0]}" in text
    assert "(BTCUSDT 15m, 2024-01-01 02:30 to " in text
    assert "run again later" in text


def test_pages_before_the_failure_have_come():
    """What a fetch that fails has brought so far is the beginning, without a hole."""
    with KlinesServer({"BTCUSDT": ROWS}, [server.plain] * 3 + [server.status(500)] * 7, limit=10) as there:
        pages = _paging.pages(
            binance._Market(binance.Client(there.url), "BTCUSDT", "15m").ask, BARS_THERE["timestamp"].iloc[0], END, STEP
        )
        got = []
        with pytest.raises(SourceUnreachable):
            got.extend(pages)
    assert_all_there(pd.concat(got, ignore_index=True), BARS_THERE.head(30))


@pytest.mark.parametrize(
    "value",
    [{"data": []}, None, "no", [1, 2], [[1, 2]], [ROWS[0], ["1704067200000", *ROWS[1][1:]]],
     [[ROWS[0][0] // 1000, *ROWS[0][1:]]], [[*ROWS[0][:4], "cheap", *ROWS[0][5:]]]],
    ids=["object", "null", "text", "numbers", "short rows", "time as text", "seconds", "text in a price"],
)  # fmt: skip
def test_another_shape_is_an_error_with_what_was_found(value):
    with pytest.raises(BadAnswer, match=r"GET http://127\.0\.0\.1.*BTCUSDT 15m") as caught:
        fetched([server.shape(value)])
    assert not isinstance(caught.value, BadInput)


def test_html_that_stays_says_that_the_address_may_be_wrong():
    with pytest.raises(SourceUnreachable, match=r"HTML.*Maintenance.*base_url"):
        fetched([server.html] * 7)


def test_a_server_that_repeats_itself_forever_is_an_error():
    with pytest.raises(RepeatingSource, match="BTCUSDT"):
        fetched([server.plain] + [server.instead(ONE_PAGE)] * 2)


def test_an_unknown_symbol_names_those_that_the_server_has():
    with KlinesServer({"BTCUSDT": ROWS}) as there, pytest.raises(UnknownName, match=r"did you mean 'BTCUSDT'"):
        sources.fetch("binance", ("BTCUSD",), "15m", END, {"base_url": there.url})


def test_another_refusal_keeps_the_servers_words():
    refusal = server.as_json({"code": -1100, "msg": "Illegal characters found."}, 400)
    with pytest.raises(RequestRefused, match=r"status 400: .*Illegal characters"):
        fetched([lambda rows: refusal])


@pytest.mark.parametrize(
    ("options", "interval", "match"),
    [
        ({}, "7m", r"ingest\.interval = '7m'.*15m"),
        ({"start": "soon"}, "15m", r"ingest\.options\.start"),
        ({"base_url": "ftp://x"}, "15m", r"ingest\.options\.base_url"),
    ],
)
def test_options_are_checked(options, interval, match):
    with pytest.raises(BadParam, match=match):
        sources.fetch("binance", ("X",), interval, END, options)


def test_a_key_from_the_environment_is_sent_and_never_shown(monkeypatch):
    monkeypatch.setenv("BETTI_BINANCE_KEY", "hush-hush")
    with KlinesServer({"BTCUSDT": ROWS}, [server.status(403)]) as there, pytest.raises(RequestRefused) as caught:
        read(there)
    assert {name.lower(): text for name, text in there.requests[0].headers.items()}["x-mbx-apikey"] == "hush-hush"
    assert "hush-hush" not in str(caught.value)
