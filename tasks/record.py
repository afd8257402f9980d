"""The one adapter to DVC: what is stale, restore it from cache, commit what a run made.

Why not `dvc repro` per task: its locks refuse stages side by side, and each call costs seconds. One shared `Repo` and
one mutex around it cost milliseconds. This module, and `tasks.remote` for what leaves the machine, are the only ones
that know DVC's internals (hence dvc>=3.67,<3.68); a test holds its dvc.lock equal to that of `dvc repro`, byte for
byte.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tasks.errors import BrokenPipelineError, DependencyMovedError, NotAWorkspaceError, WorkspaceLockedError
from tasks.lockfile import LockText

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import PipelineStage

__all__ = ["Entry", "Outcome", "State", "View", "Workspace", "md5_of"]

State = Literal["ran", "cached", "restored"]
OnWait = Callable[[str, float], None]


@dataclass(frozen=True)
class Entry:
    """One dependency or out of a stage as DVC knows it; `cached` says whether DVC's cache keeps it."""

    path: str
    kind: Literal["dep", "out"]
    md5: str
    size: int | None
    files: int | None
    cached: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one stage: its state, how long its body ran, and what went in and out."""

    stage: str
    state: State
    seconds: float
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class View:
    """All stages at one moment.

    Attributes:
        upstreams: stage -> the stages it reads from, in the order `dvc repro` would take.
        stale: stages that would not be cached as things stand -> why, in words; upstream changes are not followed.
    """

    upstreams: dict[str, tuple[str, ...]]
    stale: dict[str, tuple[str, ...]]


def _silent(_holder: str, _waited: float) -> None:
    """Nobody listens while the workspace waits for its lock."""


class Workspace:
    """One repository under DVC, shared by all threads of this process."""

    def __init__(self, root: Path, wait_seconds: float = 600.0, on_wait: OnWait = _silent) -> None:
        """Open the workspace.

        Args:
            root: the folder with dvc.yaml, params.yaml and .dvc; the working directory, as DVC expects.
            wait_seconds: how long to wait for a DVC lock that another process holds.
            on_wait: told (holder, seconds waited) about once a second meanwhile.

        Raises:
            NotAWorkspaceError: one of those is missing.
        """
        for needed in ("dvc.yaml", "params.yaml", ".dvc"):
            if not (root / needed).exists():
                raise NotAWorkspaceError(root, needed)
        self.root = root
        self._wait_seconds, self._on_wait = wait_seconds, on_wait
        self._mutex = threading.RLock()
        self._seen: tuple[object, ...] = ()
        self._stages: dict[str, PipelineStage] = {}
        self._lock_text = LockText.parse("")

    @cached_property
    def _repo(self) -> Repo:
        logging.getLogger("dvc").setLevel(logging.ERROR)
        from dvc.repo import Repo

        return Repo(str(self.root))

    @property
    def cache_folder(self) -> Path:
        """DVC's cache: .dvc/cache, or where DVC's configuration puts it."""
        return Path(self._repo.cache.legacy.path)

    @contextmanager
    def session(self) -> Iterator[Repo]:
        """The repository, locked against other threads and other DVC processes, its stages as the files say.

        What was loaded is kept between sessions as long as the files are as this process left them: DVC itself would
        parse all of them anew each time. After an error everything is loaded again, since a stage may be half-updated.
        A session inside a session of the same thread is a part of it.
        """
        with self._mutex:
            repo = self._repo
            if repo._lock_depth:
                yield repo
                return
            self._acquire(repo)
            try:
                if self._seen != self._stamp():
                    self._load(repo)
                yield repo
            except BaseException:
                self._seen = ()
                raise
            finally:
                repo._lock_depth -= 1
                repo.lock.unlock()

    def _acquire(self, repo: Repo) -> None:
        """Take DVC's lock, waiting for another process as long as allowed."""
        from dvc.lock import LockError

        started = time.monotonic()
        while True:
            try:
                repo.lock.lock()
                repo._lock_depth += 1
                return
            except LockError as error:
                waited = time.monotonic() - started
                holder = self._lock_holder()
                if waited >= self._wait_seconds:
                    raise WorkspaceLockedError(holder, waited) from error
                self._on_wait(holder, waited)
                time.sleep(1)

    def _stamp(self) -> tuple[object, ...]:
        """Tells one state of the files that define the stages from another."""
        found: list[object] = []
        for name in ("dvc.yaml", "params.yaml", ".dvcignore", "dvc.lock"):
            path = self.root / name
            found.append((path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else None)
        return tuple(found)

    def _load(self, repo: Repo) -> None:
        from dvc.exceptions import DvcException

        stamp = self._stamp()  # before reading: an edit meanwhile is seen as one next time
        repo._reset()
        try:
            self._stages = {stage.name: stage for stage in repo.index.stages if _of_pipeline(stage)}
        except DvcException as cause:
            raise BrokenPipelineError(cause) from cause
        self._lock_text = LockText.read(self.root / "dvc.lock")
        self._seen = stamp

    def _lock_holder(self) -> str:
        """Who holds DVC's lock, as far as its lock file tells."""
        try:
            pid = (self.root / ".dvc" / "tmp" / "lock").read_text(encoding="utf-8").strip()
        except OSError:
            pid = ""
        return f"DVC process {pid}" if pid else "another DVC process"

    # All stages -----------------------------------------------------------------------------------------------------

    def look(self) -> View:
        """The graph, and what is stale."""
        with self.session() as repo:
            graph, order = repo.index.graph, self._order(repo)
            by_name = self._stages
            upstreams = {n: _names(graph.successors(by_name[n])) for n in order}
            return View(upstreams, {n: why for n in order if (why := _why(by_name[n]))})

    def recorded(self) -> dict[str, tuple[Entry, ...]]:
        """What dvc.lock says of every stage's deps and outs."""
        with self.session():
            return {name: _entries(stage) for name, stage in self._stages.items()}

    def tracked(self) -> frozenset[str]:
        """The hashes of all that DVC tracks in the workspace, beside the pipeline too (`dvc add`)."""
        with self.session() as repo:
            return frozenset(str(out.hash_info.value) for out in repo.index.outs if out.hash_info)

    def _order(self, repo: Repo) -> list[str]:
        """The stages in the order `dvc repro` would take."""
        from dvc.repo.reproduce import plan_repro

        planned = plan_repro(repo.index.graph, list(repo.index.graph))
        return [stage.name for stage in planned if _of_pipeline(stage)]

    # One stage ------------------------------------------------------------------------------------------------------

    def bring_up_to_date(self, name: str, body: Callable[[], None], force: bool = False) -> Outcome:
        """Leave the stage's outs as its deps and params demand: cached, restored, or made by running `body`.

        Args:
            name: the stage as dvc.yaml names it, e.g. "features@topology".
            body: computes and writes the outs; called without any lock held.
            force: run the body even when nothing changed.

        Raises:
            DependencyMovedError: a dependency changed while the body ran; nothing is recorded.
            WorkspaceLockedError: another process holds DVC's lock for too long.
        """
        with self.session() as repo:
            stage = self._stages[name]
            if not force:
                if not stage.changed():
                    return Outcome(name, "cached", 0.0, _entries(stage))
                if self._restore(repo, stage):
                    return Outcome(name, "restored", 0.0, _entries(stage))
            before = _hashes(stage)
            _keep_history(stage)
        started = time.perf_counter()
        body()
        seconds = time.perf_counter() - started
        with self.session() as repo:
            stage = self._stages[name]
            self._save(repo, stage, before)
            return Outcome(name, "ran", seconds, _entries(stage))

    def _restore(self, repo: Repo, stage: PipelineStage) -> bool:
        """Put the outs back from cache, if some run with these deps and params is known; hash what came back.

        DVC takes a read-only cache object for good without hashing it, so that a corrupted one would be restored as
        if nothing were wrong. What does not match is deleted from workspace and cache, and the stage runs.
        """
        from dvc.exceptions import DvcException

        try:
            wanted = self._bring_back(repo, stage)
            if wanted is None:
                return False
            stage.save_outs()
        except (DvcException, FileNotFoundError):
            self._seen = ()  # the stage may hold hashes of outs that are not recorded
            return False
        broken = [path for out in stage.outs for path in _corrupted(out)]
        for out_path, cache_path in broken:
            out_path.unlink(missing_ok=True)
            if cache_path is not None:
                cache_path.chmod(0o644)
                cache_path.unlink(missing_ok=True)
        if broken or {str(out.def_path): out.hash_info.value for out in stage.outs} != wanted:
            self._seen = ()
            return False
        self._save(repo, stage, _hashes(stage))
        return True

    def _bring_back(self, repo: Repo, stage: PipelineStage) -> dict[str, str] | None:
        """Check the outs out of the cache; path -> the hash each should have, None where no such run is known."""
        if not (stage.changed_stage() or stage.changed_deps()) and stage.outs_cached():
            # Only outs are missing or touched; this also serves ingest, whose `persist` rules out a run cache.
            wanted = {str(out.def_path): out.hash_info.value for out in stage.outs}
            stage.checkout(force=True)
            return wanted
        if any(out.persist for out in stage.outs):
            return None  # ingest: what it keeps from before is no function of its deps
        # As `StageCache.restore` does, which does not say what it restores; on a twin, whose deps may be noted.
        known = repo.stage_cache._load(_twin(stage))
        if not known:
            return None
        earlier = repo.stage_cache._create_stage(known, wdir=stage.wdir)
        if not earlier.outs_cached():
            return None
        earlier.checkout(force=True)
        return {out["path"]: out["md5"] for out in known["outs"]}

    def _save(self, repo: Repo, stage: PipelineStage, before: dict[str, str]) -> None:
        """Hash and cache the outs, then put the stage into dvc.lock as one atomic replacement.

        Raises:
            DependencyMovedError: what is about to be recorded as a dep is not what it was `before` the outs were made.
        """
        from dvc.stage.serialize import to_single_stage_lockfile
        from dvc.utils.serialize._yaml import _dump

        stage.save(run_cache=False)
        saved = {str(dep): _text(dep.hash_info) for dep in stage.deps}
        moved = sorted(path for path in before if before[path] != saved.get(path))
        if moved:
            raise DependencyMovedError(stage.name, moved)
        repo.stage_cache.save(stage)
        stage.commit()
        stage.cmd_changed = False
        stream = StringIO()
        _dump({"stages": {stage.name: to_single_stage_lockfile(stage)}}, stream)
        fragment = stream.getvalue().removeprefix("stages:\n")
        self._lock_text.replace(stage.name, fragment, self._order(repo))
        self._lock_text.write(self.root / "dvc.lock", self.root / ".dvc" / "tmp")
        self._seen = (*self._seen[:-1], self._stamp()[-1])  # of the files seen, only the lock is this process's work


def _of_pipeline(stage: Any) -> bool:
    """Whether it is a stage of dvc.yaml; what `dvc add` made is none, and has no name."""
    return hasattr(stage, "name")


def _names(stages: Iterable[Any]) -> tuple[str, ...]:
    return tuple(sorted(stage.name for stage in stages if _of_pipeline(stage)))


def _why(stage: PipelineStage) -> tuple[str, ...]:
    """Reasons why a stage is not up to date; none when it is."""
    if not stage.changed():
        return ()
    if not any(out.hash_info for out in stage.outs):
        return ("it never ran",)
    reasons = []
    if stage.changed_stage():
        reasons.append("its command changed")
    for entry in (*stage.deps, *stage.outs):
        status = entry.status()
        for path, change in status.items():
            words = ", ".join(f"{k} {v}" for k, v in _flat(change)) if isinstance(change, dict) else str(change)
            reasons.append(f"{path}: {words}")
    return tuple(reasons)


def _flat(change: dict[str, Any]) -> list[tuple[str, str]]:
    """A params status, one level deeper than a file's: ("features.topology.window", "modified")."""
    return [(str(key), "changed" if isinstance(value, dict) else str(value)) for key, value in change.items()]


def _hashes(stage: PipelineStage) -> dict[str, str]:
    """What DVC would note of every dep now, without noting it in the stage."""
    return {str(dep): _text(dep.hash_info) for dep in _twin(stage).deps}


def _twin(stage: PipelineStage) -> PipelineStage:
    """The stage with its deps saved as they are now, on copies: the stage itself goes on as dvc.lock has it."""
    twin = copy.copy(stage)
    twin.deps = [copy.copy(dep) for dep in stage.deps]
    twin.save_deps()
    return twin


def _text(hash_info: Any) -> str:
    return json.dumps(hash_info.to_dict(), sort_keys=True, default=str)


def _keep_history(stage: PipelineStage) -> None:
    """Before ingest runs: bring back bars that are recorded and gone from the workspace, since it adds to them.

    A workspace can lack them after a clean-up or on another machine; where the cache does too, ingest begins anew.
    """
    for out in stage.outs:
        if out.persist and out.hash_info and not out.exists and not out.changed_cache():
            out.checkout(force=True)


def _entries(stage: PipelineStage) -> tuple[Entry, ...]:
    """Deps and outs with their hashes; params are not files and stand in params.yaml."""
    found = []
    for kind, group in (("dep", stage.deps), ("out", stage.outs)):
        for item in group:
            if item.__class__.__name__ == "ParamsDependency":
                continue
            value = item.hash_info.value if item.hash_info else None
            size, files = (item.meta.size, item.meta.nfiles) if item.meta else (None, None)
            cached = kind == "out" and item.use_cache
            found.append(Entry(str(item.def_path), kind, str(value or ""), size, files, cached))  # type: ignore[arg-type]
    return tuple(found)


def _corrupted(out: Any) -> list[tuple[Path, Path | None]]:
    """(file, its cache object) for every restored file whose bytes are not what its hash says."""
    root = Path(out.fs_path)
    if not root.exists() or not out.hash_info:
        return []
    if not out.hash_info.isdir:
        wanted = {root: out.hash_info.value}
    else:
        tree = out.get_obj()
        wanted = {root.joinpath(*key): info.value for key, (_, info) in _tree_items(tree)}
    broken = []
    for file, value in wanted.items():
        if not file.exists() or md5_of(file) != value:
            cached = Path(out.cache.oid_to_path(value)) if out.use_cache else None
            broken.append((file, cached))
    return broken


def _tree_items(tree: Any) -> list[tuple[tuple[str, ...], tuple[Any, Any]]]:
    return [(key, (meta, info)) for key, meta, info in tree] if tree is not None else []


def md5_of(file: Path) -> str:
    """The hash DVC names the file's content by, as 32 hexadecimal digits."""
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
