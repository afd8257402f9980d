"""`betti check lookahead | recursive`: a feature family's faults in time, as text and as an exit code.

What does not belong here: how they are found (`betti.causality`).
"""

from __future__ import annotations

import importlib.util
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from betti import causality, features, io, knobs, probes, progress, schemas
from betti.errors import BadBars, BadParam, BrokenArtifact, MissingFile, PartUnavailable, UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

__all__ = ["family", "lookahead", "recursive"]

MADE_UP = 200  # bars beyond what is compared by `recursive`, where none are given
MOST_BARS = 2000  # rows that `lookahead` checks: some weeks of made-up bars, or a file's last ones
SILENT_SECONDS = 5.0
MOST_ROWS = 40
SAID: dict[causality.Kind, str] = {
    "future": "[red]reads the future[/]",
    "elsewhere": "[red]reads something outside its bars[/]",
    "unsteady": "[red]same bars, other values[/]",
}


def lookahead(name: str, file: Path | None, times: int, given: Sequence[str]) -> bool:
    """Print the columns that read the future, or something outside their bars; True where there are none.

    Args:
        name: a registered family, or a Python file that is one.
        file: a Parquet file, or a folder of them, with columns as in `betti.schemas.BARS`; None makes bars up.
        times: bars after which every kind of future is tried, at most; it is cut off after every bar.
        given: knobs as `name=value`; those left out have their defaults.

    Raises:
        MissingFile, UnreadableFile, PartUnavailable, NotAFamily, UnknownName: the family or the bars are not there.
        BadParam: a knob is not as it should be.
        TooFewBars, BadBars: the bars do not suffice.
        ProbeFailed, NotFinite: the family failed.
    """
    found, values = family(name), _knobs(given)
    back = _lookback(found, values)
    bars = _bars(file, back + MOST_BARS) if file else probes.walk(back + 1 + MOST_BARS)
    with _telling(Console()):
        report = causality.lookahead(found, bars, knobs=values, times=times)
    console = Console(soft_wrap=True)
    _show_lookahead(report, console)
    console.print(_origin(file, bars), "A value from a table shows only on bars that it covers.", highlight=False)
    return not report.leaks


def recursive(name: str, file: Path | None, given: Sequence[str]) -> bool:
    """Print how the last value drifts with the history it is given; True where the declared look-back suffices.

    Args, Raises: as `lookahead`.
    """
    found, values = family(name), _knobs(given)
    back = _lookback(found, values)
    wanted = max(causality.HISTORIES) * back * 4 // 3 + MADE_UP
    bars = _bars(file, wanted + MOST_BARS) if file else probes.walk(wanted)
    with _telling(Console()):
        report = causality.memory(found, bars, knobs=values)
    console = Console(soft_wrap=True)
    _show_memory(report, console)
    console.print(_origin(file, bars), highlight=False)
    return not report.short


# What is checked ----------------------------------------------------------------------------------------------------


def family(name: str) -> features.FeatureFamily:
    """A registered family by name, or the one in a Python file, which is imported now."""
    path = Path(name)
    if path.suffix != ".py":
        return features.family(name)
    if not path.is_file():
        raise MissingFile(path, "Give the name of a registered family (`betti features`), or a Python file")
    return features.of_module(path.stem, _imported(path))


def _imported(path: Path) -> Any:
    """A module from a file that is in no package."""
    spec = importlib.util.spec_from_file_location(f"checked_{path.stem}", path.resolve())
    assert spec is not None  # the ending is .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for the types they name
    try:
        spec.loader.exec_module(module)
    except Exception as cause:  # whatever a file does while it is imported, its user learns it as one sentence
        raise PartUnavailable(features.FOLDER.kind, str(path), cause) from cause
    return module


def _knobs(given: Sequence[str]) -> dict[str, Any]:
    values = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise BadParam("--knob", text, "a knob is given as name=value", file="command line")
        try:
            values[name] = yaml.safe_load(value)
        except yaml.YAMLError as cause:
            raise BadParam("--knob", text, "its value cannot be read", file="command line") from cause
    return values


def _lookback(found: features.FeatureFamily, values: Mapping[str, Any]) -> int:
    return found.lookback(**knobs.checked(found.function, values, f"features.{found.name}"))


