"""The portrait of one label: its bars, its numbers, the balance it stands in and its knobs, as one page.

What does not belong here: choosing the label and finding its barriers, drawing bars (`candles.py` and what builds on
it).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from betti.charts import balance, sections
from betti.charts.markup import escaped, number, paragraph, picture, table
from betti.charts.page import Section, page
from betti.charts.portrait import stamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["Drawn", "LabelPortrait", "label_portrait"]


@dataclass(frozen=True)
class Drawn:
    """One picture, and what its target's classes are called.

    Attributes:
        figure: the bars around the label.
        caption: what they show; HTML, names in it escaped.
        names: what classes 0, 1, ... are called; empty where nobody named them.
    """

    figure: go.Figure
    caption: str
    names: Sequence[str] = ()


@dataclass(frozen=True)
class LabelPortrait:
    """Everything the page shows of one label.

    Attributes:
        target: the target's name in params.yaml.
        symbol: the market.
        chosen: why this label and no other, a sentence; not yet escaped.
        row: its row of `betti.charts.candles.spans`.
        drawn: its bars.
        labels: all labels of this target and symbol.
        knobs: every knob of the target by name, its kind first, defaults included.
    """

    target: str
    symbol: str
    chosen: str
    row: pd.Series
    drawn: Drawn
    labels: pd.DataFrame
    knobs: Mapping[str, object]


def label_portrait(found: LabelPortrait) -> str:
    """The whole page as HTML that loads nothing; equal inputs give equal bytes."""
    return page(
        f"Label {found.target} of {found.symbol}, {stamp(found.row['timestamp'])}",
        [_label(found), _numbers(found), _balance(found), _knobs(found)],
    )


def _label(found: LabelPortrait) -> Section:
    row = found.row
    words = f"{escaped(found.chosen)} Its decision bar opened {stamp(row['timestamp'])} UTC. Its span, the bars that "
    words += f"training and test must not share, runs from {stamp(row['span_start'])} to {stamp(row['span_end'])}."
    body = paragraph(words) + _cards(found) + picture("fig-label", found.drawn.figure, found.drawn.caption)
    return Section("label", "Label", body)


def _cards(found: LabelPortrait) -> str:
    row = found.row
    answer = row[balance.target_column(found.labels)]
    told = number(float(answer)) if answer != int(answer) else balance.class_name(int(answer), found.drawn.names)
    shown = (
        ("answer", escaped(told)),
        ("weight", number(float(row["weight"]))),
        ("bars of the span", number(int(row["last_row"] - row["first_row"]) + 1, 0)),
        ("bars after the decision", number(int(row["last_row"] - row["row"]), 0)),
    )
    cards = "".join(f'<div class="card"><b>{value}</b><span>{name}</span></div>' for name, value in shown)
    return f'<div class="cards">{cards}</div>\n'


def _numbers(found: LabelPortrait) -> Section:
    columns = [name for name in found.labels.columns if name not in balance.KEYS]
    rows = [[name, _short(float(found.row[name]))] for name in (*columns, "weight")]
    words = paragraph(f"The row of {escaped(found.target)} as training reads it; n/a is a column that is not asked.")
    return Section("numbers", "Numbers", words + table(["column", "value"], rows, kind="words"))


def _short(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else number(value)


def _balance(found: LabelPortrait) -> Section:
    return Section("balance", "Balance", sections.label_balance(found.target, found.labels))


def _knobs(found: LabelPortrait) -> Section:
    words = paragraph(f"targets.{escaped(found.target)} in params.yaml, with the defaults of what it leaves out.")
    rows = [[name, value] for name, value in found.knobs.items()]
    return Section("knobs", "Knobs", words + table(["knob", "value"], rows, kind="words"))
