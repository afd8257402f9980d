"""`betti doctor`: is this machine fit for a run? Every finding comes with its remedy."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from betti import binding, io, params, parts
from flows import server
from flows.cleaning import telling
from tasks.record import Workspace
from tasks.remote import Remote
from tasks.storage import Cache, RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.storage import Fault

__all__ = ["Finding", "examine", "examine_cache"]

FREE_GB = 2.0
MOST = 20  # objects named one by one


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    fit: bool
    what: str
    remedy: str = ""


def examine(root: Path) -> bool:
    """Print every finding; whether all is well."""
    console = Console(soft_wrap=True)
    fit = True
    for look in (_versions, _device, _disk, _cache, _remote, _prefect):
        for finding in look(root):
            mark = "[green]ok[/]  " if finding.fit else "[red]mend[/]"
            console.print(f"{mark} {finding.what}", highlight=False)
            if finding.remedy:
                console.print(f"      {finding.remedy}", highlight=False)
            fit = fit and finding.fit
    return fit


def examine_cache(root: Path) -> bool:
    """Hash every object of DVC's cache and every part, put back what can be had; whether nothing is left corrupt."""
    console = Console(soft_wrap=True)
    cache = Cache(Workspace(root))
    remote = Remote(cache)
    remote.configure(params.load(root).flow.remote)
    with telling(console) as tell:
        health = cache.check(tell)
        mended = cache.mend(health.faults, remote.fetch if remote.address else None, tell) if health.faults else None
    left: tuple[Fault, ...] = ()
    if mended is not None:
        left = mended.left
        _list(console, "put back from the workspace", mended.from_workspace)
        _list(console, f"put back from {remote.address}", mended.from_remote)
        _list(console, "lost here", left)
        if mended.trouble:
            console.print(f"[yellow]{escape(mended.trouble)}[/]", highlight=False)
    _say_what_to_run(console, left)
    spoilt = _spoilt_parts(root)
    for part in spoilt:
        io.remove(part)
    console.print(
        f"{health.objects} objects hashed: {len(health.faults)} corrupt or missing, {len(left)} not put back. "
        f"{len(spoilt)} corrupt parts removed; they are made again when needed.",
        highlight=False,
    )
    if health.dangling:
        console.print(
            f"{health.dangling} earlier runs are noted whose outs are gone; they would be computed again. "
            "`betti gc --apply` drops the notes."
        )
    return not left


def _described(fault: Fault) -> str:
    where = ", ".join(f"{use.path} of {use.stage}" for use in fault.uses[:3]) or "an earlier version"
    more = f" and {len(fault.uses) - 3} more" if len(fault.uses) > 3 else ""
    return f"{fault.problem}: cache object {fault.path} ({where}{more})"


def _list(console: Console, what: str, faults: Sequence[Fault]) -> None:
    for fault in faults[:MOST]:
        console.print(f"{what}: {escape(_described(fault))}", highlight=False)
    if len(faults) > MOST:
        console.print(f"{what}: and {len(faults) - MOST} more objects", highlight=False)


def _say_what_to_run(console: Console, left: Sequence[Fault]) -> None:
    stages = sorted({use.stage for fault in left for use in fault.uses})
    if stages:
        console.print(f"[bold]betti run --stages {','.join(stages)}[/] makes their outs again.", highlight=False)
    if any(fault.problem != "missing" for fault in left):
        console.print("What was corrupt lies in .betti/corrupt until `betti gc --apply`.", highlight=False)


def _spoilt_parts(root: Path) -> list[Path]:
    """Parts whose content is not what their name says, or that cannot be read."""
    try:
        return parts.broken(root / binding.PARTS_CACHE)
    except OSError as error:
        return [Path(error.filename)]


def _versions(_root: Path) -> Iterator[Finding]:
    """Every core requirement against what is installed: outside its bounds something breaks that no import shows."""
    from packaging.requirements import Requirement

    python = platform.python_version()
    yield Finding(
        python.startswith("3.11."), f"Python {python}", "" if python.startswith("3.11.") else "use Python 3.11"
    )
    for line in importlib.metadata.requires("betti") or ():
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(False, f"{wanted.name} is not installed", "make setup")
            continue
        fit = wanted.specifier.contains(found, prereleases=True)
        yield Finding(fit, f"{wanted.name} {found}", "" if fit else f"pip install '{wanted}'")


def _device(_root: Path) -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        yield Finding(True, f"torch {torch.__version__} on {torch.cuda.get_device_name(0)}")
    else:
        yield Finding(True, f"torch {torch.__version__} on the CPU (no GPU found; torch models train slower)")


def _disk(root: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(root).free / 1e9
    yield Finding(free > FREE_GB, f"{free:.0f} GB free", "" if free > FREE_GB else "make room, or `betti gc`")


def _cache(root: Path) -> Iterator[Finding]:
    """Hash every object in DVC's cache: DVC itself trusts read-only ones."""
    workspace = Workspace(root)
    cache = Cache(workspace)
    with telling(Console()) as tell:
        health = cache.check(tell)
    for fault in health.faults[:MOST]:
        yield Finding(False, _described(fault), "betti doctor --cache puts it back, or says what to run")
    bad = len(health.faults)
    yield Finding(not bad, f"DVC cache: {health.objects} objects hashed, {bad} corrupt or missing")
    spoilt = _spoilt_parts(root)
    remedy = "betti doctor --cache removes them; betti run makes them again" if spoilt else ""
    yield Finding(not spoilt, f"part cache: {len(spoilt)} corrupted parts", remedy)
    stale = workspace.look().stale
    yield Finding(True, f"{len(stale)} stale stages" + (" (`betti status` says why)" if stale else ""))


def _remote(root: Path) -> Iterator[Finding]:
    """The remote, where one is configured; makes DVC's own commands use it, as after a fresh clone."""
    remote = Remote(Cache(Workspace(root)))
    remote.configure(params.load(root).flow.remote)
    if remote.address is None:
        yield Finding(True, "no remote (flow.remote): artifacts are on this machine alone")
        return
    try:
        remote.probe()
    except RemoteError as error:
        yield Finding(False, str(error))
    else:
        yield Finding(True, f"remote {remote.address}; dvc push and dvc pull use it")


def _prefect(_root: Path) -> Iterator[Finding]:
    configured = os.environ.get("PREFECT_API_URL")
    url = configured or server.DEFAULT_URL
    if server.answers(url):
        yield Finding(True, f"a Prefect server answers at {url}")
    else:
        remedy = "make dashboard starts one; betti run works without"
        yield Finding(configured is None, f"no Prefect server answers at {url}", remedy)
