"""Weights & Biases: a run's curves, scores, knobs, files and pictures, on this machine unless you ask for the network.

Without `uri` an entry is a folder of wandb's own format under `wandb` in the repository's root, written offline:
nothing is sent and no account is needed. `wandb leet wandb` shows it in a terminal, `wandb sync` sends what was not
sent yet. A `uri` that begins with http:// or https:// is a server and is written to; any other is a folder, relative to
the root. `WANDB_MODE` (online or offline) decides before that, and `WANDB_PROJECT`, `WANDB_ENTITY` and `WANDB_BASE_URL`
hold as wandb documents them. The key is read by wandb itself, from `WANDB_API_KEY`.

wandb cannot add to an offline run that has ended, and a second run of the same id takes the place of the first when
both are sent. So an entry is always written whole: an evaluation that comes later writes the folder anew, with all that
was in it, under the same id. An entry is a folder that holds `betti.json`, which is written last.

Needs the extra `wandb`, and wandb starts a process of its own, which ends with the one that tracks.
"""

from __future__ import annotations

import json
import os
import shutil
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

# wandb would report its errors to its makers.
os.environ.setdefault("WANDB_ERROR_REPORTING", "false")

from wandb.errors import Error
from wandb.sdk.wandb_settings import Settings

from betti.tracking._protocol import Reference, TrackingFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from betti.tracking._protocol import Point, Record

__all__ = ["Wandb", "open_tracker"]

NAME = "wandb"
PROJECT = "betti"
MARK = "betti.json"
DIGITS = 12  # of a hash, in an id
LONGEST = 64 - 1 - DIGITS  # an id has 64 characters at most
MODES = {"online": True, "run": True, "offline": False, "dryrun": False}
START_SECONDS, END_SECONDS = 30.0, 600.0  # how long a server may take
# A dead process of wandb's is an OSError, a setting that it refuses a ValueError.
FAULTS = (Error, OSError, ValueError)


class _NotAsked(ValueError):
    """What the environment says cannot be followed."""


def open_tracker(root: Path, uri: str | None) -> Wandb:
    """Folders under `root`, or the server at the address `uri`.

    Raises:
        TrackingFault: WANDB_MODE says neither online nor offline, or a server is asked for and there is no key.
    """
    server = uri is not None and uri.startswith(("http://", "https://"))
    folder = root if uri is None or server else root / uri
    try:
        online = _online(server)
    except _NotAsked as cause:
        raise TrackingFault(NAME, uri or str(folder), cause) from cause
    shown = NAME if folder == root else f"{uri}/{NAME}"
    return Wandb(folder, online, uri if server else None, shown)


def _online(server: bool) -> bool:
    mode = os.environ.get("WANDB_MODE") or ("online" if server else "offline")
    if mode not in MODES:
        raise _NotAsked(f"WANDB_MODE is {mode!r}, and an entry is written with online or offline")
    if MODES[mode] and not os.environ.get("WANDB_API_KEY"):
        raise _NotAsked("WANDB_API_KEY is not set, and wandb would ask for it at the terminal")
    return MODES[mode]


