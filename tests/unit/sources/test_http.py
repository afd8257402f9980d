"""Requests against a real local server that misbehaves; the waits are noted instead of slept."""

from __future__ import annotations

import logging
import random
import socket
import time
import traceback
from dataclasses import replace
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betti.errors import BadInput, BettiError, PartUnavailable
from betti.sources import _http
from betti.sources._http import Client, Patience, RequestRefused, SourceUnreachable, Transient
from tests.unit.sources import server
from tests.unit.sources.server import KlinesServer, Waits

ROWS = [[1_600_000_000_000, "1", "2", "0.5", "1.5", "10", 1_600_000_059_999, "0", 3, "4", "0", "0"]]
SECRETS = ("hush-hush", "s3cr3t", "f00f00f00")  # by name, since a traceback shows the lines of this file
QUERY = {"symbol": "X", "interval": "1m", "startTime": 0, "endTime": 9_000_000_000_000, "limit": 1000}


@pytest.fixture
def waits(monkeypatch):
    return Waits(monkeypatch)


def ask(script, headers=None, query=QUERY):
    """One question to a server with this script; the answer, and how often it was asked."""
    with KlinesServer({"X": ROWS}, script) as there, Client(there.url, headers) as client:
        return client.get("/api/v3/klines", query, "X 1m, all of it"), len(there.asked())


@pytest.mark.parametrize(
    "fault",
    [server.status(408), server.status(418), server.status(429), server.status(500), server.status(503),
     server.truncated, server.html, server.cut],
)  # fmt: skip
def test_what_may_pass_is_asked_again(waits, fault):
    assert ask([fault, fault]) == (ROWS, 3)
    assert len(waits.seconds) == 2


def test_a_redirect_is_not_followed_but_named(waits):
    with pytest.raises(RequestRefused, match=r"moved to https://else\.org/.*base_url"):
        ask([server.status(301, Location="https://else.org/")], {"X-MBX-APIKEY": "hush"})


@pytest.mark.parametrize(
    ("status", "advice"),
    [(400, "ingest.symbols"), (401, "key"), (403, "key"), (404, "base_url"), (451, "country")],
)
def test_what_does_not_pass_is_asked_once(waits, status, advice):
    with pytest.raises(RequestRefused, match=advice) as caught:
        ask([server.status(status)])
    assert isinstance(caught.value, BadInput), "the flow tries again what is no BadInput"
    assert caught.value.status == status
    assert waits.seconds == []


def test_an_error_names_the_request_and_what_to_do(waits):
    with pytest.raises(SourceUnreachable) as caught:
        ask([server.status(500)] * 7)
    text = str(caught.value)
    assert "GET http://127.0.0.1:" in text
    assert "symbol=X&interval=1m&startTime=0" in text
    assert "(X 1m, all of it)" in text
    assert "status 500" in text
    assert "gave up after 7 tries" in text
    assert "run again later" in text
    assert not isinstance(caught.value, BadInput)


def test_waits_double_with_jitter_up_to_the_longest(waits):
    with pytest.raises(SourceUnreachable):
        _http.retried(fails(), "x", Patience(tries=12, total=1e9))
    for number, seconds in enumerate(waits.seconds):
        longest = min(60.0, 2.0**number)
        assert longest / 2 <= seconds <= longest
    assert len(waits.seconds) == 11
    assert len({seconds / min(60.0, 2.0**n) for n, seconds in enumerate(waits.seconds)}) == 11, "no jitter"


def fails(seconds=None, times=10**9):
    """An attempt that fails so often, each time asking for a wait of so long."""
    left = iter(range(times))

    def attempt():
        if next(left, None) is None:
            return "done"
        raise Transient("no", "Later", seconds)

    return attempt


@given(asked=st.floats(0, 500), seed=st.integers(0, 99))
def test_the_wait_is_never_shorter_than_the_server_asks(asked, seed):
    random.seed(seed)
    assert asked <= _http._pause(1, asked, Patience()) <= asked + 1.0


def test_retry_after_is_kept_to_over_the_wire(waits):
    assert ask([server.status(429, Retry_After="37")])[0] == ROWS
    assert 37 <= waits.seconds[0] <= 38


def test_retry_after_may_be_a_date():
    assert _http.retry_after({"Retry-After": formatdate(time.time() + 90, usegmt=True)}) == pytest.approx(90, abs=2)
    assert _http.retry_after({"Retry-After": formatdate(time.time() - 90, usegmt=True)}) == 0.0
    assert _http.retry_after({}) is None
    assert _http.retry_after(None) is None
    assert _http.retry_after({"retry-after": "-5"}) is None


