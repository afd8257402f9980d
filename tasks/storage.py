"""DVC's cache as a whole: which objects it has, whether they are what their names say, and how they are put back.

It knows how DVC lays out its cache, and not DVC itself. What does not belong here: single stages (`tasks.record`), the
remote (`tasks.remote`), what is kept and what goes (`flows.cleaning`), printing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from betti import io
from betti.errors import BettiError
from tasks.record import md5_of

if TYPE_CHECKING:
    from tasks.record import Workspace

__all__ = ["LISTING", "NAME", "Cache", "Fault", "Health", "Mended", "RemoteError", "Use", "problems"]

Problem = Literal["corrupt", "unreadable", "missing"]
Tell = Callable[[int, int, str], None]
Fetch = Callable[[Sequence[str], Path, Tell], None]

LISTING = ".dir"  # the ending of an object that lists a folder's files
NAME = re.compile(r"[0-9a-f]{32}(?:\.dir)?")
_OUT = re.compile(r"^- path: (.*)\n(?:  .*\n)*?  md5: ([0-9a-f]{32}(?:\.dir)?)$", re.MULTILINE)


class RemoteError(BettiError):
    """The remote cannot be used now; what lies in the workspace and its cache is not touched by that."""

    def __init__(self, address: str, cause: object) -> None:
        kind = f"{type(cause).__name__}: " if isinstance(cause, BaseException) else ""
        super().__init__(
            f"the remote {address} cannot be used: {kind}{cause}. Mend it, or flow.remote in params.yaml; "
            "the next `betti run` pushes what it lacks"
        )


@dataclass(frozen=True)
class Use:
    """A file of an out that an object holds the bytes of, as dvc.lock has it."""

    stage: str
    path: str


@dataclass(frozen=True)
class Fault:
    """One object that is not what its name, the hash of its bytes, says; `uses` is empty for an earlier version."""

    name: str
    problem: Problem
    path: Path
    uses: tuple[Use, ...]


@dataclass(frozen=True)
class Health:
    """How many objects were hashed, what is wrong with which, and how many known runs cannot be restored any more."""

    objects: int
    faults: tuple[Fault, ...]
    dangling: int


@dataclass(frozen=True)
class Mended:
    """What became of faults: fetched again from where, or left; `trouble` is what the remote said, if it failed."""

    from_workspace: tuple[Fault, ...]
    from_remote: tuple[Fault, ...]
    left: tuple[Fault, ...]
    trouble: str = ""


class Cache:
    """The objects in DVC's cache, and its memory of earlier runs."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.folder = workspace, workspace.cache_folder
        self.store = self.folder / "files" / "md5"

    def path_of(self, name: str) -> Path:
        """Where the object of that name lies, or would."""
        return self.store / name[:2] / name[2:]

    def entries(self) -> Iterator[Path]:
        """Everything among the objects, leftovers of killed writers included.

        At the cache's top, where DVC 2 kept its objects, DVC 3 still keeps listings of folders that are dependencies.
        """
        for store in (self.store, self.folder):
            for prefix in sorted(store.glob("[0-9a-f][0-9a-f]")):
                yield from sorted(prefix.iterdir())

    def objects(self) -> dict[Path, str]:
        """Every object with its name."""
        named = {path: path.parent.name + path.name for path in self.entries()}
        return {path: name for path, name in named.items() if NAME.fullmatch(name)}

    def listing(self, name: str) -> dict[str, str] | None:
        """The files of a folder, path in it -> name of the object; None where the cache has no such listing, whole."""
        try:
            text = self.path_of(name).read_bytes()
        except OSError:
            return None
        if hashlib.md5(text, usedforsecurity=False).hexdigest() + LISTING != name:
            return None
        return {file["relpath"]: file["md5"] for file in json.loads(text)}

    def closure(self, name: str) -> frozenset[str] | None:
        """The names of all objects an out consists of; None where its listing is not there."""
        if not name.endswith(LISTING):
            return frozenset({name})
        files = self.listing(name)
        return None if files is None else frozenset({name, *files.values()})

    # Whole or not ---------------------------------------------------------------------------------------------------

    def check(self, tell: Tell) -> Health:
        """Hash every object, several at a time: DVC itself trusts a read-only one.

        Args:
            tell: told (done, total, what) as it goes.
        """
        # What DVC 2 kept at the top is hashed in another way; Betti has none, and DVC 3 reads only the listings there.
        objects = [path for path in self.objects() if path.suffix == LISTING or path.is_relative_to(self.store)]
        found = problems(objects, tell, "objects hashed")
        return Health(len(objects), self._faults(found), len(self.dangling()))

    def _faults(self, found: Mapping[Path, Problem]) -> tuple[Fault, ...]:
        """These problems and the objects that dvc.lock names and that are not there, with what each is used by."""
        uses, needed = defaultdict[str, list[Use]](list), set[str]()
        for stage, entries in self.workspace.recorded().items():
            for out in (entry for entry in entries if entry.kind == "out" and entry.md5):
                files = self.listing(out.md5) or {} if out.md5.endswith(LISTING) else {}
                uses[out.md5].append(Use(stage, out.path))
                for below, name in files.items():
                    uses[name].append(Use(stage, f"{out.path}/{below}"))
                if out.cached:  # what git keeps need not be in the cache
                    needed |= {out.md5, *files.values()}
        absent = [path for path in map(self.path_of, sorted(needed)) if not path.exists()]
        everything: dict[Path, Problem] = {**dict.fromkeys(absent, "missing"), **found}
        named = {path: path.parent.name + path.name for path in everything}
        return tuple(Fault(named[p], problem, p, tuple(uses[named[p]])) for p, problem in everything.items())

    def mend(self, faults: Sequence[Fault], fetch: Fetch | None, tell: Tell) -> Mended:
        """Put back what can be had: from the workspace's own files, else from the remote; its hash decides.

        What cannot be had is moved to .betti/corrupt where it lies in the cache: DVC would go on trusting it, so that
        its stage would neither run nor be restored rightly.

        Args:
            faults: what `check` found.
            fetch: `Remote.fetch`; None without a remote.
            tell: told (done, total, what) as it goes.
        """
        sources: dict[Fault, str] = {}
        trouble = ""
        # Listings first: only then is it known which files their folders have, and which of those are missing.
        for listings in (True, False):
            lying = {f.path: f.problem for f in faults if f.problem != "missing" and f.path not in _paths(sources)}
            open_ = [fault for fault in self._faults(lying) if fault.name.endswith(LISTING) is listings]
            with self._scratch() as scratch:
                sources |= {f: "workspace" for f in open_ if self._from_workspace(f, scratch / f.name)}
                rest = [fault for fault in open_ if fault not in sources]
                if rest and fetch is not None:
                    try:
                        fetch([fault.name for fault in rest], scratch, tell)
                    except RemoteError as error:
                        trouble = str(error)
                    sources |= {f: "remote" for f in rest if self._place(scratch / f.name, f)}
        lying = {f.path: f.problem for f in faults if f.problem != "missing" and f.path not in _paths(sources)}
        left = self._faults(lying)
        for path in lying:
            self._set_aside(path)
        by_source = defaultdict[str, list[Fault]](list)
        for fault, source in sources.items():
            by_source[source].append(fault)
        return Mended(tuple(by_source["workspace"]), tuple(by_source["remote"]), left, trouble)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder on the objects' own file system, gone afterwards."""
        scratch = self.store / f".mend-{os.getpid()}"
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            yield scratch
        finally:
            io.remove(scratch)

    def _from_workspace(self, fault: Fault, scratch: Path) -> bool:
        """Whether one of the files the object was taken from still has its bytes; then it is put back."""
        for use in fault.uses:
            source = self.workspace.root / use.path
            try:
                if fault.name.endswith(LISTING):
                    scratch.write_bytes(_listed(source))
                else:
                    shutil.copyfile(source, scratch)
            except OSError:
                continue
            if self._place(scratch, fault):
                return True
        return False

    def _place(self, scratch: Path, fault: Fault) -> bool:
        """Put a file in the object's place if it has the right bytes."""
        if not scratch.is_file() or md5_of(scratch) != fault.name.removesuffix(LISTING):
            return False
        scratch.chmod(0o444)  # as DVC keeps its objects
        fault.path.parent.mkdir(parents=True, exist_ok=True)
        if fault.path.is_dir():
            io.remove(fault.path)
        scratch.replace(fault.path)
        return True

    def _set_aside(self, path: Path) -> None:
        aside = self.workspace.root / ".betti" / "corrupt" / (path.parent.name + path.name)
        aside.parent.mkdir(parents=True, exist_ok=True)
        if aside.exists():
            io.remove(aside)
        shutil.move(path, aside)

    # Earlier runs ---------------------------------------------------------------------------------------------------

    def runs(self) -> dict[Path, dict[str, str]]:
        """DVC's notes of earlier runs, each with its outs, path -> name; no outs where a note cannot be read."""
        return {note: _outs(note) for note in sorted((self.folder / "runs").glob("??/*/*")) if note.is_file()}

    def dangling(self, gone: frozenset[str] = frozenset()) -> list[Path]:
        """Notes of runs that cannot be restored, since an object is not there or is among the `gone`."""
        here = set(self.objects().values()) - gone
        known: dict[str, bool] = {}

        def restorable(name: str) -> bool:
            if name not in known:
                known[name] = (self.closure(name) or frozenset({""})) <= here
            return known[name]

        return [note for note, outs in self.runs().items() if not outs or not all(map(restorable, outs.values()))]


