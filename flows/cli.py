"""`betti ...`: the command line. Exit codes: 0 done, 1 failed, 2 bad input.

Heavy libraries are imported inside the commands that need them, so that `betti --help` answers at once.
"""

from __future__ import annotations

from betti import threads

threads.pin()

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from betti.errors import BadInput, BettiError

__all__ = ["app", "main"]

app = typer.Typer(
    name="betti",
    help="Retrain market models every night: topology, leak-free labels, honest evaluation.\n\n"
    "Start with `betti run`: it does only what is stale. `betti status` says what that is, and why. "
    "Every knob stands in params.yaml; `betti lineage` leads from any artifact back to its source.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

topology = typer.Typer(help="Look at the topology of prices, and choose its embedding.", no_args_is_help=True)
app.add_typer(topology, name="topology")
labelled = typer.Typer(help="Look at labels among the bars they were made from.", no_args_is_help=True)
app.add_typer(labelled, name="labels")
check = typer.Typer(help="Look for faults in a feature family, a registered one or your file.", no_args_is_help=True)
app.add_typer(check, name="check")

Words = Annotated[str, typer.Option(help="comma-separated")]
Family = Annotated[str, typer.Argument(help="a registered family, or a file: my_family.py")]
Bars = Annotated[Path | None, typer.Option(help="Parquet file or folder of bars [default: made-up ones]")]
Knobs = Annotated[list[str] | None, typer.Option("--knob", help="a knob of the family: window=40; may be repeated")]


def _split(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]


def _root() -> Path:
    """The workspace this is run in: the current folder, or the nearest one above it that is one."""
    from tasks.errors import NotAWorkspaceError

    here = Path.cwd()
    for folder in (here, *here.parents):
        present = [name for name in ("dvc.yaml", "params.yaml") if (folder / name).is_file()]
        if len(present) == 2:
            os.chdir(folder)  # DVC reads its paths from there
            return folder
        if present:
            raise NotAWorkspaceError(folder, "params.yaml" if present == ["dvc.yaml"] else "dvc.yaml")
    raise NotAWorkspaceError(here, "dvc.yaml")


@app.command()
def run(
    stages: Annotated[str, typer.Option(help="stages to run, comma-separated: topology, train@trigger-lightgbm")] = "",
    downstream: Annotated[bool, typer.Option("--downstream", help="and everything made from them")] = False,
    force: Annotated[bool, typer.Option("--force", help="even when nothing changed")] = False,
    runs: Annotated[str, typer.Option(help="only these runs' train and evaluate, comma-separated")] = "",
    record: Annotated[bool, typer.Option("--record", help="record a flow run even when nothing is stale")] = False,
) -> None:
    """Run what is stale, as the dashboard would: `betti run --stages topology --downstream`."""
    from rich.console import Console

    from flows import running, training

    root = _root()
    running.run(root, _split(stages), _split(runs), downstream, force, record)
    training.follow_up(root, Console(soft_wrap=True))


@app.command()
def train(
    run: Annotated[str, typer.Argument(help="an entry of `runs` in params.yaml: direction_20-lstm")],
    force: Annotated[bool, typer.Option("--force", help="even when nothing changed")] = False,
) -> None:
    """Train and evaluate one run, with what it needs; its scores, and where everything lies."""
    from flows import training

    training.train(_root(), run, force)


@app.command()
def tune(
    run: Annotated[str, typer.Argument(help="an entry of `runs` in params.yaml: direction_20-lstm")],
    trials: Annotated[
        int, typer.Option(min=0, help="how many in all, earlier ones included [default: tune.trials]")
    ] = 0,
    timeout: Annotated[
        float, typer.Option(min=0, help="begin no trial after so many seconds [default: tune.timeout_seconds]")
    ] = 0.0,
    folds: Annotated[str, typer.Option(help="search on these folds alone, comma-separated: 0")] = "",
    write: Annotated[bool, typer.Option("--write", help="set the best knobs in params.yaml")] = False,
) -> None:
    """Search a run's knobs on the validation rows of its folds; no test row is read."""
    from flows import searching

    searching.search(_root(), run, trials, timeout, _split(folds), write)


@app.command()
def ablate(run: Annotated[str, typer.Argument(help="an entry of `runs` in params.yaml: trigger-film")]) -> None:
    """What the parts of a run's model are worth: train it without each, on the same folds, and compare by row."""
    from flows import ablating

    ablating.ablate(_root(), run)


@app.command()
def trials(target: Annotated[str, typer.Argument(help="one target alone, with every trial")] = "") -> None:
    """How many configurations were ever tried on each target: the more, the luckier the best of them."""
    from flows import training

    training.trials_of(_root(), target)


@app.command()
def status() -> None:
    """What is stale or cached, per stage, and why."""
    from flows import showing

    showing.status(_root())


@app.command()
def lineage(artifact: Annotated[str, typer.Argument(help="a name or a path in data/")] = "report") -> None:
    """What an artifact was made from, back to the source, with hashes: `betti lineage data/7_models`."""
    from rich.console import Console

    from flows import showing, training

    root = _root()
    showing.lineage(root, artifact)
    training.point(root, artifact, Console(soft_wrap=True))


@app.command()
def models(name: Annotated[str, typer.Argument(help="one model, with its knobs, size and speed here")] = "") -> None:
    """The registered models, and what failed to import and why; or all about one of them."""
    from flows import registered

    registered.models(name)


@app.command()
def features(
    family: Annotated[str, typer.Argument(help="one family alone")] = "",
    cost: Annotated[bool, typer.Option("--cost", help="measure seconds per million bars, here and now")] = False,
) -> None:
    """The registered feature families with their columns, units and sources, and the feature sets."""
    from flows import registered

    registered.features(family, cost)


@app.command()
def sources() -> None:
    """The registered market data sources."""
    from flows import registered

    registered.sources()


@app.command()
def targets() -> None:
    """The registered targets and split schemes."""
    from flows import registered

    registered.targets()


@topology.command()
def plot(
    symbol: Annotated[str, typer.Argument(help="a symbol among the clean bars: NASDAQ")],
    timestamp: Annotated[str, typer.Argument(help="2008-10-10 or 2008-10-10T14:30, UTC unless it has a zone")],
    out: Annotated[Path | None, typer.Option(help="the page [default: topology-SYMBOL-TIMESTAMP.html]")] = None,
) -> None:
    """The window that ends at a bar, or last before it, as a page: cloud, persistence diagram, barcode, landscapes."""
    here = Path.cwd()  # before the workspace above it becomes the current folder
    from flows import picturing

    picturing.plot(_root(), symbol, timestamp, here, out)


@labelled.command("plot")
def plot_label(
    target: Annotated[str, typer.Argument(help="an entry of `targets` in params.yaml: trigger")],
    symbol: Annotated[str, typer.Argument(help="a symbol among the clean bars: NASDAQ")],
    timestamp: Annotated[str, typer.Argument(help="2008-10-10 or 2008-10-10T14:30, UTC unless it has a zone")] = "",
    out: Annotated[Path | None, typer.Option(help="the page [default: label-TARGET-SYMBOL-TIMESTAMP.html]")] = None,
) -> None:
    """The label of a bar, or the last before it, as a page: bars, barriers or window, span, weight.

    Without a timestamp: the middle one of the last hundred decisive labels.
    """
    here = Path.cwd()  # before the workspace above it becomes the current folder
    from flows import labelpicturing

    labelpicturing.plot(_root(), target, symbol, timestamp, here, out)


@topology.command()
def choose(
    write: Annotated[bool, typer.Option("--write", help="set delay and dimension in params.yaml")] = False,
) -> None:
    """Which delay and dimension suit the training bars: mutual information, false nearest neighbours."""
    from flows import embedding

    embedding.choose(_root(), write)


@check.command()
def lookahead(
    family: Family,
    bars: Bars = None,
    times: Annotated[
        int,
        typer.Option(min=2, help="bars after which other futures are tried, at most; it is cut off after every bar"),
    ] = 100,
    knob: Knobs = None,
) -> None:
    """Columns that read later bars, or something outside the bars; exit code 1 where there is one."""
    from flows import checking

    if not checking.lookahead(family, bars, times, knob or []):
        raise typer.Exit(1)


@check.command()
def recursive(family: Family, bars: Bars = None, knob: Knobs = None) -> None:
    """Columns that need more history than their look-back declares; exit code 1 where there is one."""
    from flows import checking

    if not checking.recursive(family, bars, knob or []):
        raise typer.Exit(1)


@app.command()
def doctor(
    cache: Annotated[
        bool, typer.Option("--cache", help="the caches alone: hash all, put back what can be had, name the rest")
    ] = False,
) -> None:
    """Check versions, device, caches, remote and Prefect, with the remedy for what is wrong."""
    from flows import doctor as check

    if not (check.examine_cache if cache else check.examine)(_root()):
        raise typer.Exit(1)


@app.command()
def accept() -> None:
    """Accept the bars up to `until` in asof.yaml: drift is told from here on."""
    from flows import clock

    typer.echo(f"asof.yaml: accepted {clock.accept(_root())}")


@app.command()
def gc(
    apply: Annotated[bool, typer.Option("--apply", help="remove it; without this nothing is removed")] = False,
    keep: Annotated[
        str, typer.Option(help="whose artifacts stay: workspace, tags or commits [default: flow.keep in params.yaml]")
    ] = "",
) -> None:
    """What may go from DVC's cache and the part cache, and what stays and why."""
    from flows import cleaning

    cleaning.clean(_root(), apply, keep)


def main() -> None:
    """Run a command; an error becomes one sentence and an exit code."""
    try:
        app(standalone_mode=True)
    except BadInput as error:
        _say(error)
        sys.exit(2)
    except BettiError as error:
        _say(error)
        sys.exit(1)
    except KeyboardInterrupt:
        _say("stopped; what was finished is recorded, `betti run` goes on from there")
        sys.exit(130)


def _say(words: object) -> None:
    from rich.console import Console

    Console(stderr=True, soft_wrap=True).print(f"[bold red]betti:[/] {_plain(words)}", highlight=False)


def _plain(words: object) -> str:
    from rich.markup import escape

    return escape(str(words))


if __name__ == "__main__":
    main()
