"""A local HTTP server that speaks the klines format, with faults in the order a test writes them down.

It runs in a thread on 127.0.0.1 at a free port. Each request to the klines endpoint takes the next fault of the script;
when the script is used up, answers are as documented.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pandas as pd
import pytest

from betti.sources import _http

Rows = list[list[Any]]
FAR = 10**14  # milliseconds; as documented, a request need not name an end


class Waits:
    """A clock that stands still but for the waits of the code under test, which it notes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **patience: float) -> None:
        self.seconds: list[float] = []
        self.time = 1000.0
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(_http, "wait", self._wait)
        monkeypatch.setattr(_http, "now", lambda: self.time)
        monkeypatch.setattr(_http, "PATIENCE", replace(_http.PATIENCE, pace=0.0, **patience))

    def _wait(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.time += seconds


@dataclass(frozen=True)
class Request:
    """What the server was asked, and the headers that came with it."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Reply:
    """What goes over the wire: `cut` sends half of the announced body, `delay` waits before the first byte."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    delay: float = 0.0
    trickle: float = 0.0


Fault = Callable[[Rows], Reply]


def as_json(value: Any, status: int = 200, **headers: str) -> Reply:
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(json.dumps(value).encode(), status, {"Content-Type": "application/json", **names})


def plain(rows: Rows) -> Reply:
    return as_json(rows)


def status(code: int, **headers: str) -> Fault:
    return lambda rows: as_json({"code": -1, "msg": "an error"}, code, **headers)


def truncated(rows: Rows) -> Reply:
    """A whole HTTP answer whose JSON ends in the middle."""
    whole = as_json(rows)
    return Reply(whole.body[: len(whole.body) // 2], headers=whole.headers)


def html(rows: Rows) -> Reply:
    return Reply(b"<!DOCTYPE html><html><title>Maintenance</title></html>", headers={"Content-Type": "text/html"})


def cut(rows: Rows) -> Reply:
    """The connection ends in the middle of the body."""
    return Reply(as_json(rows).body, cut=True)


def slow(seconds: float) -> Fault:
    return lambda rows: Reply(as_json(rows).body, delay=seconds)


def trickling(seconds: float) -> Fault:
    """Bytes that keep coming, one after the other, so that no single wait is long."""
    return lambda rows: Reply(as_json(rows).body, trickle=seconds)


def shape(value: Any) -> Fault:
    return lambda rows: as_json(value)


def empty(rows: Rows) -> Reply:
    return as_json([])


def short(count: int) -> Fault:
    return lambda rows: as_json(rows[:count])


def shuffled(rows: Rows) -> Reply:
    return as_json(rows[::-1])


def without(first: int, count: int) -> Fault:
    """The page with a hole in it."""
    return lambda rows: as_json(rows[:first] + rows[first + count :])


def instead(page: Rows) -> Fault:
    """Another page than the one that was asked for."""
    return lambda rows: as_json(page)


def klines(bars: pd.DataFrame, step: pd.Timedelta) -> Rows:
    """Bars as the endpoint writes them: times in milliseconds, amounts as text with eight decimals."""
    rows: Rows = []
    for bar in bars.itertuples():
        begin = bar.timestamp.value // 1_000_000
        end = begin + step.value // 1_000_000 - 1
        prices = [f"{price:.8f}" for price in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
        rows.append([begin, *prices, end, "0.0", 7, f"{bar.volume / 2:.8f}", "0.0", "0"])
    return rows


class KlinesServer:
    """Markets by symbol, a script of faults, and a list of what was asked. Use it in a `with` block."""

    def __init__(self, markets: dict[str, Rows], script: list[Fault] | None = None, limit: int = 1000) -> None:
        self.markets, self.script, self.limit = markets, list(script or []), limit
        self.requests: list[Request] = []
        self.released = threading.Event()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def asked(self) -> list[Request]:
        """The requests for klines alone."""
        return [request for request in self.requests if request.path.endswith("/klines")]

    def __enter__(self) -> KlinesServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply(self, request: Request) -> Reply:
        self.requests.append(request)
        if request.path.endswith("/ticker/price"):
            return as_json([{"symbol": symbol, "price": "1"} for symbol in self.markets])
        fault = self.script.pop(0) if self.script else plain
        if request.query["symbol"] not in self.markets:
            return as_json({"code": -1121, "msg": "Invalid symbol."}, 400)
        first, last = int(request.query["startTime"]), int(request.query.get("endTime", FAR))
        inside = [row for row in self.markets[request.query["symbol"]] if first <= row[0] <= last]
        return fault(inside[: min(self.limit, int(request.query["limit"]))])


class _Handler(BaseHTTPRequestHandler):
    owner: KlinesServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # with it, every answer after the first would take 40 ms

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        reply = self.owner.reply(Request(parts.path, dict(parse_qsl(parts.query)), dict(self.headers)))
        self.owner.released.wait(reply.delay)
        try:
            self._send(reply)
        except OSError:  # the client has given up and closed
            self.close_connection = True

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.cut:
            self.wfile.write(reply.body[: len(reply.body) // 2])
            self.close_connection = True
        elif reply.trickle:
            for byte in reply.body:
                self.wfile.write(bytes([byte]))
                if self.owner.released.wait(reply.trickle):
                    return
        else:
            self.wfile.write(reply.body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""
