"""What families say of their columns: tables in docstrings, and the page that is made from them."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from betti import features
from betti.features import _documented as documented
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "features.md"


def rows(docstring: str, columns: tuple[str, ...]) -> tuple[documented.Description, ...]:
    return documented.descriptions(ModuleType("made", docstring), columns)


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == documented.page(), f"run: {documented.COMMAND}"


def test_the_module_prints_the_page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import runpy

    monkeypatch.delitem(sys.modules, documented.__name__)
    runpy.run_module(documented.__name__, run_name="__main__")
    assert capsys.readouterr().out == documented.page()


@pytest.mark.parametrize("name", features.FOLDER.names())
def test_every_column_is_described_with_a_unit(name: str) -> None:
    family = documented.documented(name)
    assert family.described == len(family.columns) == len(features.family(name).columns)
    assert [row.pattern for row in family.rows if not (row.what and row.unit)] == []


@pytest.mark.parametrize("name", features.FOLDER.names())
def test_every_column_stands_in_one_row(name: str) -> None:
    family = documented.documented(name)
    named = [column for row in family.rows for column in row.columns]
    assert sorted(named) == sorted(family.columns)


@pytest.mark.parametrize("name", features.FOLDER.names())
def test_the_page_has_no_broken_row(name: str) -> None:
    """A cell with a bar in it would make a row of another number of cells."""
    section = documented.page().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert len(lines) > 2
    assert {line.count("|") for line in lines} == {6}


def test_the_page_has_every_set_with_what_it_holds() -> None:
    """Where a model is said to take the close, the page says that it gets returns, and why."""
    section = documented.page().partition("\n## Sets\n")[2]
    lines = {line.split(" | ")[0].strip("| "): line for line in section.splitlines() if line.startswith("| ")}
    assert set(lines) == {"set", *features.sets()}
    assert {line.count("|") for line in lines.values()} == {5}
    for name in ("nbeats_raw", "chronos_raw"):
        assert "log returns of the close, not its level" in lines[name]


def test_headings_are_found_by_a_word_in_them() -> None:
    text = """Made.

    | column | formula | source | unit and range |
    |---|---|---|---|
    | `a` | h - l | Wilder 1978 | price, >= 0 |

    | other table | unit |
    |---|---|
    | b | not read |
    """
    first, rest = rows(text, ("a", "b"))
    assert first == documented.Description("a", ("a",), "h - l", "price, >= 0", "Wilder 1978")
    assert (rest.columns, rest.what) == (("b",), documented.NOT_DESCRIBED)


def test_a_row_may_name_several_and_a_column_belongs_to_the_first() -> None:
    text = "\n".join(
        ("Made.", "| column | what |", "|---|---|", "| ret_5, low | first |", "| ret_* | second |", "| later | third |")
    )
    assert [(row.what, row.columns) for row in rows(text, ("low", "ret_1", "ret_5", "ret_20"))] == [
        ("first", ("low", "ret_5")),
        ("second", ("ret_1", "ret_20")),
        ("third", ()),
    ]


@pytest.mark.parametrize("docstring", ["Made.", "", "Made.\n\n| unit | column |\n|---|---|\n| a | b |"])
def test_a_family_that_says_nothing_is_shown_as_such(docstring: str) -> None:
    (row,) = rows(docstring, ("a", "b"))
    assert (row.columns, row.what, row.unit, row.source) == (("a", "b"), documented.NOT_DESCRIBED, "", "")