class Wandb:
    """One wandb run per trained run and version of its models; the group is the target."""

    def __init__(self, folder: Path, online: bool, server: str | None, shown: str) -> None:
        self._folder, self._online, self._server, self._shown = folder, online, server, shown

    def log(self, record: Record) -> Reference:
        """Write the entry of these models, and write it anew when their evaluation is not in it."""
        ident = f"{record.run[:LONGEST]}-{record.models[:DIGITS]}"
        where = self._server or str(self._folder / NAME)
        try:
            show = self._kept(ident, record.evaluation) or self._written(ident, record)
        except FAULTS as cause:
            raise TrackingFault(NAME, where, cause) from cause
        return Reference(NAME, ident, where, show)

    def _kept(self, ident: str, evaluation: str | None) -> str | None:
        """The command that shows the entry, where there is a whole one and this evaluation is in it."""
        for folder in self._folders(ident):
            mark = folder / MARK
            if not mark.is_file():
                continue
            facts = json.loads(mark.read_text(encoding="utf-8"))
            if evaluation is None or facts["evaluation"] == evaluation:
                return str(facts["show"])
        return None

    def _folders(self, ident: str) -> list[Path]:
        return [file.parent for file in (self._folder / NAME).glob(f"*run-*/run-{ident}.wandb")]

    def _written(self, ident: str, record: Record) -> str:
        """Write the whole entry in the place of an earlier one, and of what a killed process left of one.

        The earlier goes first: two folders of one id and second have one name.
        """
        from wandb import init

        # wandb would write elsewhere on the disk without a word where it cannot write here.
        (self._folder / NAME).mkdir(parents=True, exist_ok=True)
        for folder in self._folders(ident):
            shutil.rmtree(folder)
        with init(
            id=ident,
            name=record.run,
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=record.group,
            job_type="train",
            notes=record.tags.get("betti.lineage"),
            config=_nested({**record.params, **record.tags, "betti.models": record.models}),
            reinit="create_new",
            settings=self._settings(),
        ) as run:
            _log(run, record)
            show = f"wandb leet {run.url if self._online else self._shown}"
        mark = {"evaluation": record.evaluation, "show": show}
        Path(run.settings.sync_dir, MARK).write_text(json.dumps(mark), encoding="utf-8")
        return show

    def _settings(self) -> Settings:
        """Nothing is noted of machine, program and output: they are those of the tracking, not of the training."""
        settings = Settings(
            mode="online" if self._online else "offline",
            root_dir=str(self._folder),
            use_dot_wandb=False,
            console="off",
            silent=True,
            symlink=False,
            disable_git=True,
            disable_code=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
            init_timeout=START_SECONDS,
            finish_timeout=END_SECONDS,
            finish_timeout_raises=True,
        )
        if self._server is not None:
            settings.base_url = self._server
        return settings


def _nested(facts: Mapping[str, str]) -> dict[str, Any]:
    """Names with dots as groups of names: "dvc.in.PATH" is PATH in the group "in" of "dvc"; wandb takes no dots.

    >>> _nested({"model": "lstm", "config.hidden": "32", "dvc.in.data/a.csv": "0f"})
    {'model': 'lstm', 'config': {'hidden': '32'}, 'dvc': {'in': {'data/a_csv': '0f'}}}
    """
    whole: dict[str, Any] = {}
    for name, value in facts.items():
        *groups, last = name.split(".", 2 if name.startswith("dvc.") else 1)
        place = whole
        for group in groups:
            place = place.setdefault(group, {})
        place[last.replace(".", "_")] = value
    return whole


def _log(run: Any, record: Record) -> None:
    for step, points in _epochs(record.curves):
        run.log({one.name: one.value for one in points}, step=step)
    run.summary.update(dict(record.scores))
    model = [(f"model/{file.relative_to(record.model).as_posix()}", file) for file in _files(record.model)]
    kept = [(f"{folder}/{file.name}".lstrip("/"), file) for folder, file in record.files if file.suffix != ".html"]
    for name, file in model + kept:
        copy = Path(run.dir, name)  # a copy: wandb itself would link to a file that the next training replaces
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        run.save(str(copy), base_path=run.dir, policy="now")
    pages = {file.stem: file for _, file in record.files if file.suffix == ".html"}
    if pages:
        from wandb import Html

        run.log({name: Html(str(file), inject=False) for name, file in pages.items()})


def _epochs(curves: tuple[Point, ...]) -> Iterable[tuple[int, list[Point]]]:
    """Points by step, the earliest first: wandb takes no step after a later one."""
    ordered = sorted(curves, key=lambda one: one.step)
    return ((step, list(points)) for step, points in groupby(ordered, key=lambda one: one.step))


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())
