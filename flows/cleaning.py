"""`betti gc`: what DVC's cache and the part cache keep, what may go and why; nothing goes unless asked for.

Not DVC's own `gc`: it forgets the files of a folder whose listing it cannot read, asks the remote for listings of old
commits, and drops what restoring a stage needs beside its cached outs. Here whatever a hash in a kept dvc.lock names
stays, and where that cannot be known nothing goes. What does not belong here: the cache's layout (`tasks.storage`).
"""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from betti import binding, io, params
from betti.errors import BadInput, BettiError, UnknownName
from tasks.record import Workspace
from tasks.storage import LISTING, NAME, Cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from betti.progress import Listener

__all__ = ["Keep", "Plan", "apply", "clean", "plan", "size_in_words", "telling"]

Keep = Literal["workspace", "tags", "commits"]
REASONS: dict[Keep, str] = {
    "workspace": "dvc.lock names them",
    "tags": "the dvc.lock of a tagged commit names them",
    "commits": "the dvc.lock of some commit names them",
}
MOST_ROWS = 15
VERSIONED = (":(top,glob)**/dvc.lock", ":(top,glob)**/*.dvc")
_HASH = re.compile(rf"\bmd5: ({NAME.pattern})")


class UnknownFiles(BettiError):
    """A listing that says which files are needed, and cannot be read."""

    def __init__(self, path: Path, why: str) -> None:
        found = "corrupt" if path.exists() else "missing"
        super().__init__(
            f"nothing was removed: {why} needs the files of a folder whose listing is {found}: {path}. "
            "`betti doctor --cache` puts it back, or says what to run"
        )


class SharedCache(BadInput):
    """A cache that other workspaces may use too."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"nothing was removed: DVC's cache {folder} lies outside this workspace, and others may need what this one "
            "does not. Use `dvc gc --workspace --projects ...` and name all of them"
        )


class HistoryUnreadable(BettiError):
    """Git, which cannot say what its commits need."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"nothing was removed: git cannot be asked what its commits need: {cause}")


@dataclass(frozen=True)
class Plan:
    """What stays and why, and what would go.

    Attributes:
        stays: reason -> names of objects that stay for it and for none before it.
        objects: objects that would go -> their bytes.
        was: name of an object that would go -> the file whose earlier version it is, where a known run says so.
        notes: DVC's notes of runs that could not be restored afterwards.
        parts: parts beyond flow.parts_cache_gb -> their bytes.
        leftovers: what killed processes and `betti doctor --cache` left -> their bytes.
    """

    stays: Mapping[Keep, frozenset[str]]
    objects: Mapping[Path, int]
    was: Mapping[str, str]
    notes: tuple[Path, ...]
    parts: Mapping[Path, int]
    leftovers: Mapping[Path, int]


def clean(root: Path, do_it: bool, keep: str) -> None:
    """Print what stays and what would go, and on demand remove that.

    Args:
        root: the workspace.
        do_it: remove it.
        keep: whose artifacts stay: the workspace's, those of all tags too, or of all commits; "" takes flow.keep.

    Raises:
        UnknownName: `keep` is none of those.
        SharedCache, UnknownFiles, HistoryUnreadable: it cannot be known what is needed; nothing was removed.
    """
    knobs, console = params.load(root).flow, Console(soft_wrap=True)
    kept = next((known for known in REASONS if known == (keep or knobs.keep)), None)
    if kept is None:
        raise UnknownName("choice of --keep:", keep, REASONS)
    workspace = Workspace(root, knobs.lock_wait_seconds, lambda who, s: console.print(f"waiting for {who} ({s:.0f} s)"))
    cache = Cache(workspace)
    with workspace.session(), telling(console) as tell:  # what a run is about to record must not go meanwhile
        found = plan(cache, kept, int(knobs.parts_cache_gb * 1e9))
        _show(found, console)
        if do_it:
            apply(found, tell)
    total = len(found.objects) + len(found.notes) + len(found.parts) + len(found.leftovers)
    if do_it:
        console.print(f"[green]Removed[/] {total} files." if total else "There was nothing to remove.")
    else:
        console.print("Nothing was removed. `betti gc --apply` removes it." if total else "There is nothing to remove.")


