"""The one adapter to DVC: what is stale, restore it from cache, commit what a run made.

Why not `dvc repro` per task: its locks refuse stages side by side, and each call costs seconds. One shared `Repo` and
one mutex around it cost milliseconds. This is the only module that knows DVC's internals (hence dvc>=3.67,<3.68); a
test holds its dvc.lock equal to that of `dvc repro`, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tasks.errors import DependencyMovedError, NotAWorkspaceError, WorkspaceLockedError

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import PipelineStage

__all__ = ["Entry", "Outcome", "State", "Workspace"]

State = Literal["ran", "cached", "restored"]
OnWait = Callable[[str, float], None]


@dataclass(frozen=True)
class Entry:
    """One dependency or out of a stage as DVC knows it."""

    path: str
    kind: Literal["dep", "out"]
    md5: str
    size: int | None
    files: int | None


@dataclass(frozen=True)
class Outcome:
    """What became of one stage: its state, how long its body ran, and what went in and out."""

    stage: str
    state: State
    seconds: float
    entries: tuple[Entry, ...]


def _silent(_holder: str, _waited: float) -> None:
    """Nobody listens while the workspace waits for its lock."""


class Workspace:
    """One repository under DVC, shared by all threads of this process."""

    def __init__(self, root: Path, wait_seconds: float = 600.0, on_wait: OnWait = _silent) -> None:
        """Open the workspace.

        Args:
            root: the folder with dvc.yaml, params.yaml and .dvc.
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
        self._known_before: list[str] | None = None

    @cached_property
    def _repo(self) -> Repo:
        logging.getLogger("dvc").setLevel(logging.ERROR)
        from dvc.repo import Repo

        return Repo(str(self.root))

    @contextmanager
    def _session(self) -> Iterator[Repo]:
        """The repository, locked against other threads and other DVC processes."""
        from dvc.lock import LockError
        from dvc.repo import lock_repo

        with self._mutex:
            started = time.monotonic()
            while True:
                lock = lock_repo(self._repo)
                try:
                    lock.__enter__()
                    break
                except LockError as error:
                    waited = time.monotonic() - started
                    holder = self._lock_holder()
                    if waited >= self._wait_seconds:
                        raise WorkspaceLockedError(holder, waited) from error
                    self._on_wait(holder, waited)
                    time.sleep(1)
            try:
                yield self._repo
            finally:
                lock.__exit__(None, None, None)

    def _lock_holder(self) -> str:
        """Who holds DVC's lock, as far as its lock file tells."""
        try:
            pid = (self.root / ".dvc" / "tmp" / "lock").read_text(encoding="utf-8").strip()
        except OSError:
            pid = ""
        return f"DVC process {pid}" if pid else "another DVC process"

    # The graph ------------------------------------------------------------------------------------------------------

    def graph(self) -> dict[str, tuple[str, ...]]:
        """Stage -> the stages it reads from, in the order `dvc repro` would take."""
        from dvc.repo.reproduce import plan_repro

        with self._session() as repo:
            found = repo.index.graph
            ordered = plan_repro(found, list(found))
            return {s.addressing: tuple(sorted(up.addressing for up in found.successors(s))) for s in ordered}

    def stale(self) -> dict[str, tuple[str, ...]]:
        """Stages that would not be cached as things stand -> why, in words. Upstream changes are not followed."""
        with self._session() as repo:
            return {s.addressing: why for s in repo.index.stages if (why := _why(s))}

    def check_cache(self) -> tuple[int, list[Path]]:
        """Hash every object in DVC's cache: how many there are, and which are not what their name says."""
        store = Path(self._repo.cache.local.path)
        objects = [file for file in store.glob("??/*") if file.is_file() and len(file.parent.name) == 2]
        return len(objects), [f for f in objects if _md5(f) != f.parent.name + f.name.removesuffix(".dir")]

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
        with self._session() as repo:
            stage = repo.stage.load_one(name=name)
            if not force:
                if not stage.changed():
                    return Outcome(name, "cached", 0.0, _entries(stage))
                if self._restore(repo, stage):
                    return Outcome(name, "restored", 0.0, _entries(stage))
            stage.save_deps()
            before = _hashes(stage)
        started = time.perf_counter()
        body()
        seconds = time.perf_counter() - started
        with self._session() as repo:
            stage = repo.stage.load_one(name=name)
            stage.save_deps()
            after = _hashes(stage)
            moved = sorted(path for path in before if before[path] != after.get(path))
            if moved:
                raise DependencyMovedError(name, moved)
            self._save(repo, stage)
            return Outcome(name, "ran", seconds, _entries(stage))

    def recorded(self) -> dict[str, tuple[Entry, ...]]:
        """What dvc.lock says of every stage's deps and outs."""
        with self._session() as repo:
            return {stage.addressing: _entries(stage) for stage in repo.index.stages}

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
            return False
        broken = [path for out in stage.outs for path in _corrupted(out)]
        for out_path, cache_path in broken:
            out_path.unlink(missing_ok=True)
            if cache_path is not None:
                cache_path.chmod(0o644)
                cache_path.unlink(missing_ok=True)
        if broken or {str(out.def_path): out.hash_info.value for out in stage.outs} != wanted:
            return False
        self._save(repo, stage)
        return True

    def _bring_back(self, repo: Repo, stage: PipelineStage) -> dict[str, str] | None:
        """Check the outs out of the cache; path -> the hash each should have, None where no such run is known."""
        if stage.changed_stage() or stage.changed_deps() or not stage.outs_cached():
            if any(out.persist for out in stage.outs):
                return None  # ingest: what it keeps from before is no function of its deps
            # restore() does not say what it restores, and takes a stage whose deps were saved for unchanged.
            twin = repo.stage.load_one(name=stage.name)
            twin.save_deps()
            known = repo.stage_cache._load(twin)
            if not known:
                return None
            repo.stage_cache.restore(stage)
            return {out["path"]: out["md5"] for out in known["outs"]}
        # Only outs are missing or touched; this also serves ingest, whose `persist` rules out a run cache.
        wanted = {str(out.def_path): out.hash_info.value for out in stage.outs}
        stage.checkout(force=True)
        return wanted

    def _save(self, repo: Repo, stage: PipelineStage) -> None:
        """Hash and cache the outs, then put the stage into dvc.lock as one atomic replacement."""
        stage.save()
        stage.commit()
        self._dump(repo, stage)

    def _dump(self, repo: Repo, stage: PipelineStage) -> None:
        """Write dvc.lock beside itself and rename: DVC writes it in place, and a kill would leave half of it."""
        from dvc.dvcfile import Lockfile
        from dvc.utils.serialize import dump_yaml, load_yaml

        lock = self.root / "dvc.lock"
        scratch = self.root / ".dvc" / "tmp" / f"dvc.lock.{os.getpid()}"
        try:
            if lock.exists():
                shutil.copyfile(lock, scratch)
            Lockfile(repo, str(scratch), verify=False).dump(stage)
            content = load_yaml(str(scratch))
            ordered = self._in_order(repo, lock, list(content["stages"]))
            if ordered != list(content["stages"]):
                content["stages"] = {name: content["stages"][name] for name in ordered}
                dump_yaml(str(scratch), content)
            scratch.replace(lock)
        finally:
            scratch.unlink(missing_ok=True)

    def _in_order(self, repo: Repo, lock: Path, names: list[str]) -> list[str]:
        """Known stages where they stood, new ones after them in `dvc repro`'s order, whichever finished first."""
        from dvc.utils.serialize import load_yaml

        if self._known_before is None:
            self._known_before = list(load_yaml(str(lock)).get("stages", {})) if lock.exists() else []
        if set(names) <= set(self._known_before):
            return names
        from dvc.repo.reproduce import plan_repro

        graph = repo.index.graph
        plan = [stage.addressing for stage in plan_repro(graph, list(graph))]
        known = [name for name in self._known_before if name in names]
        fresh = [name for name in names if name not in known]
        return known + sorted(fresh, key=lambda n: plan.index(n) if n in plan else len(plan))


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
    return {str(dep): json.dumps(dep.hash_info.to_dict(), sort_keys=True, default=str) for dep in stage.deps}


def _entries(stage: PipelineStage) -> tuple[Entry, ...]:
    """Deps and outs with their hashes; params are not files and stand in params.yaml."""
    found = []
    for kind, group in (("dep", stage.deps), ("out", stage.outs)):
        for item in group:
            if item.__class__.__name__ == "ParamsDependency":
                continue
            value = item.hash_info.value if item.hash_info else None
            size, files = (item.meta.size, item.meta.nfiles) if item.meta else (None, None)
            found.append(Entry(str(item.def_path), kind, str(value or ""), size, files))  # type: ignore[arg-type]
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
        if not file.exists() or _md5(file) != value:
            cached = Path(out.cache.oid_to_path(value)) if out.use_cache else None
            broken.append((file, cached))
    return broken


def _tree_items(tree: Any) -> list[tuple[tuple[str, ...], tuple[Any, Any]]]:
    return [(key, (meta, info)) for key, meta, info in tree] if tree is not None else []


def _md5(file: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
