"""What `betti run` shows in the terminal: a line per finished stage, and a bar per stage that is at work."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from tasks.stage import Watcher

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Terminal"]

COLOURS = {"ran": "yellow", "cached": "green", "restored": "cyan", "failed": "red", "at work": "blue"}
PLAIN_SECONDS = 5.0


class Terminal(Watcher):
    """Bars in a terminal; where the output is a file or a pipe, a plain line every few seconds instead."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bars = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, float] = {}
        self._mutex = threading.Lock()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def started(self, stage: str) -> None:
        """Show that the stage is at work."""
        with self._mutex:
            self._said[stage] = time.monotonic()
            self._tasks[stage] = self._bars.add_task(stage, total=None)
        if not self._console.is_terminal:
            self._line("at work", stage, "")

    def progressed(self, stage: str, done: int, total: int) -> None:
        """Move the stage's bar."""
        with self._mutex:
            if stage in self._tasks:
                self._bars.update(self._tasks[stage], completed=done, total=total)
            late = time.monotonic() - self._said.get(stage, 0.0) > PLAIN_SECONDS
            if late:
                self._said[stage] = time.monotonic()
        if late and not self._console.is_terminal:
            self._line("at work", stage, f"{done} of {total}")

    def finished(self, stage: str, state: str, seconds: float) -> None:
        """Print the stage's last line and take its bar away."""
        self._remove(stage)
        self._line(state, stage, f"{seconds:.1f} s" if state == "ran" else "")

    def failed(self, stage: str) -> None:
        """Likewise, for a failure."""
        self._remove(stage)
        self._line("failed", stage, "")

    def waiting(self, holder: str, seconds: float) -> None:
        """Say who holds the workspace, every few seconds."""
        if int(seconds) % int(PLAIN_SECONDS) == 0:
            self._console.print(f"  waiting for {holder} ({seconds:.0f} s)", highlight=False)

    def _remove(self, stage: str) -> None:
        with self._mutex:
            task = self._tasks.pop(stage, None)
            if task is not None:
                self._bars.remove_task(task)

    def _line(self, state: str, stage: str, more: str) -> None:
        self._console.print(f"  [{COLOURS[state]}]{state:<9}[/] {stage:<28} {more}".rstrip(), highlight=False)
