"""Asking the network: one request at a time, again when it may help, and an error that names the request when it fails.

A wait between tries doubles, with jitter, so that many clients do not come back at the same moment; a `Retry-After` of
the server is kept to (RFC 9110, 2022, section 10.2.3). What does not belong here: what an answer means, and which pages
make a history (that is `_paging`).
"""

from __future__ import annotations

import json
import logging
import os
import random
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from betti.errors import BadInput, BettiError, PartUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    import httpx

__all__ = [
    "BadAnswer",
    "Client",
    "Patience",
    "RequestRefused",
    "SourceUnreachable",
    "Transient",
    "key",
    "library",
    "overloading",
    "passing",
    "redacted",
    "retried",
    "retry_after",
]

T = TypeVar("T")

_OVERLOADED = frozenset({418, 429})  # 418 is Binance's 429 for those who did not slow down
_PASSING = frozenset({408, 425}) | _OVERLOADED
_SHOWN = 200  # characters of an answer that an error quotes
_KEPT = 4000  # characters of a refusal that its error keeps, for the source to read
_USER = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_NAMES = "key|token|secret|signature|password|passphrase"  # parameters whose values are nobody's business
_SECRET = re.compile(rf"([?&][^=&\s]*(?:{_NAMES})[^=&\s]*=)[^&\s\"')]+", re.IGNORECASE)


class SourceUnreachable(BettiError):
    """A request that was tried again and again without an answer. It may pass by itself, so ingest tries again."""

    def __init__(self, request: str, found: str, tries: int, seconds: float, remedy: str) -> None:
        self.request, self.found, self.tries = request, found, tries
        super().__init__(f"{request}: {found}; gave up after {tries} tries in {seconds:.0f} s. {remedy}")


class RequestRefused(BadInput):
    """An answer that says no, and would say so again.

    Attributes:
        status: the HTTP code of the answer; None where a library refused and no answer is known.
        body: the answer's beginning, or the library's words.
    """

    def __init__(self, request: str, status: int | None, body: str, remedy: str) -> None:
        self.request, self.status, self.body = request, status, body
        told = "" if status is None else f" with status {status}"
        super().__init__(f"{request}: refused{told}: {_excerpt(body)}. {remedy}")


class BadAnswer(BettiError):
    """An answer that was read and is not what the source documents."""

    def __init__(self, request: str, found: str, remedy: str) -> None:
        self.request, self.found = request, found
        super().__init__(f"{request}: {found}. {remedy}")


class Transient(Exception):
    """A fault that may pass by itself; caught by `retried`.

    Attributes:
        found: what happened instead of an answer.
        remedy: what to do if it does not pass.
        seconds: how long the server asks to wait; None where it does not say.
    """

    def __init__(self, found: str, remedy: str, seconds: float | None = None) -> None:
        super().__init__(found)
        self.found, self.remedy, self.seconds = found, remedy, seconds


@dataclass(frozen=True)
class Patience:
    """How long to try, in seconds.

    Attributes:
        tries: attempts of one request.
        silence: longest wait for a connection or for the next bytes.
        answer: longest that one answer may take as a whole.
        total: longest that one request may take with all its waits.
        first: wait after the first failure; it doubles with each further one.
        longest: wait between tries at most, unless the server asks for more.
        pace: shortest time between two requests of one client.
    """

    tries: int = 7
    silence: float = 20.0
    answer: float = 60.0
    total: float = 600.0
    first: float = 1.0
    longest: float = 60.0
    pace: float = 0.05


PATIENCE = Patience()


def now() -> float:
    """Seconds on a clock that only moves forward; tests put another in its place."""
    return time.monotonic()


def wait(seconds: float) -> None:
    """Do nothing for so long; tests put a function in its place that does not."""
    time.sleep(seconds)


