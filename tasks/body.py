"""Run a stage's body: in this process, or in one of its own that dies with this one."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from betti import binding, code, progress
from betti.errors import BadInput
from tasks import logs, policy
from tasks.errors import StageFailedError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["run"]

Say = Callable[[str], None]

_PROGRESS = re.compile(r"^progress (\d+)/(\d+) (.*)$")
_LOGGED = re.compile(r"^(INFO|WARNING|ERROR|CRITICAL) ")  # as `tasks.child` writes what is logged


def run(root: Path, name: str, listener: progress.Listener, say: Say) -> None:
    """Compute the stage and write its outs; what it tells in a process of its own is kept (`tasks.logs`).

    Args:
        root: the workspace.
        name: the stage as dvc.yaml names it, e.g. "train@trigger-lightgbm".
        listener: told how far it is.
        say: given every other line that the stage's own process prints.

    Raises:
        StageFailedError: its process ended badly or took longer than its policy allows.
        BadInput: what the stage found wrong with its input.
    """
    stage, _, item = name.partition("@")
    rule = policy.of(name)
    # Code that was edited since this process began is not the code it would run: a new process reads it anew.
    if rule.own_process or code.edited():
        _run_apart(root, [stage, *([item] if item else [])], name, rule.timeout_seconds, listener, say)
    else:
        with progress.listening(listener):
            binding.run(root, stage, item or None)


def _run_apart(
    root: Path, arguments: list[str], name: str, timeout: float | None, listener: progress.Listener, say: Say
) -> None:
    """Run `tasks.child` and follow what it prints until it ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.child", *arguments],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    killer = threading.Timer(timeout, process.kill) if timeout is not None else None
    started, tail = time.monotonic(), deque[str](maxlen=12)
    try:
        if killer is not None:
            killer.start()
        with logs.opened(root, name) as log:
            for line in process.stdout or ():
                _hear(line.rstrip("\n"), tail, listener, say, log)
            code = process.wait()
            log.line(f"ended with exit code {code}")
    finally:
        if killer is not None:
            killer.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    if code == 2:
        raise _Refused("\n".join(tail))
    if code != 0:
        late = timeout is not None and time.monotonic() - started >= timeout
        raise StageFailedError(name, code, f"it took longer than {timeout:.0f} s" if late else "\n".join(tail))


class _Refused(BadInput):
    """What a stage in its own process refused, in its words."""


def _hear(line: str, tail: deque[str], listener: progress.Listener, say: Say, log: logs.Log) -> None:
    heard = _PROGRESS.match(line)
    if heard:
        done, total, what = int(heard[1]), int(heard[2]), heard[3]
        log.progress(done, total, what)
        listener(done, total, what)
    elif line:
        log.line(line)
        level = _LOGGED.match(line)
        words = line[level.end() :] if level else line
        if level is None or level[1] != "INFO":  # a notice says nothing about how it ended
            tail.append(words)
        say(words)