def problems(paths: Sequence[Path], tell: Tell, what: str) -> dict[Path, Problem]:
    """Hash objects, one thread a core, and say which are not what their names say.

    Args:
        paths: the objects' files.
        tell: told (done, total, what) as it goes.
        what: the words to tell it with.
    """
    pool = ThreadPoolExecutor(os.cpu_count())
    found: dict[Path, Problem] = {}
    try:
        for done, (path, problem) in enumerate(zip(paths, pool.map(_problem, paths), strict=True), start=1):
            if problem is not None:
                found[path] = problem
            tell(done, len(paths), what)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C nobody waits for gigabytes to be hashed
    return found


def _problem(path: Path) -> Problem | None:
    try:
        whole = md5_of(path) == path.parent.name + path.name.removesuffix(LISTING)
        return None if whole else "corrupt"
    except FileNotFoundError:
        return "unreadable" if path.is_symlink() else None  # gone since it was seen: no fault of its own
    except OSError:
        return "unreadable"


def _paths(faults: Iterable[Fault]) -> set[Path]:
    return {fault.path for fault in faults}


def _listed(folder: Path) -> bytes:
    """What DVC would write as the folder's listing."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    entries = [{"md5": md5_of(file), "relpath": file.relative_to(folder).as_posix()} for file in files]
    return json.dumps(sorted(entries, key=lambda entry: entry["relpath"]), sort_keys=True).encode()


def _outs(note: Path) -> dict[str, str]:
    """The outs a note of a run names. Its YAML is DVC's own and always the same, and there are thousands of notes."""
    try:
        text = note.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    return {found[1]: found[2] for found in _OUT.finditer(text.partition("\nouts:\n")[2])}
