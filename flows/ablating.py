"""The command around an ablation: bring the run up to date, start the flow, say what was found.

What does not belong here: the ablation itself (`flows.ablation`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from betti import params
from betti.errors import UnknownName
from flows import running, training, words

if TYPE_CHECKING:
    from pathlib import Path

    from betti.ablation import Ablation

__all__ = ["ablate", "shown"]


def ablate(root: Path, run: str) -> None:
    """Train a run's variants and print what each of its parts is worth.

    Raises:
        UnknownName: params.yaml declares no such run.
        NothingToAblate: its model names nothing that may be taken away.
    """
    known = params.load(root)
    if run not in known.runs:
        raise UnknownName("run", run, known.runs)
    refuse_nothing(root, run)
    console = Console(soft_wrap=True)
    running.run(root, [f"evaluate@{run}"], [], downstream=False, force=False, record=False)
    training.follow_up(root, console)
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    from flows import ablation

    with words.told(lambda said: console.print(f"  {escape(said)}", highlight=False)):
        found = ablation.ablate(run)
    console.print(shown(found))
    console.print(f"Written to {ablation.path(root, run).relative_to(root)}.", highlight=False)
    training.say_count(root, found.target, console)


def refuse_nothing(root: Path, run: str) -> None:
    """Refuse a run without variants before anything is run.

    Raises:
        NothingToAblate: as it says.
    """
    from betti.ablation import variants
    from betti.models import ModelRegistry

    block = params.load(root).runs[run]
    variants(run, block.model, ModelRegistry.create(block.model, block.config), block.config, block.seed)


def shown(found: Ablation) -> Table:
    """The run beside its variants; a difference says something where its interval is apart from 0."""
    table = Table("", "log loss", "minus the run's", "interval", title=f"{found.run}, {found.rows:,} test rows")
    table.add_row(found.run, f"{found.log_loss:.4f}", "", "")
    for one in found.variants:
        interval = f"[{one.loss.low:+.4f}, {one.loss.high:+.4f}]"
        table.add_row(escape(one.name), f"{one.log_loss:.4f}", f"{one.loss.estimate:+.4f}", escape(interval))
    table.caption = f"positive: the part helps; intervals of {found.confidence:.0%} each, paired by row"
    return table
