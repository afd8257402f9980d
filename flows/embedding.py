"""`betti topology choose`: the delay and dimension that the training bars suggest, and the knobs that hold them.

A choice is made once, on bars that no fold tests, and becomes a knob: recomputed per window it would give each window
a shape of its own, and on all bars it would let test bars decide how they are looked at. What does not belong here:
how a choice is made (`betti.topology.selection`).
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from betti import catalog, io, knobs, params, schemas
from betti.errors import BadBars, BrokenArtifact, MissingArtifact, UnknownName, UnreadableFile
from betti.features import topology
from betti.topology import selection

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from betti.topology.selection import Choice

    Floats = NDArray[np.float64]

__all__ = ["choose", "with_knobs"]

FAMILY = "topology"
DELAYS_SHOWN = 9
SEED = 7  # of the shuffled closes that each market is shown beside


def choose(root: Path, write: bool) -> None:
    """Print what the training bars suggest, and with `write` set the knobs `delay` and `dimension` in params.yaml.

    Raises:
        MissingArtifact: there are no clean bars or no folds yet.
        UnknownName: params.yaml declares no topology features.
        BadBars: no market has enough training bars.
        UnreadableFile: params.yaml is written so that the knobs cannot be set in its text.
    """
    known = params.load(root)
    if FAMILY not in known.features:
        raise UnknownName("family in params.yaml features:", FAMILY, known.features)
    block = knobs.checked(topology.compute, known.features[FAMILY] or {}, f"features.{FAMILY}")
    until = _first_test(root, known)
    console = Console(soft_wrap=True)
    choices, shuffled = _choices(_training(root, until), block["window"], console)
    delay, dimension = selection.combined(list(choices.values()))
    console.print(_information(choices, shuffled))
    console.print(_shares(choices, shuffled))
    console.print(_chosen(choices, shuffled))
    console.print(f"Windows of {block['window']} bars, all before the first test row ({until:%Y-%m-%d %H:%M} UTC).")
    console.print(f"Over all (lower medians): delay {delay}, dimension {dimension}.")
    console.print(f"In {params.FILE}: delay {block['delay']}, dimension {block['dimension']}.")
    if dimension > 2 and block["dimension"] == 2:
        console.print(f"In {dimension} dimensions the planar engine does not help: features take many times longer.")
    if (delay, dimension) == (block["delay"], block["dimension"]):
        console.print("The knobs have these values already; nothing to write.")
    elif write:
        _write(root / params.FILE, {"delay": delay, "dimension": dimension})
        console.print(f"Written to {params.FILE}. `betti status` says what that makes stale.")
    else:
        console.print("Add --write to set the knobs.")


def _first_test(root: Path, known: params.Params) -> pd.Timestamp:
    """The earliest row that any fold of any target tests.

    In walk-forward that is fold 0's; no scheme tests a bar that lies before it.
    """
    firsts: list[pd.Timestamp] = []
    folds = catalog.artifact("folds")
    for target in params.items(known, catalog.stage("split")):
        path = folds.at(root, target)
        if not path.is_dir():
            raise MissingArtifact("folds", path, "split")
        rows = io.read_table(path, schemas.FOLDS)
        tested = rows.loc[rows["role"] == "test", "timestamp"]
        if tested.empty:
            raise BrokenArtifact(path, "no row has the role test")
        firsts.append(tested.min())
    if not firsts:
        raise MissingArtifact("folds", folds.folder(root), "split")
    return min(firsts)


def _training(root: Path, until: pd.Timestamp) -> dict[str, Floats]:
    """Closes before `until` by market, in time order; a market without any has none of them."""
    path = catalog.artifact("clean").at(root)
    if not path.is_dir():
        raise MissingArtifact("clean", path, "validate")
    bars = io.read_table(path, schemas.BARS).sort_values(["symbol", "timestamp"], kind="stable")
    return {
        str(symbol): rows.loc[rows["timestamp"] < until, "close"].to_numpy(dtype="float64")
        for symbol, rows in bars.groupby("symbol", sort=True)
    }


def _choices(
    closes: Mapping[str, Floats], window: int, console: Console
) -> tuple[dict[str, Choice], dict[str, Choice]]:
    """A choice per market, and one per market for its shuffled returns; markets that give none are named."""
    choices, shuffled = {}, {}
    for symbol, series in closes.items():
        try:
            choices[symbol] = selection.choose(series, window)
            mixed = np.exp(selection.shuffled(np.log(series), SEED))
            shuffled[symbol] = selection.choose(mixed, window)
        except selection.BadSeries as cause:
            console.print(f"[yellow]left out[/] {escape(symbol)}: {escape(str(cause))}", highlight=False)
    if not choices:
        remedy = f"Shorten features.{FAMILY}.window in {params.FILE}, or fetch more bars"
        raise BadBars("training", f"no market has a choice to offer in windows of {window} bars", remedy)
    return choices, shuffled


def _beside(choices: Mapping[str, Choice], shuffled: Mapping[str, Choice]) -> list[tuple[str, Choice]]:
    """Each market, and below it the same with its returns in random order."""
    lines = []
    for symbol, choice in choices.items():
        lines += [(escape(symbol), choice), ("  [dim]shuffled[/]", shuffled[symbol])]
    return lines


def _information(choices: Mapping[str, Choice], shuffled: Mapping[str, Choice]) -> Table:
    longest = len(next(iter(choices.values())).information)
    shown = np.unique(np.geomspace(1, longest, DELAYS_SHOWN).round().astype(int))
    table = Table("delay", *map(str, shown), title="Mutual information, bits")
    for name, choice in _beside(choices, shuffled):
        table.add_row(name, *(f"{choice.information[delay - 1]:.2f}" for delay in shown))
    return table


def _shares(choices: Mapping[str, Choice], shuffled: Mapping[str, Choice]) -> Table:
    lines = _beside(choices, shuffled)
    highest = max(len(choice.false_shares) for _, choice in lines)
    table = Table("dimension", *map(str, range(1, highest + 1)), title="False neighbours, per cent")
    for name, choice in lines:
        table.add_row(name, *(f"{100 * share:.1f}" for share in choice.false_shares))
    return table


def _chosen(choices: Mapping[str, Choice], shuffled: Mapping[str, Choice]) -> Table:
    table = Table("market", "delay", "because", "dimension", "because", title="Choice")
    for name, choice in _beside(choices, shuffled):
        table.add_row(
            name, str(choice.delay), choice.delay_rule.value, str(choice.dimension), choice.dimension_rule.value
        )
    return table


def _write(path: Path, values: Mapping[str, int]) -> None:
    """Set the family's knobs in the file, whole or not at all."""
    text = path.read_bytes().decode("utf-8")  # not read_text, which would change the ends of lines
    changed = with_knobs(text, ("features", FAMILY), values)
    expected = deepcopy(yaml.safe_load(text))
    expected["features"][FAMILY] = {**(expected["features"][FAMILY] or {}), **values}
    if _parsed(changed) != expected:
        wanted = ", ".join(f"{name}: {value}" for name, value in values.items())
        found = f"features.{FAMILY} is written in a way that cannot be edited as text (an anchor or an alias?)"
        raise UnreadableFile(path, found, f"Set {wanted} there by hand")
    io.write_text(path, changed)


