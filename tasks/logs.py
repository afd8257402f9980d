"""What a stage told while it ran in a process of its own: one file per stage in `.betti/logs`, of its last time.

Warnings, notices and stops, each with the second it came; of progress only how far each thing got.
A stage that ran to its end has the paths and hashes of what it made below it, so that whoever keeps the file beside a
model can tell that it is this model's. Seconds differ from run to run: no artifact of DVC's, and no result depends on
it. What does not belong here: what is told (`betti.progress`, logging), and who else hears it (`body.py`).
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import TextIO

__all__ = ["Log", "log_of", "opened", "sign"]

FOLDER = ".betti/logs"


class Log:
    """A file that takes lines."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._reached: tuple[int, int, str] | None = None  # told with the next line

    def line(self, words: str) -> None:
        """Add a line; it is on the disk at once, so that a killed process leaves what it told."""
        self._tell_reached()
        self._write(words)

    def progress(self, done: int, total: int, what: str) -> None:
        """Note how far it is; it is added where it ends: at the total, or where something else begins or is told."""
        before = self._reached
        if before is not None and (before[1:] != (total, what) or done < before[0]):
            self._tell_reached()
        self._reached = (done, total, what)
        if done == total:
            self._tell_reached()

    def _tell_reached(self) -> None:
        if self._reached is not None:
            done, total, what = self._reached
            self._reached = None
            self._write(f"{what}: {done} of {total}")

    def _write(self, words: str) -> None:
        self._file.write(f"{_now()} {words}\n")
        self._file.flush()


@contextmanager
def opened(root: Path, stage: str) -> Iterator[Log]:
    """The stage's file, begun anew.

    Args:
        root: the workspace.
        stage: as dvc.yaml names it, e.g. "train@trigger-lightgbm".
    """
    path = _path(root, stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        yield Log(file)


def sign(root: Path, stage: str, outs: Mapping[str, str]) -> None:
    """Write below what a stage told what it made (path -> hash); nothing where it told nothing."""
    path = _path(root, stage)
    if path.is_file():
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{_now()} {_made(out, md5)}\n" for out, md5 in outs.items())


def log_of(root: Path, stage: str, out: str, md5: str) -> Path | None:
    """The stage's file if it is of the time that made `out` with this hash; None if it is of another, or gone."""
    path = _path(root, stage)
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return path if any(line.endswith(f" {_made(out, md5)}") for line in lines) else None


def _made(out: str, md5: str) -> str:
    return f"made {out} {md5}"


def _path(root: Path, stage: str) -> Path:
    return root / FOLDER / f"{stage}.log"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