# What stays, what goes ----------------------------------------------------------------------------------------------


def plan(cache: Cache, keep: Keep, parts_limit: int) -> Plan:
    """Look at everything and change nothing.

    Args:
        cache: the cache of a workspace whose session is open.
        keep: as `clean` takes it.
        parts_limit: bytes the part cache may hold.

    Raises:
        SharedCache, UnknownFiles, HistoryUnreadable: it cannot be known what is needed.
    """
    root = cache.workspace.root
    if not cache.folder.resolve().is_relative_to((root / ".dvc").resolve()):
        raise SharedCache(cache.folder)
    stays: dict[Keep, frozenset[str]] = {"workspace": _of_workspace(cache)}
    if keep != "workspace":
        stays[keep] = _closed(cache, _of_history(root, keep), {}, f"one of the {keep}") - stays["workspace"]
    needed = frozenset[str]().union(*stays.values())
    going = {path: name for path, name in cache.objects().items() if name not in needed}
    gone = frozenset(going.values())
    was = _was(cache, gone)  # before the notes that tell it go
    notes = tuple(cache.dangling(gone))
    return Plan(
        stays={why: names & frozenset(cache.objects().values()) for why, names in stays.items()},
        objects={path: _bytes(path) for path in going},
        was=was,
        notes=notes,
        parts=_surplus(root / binding.PARTS_CACHE, parts_limit),
        leftovers={path: _bytes(path) for path in _leftovers(cache)},
    )


def _of_workspace(cache: Cache) -> frozenset[str]:
    """All that dvc.lock names, of stages that are declared no more too, and all else that DVC tracks here."""
    workspace = cache.workspace
    lock = workspace.root / "dvc.lock"
    named = _HASH.findall(lock.read_text(encoding="utf-8")) if lock.exists() else []
    outs = (out for entries in workspace.recorded().values() for out in entries if out.cached and out.md5)
    return _closed(cache, workspace.tracked().union(named), {out.md5: out.path for out in outs}, "dvc.lock")


def _closed(cache: Cache, names: Iterable[str], required: Mapping[str, str], why: str) -> frozenset[str]:
    """The names with those of the files they list. One that is absent is no loss, unless it is required (by what)."""
    found = set[str]()
    for name in names:
        closure = cache.closure(name)
        if closure is None and (name in required or os.path.lexists(cache.path_of(name))):
            raise UnknownFiles(cache.path_of(name), required.get(name, why))
        found |= closure or {name}
    return frozenset(found)


