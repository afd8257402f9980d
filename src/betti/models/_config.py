"""Merge a model's configuration with its defaults, and say which knob is wrong.

What does not belong here: data (`_checks.py`), and the ranges themselves, which stand beside each model's knobs.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from betti.errors import BadModelInput, UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from betti.models._checks import Allowed, Bounds

__all__ = ["merged", "ranges"]


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
    for knob in [name for name in bounds if name in config]:  # an optional knob need not be there
        if not _allows(bounds[knob], config[knob]):
            raise BadModelInput(model, f"{knob} = {config[knob]!r}", f"It takes {_told(bounds[knob])}")


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
