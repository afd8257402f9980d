"""Commit what a night changed that git keeps: the clock, the lock, the metrics."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from betti import params

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["commit"]

KEPT = (params.ASOF, "dvc.lock", "data/9_reports/metrics")


def commit(root: Path, say: Callable[..., None]) -> bool:
    """Commit those paths and nothing else; returns whether there was anything to commit.

    Raises:
        CalledProcessError: git refused; its words are in the log.
    """
    _git(root, "add", "--", *KEPT)
    if subprocess.run(["git", "diff", "--cached", "--quiet", "--", *KEPT], cwd=root, check=False).returncode == 0:
        say("git: nothing new to commit")
        return False
    until = params.until(root)
    _git(root, "commit", "--quiet", "-m", f"Nightly run until {until}", "--", *KEPT)
    say("git: committed the run until %s", until)
    return True


def _git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
