"""`betti train RUN`, `betti trials`: one run brought up to date and what came of it; and what was ever tried.

`betti train` is `betti run` for one run: what it needs, its training, its evaluation. What does not belong here: how a
stage is run (`tasks`), and what the scores mean (`docs/concepts.md`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from betti import binding, catalog, params, trials
from betti.errors import UnknownName
from flows import running, tracked

if TYPE_CHECKING:
    from pathlib import Path

    from betti.records import RunMetrics

__all__ = ["follow_up", "point", "say_count", "train", "trials_of"]

MOST_SHOWN = 40
PLACES = ("models", "learning", "predictions", "metrics", "confusion", "equity")


def train(root: Path, run: str, force: bool) -> None:
    """Train and evaluate one run, then print its scores and where everything lies.

    Raises:
        UnknownName: params.yaml declares no such run.
        BadInput: what is wrong with a knob; nothing was written.
    """
    known = params.load(root)
    if run not in known.runs:
        raise UnknownName("run", run, known.runs)
    stages = [f"train@{run}", f"evaluate@{run}"]
    running.run(root, stages, [], downstream=False, force=force, record=False)
    console = Console(soft_wrap=True)
    follow_up(root, console)
    console.print(_scores(binding.read(catalog.artifact("metrics"), root, run)))
    for name in PLACES:
        path = catalog.artifact(name).at(root, run)
        if path.exists():
            console.print(f"  {name:<12} {path.relative_to(root)}", highlight=False)
    point(root, run, console)
    say_count(root, known.runs[run].target, console)


def _scores(metrics: RunMetrics) -> Table:
    """The run beside its baselines, out of sample; a difference with its interval."""
    table = Table("", "accuracy", "macro F1", "AUC", "log loss", "run minus it", title=f"{metrics.run}, out of sample")
    for name, one in {metrics.run: metrics.pooled, **metrics.baselines}.items():
        versus = metrics.versus.get(name)
        interval = "" if versus is None else f"{versus.estimate:+.4f} [{versus.low:+.4f}, {versus.high:+.4f}]"
        auc = "-" if one.auc is None else f"{one.auc:.3f}"
        table.add_row(name, f"{one.accuracy:.3f}", f"{one.macro_f1:.3f}", auc, f"{one.log_loss:.4f}", interval)
    money = metrics.trading
    held = metrics.baseline_trading.get("buy_and_hold")
    table.caption = f"after costs: Sharpe {money.sharpe:+.2f}" + (
        "" if held is None else f" (buy and hold {held.sharpe:+.2f})"
    )
    table.caption += f", {money.annual_return:+.1%} a year, drawdown {money.max_drawdown:.1%}, {money.trades} trades"
    return table


def follow_up(root: Path, console: Console) -> None:
    """Count and track what was recorded since the last time."""
    tracked.catch_up(root, lambda words: _say(console, words), lambda words: _warn(console, words))


def _say(console: Console, words: str) -> None:
    console.print(escape(words), highlight=False)


def _warn(console: Console, words: str) -> None:
    console.print(f"[yellow]{escape(words)}[/]", highlight=False)


def point(root: Path, artifact: str, console: Console) -> None:
    """Say where the runs that an artifact belongs to are tracked: of a run's name, or a path with it."""
    names = artifact.rstrip("/").replace("@", "/").split("/")
    hashes = {one.run: one.models for one in tracked.recorded(root)}
    for entry in tracked.entries(root):
        if entry.run not in names or entry.reference is None:
            continue
        older = "" if hashes.get(entry.run) == entry.models else " (of earlier models)"
        found = f"{entry.run} is tracked{older}: {entry.reference.backend} run {entry.reference.id}"
        console.print(f"{found}; `{entry.reference.show}` shows it", highlight=False)


# The ledger ---------------------------------------------------------------------------------------------------------


def trials_of(root: Path, target: str) -> None:
    """How much was tried by target; of one target every trial, the latest first.

    Raises:
        UnknownName: nothing was tried on such a target, and params.yaml declares none of that name.
        BrokenLedger: a line that is no trial.
    """
    ledger, console = trials.read(root), Console(soft_wrap=True)
    targets = sorted({one.target for one in ledger} | set(params.load(root).targets))
    if target and target not in targets:
        raise UnknownName("target", target, targets)
    if not target:
        table = Table("target", "trials", "configurations", "evaluated")
        for name in targets:
            counts = trials.count(ledger, name)
            done = sum(one.evaluated for one in ledger if one.target == name)
            table.add_row(name, str(counts.trials), str(counts.configurations), str(done))
        console.print(table)
        return
    own = sorted((one for one in ledger if one.target == target), key=lambda one: (one.at, one.key), reverse=True)
    console.print(_listed(own[:MOST_SHOWN]))
    if len(own) > MOST_SHOWN:
        console.print(f"and {len(own) - MOST_SHOWN} more in {trials.FILE}")
    say_count(root, target, console)


def _listed(own: list[trials.Trial]) -> Table:
    table = Table("when", "run", "model", "configuration", "valid loss", "accuracy by fold", "Sharpe per bar")
    for one in own:
        accuracies = " ".join(f"{score.accuracy:.2f}" for score in one.folds.values())
        loss = "-" if one.valid_loss is None else f"{one.valid_loss:.4f}"
        sharpe = "-" if one.sharpe_per_bar is None else f"{one.sharpe_per_bar:+.4f}"
        name = one.run if one.origin == "run" else f"{one.run} (search)"
        table.add_row(one.at[:16], name, one.model, one.configuration[:8], loss, accuracies or "-", sharpe)
    return table


def say_count(root: Path, target: str, console: Console) -> None:
    """How much was tried on a target, in a line."""
    counts = trials.count(trials.read(root), target)
    console.print(
        f"Tried on {target} so far: {_many(counts.configurations, 'configuration')} in "
        f"{_many(counts.trials, 'trial')}. The best of many is lucky too; `betti trials {target}` lists them.",
        highlight=False,
    )


def _many(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
