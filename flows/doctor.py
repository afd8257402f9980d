"""`betti doctor`: is this machine fit for a run? Every finding comes with its remedy."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

from betti import binding, parts
from flows import server
from tasks.record import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Finding", "examine"]

FREE_GB = 2.0


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
    for look in (_versions, _device, _disk, _cache, _prefect):
        for finding in look(root):
            mark = "[green]ok[/]  " if finding.fit else "[red]mend[/]"
            console.print(f"{mark} {finding.what}", highlight=False)
            if finding.remedy:
                console.print(f"      {finding.remedy}", highlight=False)
            fit = fit and finding.fit
    return fit


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
    yield Finding(free > FREE_GB, f"{free:.0f} GB free", "" if free > FREE_GB else "make room, or `dvc gc -w`")


def _cache(root: Path) -> Iterator[Finding]:
    """Hash every object in DVC's cache: DVC itself trusts read-only ones."""
    checked, broken = Workspace(root).check_cache()
    for path in broken:
        yield Finding(False, f"cache object {path} is not what its name says", f"rm {path}; betti run makes it again")
    yield Finding(not broken, f"DVC cache: {checked} objects hashed, {len(broken)} corrupted")
    spoilt = parts.broken(root / binding.PARTS_CACHE)
    remedy = f"rm {' '.join(map(str, spoilt[:3]))}; betti run makes them again" if spoilt else ""
    yield Finding(not spoilt, f"part cache: {len(spoilt)} corrupted parts", remedy)
    stale = Workspace(root).look().stale
    yield Finding(True, f"{len(stale)} stale stages" + (" (`betti status` says why)" if stale else ""))


def _prefect(_root: Path) -> Iterator[Finding]:
    configured = os.environ.get("PREFECT_API_URL")
    url = configured or server.DEFAULT_URL
    if server.answers(url):
        yield Finding(True, f"a Prefect server answers at {url}")
    else:
        remedy = "make dashboard starts one; betti run works without"
        yield Finding(configured is None, f"no Prefect server answers at {url}", remedy)