def retried(attempt: Callable[[], T], request: str, patience: Patience | None = None) -> T:
    """What `attempt` returns, tried again while it raises `Transient`.

    Args:
        attempt: one try.
        request: names the request in an error; without secrets.
        patience: how long and how often; `PATIENCE` if None.

    Raises:
        SourceUnreachable: the tries or the time are used up, or the server asks to wait longer than the time left.
    """
    limits = patience or PATIENCE
    began, tries = now(), 0
    while True:
        tries += 1
        try:
            return attempt()
        except Transient as fault:
            pause, spent = _pause(tries, fault.seconds, limits), now() - began
            if tries == limits.tries or spent + pause > limits.total:
                asked = "" if fault.seconds is None else f" (it asks to wait {fault.seconds:.0f} s)"
                raise SourceUnreachable(request, fault.found + asked, tries, spent, fault.remedy) from fault
        wait(pause)


def _pause(tries: int, asked: float | None, limits: Patience) -> float:
    """Half of the wait is certain and half is chance; what the server asks for is a floor under it."""
    spread = random.uniform(0.5, 1.0)  # noqa: S311  # no result depends on it, and no secret
    backoff = min(limits.longest, limits.first * 2.0 ** (tries - 1)) * spread
    return backoff if asked is None else asked + limits.first * spread


def retry_after(headers: Mapping[str, str] | None) -> float | None:
    """The seconds that a `Retry-After` header asks for, written as a number or as a date; None without a legible one.

    >>> retry_after({"retry-after": "30"})
    30.0
    >>> retry_after({"Retry-After": "soon"}) is None
    True
    """
    written = next((value for name, value in (headers or {}).items() if name.lower() == "retry-after"), "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", written):
        return float(written)
    try:
        return max(0.0, parsedate_to_datetime(written).timestamp() - time.time())
    except (ValueError, TypeError):  # not a date either, says one version of Python or another
        return None


def passing(status: int) -> bool:
    """Whether an answer with this HTTP code may be another one later, whatever its body says.

    >>> [status for status in (200, 400, 404, 408, 418, 429, 500, 503) if passing(status)]
    [408, 418, 429, 500, 503]
    """
    return status in _PASSING or status >= 500


def overloading(status: int) -> bool:
    """Whether an answer with this HTTP code says that the server is asked too often."""
    return status in _OVERLOADED


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without keys: none in a query, no user in an address, none of `secrets` anywhere.

    >>> redacted("https://me:pw@x.org/p?symbol=BTC&api_key=abc&limit=5")
    'https://***@x.org/p?symbol=BTC&api_key=***&limit=5'
    >>> redacted("no such key: abc", ["abc"])
    'no such key: ***'
    """
    text = _SECRET.sub(r"\1***", _USER.sub("***", text))
    for secret in secrets:
        for written in {secret, quote(secret, safe="")} - {""}:
            text = text.replace(written, "***")
    return text


def key(variable: str) -> str | None:
    """A key from the environment, where it belongs: params.yaml is committed. None where there is none."""
    return os.environ.get(variable) or None


def library(name: str, source: str) -> ModuleType:
    """An optional library that a source needs.

    Raises:
        PartUnavailable: it is not installed; the message says how to install it.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError as cause:
        missing = ModuleNotFoundError(f"it needs the library '{cause.name}'. Install it: pip install 'betti[sources]'")
        raise PartUnavailable("source", source, missing) from cause


class _Redaction(logging.Filter):
    """httpx writes the address of every request into its log; the keys in it stay out."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record, its text without keys."""
        record.msg, record.args = redacted(record.getMessage()), ()
        return True


_REDACTION = _Redaction()


