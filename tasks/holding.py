"""Hold the workspace for one run: who has it, for how long, and which run of a killed process is still on the books.

The lock is the operating system's (flock): it goes with its process, even by kill -9. Beside it lies a note of who
holds it; a note without a lock is what a killed run left.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tasks.errors import WorkspaceLockedError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Holder", "hold", "holder"]

OnWait = Callable[[str, float], None]


@dataclass(frozen=True)
class Holder:
    """Who holds the workspace."""

    pid: int
    host: str
    since: str
    flow_run: str | None

    def __str__(self) -> str:
        run = f", flow run {self.flow_run}" if self.flow_run else ""
        return f"process {self.pid} on {self.host} since {self.since}{run}"


def _paths(root: Path) -> tuple[Path, Path]:
    return root / ".betti" / "run.lock", root / ".betti" / "run.json"


def holder(root: Path) -> Holder | None:
    """What the note says, whether or not its process still lives."""
    note = _paths(root)[1]
    try:
        return Holder(**json.loads(note.read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None


@contextmanager
def hold(root: Path, flow_run: str | None, wait_seconds: float, on_wait: OnWait) -> Iterator[Holder | None]:
    """Hold the workspace; yields the note of a run that died holding it, if one did.

    Args:
        root: the workspace.
        flow_run: id of the Prefect flow run that takes it.
        wait_seconds: how long to wait for another run.
        on_wait: told (holder, seconds waited) about once a second meanwhile.

    Raises:
        WorkspaceLockedError: another run still holds it then.
    """
    lock, note = _paths(root)
    lock.parent.mkdir(exist_ok=True)
    with lock.open("a") as handle:
        _wait_for(handle.fileno(), root, wait_seconds, on_wait)
        dead = holder(root)
        mine = Holder(os.getpid(), socket.gethostname(), time.strftime("%Y-%m-%d %H:%M:%S"), flow_run)
        scratch = note.with_suffix(f".{mine.pid}")
        scratch.write_text(json.dumps(asdict(mine)), encoding="utf-8")
        scratch.replace(note)
        try:
            yield dead
        finally:
            note.unlink(missing_ok=True)


def _wait_for(descriptor: int, root: Path, wait_seconds: float, on_wait: OnWait) -> None:
    started = time.monotonic()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            waited = time.monotonic() - started
            who = str(holder(root) or "another run")
            if waited >= wait_seconds:
                raise WorkspaceLockedError(who, waited) from None
            on_wait(who, waited)
            time.sleep(min(1.0, wait_seconds - waited))