def _parsed(text: str) -> Any:
    """What a YAML text holds; None where it is none."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def with_knobs(text: str, above: tuple[str, ...], values: Mapping[str, int]) -> str:
    """A YAML text with these values in the mapping at `above`; every other character stays.

    >>> with_knobs("a:\\n  b: {x: 1, y: 2}  # why\\n", ("a", "b"), {"y": 7, "z": 3})
    'a:\\n  b: {x: 1, y: 7, z: 3}  # why\\n'
    """
    for name, value in values.items():
        start, end, words = _replacement(text, above, name, value)
        text = text[:start] + words + text[end:]
    return text


def _replacement(text: str, above: tuple[str, ...], name: str, value: int) -> tuple[int, int, str]:
    """Where in the text what has to stand, so that the mapping at `above` gives `name` this value."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for part in above:
        node = next(inner for key, inner in node.value if key.value == part)
    start, end = node.start_mark.index, node.end_mark.index
    if not isinstance(node, yaml.MappingNode):  # nothing, ~ or null
        return start, end, f"{'' if end > start else ' '}{{{name}: {value}}}"
    for key, inner in node.value:
        if key.value == name:
            return inner.start_mark.index, inner.end_mark.index, str(value)
    if not node.value:
        return start + 1, start + 1, f"{name}: {value}"
    if node.flow_style:
        last = node.value[-1][1].end_mark.index
        return last, last, f", {name}: {value}"
    return start, start, f"{name}: {value}\n{' ' * node.start_mark.column}"