def _of_history(root: Path, keep: Keep) -> frozenset[str]:
    """Every hash that a dvc.lock or .dvc file names in the tagged commits, or in all commits of all branches."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return frozenset()
    if keep == "tags":
        tagged = _git(root, "rev-list", "--no-walk", "--tags").split()
        lines = [line for commit in tagged for line in _git(root, "ls-tree", "-r", "--full-tree", commit).splitlines()]
        found = [(line.split()[2], line.partition("\t")[2].strip('"')) for line in lines]
        blobs = {blob for blob, path in found if path.endswith(".dvc") or path.rpartition("/")[2] == "dvc.lock"}
    else:
        # Every version a file ever had is what some commit changed it to, beside one of its parents.
        commits = _git(root, "rev-list", "--all")
        changes = (
            "diff-tree",
            "--stdin",
            "-r",
            "-m",
            "--root",
            "--raw",
            "--no-abbrev",
            "--no-commit-id",
            "--no-renames",
        )
        lines = _git(root, *changes, "--", *VERSIONED, given=commits).splitlines()
        blobs = {line.split()[3] for line in lines if line.startswith(":")}
    blobs = {blob for blob in blobs if blob.strip("0")}  # a deleted file's is all zeros
    text = _git(root, "cat-file", "--batch", given="".join(f"{blob}\n" for blob in sorted(blobs))) if blobs else ""
    return frozenset(_HASH.findall(text))


def _git(root: Path, *arguments: str, given: str = "") -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, input=given.encode(), capture_output=True, check=False)
    except FileNotFoundError:
        raise HistoryUnreadable("git is not installed") from None
    if done.returncode != 0:
        raise HistoryUnreadable(done.stderr.decode(errors="replace").strip())
    return done.stdout.decode(errors="replace")


def _was(cache: Cache, gone: frozenset[str]) -> dict[str, str]:
    """What the objects were versions of, as far as notes of runs tell."""
    found: dict[str, str] = {}
    for outs in cache.runs().values():
        for path, name in outs.items():
            if name in gone:
                found[name] = path
                files = cache.listing(name) or {} if name.endswith(LISTING) else {}
                found |= {file: f"{path}/{below}" for below, file in files.items() if file in gone}
    return found


def _surplus(folder: Path, limit: int) -> dict[Path, int]:
    """The parts that `parts.prune` would delete: those unused for longest, beyond the limit."""
    held, found = 0, {}
    for file in sorted(folder.glob("*.parquet"), key=lambda file: file.stat().st_mtime, reverse=True):
        size = file.stat().st_size
        held += size
        if held > limit:
            found[file] = size
    return found


def _leftovers(cache: Cache) -> list[Path]:
    """What killed processes left half-written, and corrupt objects that `betti doctor --cache` set aside."""
    root = cache.workspace.root
    objects = cache.objects()
    found = [path for path in cache.entries() if path not in objects]
    found += sorted((root / ".betti" / "corrupt").glob("*"))
    scratch = (root / "data" / ".tmp", root / binding.PARTS_CACHE / ".tmp")
    entries = [entry for folder in scratch for entry in sorted(folder.glob("*-*"))]
    entries += sorted(cache.store.glob(".mend-*"))
    return found + [entry for entry in entries if not _at_work(entry)]


def _at_work(entry: Path) -> bool:
    """Whether the process that a scratch entry is named after lives."""
    pid = entry.name.removeprefix(".mend-").partition("-")[0]
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _bytes(path: Path) -> int:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files)


def apply(found: Plan, tell: Listener) -> None:
    """Remove what would go.

    In an order in which a kill leaves nothing that misleads: notes of runs before their outs, listings before files.
    """
    listings = [path for path in found.objects if path.suffix == LISTING]
    files = [path for path in found.objects if path.suffix != LISTING]
    doomed = [*found.notes, *listings, *files, *found.parts, *found.leftovers]
    for done, path in enumerate(doomed, start=1):
        io.remove(path)
        tell(done, len(doomed), "removed")
    for folder in {note.parent for note in found.notes}:
        if not any(folder.iterdir()):  # DVC takes a folder for its first note and fails on an empty one
            folder.rmdir()


# Showing ------------------------------------------------------------------------------------------------------------


def _show(found: Plan, console: Console) -> None:
    stays = Table("stays", "objects", "why")
    for why, names in found.stays.items():
        stays.add_row(why, str(len(names)), REASONS[why])
    console.print(stays)
    going = Table("would go", "files", "size")
    groups = {"DVC cache": found.objects, "part cache": found.parts, "leftovers": found.leftovers}
    for name, files in groups.items():
        going.add_row(name, str(len(files)), size_in_words(sum(files.values())))
    going.add_row("notes of runs", str(len(found.notes)), "")
    console.print(going)
    if found.objects:
        console.print(_largest(found))


def _largest(found: Plan) -> Table:
    """The largest objects that would go."""
    table = Table("object", "size", "an earlier version of")
    rows = sorted(found.objects.items(), key=lambda row: -row[1])
    for path, size in rows[:MOST_ROWS]:
        name = path.parent.name + path.name
        table.add_row(name, size_in_words(size), found.was.get(name, "[dim]unknown[/]"))
    if len(rows) > MOST_ROWS:
        table.add_row(f"and {len(rows) - MOST_ROWS} more", size_in_words(sum(size for _, size in rows[MOST_ROWS:])), "")
    return table


def size_in_words(size: float) -> str:
    """Bytes for people.

    >>> size_in_words(950), size_in_words(12_345_678)
    ('950 B', '12.3 MB')
    """
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


@contextmanager
def telling(console: Console) -> Iterator[Listener]:
    """A listener that shows a bar for each thing it is told about; in a pipe or a file it shows nothing."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    tasks: dict[str, TaskID] = {}

    def tell(done: int, total: int, what: str) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what)
        bars.update(tasks[what], completed=done, total=total)

    with bars:
        yield tell
