"""`betti models | features | sources | targets`: what is registered, and what failed to import and why."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from types import ModuleType

    from betti.discovery import Folder

__all__ = ["features", "models", "sources", "targets"]


def models() -> None:
    """Models by family, with what they need."""
    from betti.models import FOLDER, ModelRegistry

    table = Table("model", "family", "scaling", "sequences", "what it is")
    for names in ModelRegistry.list_models().values():
        for name in names:
            info = ModelRegistry.get_model_info(name)
            yes = {True: "yes", False: "-"}
            table.add_row(name, info.family, yes[info.requires_scaling], yes[info.requires_sequences], info.description)
    _print(table, FOLDER)


def features() -> None:
    """Families with their columns and look-back, then the declared sets."""
    from betti import features as rooms

    table = Table("family", "columns", "look-back (bars)", "knobs", "what it is")
    for name, family in rooms.families().items():
        knobs = {key: p.default for key, p in _keywords(family.function).items()}
        shown = ", ".join(f"{key}={value}" for key, value in knobs.items())
        table.add_row(
            name, str(len(family.columns)), str(family.lookback(**knobs)), shown, _first_line(rooms.FOLDER.load(name))
        )
    _print(table, rooms.FOLDER)
    declared = Table("set", "patterns", "meant for")
    for name, one in rooms.sets().items():
        declared.add_row(name, ", ".join(one.columns), one.description)
    Console().print(declared)


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
