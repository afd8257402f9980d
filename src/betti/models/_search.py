"""How a model's own file says what is worth searching among its knobs, and what a search may draw.

A model declares it beside its defaults, and what it does not name stays as the run has it:

    SEARCH: ClassVar[Mapping[str, Choice]] = {"learning_rate": Real(1e-4, 1e-2, log=True), "layers": Whole(1, 3)}

What does not belong here: searching (`betti.tuning`, `flows.tune`), and what a knob may be at all (the model's ranges).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from betti.models._protocol import BaseModel

__all__ = ["Choice", "OneOf", "Real", "Value", "Whole", "holds", "rounded", "space", "told"]

Value: TypeAlias = int | float | str
DIGITS = 3  # significant ones: more are noise in a knob


@dataclass(frozen=True)
class Real:
    """A number from low to high, both included; `log` draws equally from each decade."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Whole:
    """A whole number from low to high, both included; `log` draws equally from each decade."""

    low: int
    high: int
    log: bool = False


@dataclass(frozen=True)
class OneOf:
    """One of a few values, in no order."""

    values: tuple[Value, ...]


Choice: TypeAlias = Real | Whole | OneOf


def space(model: BaseModel) -> Mapping[str, Choice]:
    """What a model says is worth searching; nothing where it says nothing."""
    found: Mapping[str, Choice] = getattr(type(model), "SEARCH", {})
    return found


def rounded(choice: Choice, value: Value) -> Value:
    """A value as it is tried and written down: a real number with three significant digits, inside its range.

    >>> rounded(Real(1e-4, 1e-2), 0.00123456), rounded(Whole(1, 9), 3.0), rounded(Real(0.2345, 1.0), 0.2345)
    (0.00123, 3, 0.2345)
    """
    if isinstance(choice, OneOf):
        return value
    number = float(value)
    if isinstance(choice, Whole):
        return round(number)
    if number == 0:
        return 0.0
    short = round(number, DIGITS - 1 - floor(log10(abs(number))))
    return min(max(short, choice.low), choice.high)


def holds(choice: Choice, value: object) -> bool:
    """Whether a choice could have drawn this value.

    >>> holds(Whole(1, 9), 3), holds(OneOf(("a", "b")), "c"), holds(Real(0.0, 1.0), "x")
    (True, False, False)
    """
    if isinstance(choice, OneOf):
        return value in choice.values
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return choice.low <= value <= choice.high and (isinstance(choice, Real) or value == int(value))


def told(choice: Choice) -> str:
    """A choice in words.

    >>> told(Real(1e-4, 0.01, log=True)), told(Whole(1, 3)), told(OneOf(("a", "b")))
    ('0.0001 to 0.01, by decades', '1 to 3, whole', 'a or b')
    """
    if isinstance(choice, OneOf):
        return " or ".join(map(str, choice.values))
    ending = ", whole" if isinstance(choice, Whole) else ""
    return f"{choice.low:g} to {choice.high:g}{ending}{', by decades' if choice.log else ''}"
