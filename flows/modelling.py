"""`betti models NAME`: one model: its inputs, its parts and their parameters, its knobs, its memory, its speed here.

Speed is measured on made-up rows, as many as `ROWS`, at default knobs: one epoch of a network, a whole fit of anything
else. What does not belong here: what a model says of itself (`betti.models._documented`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from betti.errors import BettiError
from betti.models import ModelRegistry, _documented, _sizes
from betti.models._protocol import Answers
from betti.training import footprint
from betti.windows import NamedInputs

if TYPE_CHECKING:
    from betti.models import BaseModel

__all__ = ["Speed", "measured", "show"]

ROWS = 500  # of the fit that is timed
MANY = 100_000  # of the fit whose memory is foreseen
PREDICTIONS = 30


@dataclass(frozen=True)
class Speed:
    """Seconds, here and now.

    Attributes:
        fit: of one fit on `ROWS` rows: one epoch of a network.
        single: of one row's answer, the median of `PREDICTIONS`.
        peak: bytes by which the process's peak rose meanwhile.
    """

    fit: float
    single: float
    peak: int


def show(name: str) -> None:
    """Print all of it.

    Raises:
        UnknownName, PartUnavailable: no such model, or one that does not import here.
    """
    told = _documented.documented(name)
    console = Console(soft_wrap=True)
    console.print(f"[bold]{told.name}[/] ({told.family}): {escape(told.summary)}", highlight=False)
    for one, shape in told.inputs.items():
        console.print(f"  input {one}: {shape}, {'scaled' if told.scaled else 'as it is'}", highlight=False)
    if told.heads:
        console.print(f"  learns beside the class: {', '.join(told.heads)}", highlight=False)
    if told.parameters:
        console.print(_parts(told.parameters))
    console.print(_knobs(told))
    model = ModelRegistry.create(name)
    expected = _sizes.expected(model, name, MANY)
    if expected is not None:
        console.print(f"Memory of a fit on {MANY:,} rows, foreseen: {expected}", highlight=False)
    _say_speed(name, told.heads, console)


def _parts(parameters: dict[str, int]) -> Table:
    table = Table("part", "parameters")
    for part, count in parameters.items():
        table.add_row(part or "its own", f"{count:,}")
    table.add_section()
    table.add_row("in all", f"{sum(parameters.values()):,}")
    return table


def _knobs(told: _documented.Documented) -> Table:
    table = Table("knob", "default", "range", "search")
    for knob in told.knobs:
        table.add_row(knob.name, escape(knob.default), knob.allowed or "-", knob.search or "-")
    return table


def _say_speed(name: str, heads: tuple[str, ...], console: Console) -> None:
    what = "an epoch" if heads or _is_network(name) else "a fit"
    try:
        found = measured(name)
    except BettiError as fault:
        console.print(f"Speed is not measured: {escape(str(fault))}", highlight=False)
        return
    console.print(
        f"Here: {what} on {ROWS:,} rows {found.fit:.2f} s, one row's answer {1000 * found.single:.2f} ms, "
        f"peak memory {footprint.in_words(found.peak)} more than before",
        highlight=False,
    )


def _is_network(name: str) -> bool:
    return "epochs" in ModelRegistry.get_model_info(name).default_config


def measured(name: str) -> Speed:
    """How fast a model is here, at default knobs.

    Raises:
        BadModelInput: it does not take made-up rows.
    """
    once = {"epochs": 1, "device": "cpu"} if _is_network(name) else {}
    model = ModelRegistry.create(name, once)
    X, y = _made(model, ROWS)
    with footprint.watched("cpu") as used:
        began = time.perf_counter()
        model.fit(X, y, None, None)
        fit = time.perf_counter() - began
    one, _ = _made(model, 1)
    times = []
    for _ in range(PREDICTIONS):
        began = time.perf_counter()
        model.predict(one)
        times.append(time.perf_counter() - began)
    return Speed(fit, float(np.median(times)), used.peak)


def _made(model: BaseModel, rows: int) -> tuple[Any, Any]:
    """Random inputs of the model's shapes, and classes 0 and 1 of which every head says nothing but 0."""
    rng = np.random.default_rng(0)
    parts = {name: rng.normal(size=(rows, *shape)).astype("float32") for name, shape in _sizes.shapes(model).items()}
    y = np.arange(rows, dtype="int64") % 2
    answers = Answers(y, {head: np.zeros(rows) for head in model.heads}) if model.heads else y
    return (NamedInputs(parts) if model.inputs else parts[_sizes.ONE]), answers
