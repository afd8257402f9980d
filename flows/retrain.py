"""The whole DAG as one Prefect flow: what runs every night, and what `betti run` starts.

Its annotations are objects, not text (no `annotations` import): a worker gets the flow by value, and text could not be
resolved in the other process.
"""

from flows import server  # first: it chooses the API that Prefect, imported next, will talk to

server.choose()

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from prefect import flow, get_run_logger
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.futures import PrefectFuture, as_completed
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from betti import binding, catalog, io, params, parts
from flows import checks, clock, dag, dashboard, publish, reconcile, tracked, watching
from tasks import holding, lineage, policy, suites
from tasks.journal import Journal
from tasks.record import Workspace
from tasks.stage import Context, Watcher, run_stage

__all__ = ["names", "retrain"]


def names(root: Path) -> tuple[str, ...]:
    """Every word a request may name a stage by: stages, and stages with an item."""
    groups = tuple(catalog.STAGES)
    try:
        known = params.load(root)
    except params.BadInput:
        return groups  # deployed from elsewhere, or params.yaml is broken: the run itself will say how
    full = tuple(f"{s.name}@{item}" for s in catalog.STAGES.values() for item in params.items(known, s))
    return groups + full


StageName = Literal[names(Path.cwd())]  # type: ignore[valid-type]  # the dashboard makes a form of it


@flow(name="retrain", persist_result=False, validate_parameters=True)
def retrain(
    stages: list[StageName] | None = None,
    downstream: bool = False,
    force: bool = False,
    runs: list[str] | None = None,
    until: Literal["keep", "now"] = "keep",
) -> dict[str, str]:
    """Bring the pipeline up to date: only what is stale runs, everything else comes from cache.

    Args:
        stages: which stages; none named means all. What they need is brought up to date first.
        downstream: also everything made from them.
        force: run the chosen stages even when nothing changed.
        runs: only these runs' train and evaluate stages.
        until: "now" moves asof.yaml to the last closed bar first, as the nightly deployment does.
    """
    root = Path.cwd()
    log = get_run_logger()
    knobs = params.load(root).flow
    run_id = str(flow_run.get_id() or "") or None
    watcher = watching.current() or Watcher()

    def waiting(holder: str, seconds: float) -> None:
        log.info("waiting for %s (%.0f s)", holder, seconds)
        watcher.waiting(holder, seconds)

    with ExitStack() as stack:
        dead = stack.enter_context(holding.hold(root, run_id, knobs.lock_wait_seconds, waiting))
        if dead is not None and reconcile.mark_crashed(dead):
            log.warning("an earlier run died unfinished (%s); it is marked as crashed", dead)
        workspace = Workspace(root, knobs.lock_wait_seconds, waiting)
        request = _Request(tuple(stages or ()), tuple(runs or ()), downstream, force)
        complete = request.check(workspace)  # before anything is written, the clock included
        if until == "now":
            log.info("asof.yaml: until %s", clock.advance(root, complete=complete))
        tracked.catch_up(root, log.info, log.warning)  # what a killed run trained and did not count
        try:
            states = _run_all(workspace, request, watcher, knobs)
        finally:
            if tracked.catch_up(root, log.info, log.warning):
                _show_tracking(root)
        if until == "now":
            publish.push(workspace, knobs.remote, log.info, log.warning)
            if knobs.commit:
                publish.commit(root, log.info)
    return states


@dataclass(frozen=True)
class _Request:
    """What was asked for."""

    stages: tuple[str, ...]
    runs: tuple[str, ...]
    downstream: bool
    force: bool

    def check(self, workspace: Workspace) -> bool:
        """Refuse what does not exist or is out of range; returns whether nothing is stale.

        Raises:
            BadInput: the first thing that is wrong.
        """
        looked = dag.look(workspace)
        chosen = looked.dag.select(self.stages, self.runs, self.downstream)
        stale = looked.stale & looked.dag.above(chosen)
        checks.check(workspace.root, stale | set(chosen if self.force else ()))
        return not looked.stale


def _run_all(workspace: Workspace, request: _Request, watcher: Watcher, knobs: params.Flow) -> dict[str, str]:
    """Bring the chosen stages and all they need up to date, and show what became of them."""
    root = workspace.root
    _tidy(root)
    looked = dag.look(workspace)
    graph = looked.dag
    chosen = graph.select(request.stages, request.runs, request.downstream)
    plan = _Plan(
        graph,
        wanted=graph.above(chosen),
        forced=frozenset(chosen) if request.force else frozenset(),
        stale=looked.stale,
    )
    context = Context(workspace, Journal(root), watcher)
    with ThreadPoolTaskRunner(max_workers=knobs.workers) as runner:
        results = _work_off(plan, context, runner, knobs.workers)
    states = {stage: result for stage, result in results.items() if isinstance(result, str)}
    _show(workspace, graph, states, context.journal)
    parts.prune(root / binding.PARTS_CACHE, int(knobs.parts_cache_gb * 1e9))
    for result in results.values():
        if isinstance(result, BaseException):
            raise result
    return states


