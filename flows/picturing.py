"""`betti topology plot`: the topology of one window, as a page of its own.

Times, bars and places of pages are read here for `labelpicturing` too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape

from betti import catalog, io, knobs, params, schemas
from betti.charts.portrait import Portrait, portrait, stamp
from betti.errors import BadInput, MissingArtifact, MissingFile, UnknownName, UnreadableFile
from betti.features import topology as family
from betti.topology import embedding, persistence, vectorisation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "BadTime",
    "OutsideBars",
    "TooFewBars",
    "clean_bars",
    "depicted",
    "file_stamp",
    "moment",
    "page_place",
    "plot",
    "symbols_in",
]


class BadTime(BadInput):
    """Text that is no time."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"'{text}' is not a time. Give one such as 2008-10-10 or 2008-10-10T14:30, in UTC")


class OutsideBars(BadInput):
    """A time before the first or after the last bar."""

    def __init__(self, symbol: str, asked: pd.Timestamp, first: pd.Timestamp, last: pd.Timestamp) -> None:
        self.symbol, self.asked = symbol, asked
        super().__init__(
            f"{symbol} has no bar at {stamp(asked)}: its clean bars run from {stamp(first)} to {stamp(last)} UTC. "
            "Give a time between them"
        )


class TooFewBars(BadInput):
    """A bar with less history than its window needs."""

    def __init__(self, symbol: str, bar: pd.Timestamp, found: int, needed: int, first: pd.Timestamp | None) -> None:
        self.symbol, self.found, self.needed = symbol, found, needed
        remedy = f"give {stamp(first)} or later" if first is not None else "lower features.topology in params.yaml"
        super().__init__(
            f"{symbol} has {found} bars up to {stamp(bar)}, and a window with its look-back takes {needed}; {remedy}"
        )


@dataclass(frozen=True)
class Knobs:
    """The knobs that a picture depends on; what they mean stands in `betti.features.topology.compute`."""

    window: int
    delay: int
    dimension: int
    stride: int
    bins: int
    layers: int
    grid_max: float
    backend: str


def plot(root: Path, symbol: str, time: str, here: Path, out: Path | None) -> Path:
    """Write the page and print its address.

    Args:
        root: the workspace.
        symbol: a symbol among the clean bars.
        time: in ISO form, UTC unless it has a zone; the last bar at or before it counts.
        here: the folder that `out` is relative to, and that the page goes to without it.
        out: where to write.

    Returns:
        Where the page is.

    Raises:
        MissingArtifact: there are no clean bars yet.
        UnknownName: no such symbol, or params.yaml declares no family `topology`.
        BadTime, OutsideBars, TooFewBars: no window ends there.
        MissingFile, UnreadableFile: the page cannot lie where it should.
    """
    asked = moment(time)
    target = page_place(here, out or f"topology-{catalog.symbol_folder(symbol)}-{file_stamp(asked)}.html")
    found = depicted(clean_bars(root, symbol), asked, _knobs(params.load(root)))
    target.write_text(portrait(found), encoding="utf-8")
    first, last = stamp(found.times.iloc[0]), stamp(found.times.iloc[-1])
    console = Console()
    console.print(f"{escape(symbol)}: window of {len(found.times)} bars, {first} to {last}.", highlight=False)
    console.print(f"Page: {target.as_uri()}", highlight=False, soft_wrap=True)
    return target


