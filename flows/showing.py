"""`betti status` and `betti lineage`: what DVC knows, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from betti import catalog, params
from betti.errors import UnknownName
from flows import dag
from tasks import lineage as lines
from tasks.journal import Journal
from tasks.record import Workspace

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["lineage", "status"]


def status(root: Path) -> None:
    """One row per stage: cached, stale, or waiting for one that is stale."""
    params.load(root)  # says what is wrong in it better than DVC would
    workspace = Workspace(root)
    looked, notes = dag.look(workspace), Journal(root).notes()
    graph, why, below = looked.dag, looked.why, looked.stale
    table = Table("stage", "state", "last seconds", "why")
    for stage in graph.stages:
        note = notes.get(stage)
        seconds = "" if note is None or note.seconds is None else f"{note.seconds:.1f}"
        if stage in why:
            reasons = why[stage]
            shown = "; ".join(reasons[:3]) + (f"; and {len(reasons) - 3} more" if len(reasons) > 3 else "")
            table.add_row(stage, "[yellow]stale[/]", seconds, shown)
        elif stage in below:
            ups = [up for up in graph.upstreams[stage] if up in below]
            table.add_row(stage, "[blue]waits[/]", seconds, "for " + ", ".join(ups))
        else:
            table.add_row(stage, "[green]cached[/]", seconds, "")
    console = Console()
    console.print(table)
    console.print(f"{len(why)} stale, {len(below) - len(why)} behind them, {len(graph.stages) - len(below)} cached.")


def lineage(root: Path, artifact: str) -> None:
    """A tree from an artifact back to the source.

    Raises:
        UnknownName: neither an artifact's name nor the path of one.
    """
    params.load(root)
    recorded = Workspace(root).recorded()
    path = artifact.rstrip("/")
    made = [entry.path for entry in recorded.get(path, ()) if entry.kind == "out"]
    if path in catalog.ARTIFACTS:
        path = str(catalog.ARTIFACTS[path].folder(root).relative_to(root))
    elif made:
        path = made[0]  # a stage's name: its first out
    elif path.endswith("index.html"):
        path = "data/9_reports/report.html"
    found = lines.trace(recorded, path)
    if not found:
        raise UnknownName("artifact", artifact, catalog.ARTIFACTS)
    tree = Tree(f"[bold]{path}[/]")
    branches = {-1: tree}
    for depth, stage, entry in found:
        made = f"[cyan]{stage}[/] -> " if stage else ""
        branches[depth] = branches[max(d for d in branches if d < depth)].add(
            f"{made}{entry.path}  [dim]{entry.md5}[/]"
        )
        branches = {d: b for d, b in branches.items() if d <= depth}
    Console().print(tree, soft_wrap=True)
