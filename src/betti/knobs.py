"""Check a block of params.yaml against the signature of the function that takes it.

A part's knobs ARE its function's keyword arguments: names, defaults and ranges stand in the signature, as
`window: Annotated[int, Field(ge=2, le=2016)] = 126`, and nowhere else.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from betti.errors import BadParam, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["accepted", "checked", "problem"]


def accepted(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a function, by name."""
    return {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _annotation(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """A knob's type. The table arguments beside it may be typed by names that exist for the type checker alone."""
    written = parameter.annotation
    if isinstance(written, str):
        return eval(written, getattr(function, "__globals__", {}))  # noqa: S307  # our own source text
    return Any if written is inspect.Parameter.empty else written


def problem(error: ValidationError) -> tuple[str, object, str]:
    """The first fault in a pydantic error: knob, value, what is wrong with it."""
    first = error.errors()[0]
    # For an absent knob pydantic gives the whole block as its input.
    value = None if first["type"] == "missing" else first.get("input")
    return ".".join(str(part) for part in first["loc"]), value, first["msg"]


def checked(function: Callable[..., Any], block: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The function's knobs with this block's values, defaults filled in.

    Raises:
        UnknownName: the block names a knob that the function does not take.
        BadParam: a value has the wrong type or lies outside its range.
    """
    known = accepted(function)
    for name in block:
        if name not in known:
            raise UnknownName(f"knob in params.yaml {where}:", name, known)
    try:
        values = _model(function)(**block)
    except ValidationError as error:
        name, value, message = problem(error)
        raise BadParam(f"{where}.{name}", value, message) from error
    return {name: getattr(values, name) for name in known}


@cache  # a night asks for each function's knobs hundreds of times, and making a model takes milliseconds
def _model(function: Callable[..., Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (_annotation(function, p), ... if p.default is inspect.Parameter.empty else p.default)
        for name, p in accepted(function).items()
    }
    return create_model("Knobs", __config__=ConfigDict(strict=False, extra="forbid", frozen=True), **fields)
