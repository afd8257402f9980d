"""`betti run`: refuse what is wrong before anything is written, do nothing when nothing is stale, else run the flow.

Afterwards the remote, where one is set, gets what it lacks.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from betti import binding, catalog, params
from flows import checks, dag
from flows.cleaning import size_in_words, telling
from tasks.record import Workspace
from tasks.remote import Remote
from tasks.storage import Cache, RemoteError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["run"]


def run(root: Path, stages: list[str], runs: list[str], downstream: bool, force: bool, record: bool) -> None:
    """Run the flow and print what became of every stage.

    Raises:
        BadInput: an unknown stage, run or knob, or a value out of range; nothing was written.
    """
    started = time.perf_counter()
    console = Console()
    known = params.load(root)
    knobs = known.flow
    workspace = Workspace(root, knobs.lock_wait_seconds, lambda who, s: console.print(f"waiting for {who} ({s:.0f} s)"))
    remote = Remote(Cache(workspace))
    remote.configure(knobs.remote)
    looked = dag.look(workspace)
    chosen = looked.dag.select(stages, runs, downstream)
    wanted = looked.dag.above(chosen)
    stale = looked.stale & wanted
    if not (stale or force or record or binding.undeclared(known, root)):
        console.print(
            f"[green]Nothing is stale[/]: {len(wanted)} stages are cached. ({time.perf_counter() - started:.1f} s)"
        )
        _push(remote, knobs.remote, console)
        _point_to_report(root, console)
        return
    checks.check(root, stale | set(chosen if force else ()))
    _run_flow(console, stages, runs, downstream, force, len(wanted), len(stale))
    _push(remote, knobs.remote, console)
    console.print(f"Done in {time.perf_counter() - started:.1f} s.")
    _point_to_report(root, console)


def _run_flow(
    console: Console, stages: list[str], runs: list[str], downstream: bool, force: bool, wanted: int, stale: int
) -> None:
    # The terminal shows one line per stage; Prefect's own lines go to the dashboard's Logs tab.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from flows import server

    api = server.choose()
    if api.warning:
        console.print(f"[yellow]{api.warning}[/]")
    console.print(f"{stale} of {wanted} stages may be stale; Prefect API: {api.url or 'ephemeral (starting it)'}")
    from flows.retrain import retrain
    from flows.terminal import Terminal
    from flows.watching import watching

    with Terminal(console) as terminal, watching(terminal):
        retrain(stages=stages or None, runs=runs or None, downstream=downstream, force=force)


def _push(remote: Remote, wanted: str | None, console: Console) -> None:
    """Give the remote what it lacks. The run is done and recorded: a remote that fails does not undo that."""
    if wanted is None or remote.settled():
        return
    try:
        with telling(console) as tell:
            pushed = remote.push(tell)
    except RemoteError as error:
        console.print(f"[yellow]Not pushed:[/] {escape(str(error))}", highlight=False)
        return
    words = f"Pushed {pushed.objects} objects ({size_in_words(pushed.size)}) to {remote.address}."
    console.print(words, highlight=False, soft_wrap=True)
    if pushed.held_back:
        held = f"{', '.join(pushed.held_back[:3])}" + (" and others" if len(pushed.held_back) > 3 else "")
        console.print(
            f"[yellow]Not pushed:[/] {held}: the cache lacks or spoilt some of their objects; `betti doctor --cache`",
            highlight=False,
        )


def _point_to_report(root: Path, console: Console) -> None:
    from betti.records import Champion

    page = catalog.artifact("report").at(root).with_name("index.html")
    verdict = catalog.artifact("champion").at(root)
    if verdict.is_file():
        champion = Champion.model_validate_json(verdict.read_bytes())
        console.print(f"Champion: [bold]{champion.run or 'none'}[/]. {champion.reason}", highlight=False)
    if page.is_file():
        console.print(f"Report: {page.as_uri()}", highlight=False, soft_wrap=True)