@dataclass(frozen=True)
class _Plan:
    """What one run is about: the stages it brings up to date, those it forces, and those that are stale."""

    graph: dag.Dag
    wanted: set[str]
    forced: frozenset[str]
    stale: frozenset[str]


def _work_off(
    plan: _Plan, context: Context, runner: ThreadPoolTaskRunner, workers: int
) -> dict[str, str | BaseException]:
    """Run stages as they become ready, the heaviest first; a failure stops what is made from it, nothing else.

    A stage is submitted when its upstreams are done: a thread that waited for them would be a worker lost.
    """
    futures: dict[str, PrefectFuture[str]] = {}
    results: dict[str, str | BaseException] = {}
    while True:
        ready = [
            stage
            for stage in plan.graph.ready(plan.wanted, done={s for s, r in results.items() if isinstance(r, str)})
            if stage not in futures
        ]
        running = {stage: future for stage, future in futures.items() if stage not in results}
        for stage in ready[: workers - len(running)]:
            futures[stage] = running[stage] = _submit(stage, plan, context, runner, futures)
        if not running:
            return results
        first = next(as_completed(list(running.values())))
        finished = [stage for stage, future in running.items() if future is first or future.state.is_final()]
        for stage in finished:
            results[stage] = running[stage].result(raise_on_failure=False)


def _submit(
    stage: str, plan: _Plan, context: Context, runner: ThreadPoolTaskRunner, futures: dict[str, PrefectFuture[str]]
) -> PrefectFuture[str]:
    rule = policy.of(stage)
    job = run_stage.with_options(retries=rule.retries, retry_delay_seconds=rule.retry_delay_seconds)
    upstream = [futures[up] for up in plan.graph.upstreams[stage] if up in futures]
    arguments = {
        "name": stage,
        "force": stage in plan.forced,
        "untouched": stage not in plan.stale and not plan.forced & plan.graph.above([stage]),
        "upstream": upstream,
        "context": context,
    }
    return runner.submit(job, parameters=arguments, wait_for=upstream)


def _tidy(root: Path) -> None:
    """Remove what killed runs left half-written, and the folders of items that are declared no more."""
    io.sweep(root / "data")
    for path in binding.undeclared(params.load(root), root):
        io.remove(path)


def _show(workspace: Workspace, graph: dag.Dag, states: dict[str, str], journal: Journal) -> None:
    """The lineage artifacts, the report's own copy, and a link to it."""
    recorded, notes = workspace.recorded(), journal.notes()
    text = lineage.markdown(graph.upstreams, states, notes, recorded)
    create_markdown_artifact(key="pipeline-lineage", markdown=text, description="What was made from what, with hashes")
    _show_quality(workspace.root)
    page = lineage.publish(workspace.root, graph.upstreams, states, notes, recorded)
    if page is not None:
        docs = suites.index(workspace.root)
        for key, words, path in (("report", "the HTML report", page), ("data-docs", "the data docs", docs)):
            create_link_artifact(key=key, link=_address(path, workspace.root), link_text=f"{words} of this run")


def _show_quality(root: Path) -> None:
    """A table of the bars' quality: a line per symbol, and one per quantity that drifted."""
    artifact = catalog.artifact("validation")
    if not artifact.at(root).exists():
        return
    summary = binding.read(artifact, root).summary
    table = [
        {
            "symbol": one.symbol,
            "bars in": one.rows_in,
            "clean": one.rows_clean,
            "quarantined": one.rows_quarantined,
            "reasons": _listed(one.reasons),
            "flags": _listed(one.flags),
            "drifted": ", ".join(moved.column for moved in summary.moved if moved.column.startswith(f"{one.symbol} ")),
        }
        for one in summary.symbols
    ]
    unmet = sum(not one.success for one in summary.expectations)
    told = f"**Bars**: {len(table)} symbols; of {len(summary.expectations)} expectations {unmet} are not met"
    create_table_artifact(key="data-quality", table=table, description=told)


def _show_tracking(root: Path) -> None:
    """A table of where each run is tracked."""
    table = [asdict(row) for row in tracked.table(root)]
    if table:
        create_table_artifact(key="tracking", table=table, description="**Runs** in the tracking backend")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _address(page: Path, root: Path) -> str:
    """Where a browser finds a page: on the dashboard's report server where that runs, else as a file."""
    web = dashboard.report_address(params.load(root).flow.report_port)
    reports = root / dashboard.REPORTS
    return f"{web}/{page.relative_to(reports).as_posix()}" if server.answers(web, timeout=0.2) else page.as_uri()
