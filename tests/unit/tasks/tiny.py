"""A tiny real repository under DVC: a file, a folder made from it, a number that git keeps; and their bodies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.record import Workspace
from tasks.storage import Cache
from tests.conftest import REPOSITORY

PIPELINE = """
stages:
  copy:
    cmd: cp in.txt out.txt
    deps: [in.txt]
    outs: [out.txt]
  spread:
    cmd: spread out.txt
    deps: [out.txt]
    outs: [many]
    metrics:
      - score.json:
          cache: false
"""


def lay_out(root: Path) -> Path:
    """A workspace without git in which nothing ever ran."""
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text(
        "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
    )
    (root / "dvc.yaml").write_text(PIPELINE)
    shutil.copy(REPOSITORY / "params.yaml", root / "params.yaml")
    (root / "in.txt").write_text("1\n")
    return root


def never() -> None:
    pytest.fail("the body ran")


def _copy(root: Path) -> None:
    (root / "out.txt").write_text((root / "in.txt").read_text())


def _spread(root: Path) -> None:
    word = (root / "out.txt").read_text()
    shutil.rmtree(root / "many", ignore_errors=True)
    (root / "many" / "below").mkdir(parents=True)
    for name in ("one.txt", "below/two.txt"):
        (root / "many" / name).write_text(f"{name} {word}")
    (root / "many" / "same.txt").write_text("in every version\n")
    (root / "score.json").write_text(f'{{"score": {word.strip()}}}\n')


BODIES: dict[str, Callable[[Path], None]] = {"copy": _copy, "spread": _spread}


def run(root: Path, value: int) -> dict[str, str]:
    """Run everything on this input; stage -> its state."""
    (root / "in.txt").write_text(f"{value}\n")
    workspace = Workspace(root)
    return {name: workspace.bring_up_to_date(name, lambda b=body: b(root)).state for name, body in BODIES.items()}


def wipe(root: Path) -> None:
    """Remove every out from the workspace."""
    (root / "out.txt").unlink(missing_ok=True)
    (root / "score.json").unlink(missing_ok=True)
    shutil.rmtree(root / "many", ignore_errors=True)


def restored(root: Path) -> None:
    """Everything that dvc.lock names comes back without a body being run."""
    wipe(root)
    workspace = Workspace(root)
    assert {workspace.bring_up_to_date(name, never).state for name in BODIES} == {"restored"}


def cache_of(root: Path) -> Cache:
    return Cache(Workspace(root))


def silent(_done: int, _total: int, _what: str) -> None:
    """Nobody listens."""


def outs(root: Path) -> dict[str, str]:
    """What dvc.lock says: path -> hash."""
    recorded = Workspace(root).recorded()
    return {entry.path: entry.md5 for entries in recorded.values() for entry in entries if entry.kind == "out"}


# Ways in which an object goes bad: what is done to it, and what it then is.


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def truncate(path: Path) -> None:
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-1])
    path.chmod(0o444)


def delete(path: Path) -> None:
    path.unlink()


def make_unreadable(path: Path) -> None:
    """Not by its mode, which does not keep root out."""
    path.unlink()
    path.mkdir()


DAMAGE = {"flip": (flip, "corrupt"), "truncate": (truncate, "corrupt"), "delete": (delete, "missing"),
          "unreadable": (make_unreadable, "unreadable")}  # fmt: skip
