"""Merge a model's configuration with its defaults, and say which knob is wrong.

What does not belong here: ranges (`_checks.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betti.errors import BadModelInput, UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["merged"]


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
