"""Merge a model's configuration with its defaults, given or read from its file, and say which knob is wrong.

What does not belong here: data (`_checks.py`), and the ranges themselves, which stand beside each model's knobs.
"""

from __future__ import annotations

from contextlib import contextmanager
from math import isfinite
from typing import TYPE_CHECKING, Any

from betti.errors import BadModelInput, BadParam, BrokenArtifact, UnknownName
from betti.models._files import FACTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from betti.models._checks import Allowed, Bounds
    from betti.models._protocol import BaseModel

__all__ = ["RUN", "configured", "merged", "ranges", "refuse_owned", "restored", "sizes", "stored", "whole"]

# What a run of params.yaml says itself, and what to do where its model's configuration says it again.
RUN = {
    "seed": "set the run's own `seed`",
    "classes": "leave it out: the target says how many there are",
}
# Ranges of the knobs that every model has. Libraries take seeds of 31 bits.
EVERY: Bounds = {"seed": (0, 2**31 - 1), "classes": (0, 1e4)}


def configured(model: BaseModel, given: Mapping[str, Any] | None, bounds: Bounds) -> dict[str, Any]:
    """The model's knobs with the given ones in their place, all inside their ranges.

    Raises:
        UnknownName: a knob the model does not have.
        BadModelInput: a value of another type or outside its range.
    """
    name = type(model).__name__
    config = merged(name, model.get_default_config(), {**model.config, **(given or {})})
    ranges(name, config, bounds)
    return config


def refuse_owned(block: str, config: Mapping[str, Any], owned: Mapping[str, str], file: str = "params.yaml") -> None:
    """Refuse knobs of a model that are set elsewhere: they would be overwritten, or what is recorded would be wrong.

    Args:
        block: where the configuration stands, such as "runs.NAME.config".
        config: the knobs that are given.
        owned: knob -> what to do instead.
        file: what holds the block.

    Raises:
        BadParam: the first of them that is given.
    """
    for name, remedy in owned.items():
        if name in config:
            raise BadParam(f"{block}.{name}", config[name], remedy, file)


def merged(model: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with the given values in their place; types must match the default's.

    A knob whose default is None is optional: it is left out while it has no value. So a model that does not use it is
    stored in the same bytes as before there was such a knob.

    Raises:
        UnknownName: a knob the model does not have.
        BadModelInput: a value of another type, or a negative number where the default is not negative.
    """
    for name, value in given.items():
        if name not in defaults:
            raise UnknownName(f"{model} knob", name, defaults)
        _check(model, name, defaults[name], value)
    whole = {**defaults, **{name: _as(defaults[name], value) for name, value in given.items()}}
    return {name: value for name, value in whole.items() if value is not None or defaults[name] is not None}


def _as(default: Any, value: Any) -> Any:
    """A number in its default's type: 3.0 epochs are 3."""
    numeric = isinstance(default, int | float) and not isinstance(default, bool)
    return type(default)(value) if numeric and value is not None else value


def _check(model: str, name: str, default: Any, value: Any) -> None:
    if default is None or value is None:
        return
    numeric = isinstance(default, int | float) and not isinstance(default, bool)
    fits = (
        isinstance(value, int | float) and not isinstance(value, bool) if numeric else isinstance(value, type(default))
    )
    if not fits or (isinstance(default, int) and numeric and value % 1 != 0):
        raise BadModelInput(model, f"{name} = {value!r}", f"It takes a {type(default).__name__} such as {default!r}")
    if numeric and default >= 0 and value < 0:
        raise BadModelInput(model, f"{name} = {value!r}", "It takes a value that is not negative")


def ranges(model: str, config: Mapping[str, Any], bounds: Bounds) -> None:
    """Refuse a knob without a value, outside its range [low, high], or of a name that is not among its names.

    Raises:
        BadModelInput: names the knob, and its range or names where it has them.
    """
    for knob, value in config.items():
        if value is None or (isinstance(value, float) and not isfinite(value)):
            raise BadModelInput(model, f"{knob} = {value!r}", "Give it a finite value, or leave it out")
    allowed = {**EVERY, **bounds}
    for knob in [name for name in allowed if name in config]:  # an optional knob need not be there
        if not _allows(allowed[knob], config[knob]):
            raise BadModelInput(model, f"{knob} = {config[knob]!r}", f"It takes {_told(allowed[knob])}")


def _allows(allowed: Allowed, value: Any) -> bool:
    low, high = allowed[0], allowed[-1]
    if isinstance(low, str) or isinstance(high, str):
        return value in allowed
    # The type is asked here too: an optional knob has no default to compare its type with.
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _told(allowed: Allowed) -> str:
    if all(isinstance(bound, str) for bound in allowed):
        return " or ".join(str(name) for name in allowed)
    return f"a value from {allowed[0]:g} to {allowed[-1]:g}"


# Read from a file ----------------------------------------------------------------------------------------------------


@contextmanager
def stored(folder: Path) -> Iterator[None]:
    """Inside, what does not fit a model is said of the `model.json` that it was read from.

    Raises:
        BrokenArtifact: in the place of `BadModelInput` and `UnknownName`.
    """
    try:
        yield
    except (BadModelInput, UnknownName) as cause:
        raise BrokenArtifact(folder / FACTS, f"does not fit: {cause}") from cause


def restored(model: BaseModel, facts: Mapping[str, Any], bounds: Bounds) -> dict[str, Any]:
    """The configuration in a model's `model.json`, checked like one that is given.

    A knob that is younger than the file has its default; `seed` and `classes` are as old as models are.

    Args:
        model: it has these knobs.
        facts: `config`, and `classes` as they were in `fit`.
        bounds: the knobs' ranges.

    Raises:
        BadModelInput, UnknownName: no configuration of this model, or no number of classes that goes with it.
    """
    name, given = type(model).__name__, facts["config"]
    if not isinstance(given, dict) or not set(EVERY) <= set(given):
        raise BadModelInput(name, f"config = {given!r}", f"It holds every knob, {' and '.join(EVERY)} among them")
    found = merged(name, model.get_default_config(), given)
    ranges(name, found, bounds)
    classes = whole(name, "classes", facts["classes"], 2)
    if found["classes"] not in (0, classes):
        raise BadModelInput(name, f"classes = {classes}, and {found['classes']} in its config", "They are one number")
    return found


def sizes(model: str, what: str, found: Any, count: int) -> tuple[int, ...]:
    """A stored shape of so many sizes, each 1 at least.

    Raises:
        BadModelInput: it is none.
    """
    if not isinstance(found, list) or len(found) != count:
        raise BadModelInput(model, f"{what} = {found!r}", f"It takes a list of {count}")
    return tuple(whole(model, what, size, 1) for size in found)


def whole(model: str, what: str, found: Any, least: int) -> int:
    """A stored whole number.

    Raises:
        BadModelInput: it is none, or smaller than `least`.
    """
    if not isinstance(found, int) or isinstance(found, bool) or found < least:
        raise BadModelInput(model, f"{what} = {found!r}", f"It takes a whole number from {least}")
    return found
