"""Answers in time or none: a call that runs no longer than it may, behind a breaker that stops asking what is broken.

Nygard 2007, "Release It!", chapter 5: timeouts and circuit breakers. What does not belong here: what is asked for
(`patterns.py`), and what is made of no answer (`system.py`).
"""

from __future__ import annotations

import atexit
import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakSet

from betti.errors import BadModelInput

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CircuitBreaker", "Guard"]

T = TypeVar("T")
# A search that is not done by then hangs for good.
SECONDS_AT_EXIT = 2.0


class CircuitBreaker:
    """Open after so many failures in a row; after the cool-down one call tries whether all is well again.

    Closed: every call may go. Open: none. Half open: one may go, and its end decides. Safe between threads.

    >>> seconds = [0.0]
    >>> breaker = CircuitBreaker(failures=2, cool_down_seconds=30, clock=lambda: seconds[0])
    >>> breaker.failed("slow"); breaker.failed("slow"); breaker.state, breaker.allows()
    ('open', False)
    >>> seconds[0] = 30.0; breaker.state, breaker.allows(), breaker.allows()
    ('half open', True, False)
    >>> breaker.succeeded(); breaker.state
    'closed'
    """

    def __init__(
        self, failures: int = 3, cool_down_seconds: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start closed.

        Args:
            failures: in a row until it opens; 1 or more.
            cool_down_seconds: how long it stays open.
            clock: seconds that never run backwards.
        """
        if failures < 1 or cool_down_seconds < 0:
            found = f"failures = {failures}, cool_down_seconds = {cool_down_seconds}"
            raise BadModelInput("CircuitBreaker", found, "Give 1 failure or more, and no negative time")
        self._most, self._cool_down, self._clock = failures, cool_down_seconds, clock
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._opened: float | None = None
        self._tried: float | None = None
        self.last_failure: str | None = None

    @property
    def state(self) -> str:
        """closed, open or half open."""
        with self._lock:
            return self._state()

    def _state(self) -> str:
        if self._opened is None:
            return "closed"
        return "half open" if self._clock() - self._opened >= self._cool_down else "open"

    def allows(self) -> bool:
        """Whether a call may go. Who gets True says how it went; a try of which nothing is heard counts for nothing."""
        with self._lock:
            state = self._state()
            if state != "half open":
                return state == "closed"
            now = self._clock()
            if self._tried is not None and now - self._tried < self._cool_down:
                return False
            self._tried = now
            return True

    def succeeded(self) -> None:
        """The call went well: closed."""
        with self._lock:
            self._in_a_row, self._opened, self._tried = 0, None, None

    def failed(self, cause: str) -> None:
        """The call went wrong; `last_failure` remembers why."""
        with self._lock:
            self.last_failure = cause
            self._in_a_row += 1
            # A failed try opens it again at once, for a whole cool-down.
            if self._tried is not None or self._in_a_row >= self._most:
                self._opened = self._clock()
            self._tried = None

    def __reduce__(self) -> tuple[type[CircuitBreaker], tuple[int, float, Callable[[], float]]]:
        """A copy, in this process or another, starts closed: locks are not copied."""
        return CircuitBreaker, (self._most, self._cool_down, self._clock)


class _Job(Generic[T]):
    """One piece of work and how it ended."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.done = threading.Event()
        self.answer: T | None = None
        self.cause: Exception | None = None

    def run(self) -> None:
        try:
            self.answer = self._work()
        except Exception as cause:  # noqa: BLE001  # whatever a broken index raises, the caller goes on without it
            self.cause = cause
        self.done.set()


class _Worker:
    """A thread that runs jobs one after another; a daemon, so that a hanging job does not keep the process."""

    def __init__(self) -> None:
        _WORKERS.add(self)
        self._jobs: SimpleQueue[_Job[object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="betti-retrieval", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()

    def take(self, job: _Job[object]) -> None:
        self._jobs.put(job)

    def leave(self) -> None:
        """Go when the present job ends, should it ever."""
        self._jobs.put(None)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def settle(self, due: float) -> None:
        """Wait until it has gone, or until then."""
        self.leave()
        self._thread.join(max(due - time.monotonic(), 0.0))


_WORKERS: WeakSet[_Worker] = WeakSet()


@atexit.register
def _settle() -> None:
    """Let threads end before the interpreter does: native code that comes back after it ends the process abnormally."""
    due = time.monotonic() + SECONDS_AT_EXIT
    for worker in list(_WORKERS):
        worker.settle(due)


class Guard:
    """Runs work in a thread of its own and waits for it no longer than it may.

    A job that is late is left to itself, and the next one gets a new thread. So that an index that hangs for ever does
    not fill the process with threads, calls are refused while `most_hanging` of them are still at it. Python cannot
    interrupt native code that keeps the interpreter's lock; numpy, torch and hnswlib give it free while they compute.
    """

    def __init__(self, breaker: CircuitBreaker | None = None, most_hanging: int = 4) -> None:
        self.breaker = breaker or CircuitBreaker()
        self._most_hanging = most_hanging
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._left: list[_Worker] = []

    def ask(self, work: Callable[[], T], limit_ms: float) -> T | None:
        """What the work gives; None where it is late or fails, and at once where the breaker is open.

        Calls from several threads wait for each other within their own limits.
        """
        due = time.monotonic() + limit_ms / 1e3
        if not self.breaker.allows():
            return None
        if not self._lock.acquire(timeout=limit_ms / 1e3):
            self.breaker.failed("another call was not answered in time")
            return None
        try:
            return self._answered(work, due)
        finally:
            self._lock.release()

    def _answered(self, work: Callable[[], T], due: float) -> T | None:
        self._left = [worker for worker in self._left if worker.alive]
        if self._worker is None and len(self._left) >= self._most_hanging:
            self.breaker.failed(f"{len(self._left)} earlier calls still hang")
            return None
        # A process that was forked has the worker without its thread.
        if self._worker is None or not self._worker.alive:
            self._worker = _Worker()
        job = _Job(work)
        self._worker.take(job)  # type: ignore[arg-type]  # the worker hands the answer back unread
        if not job.done.wait(max(due - time.monotonic(), 0.0)):
            self._worker.leave()
            self._left.append(self._worker)
            self._worker = None
            self.breaker.failed("it was not answered in time")
            return None
        if job.cause is not None:
            self.breaker.failed(f"{type(job.cause).__name__}: {job.cause}")
            return None
        self.breaker.succeeded()
        return job.answer

    def close(self) -> None:
        """Let the thread go."""
        with self._lock:
            if self._worker is not None:
                self._worker.leave()
                self._worker = None

    def __del__(self) -> None:
        if self._worker is not None:
            self._worker.leave()

    def __reduce__(self) -> tuple[type[Guard], tuple[CircuitBreaker, int]]:
        """A copy, in this process or another, has no thread yet."""
        return Guard, (self.breaker, self._most_hanging)