class Client:
    """Questions to one server, whose answers are JSON. Close it, or use it in a `with` block.

    Args:
        base_url: what every address begins with, e.g. "https://api.example.org".
        headers: sent with every request; their values are secrets and stand in no error and no log.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str] | None = None) -> None:
        import httpx

        logging.getLogger("httpx").addFilter(_REDACTION)  # the same one again is no second one
        self._base, self._secrets = base_url.rstrip("/"), tuple((headers or {}).values())
        self._patience, self._asked = PATIENCE, float("-inf")
        # Redirects are not followed: they would carry the headers to another server.
        self._client = httpx.Client(headers=headers, timeout=self._patience.silence, follow_redirects=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, query: Mapping[str, str | int], about: str) -> Any:
        """The parsed answer to a GET.

        Args:
            path: begins with "/".
            query: the parameters.
            about: what is asked for, in words, to name it in an error: market and time range.

        Raises:
            RequestRefused: the server says no, in a way that does not pass by itself.
            SourceUnreachable: no whole answer came, however often it was asked.
        """
        request = self.named(path, query, about)
        return retried(lambda: self._once(self._base + path, query, request), request, self._patience)

    def named(self, path: str, query: Mapping[str, str | int], about: str) -> str:
        """How a request is called in an error: address and subject, without secrets."""
        import httpx

        return redacted(f"GET {httpx.URL(self._base + path, params=dict(query))} ({about})", self._secrets)

    def _once(self, url: str, query: Mapping[str, str | int], request: str) -> Any:
        import httpx

        pause = self._asked + self._patience.pace - now()
        if pause > 0:
            wait(pause)
        self._asked = now()
        try:
            with self._client.stream("GET", url, params=dict(query)) as response:
                body = self._body(response)
        except httpx.TimeoutException as cause:
            raise Transient(f"no answer in {self._patience.silence:g} s", _CONNECTION) from cause
        except httpx.TransportError as cause:
            found = f"the connection failed ({type(cause).__name__}: {redacted(str(cause), self._secrets)})"
            raise Transient(found, _CONNECTION) from cause
        except httpx.DecodingError as cause:
            raise Transient("the answer's compression is damaged", _CONNECTION) from cause
        return self._parsed(response, body.decode("utf-8", errors="replace"), request)

    def _body(self, response: httpx.Response) -> bytes:
        """All bytes of an answer; one that trickles in without an end is given up."""
        body, began = bytearray(), now()
        for chunk in response.iter_bytes():
            body += chunk
            if now() - began > self._patience.answer:
                raise Transient(f"the answer was not whole after {self._patience.answer:g} s", _CONNECTION)
        return bytes(body)

    def _parsed(self, response: httpx.Response, text: str, request: str) -> Any:
        status, shown = response.status_code, redacted(text, self._secrets)
        if passing(status):
            remedy = _LIMITED if overloading(status) else _LATER
            raise Transient(f"status {status}: {_excerpt(shown)}", remedy, retry_after(response.headers))
        if status != 200:
            raise RequestRefused(request, status, shown[:_KEPT], _advice(status, response.headers.get("location")))
        try:
            return json.loads(text)
        except ValueError as cause:
            what = "HTML" if text.lstrip()[:1] == "<" else f"no whole JSON ({len(text)} characters)"
            found = f"the answer is {what}: {_excerpt(shown)}"
            raise Transient(found, f"{_LATER}; if it stays, check ingest.options.base_url") from cause


_LATER = "The server is in trouble or in maintenance: run again later"
_LIMITED = "The server limits how often it is asked: run again later, or fetch fewer markets at once"
_CONNECTION = "Check the network, a proxy and ingest.options.base_url, and run again"


def _advice(status: int, moved: str | None) -> str:
    if 300 <= status < 400:
        return f"The server has moved to {redacted(moved or 'an unnamed place')}: set ingest.options.base_url to it"
    if status in (401, 403):
        return "Check the key in the environment, and whether the server lets you in from here"
    if status == 451:
        return "The server may not serve your country: set ingest.options.base_url to one that may"
    if status == 404:
        return "Check ingest.options.base_url and the symbol"
    return "Check ingest.symbols, ingest.interval and ingest.options in params.yaml"


def _excerpt(text: str) -> str:
    """The beginning of an answer on one line."""
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN else line[:_SHOWN] + "...") if line else "an empty answer"
