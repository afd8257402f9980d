"""Put a file or a folder into its place whole or not at all.

A value is written beside its place, under data/.tmp, and renamed into it. What does not belong here: what is in it.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["place", "remove", "sweep"]


def _scratch(path: Path) -> Path:
    """A free place to write, on the same file system as `path` (a sibling would enter a folder's hash)."""
    data = next((p for p in path.parents if p.name == "data"), path.parent)
    scratch = data / ".tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    return scratch / f"{os.getpid()}-{os.urandom(6).hex()}"


@contextmanager
def place(path: Path) -> Iterator[Path]:
    """Give a scratch path to write a file or folder at; on a clean exit it takes the place of `path`.

    A reader sees the old value or the new one, whenever the writer dies. On an error nothing changes.
    """
    new = _scratch(path)
    try:
        yield new
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            _exchange(new, path)  # a folder cannot be renamed over another; what is now at `new` goes below
        else:
            _first(new, path)
    finally:
        if new.is_dir():
            shutil.rmtree(new, ignore_errors=True)
        else:
            new.unlink(missing_ok=True)


def _first(new: Path, path: Path) -> None:
    """Put what is at `new` where nothing was a moment ago; a folder that another process has put there since goes."""
    try:
        new.replace(path)
    except OSError as cause:
        if cause.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _exchange(new, path)


def _exchange(new: Path, path: Path) -> None:
    """Let two folders change places: in one step where the system can (Linux), else in two renames."""
    import ctypes

    if not new.exists():
        raise FileNotFoundError(new)
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        if libc.renameat2(here, os.fsencode(new), here, os.fsencode(path), swap) == 0:
            return
    old = _scratch(path)
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def remove(path: Path) -> None:
    """Delete a file or a folder with all it holds."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep(data: Path) -> int:
    """Remove what dead processes left under data/.tmp; returns how many entries went."""
    gone = 0
    for entry in (data / ".tmp").glob("*-*"):
        pid = entry.name.split("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            remove(entry)
            gone += 1
    return gone


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
