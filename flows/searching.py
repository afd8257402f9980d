"""The command around a search: bring its tables up to date, start the flow, say what was found.

What does not belong here: the search itself (`flows.tune`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from betti import params
from betti.errors import BadParam, UnknownName
from flows import running, training, words

if TYPE_CHECKING:
    from pathlib import Path

    from flows.tune import Best

__all__ = ["search"]


def search(root: Path, run: str, trials: int, timeout: float, folds: list[str], write: bool) -> None:
    """Search a run's knobs and print the best as lines for params.yaml; with `write` set them there.

    Args:
        root: the workspace.
        run: an entry of `runs`.
        trials: how many in all; 0 takes `tune.trials`.
        timeout: seconds after which no trial begins; 0 takes `tune.timeout_seconds`.
        folds: numbers of folds; none means all.
        write: set what was found in params.yaml.

    Raises:
        UnknownName: no such run or fold.
        NothingToSearch: its model declares nothing to search.
    """
    known = params.load(root)
    if run not in known.runs:
        raise UnknownName("run", run, known.runs)
    numbers = _numbers(folds)
    block = known.runs[run]
    stages = [f"select@{block.set}", f"split@{block.target}"]
    running.run(root, stages, [], downstream=False, force=False, record=False)
    console = Console(soft_wrap=True)
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    from flows import tune

    with words.told(lambda said: console.print(f"  {escape(said)}", highlight=False)):
        best = tune.tune(run, trials or None, timeout or None, numbers)
    _say(root, run, best, console, write)


def _numbers(folds: list[str]) -> tuple[int, ...]:
    wrong = [fold for fold in folds if not fold.isdigit()]
    if wrong:
        raise BadParam("--folds", ",".join(folds), f"'{wrong[0]}' is no number of a fold", "betti tune")
    return tuple(int(fold) for fold in folds)


def _say(root: Path, run: str, best: Best, console: Console, write: bool) -> None:
    from flows import tune

    if not best.config:
        console.print(f"No trial saw all folds ({best.stopped} were stopped early): nothing to recommend.")
        return
    own = "" if best.first is None else f", the run's own knobs {best.first:.4f}"
    console.print(
        f"Best of {best.finished} whole trials ({best.stopped} stopped early): validation loss {best.loss:.4f}{own}.",
        highlight=False,
    )
    console.print(tune.as_yaml(run, best.config), highlight=False, markup=False, end="")
    if write:
        tune.write(root, run, best.config)
        console.print(f"Written to {params.FILE}. `betti train {run}` trains with it.", highlight=False)
    else:
        console.print("Add --write to set the knobs.")
    training.say_count(root, params.load(root).runs[run].target, console)
