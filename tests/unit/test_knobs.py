"""A part's knobs are its function's keyword arguments."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from betti import knobs
from betti.errors import BadParam, UnknownName


def part(
    bars: object,
    *,
    window: Annotated[int, Field(ge=2, le=100)] = 20,
    side: Literal["up", "down"] = "up",
    path: str,
    names: list[str] | None = None,
) -> None:
    """A part with every kind of knob."""


def test_defaults_are_filled_in_and_every_knob_comes_back():
    assert knobs.checked(part, {"path": "x"}, "here") == {"window": 20, "side": "up", "path": "x", "names": None}


def test_values_stand():
    block = {"window": 5, "side": "down", "path": "y", "names": ["a"]}
    assert knobs.checked(part, block, "here") == block


def test_the_positional_table_is_no_knob():
    assert set(knobs.accepted(part)) == {"window", "side", "path", "names"}
    with pytest.raises(UnknownName):
        knobs.checked(part, {"path": "x", "bars": 1}, "here")


@pytest.mark.parametrize(
    ("block", "name"),
    [
        ({"window": 1}, "window"),
        ({"window": 101}, "window"),
        ({"window": 2.5}, "window"),
        ({"window": "many"}, "window"),
        ({"window": None}, "window"),
        ({"side": "left"}, "side"),
        ({"path": 7}, "path"),
        ({"names": "timestamp"}, "names"),
    ],
)
def test_a_value_out_of_range_names_the_knob_and_the_value(block, name):
    with pytest.raises(BadParam) as caught:
        knobs.checked(part, {"path": "x", **block}, "features.part")
    assert f"features.part.{name}" in str(caught.value)
    assert repr(block[name]) in str(caught.value)


def test_a_knob_without_a_default_is_asked_for_by_name():
    with pytest.raises(BadParam, match=r"params.yaml: here\.path = None: Field required"):
        knobs.checked(part, {}, "here")


def test_a_misspelt_knob_names_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'window'"):
        knobs.checked(part, {"path": "x", "windw": 5}, "here")


def test_the_block_is_not_changed():
    block = {"path": "x"}
    knobs.checked(part, block, "here")
    assert block == {"path": "x"}