def depicted(bars: pd.DataFrame, asked: pd.Timestamp, values: Mapping[str, Any]) -> Portrait:
    """The window that stands in the features of the last bar at or before a time, with all that is shown of it.

    Args:
        bars: one symbol's, at least one, in time order, columns as in `betti.schemas.BARS`.
        asked: the time, UTC.
        values: every knob of the family by name.

    Raises:
        BadParam: the window is too short for the embedding.
        OutsideBars, TooFewBars: no window ends there.
    """
    used = Knobs(**{name: values[name] for name in Knobs.__dataclass_fields__})
    row = _row(bars, asked, family.lookback(**values) + 1)
    end = row - _age(bars, row, values)
    window = bars.iloc[end - used.window + 1 : end + 1]
    closes = window["close"].to_numpy(dtype=np.float64)
    points = embedding.takens(embedding.standardised(closes[None]), dimension=used.dimension, delay=used.delay)[0]
    diagrams = persistence(points, backend=used.backend)
    grid = vectorisation.fixed_grid(used.grid_max, used.bins)
    pairs = vectorisation.gathered(diagrams)
    return Portrait(
        symbol=str(bars["symbol"].iloc[0]),
        asked=asked,
        bar=bars["timestamp"].iloc[row],
        times=window["timestamp"],
        closes=closes,
        points=points,
        diagrams=diagrams,
        grid=grid,
        betti=vectorisation.betti_curves(pairs, grid),
        entropies=vectorisation.entropies(pairs),
        totals=vectorisation.totals(pairs),
        norms=vectorisation.landscape_norms(pairs, grid, used.layers),
        delay=used.delay,
        knobs=dict(values),
    )


def moment(text: str) -> pd.Timestamp:
    """A time in ISO form, UTC unless it has a zone, or `BadTime`."""
    try:
        read = datetime.fromisoformat(text.strip())
        return pd.Timestamp(read.replace(tzinfo=read.tzinfo or UTC)).tz_convert("UTC")
    except (ValueError, OverflowError) as cause:
        raise BadTime(text) from cause


def file_stamp(time: pd.Timestamp) -> str:
    """A time as part of a file's name, without what some systems forbid there."""
    return stamp(time).replace(" ", "T").replace(":", "")


def page_place(here: Path, out: Path | str) -> Path:
    """Where a page goes: a file in a folder that is there.

    Raises:
        MissingFile, UnreadableFile: no such folder, or a folder of that name.
    """
    target = (here / out).absolute()
    if not target.parent.is_dir():
        raise MissingFile(target.parent, "Make that folder first, or give --out another place")
    if target.is_dir():
        raise UnreadableFile(target, "is a folder", "Give --out the name of a file in it")
    return target


def symbols_in(folder: Path) -> list[str]:
    """The symbols of an artifact that is stored in parts."""
    return [unquote(at.name) for at in folder.glob("[!_]*") if at.is_dir()]


def clean_bars(root: Path, symbol: str) -> pd.DataFrame:
    """The clean bars of one symbol in time order, numbered from 0; no other symbol is read.

    Raises:
        MissingArtifact: there are none yet.
        UnknownName: no such symbol.
    """
    clean = catalog.artifact("clean")
    folder = clean.at(root)
    known = symbols_in(folder)
    if not known:
        raise MissingArtifact(clean.name, folder, "validate")
    if symbol not in known:
        raise UnknownName("symbol", symbol, known)
    bars = io.read_table(folder / catalog.symbol_folder(symbol), schemas.BARS)
    if bars.empty:
        raise MissingArtifact(clean.name, folder, "validate")
    return bars.sort_values("timestamp", ignore_index=True)


def _knobs(known: params.Params) -> dict[str, Any]:
    if "topology" not in known.features:
        raise UnknownName("feature family in params.yaml features:", "topology", known.features)
    return knobs.checked(family.compute, known.features["topology"] or {}, "features.topology")


def _row(bars: pd.DataFrame, asked: pd.Timestamp, needed: int) -> int:
    """The last bar at or before a time, if it has enough history."""
    times = bars["timestamp"]
    symbol = str(bars["symbol"].iloc[0])
    if not times.iloc[0] <= asked <= times.iloc[-1]:
        raise OutsideBars(symbol, asked, times.iloc[0], times.iloc[-1])
    row = int(times.searchsorted(asked, side="right")) - 1
    if row + 1 < needed:
        first = times.iloc[needed - 1] if len(times) >= needed else None
        raise TooFewBars(symbol, times.iloc[row], row + 1, needed, first)
    return row


def _age(bars: pd.DataFrame, row: int, values: Mapping[str, Any]) -> int:
    """How many bars ago the window ended that this bar carries: the features say so themselves."""
    if values["stride"] == 1:
        return 0
    history = bars.iloc[row - family.lookback(**values) : row + 1]
    return int(family.compute(history, **values)["age"].iloc[-1])