def test_a_longer_wait_than_the_time_left_is_not_begun(waits):
    with pytest.raises(SourceUnreachable, match=r"asks to wait 7200 s.*1 tries.*limits how often"):
        ask([server.status(418, Retry_After="7200")])
    assert waits.seconds == []


def test_the_whole_time_is_limited(waits):
    with pytest.raises(SourceUnreachable):
        _http.retried(fails(40.0), "x", Patience(tries=1000, total=300.0))
    assert sum(waits.seconds) <= 300.0
    assert len(waits.seconds) >= 7


def test_it_stops_when_it_succeeds(waits):
    assert _http.retried(fails(times=3), "x", Patience()) == "done"
    assert len(waits.seconds) == 3


def test_a_silent_server_is_given_up(monkeypatch):
    waits = Waits(monkeypatch, silence=0.1, tries=2)
    with pytest.raises(SourceUnreachable, match=r"no answer in 0\.1 s; gave up after 2 tries.*proxy"):
        ask([server.slow(30.0)] * 2)
    assert len(waits.seconds) == 1


def test_a_trickling_answer_is_given_up(monkeypatch):
    """Each byte comes in time, so that a limit on silence alone would wait for all of them."""
    waits = Waits(monkeypatch, answer=0.1, tries=1)
    monkeypatch.setattr(_http, "now", time.monotonic)
    began = time.monotonic()
    with pytest.raises(SourceUnreachable, match=r"not whole after 0\.1 s"):
        ask([server.trickling(0.03)])
    assert time.monotonic() - began < 2.0
    assert waits.seconds == []


def test_nobody_there_is_said_so(waits):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with Client(url) as client, pytest.raises(SourceUnreachable, match=r"connection failed \(ConnectError.*network"):
        client.get("/x", {}, "anything")


def test_requests_keep_their_distance(monkeypatch):
    waits = Waits(monkeypatch)
    monkeypatch.setattr(_http, "PATIENCE", replace(_http.PATIENCE, pace=0.5))
    with KlinesServer({"X": ROWS}) as there, Client(there.url) as client:
        for _ in range(3):
            client.get("/api/v3/klines", QUERY, "X")
    assert waits.seconds == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("fault", [server.status(403), server.status(500), server.html, server.cut])
def test_no_key_in_errors_logs_or_tracebacks(waits, caplog, fault):
    """A key in the environment goes into headers, one that a server wants in the query is known by its name."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(BettiError) as caught:
        ask([fault] * 7, {"X-MBX-APIKEY": SECRETS[0]}, {**QUERY, "api_key": SECRETS[1], "signature": SECRETS[2]})
    shown = "".join(traceback.format_exception(caught.value))
    assert "127.0.0.1" in shown
    assert "api_key=***" in shown
    for secret in SECRETS:
        assert secret not in shown
        assert secret not in caplog.text


def test_a_key_that_the_server_repeats_is_not_shown(waits):
    echo = server.as_json({"msg": "no such key hush-hush"}, 401)
    with pytest.raises(RequestRefused, match=r"no such key \*\*\*"):
        ask([lambda rows: echo], {"X-MBX-APIKEY": "hush-hush"})


def test_the_key_is_sent(waits):
    with KlinesServer({"X": ROWS}) as there, Client(there.url, {"X-MBX-APIKEY": "hush"}) as client:
        client.get("/api/v3/klines", QUERY, "X")
    names = {name.lower(): value for name, value in there.requests[0].headers.items()}
    assert names["x-mbx-apikey"] == "hush"


@given(st.text(st.characters(codec="utf-8"), min_size=4, max_size=20).filter(lambda text: "*" not in text))
def test_a_secret_is_found_wherever_it_stands(secret):
    assert secret not in _http.redacted(f"before {secret} after {secret}", [secret]).replace("before", "").replace(
        "after", ""
    )


def test_a_user_in_an_address_is_redacted():
    assert (
        _http.redacted("see http://me:pw@h.org/x and https://t0k@h.org")
        == "see http://***@h.org/x and https://***@h.org"
    )


def test_an_absent_library_says_how_to_install_it():
    with pytest.raises(PartUnavailable, match=r"source 'nowhere'.*no_such_library.*pip install 'betti\[sources\]'"):
        _http.library("no_such_library", "nowhere")


def test_a_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("BETTI_TEST_KEY", "")
    assert _http.key("BETTI_TEST_KEY") is None
    monkeypatch.setenv("BETTI_TEST_KEY", "abc")
    assert _http.key("BETTI_TEST_KEY") == "abc"
