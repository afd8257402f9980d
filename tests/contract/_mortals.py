"""Processes that are killed, stopped or raced while they run a stage, forked from one that has run it before.

A fork starts in milliseconds, so that many moments can be tried. A moment is told in seconds, or as a number of steps:
every time a process is about to make, rename, copy or remove a file or a folder it counts one, so that the same number
is the same moment in every run. What does not belong here: what has to hold afterwards.
"""

from __future__ import annotations

from betti import threads

threads.pin()

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from betti import binding
from betti.errors import BettiError

__all__ = ["End", "Mortals", "Order"]

PATIENCE = 60  # seconds after which a process is held to hang
# Python tells of these before it does them (see its table of audit events); ctypes.dlsym comes before two folders
# change places.
STEPS = {
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.remove",
    "os.utime",
    "shutil.copyfile",
    "shutil.rmtree",
    "ctypes.dlsym",
}


@dataclass(frozen=True)
class Order:
    """One process: a stage of the repository at `root`, and what happens to it.

    Attributes:
        root, stage, item: what it runs.
        kill_after: seconds until it is killed.
        kill_at: the step before which it is killed.
        stop_at: the step before which it stands still until the others are done.
    """

    root: str
    stage: str
    item: str | None = None
    kill_after: float | None = None
    kill_at: int | None = None
    stop_at: int | None = None


@dataclass(frozen=True)
class End:
    """How a process ended.

    Attributes:
        status: 0 well, 1 with a typed error, 2 with another one; below 0 the signal that killed it.
        said: the error.
        steps: how many it took, where it was not killed.
        seconds: how long it lived.
    """

    status: int
    said: str
    steps: int
    seconds: float


class Mortals:
    """The process that forks the others."""

    def __init__(self, repository: Path, *warm: Order) -> None:
        """Start it in this folder, and let it run these orders itself: what they import, no fork imports again."""
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.contract._mortals", _written(warm)],
            cwd=repository,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *orders: Order) -> list[End]:
        """Carry these orders out at the same time; the first may stand still until the others are done."""
        into, out = self._parent.stdin, self._parent.stdout
        assert into is not None
        assert out is not None
        into.write(_written(orders) + "\n")
        into.flush()
        answer = out.readline()
        assert answer, "the process that forks the others has died"
        return [End(**one) for one in json.loads(answer)]

    def close(self) -> None:
        """Let it end."""
        self._parent.communicate(timeout=PATIENCE)


def _written(orders: tuple[Order, ...]) -> str:
    return json.dumps([asdict(order) for order in orders])


def _read(line: str) -> list[Order]:
    return [Order(**one) for one in json.loads(line)]


@dataclass(frozen=True)
class _Child:
    order: Order
    pid: int
    answer: IO[str]
    born: float


def _forked(order: Order) -> _Child:
    reading, writing = os.pipe()
    born = time.monotonic()
    pid = os.fork()
    if pid:
        os.close(writing)
        return _Child(order, pid, os.fdopen(reading), born)
    told = _lived(order)
    os.write(writing, json.dumps(told).encode())
    os._exit(0)


def _lived(order: Order) -> dict[str, object]:
    """Run the stage in this process."""
    steps = 0

    def step(event: str, _: tuple[object, ...]) -> None:
        nonlocal steps
        if event in STEPS:
            steps += 1
            if steps == order.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if steps == order.stop_at:
                os.kill(os.getpid(), signal.SIGSTOP)

    sys.addaudithook(step)
    status, said = 0, ""
    try:
        binding.run(Path(order.root), order.stage, order.item)
    except BettiError as error:
        status, said = 1, f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # whatever it is, it is told to the test
        status, said = 2, traceback.format_exc()
    return {"status": status, "said": said, "steps": steps}


def _ended(child: _Child) -> End:
    """Wait for a process; one that hangs is killed and said to have hung."""
    delay = child.order.kill_after
    late = child.born + (PATIENCE if delay is None else delay)
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= late:
            os.kill(child.pid, signal.SIGKILL)
            break
        time.sleep(0.0005)
    status = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
    seconds = time.monotonic() - child.born
    with child.answer:
        told = child.answer.read()
    if not told:
        return End(status, "" if delay is not None or child.order.kill_at else "it hung", 0, seconds)
    return End(seconds=seconds, **json.loads(told))


def _carried_out(orders: list[Order]) -> list[End]:
    first = _forked(orders[0])
    if orders[0].stop_at is not None:
        os.waitid(os.P_PID, first.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    others = [_ended(child) for child in [_forked(order) for order in orders[1:]]]
    os.kill(first.pid, signal.SIGCONT)  # of one that has ended, which nobody has waited for yet, it is no concern
    return [_ended(first), *others]


def _serve(warm: str) -> None:
    for order in _read(warm):
        binding.run(Path(order.root), order.stage, order.item)
    for line in sys.stdin:
        sys.stdout.write(json.dumps([asdict(end) for end in _carried_out(_read(line))]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
