"""`betti labels plot`: one label among its bars, as a page of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.markup import escape

from betti import catalog, io, knobs, labelling, params, schemas
from betti.charts import balance, barriers, candles, expansions, triggers
from betti.charts.label_portrait import Drawn, LabelPortrait, label_portrait
from betti.charts.markup import escaped, number, percent
from betti.charts.portrait import stamp
from betti.errors import BadInput, MissingArtifact, UnknownName
from betti.labelling import direction
from flows.picturing import clean_bars, file_stamp, moment, page_place, symbols_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd

__all__ = ["NoLabels", "OutsideLabels", "StaleLabels", "decisive", "depicted", "plot"]

MOST_CANDLES = 250  # a page of its own has room for more than the report
BEFORE, AFTER = 20, 8  # bars at least before the decision, at most after the span
LAST = 100  # decisive labels, of which the middle one is shown where no time is given


class NoLabels(BadInput):
    """A symbol that has bars and no label."""

    def __init__(self, target: str, symbol: str, bars: int) -> None:
        self.target, self.symbol = target, symbol
        super().__init__(
            f"{symbol} has no label of target {target}: its {bars} clean bars are fewer than a label reads, or none of "
            "them is asked. Give another symbol, or lower the target's knobs in params.yaml"
        )


class OutsideLabels(BadInput):
    """A time before the first or after the last label."""

    def __init__(self, target: str, symbol: str, asked: pd.Timestamp, first: pd.Timestamp, last: pd.Timestamp) -> None:
        self.target, self.symbol, self.asked = target, symbol, asked
        super().__init__(
            f"{symbol} has no label of target {target} at {stamp(asked)}: its labels run from {stamp(first)} to "
            f"{stamp(last)} UTC, since a bar has one only where all bars that it needs are there. Give a time between "
            "them"
        )


class StaleLabels(BadInput):
    """A label that was not made from these bars with these knobs."""

    def __init__(self, target: str, symbol: str, time: pd.Timestamp) -> None:
        self.target, self.symbol = target, symbol
        super().__init__(
            f"the label of target {target} for {symbol} at {stamp(time)} does not follow the clean bars and "
            f"targets.{target} in params.yaml as they are now. Run `betti run --stages labels@{target}`"
        )


@dataclass(frozen=True)
class _Asked:
    """What a picture is made of: all bars of the symbol, the label's row among them, and the target's knobs."""

    target: str
    symbol: str
    bars: pd.DataFrame
    row: pd.Series
    knobs: Mapping[str, Any]

    @property
    def place(self) -> int:
        return int(self.row["row"])

    @property
    def end(self) -> int:
        return int(self.row["last_row"])

    def stale(self) -> StaleLabels:
        return StaleLabels(self.target, self.symbol, self.row["timestamp"])

    def around(self, last: int) -> tuple[pd.DataFrame, int]:
        """The bars to draw for a label whose last bar has this place, and the place of their first."""
        first = max(self.place - max(BEFORE, min(last - self.place, MOST_CANDLES // 3)), 0)
        return self.bars.iloc[first : last + AFTER + 1].reset_index(drop=True), first


def plot(root: Path, target: str, symbol: str, time: str, here: Path, out: Path | None) -> Path:
    """Write the page and print its address.

    Args:
        root: the workspace.
        target: an entry of `targets` in params.yaml.
        symbol: a symbol among the clean bars.
        time: in ISO form, UTC unless it has a zone; the last label at or before it counts. Empty: the middle one of the
            last hundred decisive labels.
        here: the folder that `out` is relative to, and that the page goes to without it.
        out: where to write.

    Returns:
        Where the page is.

    Raises:
        UnknownName: no such target or symbol.
        MissingArtifact: there are no clean bars or no labels yet.
        BadTime, OutsideLabels, NoLabels: no label is there.
        StaleLabels: the labels were made from other bars or with other knobs.
        MissingFile, UnreadableFile: the page cannot lie where it should.
    """
    known = params.load(root)
    if target not in known.targets:
        raise UnknownName("target in params.yaml targets:", target, known.targets)
    asked = moment(time) if time else None
    bars = clean_bars(root, symbol)
    block = known.targets[target].model_dump()
    found = depicted(target, block.pop("kind"), block, bars, _labels(root, target, symbol, len(bars)), asked)
    when = file_stamp(asked if asked is not None else found.row["timestamp"])
    page = page_place(here, out or f"label-{target}-{catalog.symbol_folder(symbol)}-{when}.html")
    page.write_text(label_portrait(found), encoding="utf-8")
    console = Console()
    console.print(f"{escape(symbol)}: label of {target} at {stamp(found.row['timestamp'])}.", highlight=False)
    console.print(f"Page: {page.as_uri()}", highlight=False, soft_wrap=True)
    return page


def depicted(
    target: str,
    kind: str,
    block: Mapping[str, Any],
    bars: pd.DataFrame,
    labels: pd.DataFrame,
    asked: pd.Timestamp | None,
) -> LabelPortrait:
    """The last label at or before a time, or the middle one of the last hundred decisive ones, and what is shown of it.

    Args:
        target: its name in params.yaml.
        kind: a file in `betti/labelling`.
        block: its knobs, as in params.yaml; those that are left out have their defaults.
        bars: one symbol's, in time order and numbered from 0, columns as in `betti.schemas.BARS`.
        labels: the same symbol's, at least one, in time order.
        asked: the time, UTC, or None.

    Raises:
        UnknownName, BadParam: the kind or a knob does not exist, or a value is out of range.
        OutsideLabels: no label lies at or before the time, or it lies beyond the last.
        StaleLabels: the label was made from other bars or with other knobs.
    """
    values = knobs.checked(labelling.FOLDER.load(kind).label, block, f"targets.{target}")
    symbol = str(bars["symbol"].iloc[0])
    time, why = _chosen(target, symbol, labels, decisive(kind, labels), asked)
    rows = candles.spans(bars, labels[labels["timestamp"] == time])
    if rows.empty:
        raise StaleLabels(target, symbol, time)
    one = _Asked(target, symbol, bars, rows.iloc[0], values)
    drawn = PICTURES.get(kind, _spanned)(one)
    return LabelPortrait(target, symbol, why, one.row, drawn, labels, {"kind": kind, **values})


def decisive(kind: str, labels: pd.DataFrame) -> pd.Series:
    """(n,) which labels say that something happens: not the middle one of three classes, and of two the second.

    An expansion must also start in its window: the picture of one that began before it, or lies ahead, shows less.

    Args:
        kind: a file in `betti/labelling`.
        labels: its labels.
    """
    answers = labels[balance.target_column(labels)]
    found = answers.notna() & (answers != 1 if labelling.FOLDER.load(kind).CLASSES == 3 else answers > 0)
    return found & (labels["begun"] == 0) & (labels["ahead"] == 0) if expansions.fits(labels) else found


def _chosen(
    target: str, symbol: str, labels: pd.DataFrame, telling: pd.Series, asked: pd.Timestamp | None
) -> tuple[pd.Timestamp, str]:
    """The time of the label to show, and a sentence that says why it is this one."""
    times = labels["timestamp"]
    if asked is not None:
        if not times.iloc[0] <= asked <= times.iloc[-1]:
            raise OutsideLabels(target, symbol, asked, times.iloc[0], times.iloc[-1])
        row = int(times.searchsorted(asked, side="right")) - 1
        return times.iloc[row], f"Asked for {stamp(asked)} UTC: the last label of {symbol} at or before it."
    if telling.any():
        last = times[telling].iloc[-LAST:]
        told = f"the middle one of the last {len(last):,} decisive labels of {symbol}"
    else:
        last = times.iloc[-LAST:]
        told = f"the middle one of the last {len(last):,} labels of {symbol}, none of which is decisive"
    return last.iloc[len(last) // 2], f"No time was asked for: {told}."


def _labels(root: Path, target: str, symbol: str, bars: int) -> pd.DataFrame:
    """The labels of one symbol in time order; no other symbol is read."""
    folder = catalog.artifact("labels").at(root, target)
    known = symbols_in(folder)
    if not known:
        raise MissingArtifact(f"labels of {target}", folder, f"labels@{target}")
    if symbol not in known:
        raise NoLabels(target, symbol, bars)
    labels = io.read_table(folder / catalog.symbol_folder(symbol), schemas.LABELS)
    if labels.empty:
        raise NoLabels(target, symbol, bars)
    return labels.sort_values("timestamp", ignore_index=True)


# Pictures of each kind ----------------------------------------------------------------------------------------------


def _direction(one: _Asked) -> Drawn:
    found = _touched(one, "direction", one.knobs, int(one.row["direction"]))
    return _barred(one, found, f"{escaped(one.symbol)}: {_told(found)}", barriers.NAMES)


def _meta(one: _Asked) -> Drawn:
    """The barriers of the side that the signal took: its profit where it points, its stop on the other side."""
    long = one.row["side"] > 0
    profit, stop = one.knobs["profit"], one.knobs["stop"]
    sides = {"width": 1.0, "upper": profit if long else stop, "lower": stop if long else profit}
    found = _touched(one, "meta", {**one.knobs, **sides}, None)
    words = f"{escaped(one.symbol)}: the signal is {'long' if long else 'short'}; {_told(found)}"
    return _barred(one, found, words, ("wrong", "right"))


def _touched(one: _Asked, kind: str, values: Mapping[str, Any], answer: int | None) -> barriers.Barriers:
    """The barriers of one label, computed from the bars that its row depends on; without an answer, by the touch."""
    back, _ = labelling.reach(kind, **one.knobs)
    first, last = max(one.place - back, 0), one.place + values["horizon"]
    touches = direction.barriers(one.bars.iloc[first : last + 1], **values)
    if last >= len(one.bars) or not len(touches.rows) or touches.rows[-1] + first != one.place:
        raise one.stale()
    if touches.ends[-1] + first != one.end:
        raise one.stale()
    close = float(one.bars["close"].iloc[one.place])
    return barriers.Barriers(
        row=one.place,
        touch=one.end,
        last=last,
        upper=close * (1 + float(touches.upper[-1])),
        lower=close * (1 - float(touches.lower[-1])),
        answer=(1, 2, 0, 1)[int(touches.kind[-1])] if answer is None else answer,
        weight=float(one.row["weight"]),
    )


def _told(found: barriers.Barriers) -> str:
    after = f"{found.touch - found.row:,} bars after the decision"
    if found.both:
        return f"one bar reached both barriers {after}"
    if found.answer == 1:
        return f"neither barrier was touched in {found.last - found.row:,} bars"
    return f"the {'upper' if found.answer == 2 else 'lower'} barrier was touched {after}"


def _barred(one: _Asked, found: barriers.Barriers, words: str, names: tuple[str, ...]) -> Drawn:
    bars, first = one.around(found.last)
    words += f". Upper barrier {found.upper:,.6g} (blue), lower {found.lower:,.6g} (red), dotted the one in time"
    return Drawn(barriers.figure(bars, [barriers.moved(found, first)], most=MOST_CANDLES), words, names)


def _trigger(one: _Asked) -> Drawn:
    """The thresholds; those in sigma are what `direction` calls a width of sigma."""
    horizon, side, close = one.knobs["horizon"], one.knobs["side"], float(one.bars["close"].iloc[one.place])
    needed, hit = one.knobs["threshold"], bool(one.row["trigger"] == 1)
    if one.knobs["measure"] == "sigma":
        first = max(one.place - labelling.reach("trigger", **one.knobs)[0], 0)
        known = one.bars.iloc[first : one.place + horizon + 1]
        widths = direction.barriers(known, horizon=horizon, width=needed, upper=None, lower=None, measure="sigma").upper
        needed = float(widths[-1]) if len(widths) else np.nan
    ahead = one.bars.iloc[one.place + 1 : one.end + 1]
    rise, fall = ahead["high"].max() / close - 1, 1 - ahead["low"].min() / close
    up = side == "up" or (side == "either" and rise >= fall)
    move = rise if up else fall
    size = float(one.row["max_pct"])
    if len(ahead) != horizon or not np.isclose(100 * move, size) or (size >= 100 * needed) != hit:
        raise one.stale()
    reached = int(np.argmax(ahead["high"]) if up else np.argmin(ahead["low"])) + one.place + 1
    bars, first = one.around(one.end)
    found = triggers.Move(
        row=one.place - first,
        last=one.end - first,
        upper=close * (1 + needed) if side != "down" else np.nan,
        lower=close * (1 - needed) if side != "up" else np.nan,
        reached=reached - first,
        price=float(ahead["high"].max() if up else ahead["low"].min()),
        hit=hit,
    )
    words = f"{escaped(one.symbol)}: price moves {percent(move, 2)} {'up' if up else 'down'} within {horizon:,} bars, "
    words += f"and {percent(needed, 2)} {'makes' if hit else 'would make'} the trigger fire; the horizon is shaded"
    return Drawn(triggers.around(bars, found, most=MOST_CANDLES), words, triggers.NAMES)


def _expansion(one: _Asked) -> Drawn:
    found = expansions.window(one.row)
    if found.bars != one.knobs["window"]:
        raise one.stale()
    first = int(one.row["first_row"])
    bars = one.bars.iloc[first : one.end + 1].reset_index(drop=True)
    words = f"{escaped(one.symbol)}: a window of {number(found.bars, 0)} bars. {expansions.told(found)}. "
    words += "Grey: what the label read after the window"
    return Drawn(expansions.figure(bars, found, most=MOST_CANDLES), words, expansions.NAMES)


def _spanned(one: _Asked) -> Drawn:
    """What every label has, of a kind that has no picture of its own."""
    bars, first = one.around(one.end)
    begins = int(one.row["first_row"])
    if begins < first:
        bars, first = one.bars.iloc[begins : one.end + AFTER + 1].reset_index(drop=True), begins
    drawn = candles.spanned(bars, one.place - first, begins - first, one.end - first, MOST_CANDLES)
    return Drawn(drawn, f"{escaped(one.symbol)}: the bars of the span are shaded")


PICTURES: dict[str, Callable[[_Asked], Drawn]] = {
    "direction": _direction,
    "meta": _meta,
    "trigger": _trigger,
    "expansion": _expansion,
}
