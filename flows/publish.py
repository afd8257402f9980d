"""What leaves the workspace after a night: artifacts to the remote; the clock, the lock and the metrics to git."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from betti import params, progress, trials
from tasks.remote import Remote
from tasks.storage import Cache, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.record import Workspace

__all__ = ["commit", "push"]

KEPT = (params.ASOF, "dvc.lock", "data/9_reports/metrics", trials.FILE)


def push(workspace: Workspace, address: str | None, say: Callable[..., None], warn: Callable[..., None]) -> None:
    """Give the remote, where one is set, what it lacks. A remote that fails is told and does not fail the night."""
    remote = Remote(Cache(workspace))
    remote.configure(address)
    if address is None or remote.settled():
        return
    try:
        pushed = remote.push(progress.tell)
    except RemoteError as error:
        warn("not pushed: %s", error)
        return
    say("pushed %d objects to %s", pushed.objects, remote.address)
    if pushed.held_back:
        warn("not pushed: %s: the cache lacks or spoilt some of their objects", ", ".join(pushed.held_back))


def commit(root: Path, say: Callable[..., None]) -> bool:
    """Commit those paths and nothing else; returns whether there was anything to commit.

    Raises:
        CalledProcessError: git refused; its words are in the log.
    """
    kept = [path for path in KEPT if (root / path).exists()]  # where nothing was trained yet, no trials are told
    _git(root, "add", "--", *kept)
    if subprocess.run(["git", "diff", "--cached", "--quiet", "--", *kept], cwd=root, check=False).returncode == 0:
        say("git: nothing new to commit")
        return False
    until = params.until(root)
    _git(root, "commit", "--quiet", "-m", f"Nightly run until {until}", "--", *kept)
    say("git: committed the run until %s", until)
    return True


def _git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
