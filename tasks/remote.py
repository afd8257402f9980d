"""The remote: a folder or a place in a cloud where DVC's objects are kept a second time, or shared between machines.

Beside `tasks.record` the only module that knows DVC's internals. What does not belong here: the local cache
(`tasks.storage`), when to push (`flows.running`).
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betti.errors import BadParam
from tasks.record import md5_of
from tasks.storage import LISTING, RemoteError, problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dvc.data_cloud import Remote as Opened

    from tasks.storage import Cache, Tell

__all__ = ["Pushed", "Remote"]

OURS = "betti"  # its name in .dvc/config.local


@dataclass(frozen=True)
class Pushed:
    """What a push copied, `size` in bytes, and the outs it held back since the cache lacks or spoilt some of them."""

    objects: int
    size: int
    runs: int
    held_back: tuple[str, ...]


class Remote:
    """Where artifacts are shared or kept twice: a folder, or a place in a cloud.

    Betti uses the one that flow.remote names, and where that is null the one that DVC's own configuration names.
    """

    def __init__(self, cache: Cache) -> None:
        self.cache, self.workspace = cache, cache.workspace
        self._note = self.workspace.root / ".betti" / "pushed"

    def configure(self, wanted: str | None) -> None:
        """Make this the default remote of `dvc push` and `dvc pull` too, or take that away again.

        It stands in .dvc/config.local, which git ignores. Options of a remote whose address stays are kept.

        Raises:
            BadParam: DVC knows no such kind of remote, or it is the cache itself.
        """
        from dvc.config import ConfigError

        written = self.workspace.root / ".dvc" / "config.local"
        if wanted is None and not (written.is_file() and f'"{OURS}"' in written.read_text(encoding="utf-8")):
            return
        address = None if wanted is None else self._resolved(wanted)
        with self.workspace.session() as repo:
            known = repo.config.load_one("local")
            if known["core"].get("remote") == (address and OURS) and _address(known) == address:
                return
            try:
                with repo.config.edit("local") as config:
                    if _address(config) != address:
                        config["remote"].pop(OURS, None)
                    if address is not None:
                        config["remote"].setdefault(OURS, {})["url"] = address
                        config["core"]["remote"] = OURS
                    elif config["core"].get("remote") == OURS:
                        del config["core"]["remote"]
            except ConfigError as cause:
                raise BadParam("flow.remote", wanted, str(cause)) from cause

    def _resolved(self, wanted: str) -> str:
        if "://" in wanted:
            return wanted
        folder = (self.workspace.root / Path(wanted).expanduser()).resolve()
        cache = self.cache.folder.resolve()
        if folder.is_relative_to(cache) or cache.is_relative_to(folder):
            raise BadParam("flow.remote", wanted, f"it overlaps DVC's own cache, {cache}: name another folder")
        return str(folder)

    @property
    def address(self) -> str | None:
        """The remote's address; None where none is configured."""
        with self.workspace.session() as repo:
            name = repo.config["core"].get("remote")
            return str(repo.config["remote"].get(name, {}).get("url", name)) if name else None

    def settled(self) -> bool:
        """Whether the remote was last given all that dvc.lock names now."""
        return self._note.is_file() and self._note.read_text(encoding="utf-8") == self._state()

    def _state(self) -> str:
        lock = self.workspace.root / "dvc.lock"
        return f"{md5_of(lock) if lock.exists() else ''} {self.address}\n"

    def probe(self) -> None:
        """Ask the remote for anything.

        Raises:
            RemoteError: it cannot be reached.
        """
        with self._open() as remote:
            remote.fs.exists(remote.path)

    @contextmanager
    def _open(self) -> Iterator[Opened]:
        """The remote as DVC opens it; what goes wrong with it inside the block becomes a RemoteError."""
        address = self.address or "(none)"
        try:
            with self.workspace.session() as repo:
                remote = repo.cloud.get_remote()
            if remote.fs.protocol == "local" and not Path(remote.path).parent.is_dir():
                # DVC would make it: under a mount point without its disk, on the wrong one.
                raise RemoteError(address, "the folder it should lie in does not exist")
            yield remote
        except ImportError as cause:  # DVC's way to say which package a kind of remote needs
            raise RemoteError(address, str(cause)) from cause
        except _troubles() as cause:
            raise RemoteError(address, cause) from cause

    def fetch(self, names: Iterable[str], folder: Path, tell: Tell) -> None:
        """Copy those objects the remote has into the folder, under their names; they are not yet hashed.

        Raises:
            RemoteError: it cannot be reached.
        """
        from dvc.fs import generic

        with self._open() as remote:
            there = sorted(remote.odb.oids_exist(sorted(names)))
            if there:
                sources, targets = [remote.odb.oid_to_path(n) for n in there], [str(folder / n) for n in there]
                generic.copy(remote.fs, sources, _here(), targets, callback=_callback(tell, "objects fetched"))

    def push(self, tell: Tell) -> Pushed:
        """Copy to the remote what dvc.lock names and it lacks, and the notes that let runs be restored from it.

        Only what was hashed and found whole goes: a remote that holds a corrupt object spreads it. Stages that
        dvc.yaml declares no more are left out.

        Args:
            tell: told (done, total, what) as it goes.

        Raises:
            RemoteError: it cannot be reached or does not take something; what it has is consistent all the same.
        """
        state = self._state()
        outs, held_back = self._outs()
        with self._open() as remote:
            wanted = sorted(frozenset[str]().union(*outs.values()))
            new = sorted(set(wanted).difference(remote.odb.oids_exist(wanted))) if wanted else []
            bad = problems([self.cache.path_of(name) for name in new], tell, "new objects hashed")
            spoilt = {path.parent.name + path.name for path in bad}
            held_back += [path for path, names in outs.items() if names & spoilt]
            going = frozenset[str]().union(*(names for path, names in outs.items() if path not in held_back))
            going = going.intersection(new)
            size = sum(self.cache.path_of(name).stat().st_size for name in going)
            # A folder's files before its listing: who finds the listing may rely on them.
            for listings in (False, True):
                self._add(remote, sorted(name for name in going if name.endswith(LISTING) is listings), tell)
            notes = self._add_notes(remote, set(wanted).difference(new) | going, tell)
        if not held_back:
            self._note.parent.mkdir(exist_ok=True)
            self._note.write_text(state, encoding="utf-8")
        return Pushed(len(going), size, notes, tuple(held_back))

    def _outs(self) -> tuple[dict[str, frozenset[str]], list[str]]:
        """Every out that dvc.lock names with the names of its objects; and those which the cache has not in full."""
        outs: dict[str, frozenset[str]] = {}
        lacking = []
        for entries in self.workspace.recorded().values():
            for out in (entry for entry in entries if entry.kind == "out" and entry.md5):
                names = self.cache.closure(out.md5)
                if names is not None and all(self.cache.path_of(name).exists() for name in names):
                    outs[out.path] = names
                elif out.cached:
                    lacking.append(out.path)
        return outs, lacking

    def _add(self, remote: Opened, names: Sequence[str], tell: Tell) -> None:
        failed: list[BaseException] = []
        if names:
            remote.odb.add(
                [str(self.cache.path_of(name)) for name in names],
                _here(),
                list(names),
                callback=_callback(tell, "objects pushed"),
                check_exists=False,
                batch_size=remote.fs.jobs,
                on_error=lambda _name, cause: failed.append(cause),
            )
        if failed:
            raise RemoteError(self.address or "", failed[0]) from failed[0]

    def _add_notes(self, remote: Opened, there: set[str] | frozenset[str], tell: Tell) -> int:
        """Copy the notes of runs whose outs are all in the remote; a remote by HTTP cannot hold any."""
        from dvc.fs import generic

        if remote.fs.protocol in ("http", "https"):
            return 0
        notes = [note for note, outs in self.cache.runs().items() if outs and there.issuperset(outs.values())]
        targets = {note: remote.fs.join(remote.path, *note.relative_to(self.cache.folder).parts) for note in notes}
        known = remote.fs.exists(list(targets.values())) if targets else []
        new = {note: place for (note, place), old in zip(targets.items(), known, strict=True) if not old}
        if new:
            sources, places = [str(note) for note in new], list(new.values())
            generic.copy(_here(), sources, remote.fs, places, callback=_callback(tell, "runs pushed"))
        return len(new)


def _here() -> Any:
    """The local file system as DVC takes it."""
    from dvc.fs import localfs

    return localfs


def _address(config: Mapping[str, Any]) -> str | None:
    """The address of our remote in one of DVC's configuration files."""
    found = config["remote"].get(OURS, {}).get("url")
    return None if found is None else str(found)


def _callback(tell: Tell, what: str) -> Any:
    """DVC's way of being told how far a transfer is; per file, not per byte."""
    from fsspec.callbacks import Callback

    return Callback(hooks={"tell": lambda size, value, **_: tell(int(value), int(size or 0), what)})


def _troubles() -> tuple[type[BaseException], ...]:
    """What a remote's libraries raise when it cannot be used. Those of clouds derive from nothing that is built in."""
    from dvc.exceptions import DvcException
    from dvc.fs import AuthError, ConfigError, RemoteMissingDepsError

    found: list[type[BaseException]] = [OSError, DvcException, AuthError, ConfigError, RemoteMissingDepsError]
    for module, name in (("botocore.exceptions", "BotoCoreError"), ("aiohttp", "ClientError")):
        if module in sys.modules:
            found.append(getattr(sys.modules[module], name))
    return tuple(found)
