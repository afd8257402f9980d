"""`betti models | features | sources | targets`: what is registered, and what failed to import and why."""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from betti.features._documented import NOT_DESCRIBED, Documented, documented

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from pandas import DataFrame

    from betti.discovery import Folder
    from betti.features import FeatureFamily

__all__ = ["features", "models", "sources", "targets"]

MOST_NAMES = 12
COST_BARS = (4_000, 40_000)  # the larger number only where the smaller one is quick
COST_SECONDS = 0.5


def models(name: str = "") -> None:
    """Models by family, with what they need; or one of them, with its knobs, its size and its speed here.

    Raises:
        UnknownName: no such model.
        PartUnavailable: its file does not import.
    """
    from betti.models import FOLDER, ModelRegistry

    if name:
        from flows import modelling

        modelling.show(name)
        return

    table = Table("model", "family", "scaling", "sequences", "what it is")
    for names in ModelRegistry.list_models().values():
        for name in names:
            info = ModelRegistry.get_model_info(name)
            yes = {True: "yes", False: "-"}
            table.add_row(name, info.family, yes[info.requires_scaling], yes[info.requires_sequences], info.description)
    _print(table, FOLDER)


def features(name: str = "", cost: bool = False) -> None:
    """Families with look-back and knobs, their columns with unit and source, then the declared sets.

    Args:
        name: one family alone.
        cost: measure how long a million bars take, here and now.

    Raises:
        UnknownName: no such family.
        PartUnavailable: its file does not import.
    """
    from betti import features as rooms

    names = (name,) if name else tuple(known for known, _ in rooms.FOLDER.loaded())
    families = [documented(known) for known in names]
    _print(_families(families, cost), rooms.FOLDER)
    Console().print(_columns(families))
    if not name:
        declared = Table("set", "columns", "of the families", "meant for")
        for known, one in rooms.sets().items():
            declared.add_row(known, str(len(one.columns)), ", ".join(one.families), one.description)
        Console().print(declared)


def _families(families: Sequence[Documented], cost: bool) -> Table:
    table = Table(
        "family", "columns", "look-back (bars)", "knobs", *(["s per million bars"] if cost else []), "what it is"
    )
    for family in families:
        knobs = ", ".join(f"{key}={value}" for key, value in family.knobs.items())
        seconds = [f"{_cost(family.name):.3g}"] if cost else []
        table.add_row(
            family.name, str(len(family.columns)), str(family.lookback), escape(knobs), *seconds, escape(family.summary)
        )
    return table


def _columns(families: Sequence[Documented]) -> Table:
    """What a family says of its columns; what it does not say is named."""
    table = Table("columns", "number", "what", "unit", "source")
    for family in families:
        table.add_section()
        for row in family.rows:
            names = row.pattern if len(row.columns) < MOST_NAMES or row.what != NOT_DESCRIBED else "others"
            number = str(len(row.columns)) if row.columns else "by knob"
            table.add_row(f"{family.name}__ {escape(names)}", number, *map(escape, (row.what, row.unit, row.source)))
    return table


def _cost(name: str) -> float:
    """Seconds per million bars at default knobs, all cores: a first call that compiles is not counted."""
    from betti import features as rooms
    from betti import probes

    family, few = rooms.family(name), probes.walk(COST_BARS[0])
    family.compute(few)
    seconds = _timed(family, few)
    if seconds > COST_SECONDS:
        return seconds / len(few) * 1e6
    many = probes.walk(COST_BARS[1])
    return _timed(family, many) / len(many) * 1e6


def _timed(family: FeatureFamily, bars: DataFrame) -> float:
    start = time.perf_counter()
    family.compute(bars)
    return time.perf_counter() - start


def sources() -> None:
    """Sources with their options."""
    from betti.sources import FOLDER

    _print(_listing("source", FOLDER, "fetch"), FOLDER)


def targets() -> None:
    """Targets and split schemes with their knobs."""
    from betti import labelling, splits

    _print(_listing("target", labelling.FOLDER, "label"), labelling.FOLDER)
    _print(_listing("split scheme", splits.FOLDER, "split"), splits.FOLDER)


def _listing(word: str, folder: Folder, function: str) -> Table:
    table = Table(word, "knobs", "what it is")
    for name, module in folder.loaded():
        knobs = _keywords(getattr(module, function))
        shown = ", ".join(k if p.default is p.empty else f"{k}={p.default}" for k, p in knobs.items())
        table.add_row(name, shown or "-", _first_line(module))
    return table


def _keywords(function: object) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters  # type: ignore[arg-type]
    return {name: p for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}


def _first_line(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().split("\n")[0]


def _print(table: Table, folder: Folder) -> None:
    console = Console()
    console.print(table)
    for name, error in folder.failures().items():
        console.print(f"[red]{name}[/] cannot be used here: {error}", highlight=False)