def _bars(path: Path, most: int) -> pd.DataFrame:
    """The last bars of the symbol that has most of them, in time order."""
    if not path.exists():
        raise MissingFile(path, "Give a Parquet file of bars, such as one in data/2_clean")
    try:
        table = io.read_part(path, schemas.BARS) if path.is_file() else io.read_table(path, schemas.BARS)
    except BrokenArtifact as cause:
        remedy = "Give bars as Parquet with the columns and types of those in data/2_clean"
        raise UnreadableFile(path, str(cause.args[0]).removeprefix(f"{path}: ").partition(". ")[0], remedy) from cause
    if table.empty:
        raise BadBars(path, "no rows", "Give a file with bars")
    symbol = table["symbol"].value_counts().index[0]
    rows = table[table["symbol"] == symbol].sort_values("timestamp", kind="stable", ignore_index=True)
    return rows.iloc[-most:].reset_index(drop=True)


# Showing ------------------------------------------------------------------------------------------------------------


def _origin(file: Path | None, bars: pd.DataFrame) -> str:
    """Which bars were used."""
    if file is None:
        return "The bars are made up; --bars takes yours."
    first, last = (f"{bars['timestamp'].iloc[at]:%Y-%m-%d %H:%M}" for at in (0, -1))
    return f"Bars: {escape(str(bars['symbol'].iloc[0]))}, {first} to {last} UTC."


def _show_lookahead(report: causality.Lookahead, console: Console) -> None:
    if report.leaks:
        table = Table("column", "what", "first at", "bars ahead", "largest change", "shown by what followed")
        for leak in report.leaks[:MOST_ROWS]:
            ahead = f"{leak.ahead} or more" if leak.kind == "future" else ""
            when = f"{leak.time:%Y-%m-%d %H:%M} (row {leak.row})"
            change = f"{leak.change:.3g}"
            table.add_row(escape(leak.column), SAID[leak.kind], when, ahead, change, ", ".join(leak.shown_by))
        console.print(table)
        _print_rest(console, len(report.leaks))
    faulty = len({leak.column for leak in report.leaks})
    verdict = (
        f"[red]{faulty} of {len(report.columns)} columns leak[/]"
        if faulty
        else f"[green]no leak found in {len(report.columns)} columns[/]"
    )
    console.print(
        f"{escape(report.family)}: {verdict}; {report.bars} bars, cut off and turned around after every one, continued "
        f"in {len(probes.FUTURES) - 1} other ways after {_share(report.tried, report.possible)}.",
        highlight=False,
    )
    if report.moments:
        console.print(
            "Headlines, policy and macro are made up, and were taken away and exchanged from a release on: "
            f"{_share(report.moments_tried, report.moments)}.",
            highlight=False,
        )
    if not faulty:
        console.print("On these bars each value is what could be computed when its bar closed.")


def _share(tried: int, possible: int) -> str:
    return "every one" if tried == possible else f"{tried} of {possible} (by lot)"


def _show_memory(report: causality.Memory, console: Console) -> None:
    if report.short:
        headings = (f"{history} bars" for history in report.histories)
        table = Table("column", *headings, "enough", title="Drift of the last value by history, relative")
        for drift in report.short[:MOST_ROWS]:
            enough = "none of these" if drift.settled is None else f"{report.histories[drift.settled]} bars"
            table.add_row(escape(drift.column), *(f"{value:.1e}" for value in drift.drifts), enough)
        console.print(table)
        _print_rest(console, len(report.short))
    if report.inexact:
        names = ", ".join(drift.column for drift in report.inexact[:MOST_ROWS])
        console.print(f"[yellow]not to the last digit:[/] {escape(names)}. A month computed alone differs in bytes.")
    total = len(report.drifts)
    verdict = f"[red]{len(report.short)} of {total} columns need more[/]" if report.short else "[green]it suffices[/]"
    console.print(
        f"{escape(report.family)}: look-back {report.lookback} bars; {verdict} ({report.rows} rows, compared with "
        f"histories of {report.reference} bars and more, to {causality.TOLERANCE:g}).",
        highlight=False,
    )


def _print_rest(console: Console, rows: int) -> None:
    if rows > MOST_ROWS:
        console.print(f"and {rows - MOST_ROWS} more")


@contextmanager
def _telling(console: Console) -> Iterator[None]:
    """Show a bar of the check's own computations once it has lasted for some seconds; nothing in a pipe or a file."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars, since = Progress(*columns, console=console, transient=True), time.monotonic()

    def tell(done: int, total: int, what: str) -> None:
        late = time.monotonic() - since > SILENT_SECONDS
        if what != causality.WORK or not late or not console.is_terminal:  # families tell of work of their own
            return
        if not bars.tasks:
            bars.add_task(what, total=total)
            bars.start()
        bars.update(bars.tasks[0].id, completed=done, total=total)

    try:
        with progress.listening(tell):
            yield
    finally:
        if bars.tasks:  # stopping what never began prints a line
            bars.stop()
