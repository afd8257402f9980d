"""One stage as a Prefect task: bring it up to date, and show what became of it.

DVC is the one cache: Prefect neither caches nor persists results here.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from httpx import HTTPError
from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.exceptions import PrefectException
from prefect.states import Completed, State

from betti.errors import BadInput
from betti.expected import SuiteBroken
from tasks import body, lineage, logs, policy, suites

if TYPE_CHECKING:
    from logging import Logger, LoggerAdapter

    from betti.expected import Found
    from tasks.journal import Journal
    from tasks.record import Outcome, Workspace

__all__ = ["Context", "Watcher", "run_stage"]

SLOW_SECONDS = 5.0


class Watcher:
    """Told what happens to every stage of a run; this one does nothing with it. Called from several threads."""

    def started(self, stage: str) -> None:
        """The stage is stale, or forced: it is being restored or run."""

    def progressed(self, stage: str, done: int, total: int) -> None:
        """The stage's body finished `done` of `total` steps."""

    def finished(self, stage: str, state: str, seconds: float) -> None:
        """The stage is cached, restored or ran, for so many seconds."""

    def failed(self, stage: str) -> None:
        """The stage failed; the run will say why."""

    def waiting(self, holder: str, seconds: float) -> None:
        """The workspace is held by another; the run has waited so long."""


@dataclass(frozen=True)
class Context:
    """What every stage of one flow run shares."""

    workspace: Workspace
    journal: Journal
    watcher: Watcher


def _may_pass(_task: object, _task_run: object, state: State) -> bool:
    """Whether a failure may pass by itself. What is wrong with the input, or with a part, stays wrong."""
    return not isinstance(state.result(raise_on_failure=False), BadInput | SuiteBroken)


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="{name}", retry_condition_fn=_may_pass)
def run_stage(name: str, force: bool, untouched: bool, upstream: list[str], context: Context) -> State | str:
    """Bring one stage up to date.

    Args:
        name: the stage as dvc.yaml names it.
        force: run it even when nothing changed.
        untouched: neither it nor anything it is made from is stale, as a look at all stages found.
        upstream: states of the stages it reads from; passing them draws the edges of the run graph.
        context: the workspace, the journal, and who is told.

    Returns:
        "ran", or a completed state named Cached or Restored whose data says so.
    """
    del upstream
    log = get_run_logger()
    if untouched and not force:
        context.watcher.finished(name, "cached", 0.0)
        return Completed(name="Cached", message="nothing it depends on changed", data="cached")
    context.watcher.started(name)
    told = _Progress(name, log, context.watcher)
    looked: list[Found] = []

    def compute() -> None:
        body.run(context.workspace.root, name, told.tell, log.info)
        found = suites.held(context.workspace.root, name)
        looked.extend([found] if found else [])

    try:
        outcome = context.workspace.bring_up_to_date(name, compute, force)
    except BaseException:
        context.watcher.failed(name)
        raise
    context.journal.add(outcome)
    try:
        if outcome.state == "ran" and policy.of(name).own_process:
            logs.sign(context.workspace.root, name, {one.path: one.md5 for one in outcome.entries if one.kind == "out"})
        _show(outcome, context, looked)
    except (OSError, ValueError, PrefectException, HTTPError) as error:
        log.warning("%s is done and recorded, but could not be shown: %s", name, error)
    context.watcher.finished(name, outcome.state, outcome.seconds)
    log.info("%s: %s in %.2f s", name, outcome.state, outcome.seconds)
    if outcome.state == "ran":
        return "ran"
    return Completed(name=outcome.state.capitalize(), message=f"DVC: {outcome.state}", data=outcome.state)


def _show(outcome: Outcome, context: Context, looked: list[Found]) -> None:
    """Tables of what went in and out and of what its suite found, and an event that automations can react to."""
    slug = outcome.stage.replace("@", "-").replace("_", "-").lower()
    for found in looked:
        create_table_artifact(
            key=f"expectations-{slug}",
            table=[one.model_dump() for one in found.expectations],
            description=_told(found),
        )
    table = [asdict(row) for row in lineage.rows(context.workspace.root, outcome.entries)]
    create_table_artifact(
        key=f"stage-{slug}",
        table=table,
        description=f"**{outcome.stage}**: {outcome.state} in {outcome.seconds:.2f} s",
    )
    emit_event(
        event=f"betti.stage.{outcome.state}",
        resource={"prefect.resource.id": f"betti.stage.{outcome.stage}"},
        payload={"seconds": outcome.seconds, "outs": {r["path"]: r["md5"] for r in table if r["kind"] == "out"}},
    )


def _told(found: Found) -> str:
    """What a suite found, in a line."""
    unmet = [one.rule for one in found.expectations if not one.success]
    words = f"**{found.name}**: {found.rows:,} rows, {len(found.expectations)} expectations"
    words += f", not met: {'; '.join(unmet)}." if unmet else ", all met."
    if found.drifted is None:
        return words
    return f"{words} Drifted since the accepted run: {', '.join(found.moved) or 'nothing'}."


class _Progress:
    """A progress artifact for a stage that turns out to be slow; a quick one makes none."""

    def __init__(self, name: str, log: Logger | LoggerAdapter[Logger], watcher: Watcher) -> None:
        self._name, self._log, self._watcher = name, log, watcher
        self._started = self._said = time.monotonic()
        self._artifact = None

    def tell(self, done: int, total: int, what: str) -> None:
        """Show how far the stage is, at most every two seconds."""
        self._watcher.progressed(self._name, done, total)
        now = time.monotonic()
        if now - self._started < SLOW_SECONDS or (now - self._said < 2.0 and done < total):
            return
        self._said = now
        share = 100.0 * done / max(total, 1)
        if self._artifact is None:
            key = "progress-" + self._name.replace("@", "-").replace("_", "-").lower()
            self._artifact = create_progress_artifact(progress=share, key=key, description=self._name)
        else:
            update_progress_artifact(self._artifact, progress=share)
        self._log.info("%s: %d of %d (%s)", self._name, done, total, what)
