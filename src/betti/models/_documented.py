"""What the models are, as their files say it: docs/models.md, and what `betti models NAME` shows.

    python -m betti.models._documented > docs/models.md

Everything is at default knobs. What does not belong here: the terminal, and measuring (`flows.registered`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from betti.models import FOLDER, ModelRegistry, _search, _sizes
from betti.training import footprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from betti.models._protocol import BaseModel
    from betti.models._search import Choice

__all__ = ["COMMAND", "Documented", "Knob", "documented", "page"]

COMMAND = "python -m betti.models._documented > docs/models.md"


@dataclass(frozen=True)
class Knob:
    """One knob: its default, what it may be ("" where the type is all), and what a search may draw ("" for nothing)."""

    name: str
    default: str
    allowed: str
    search: str


@dataclass(frozen=True)
class Documented:
    """One model.

    Attributes:
        name: it is registered under.
        family: boosting, neural, ...
        summary: what it is, in a line.
        scaled: whether its inputs are scaled on the training rows.
        inputs: input name -> its shape and the feature set it is; the only input is called "X", of any set.
        heads: label columns that it learns beside the class.
        parameters: part of the network -> numbers that it learns; empty for a model without a network.
        knobs: all of them.
    """

    name: str
    family: str
    summary: str
    scaled: bool
    inputs: dict[str, str]
    heads: tuple[str, ...]
    parameters: dict[str, int]
    knobs: tuple[Knob, ...]


def documented(name: str) -> Documented:
    """What a registered model says of itself.

    Raises:
        UnknownName, PartUnavailable: as `ModelRegistry.create`.
    """
    info, model = ModelRegistry.get_model_info(name), ModelRegistry.create(name)
    network = _sizes.network(model)
    return Documented(
        name=name,
        family=info.family,
        summary=info.description,
        scaled=info.requires_scaling,
        inputs=_inputs(model),
        heads=model.heads,
        parameters={} if network is None else footprint.parameters(network),
        knobs=_knobs(model, info.default_config),
    )


def _inputs(model: BaseModel) -> dict[str, str]:
    if not model.inputs:
        rows = f"{model.config['length']} rows" if model.requires_sequences else "a row"
        return {_sizes.ONE: f"{rows} of any set"}
    shapes = _sizes.shapes(model)
    return {name: f"{' x '.join(map(str, shapes[name]))}, the set {one.set}" for name, one in model.inputs.items()}


def _knobs(model: BaseModel, defaults: Mapping[str, Any]) -> tuple[Knob, ...]:
    bounds, space = _bounds(model), _search.space(model)
    return tuple(
        Knob(name, "absent" if value is None else str(value), _allowed(bounds.get(name)), _drawn(space.get(name)))
        for name, value in defaults.items()
        if name not in ("seed", "classes")
    )


def _bounds(model: BaseModel) -> Mapping[str, Any]:
    """The ranges that stand beside the model's knobs: its module's `BOUNDS`."""
    found: Mapping[str, Any] = getattr(sys.modules[type(model).__module__], "BOUNDS", {})
    return found


def _allowed(bound: Any) -> str:
    if not bound:
        return ""
    if isinstance(bound[0], str):
        return " or ".join(map(str, bound))
    return f"{bound[0]:g} to {bound[-1]:g}"


def _drawn(choice: Choice | None) -> str:
    return "" if choice is None else _search.told(choice)


# The page -----------------------------------------------------------------------------------------------------------


def page() -> str:
    """docs/models.md, from the code."""
    models = [documented(name) for name in FOLDER.names()]
    lines = [
        "# Models",
        "",
        "Every registered model at its default knobs. This page is made from the code:",
        "",
        "```",
        COMMAND,
        "```",
        "",
        f"Parameters of a model that takes any set are those on {_sizes.COLUMNS} columns, with three classes where",
        "it takes three. What a search may draw is what `betti tune` tries. Every model has the knobs `seed` and",
        "`classes` too, which the run and the target set. `betti models NAME` says how much memory a fit should take,",
        "and measures how fast the model is where you are.",
        "",
        "| model | family | inputs | parameters | what it is |",
        "|---|---|---|---|---|",
        *(_overview(model) for model in models),
    ]
    for model in models:
        lines += ["", f"## {model.name}", "", *_facts(model), ""]
        lines += ["| knob | default | range | search |", "|---|---|---|---|"]
        lines += [f"| `{k.name}` | {k.default} | {k.allowed or '-'} | {k.search or '-'} |" for k in model.knobs]
    return "\n".join(lines) + "\n"


def _overview(model: Documented) -> str:
    inputs = "; ".join(model.inputs.values())
    size = f"{sum(model.parameters.values()):,}" if model.parameters else "-"
    return f"| [{model.name}](#{model.name}) | {model.family} | {inputs} | {size} | {model.summary} |"


def _facts(model: Documented) -> list[str]:
    inputs = "; ".join(f"{name}: {shape}" for name, shape in model.inputs.items())
    lines = [f"- inputs, {'scaled' if model.scaled else 'as they are'}: {inputs}"]
    if model.heads:
        lines.append(f"- learns beside the class: {', '.join(model.heads)}")
    if model.parameters:
        parts = ", ".join(f"{name or 'its own'} {count:,}" for name, count in model.parameters.items())
        lines.append(f"- parameters: {sum(model.parameters.values()):,} ({parts})")
    return lines


if __name__ == "__main__":
    sys.stdout.write(page())
