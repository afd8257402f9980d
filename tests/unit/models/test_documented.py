"""What models say of themselves: docs/models.md, `betti models NAME`, and the search spaces."""

from __future__ import annotations

import runpy
import sys

import pytest
from typer.testing import CliRunner

from betti.errors import UnknownName
from betti.models import FOLDER, ModelRegistry, _documented, _search
from betti.models._search import OneOf, Real, Whole
from flows import cli, modelling
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "models.md"


@pytest.fixture(scope="module")
def page() -> str:
    return _documented.page()


def test_the_page_is_what_the_code_says(page: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == page, f"run: {_documented.COMMAND}"


def test_the_module_prints_the_page(
    page: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, _documented.__name__)
    runpy.run_module(_documented.__name__, run_name="__main__")
    assert capsys.readouterr().out == page


@pytest.mark.parametrize("name", FOLDER.names())
def test_the_page_has_no_broken_row(page: str, name: str) -> None:
    """A cell with a bar in it would make a row of another number of cells."""
    section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert len(lines) > 2
    assert {line.count("|") for line in lines} == {5}


@pytest.mark.parametrize("name", FOLDER.names())
def test_every_knob_is_told_with_its_default(name: str) -> None:
    told = {knob.name: knob for knob in _documented.documented(name).knobs}
    defaults = ModelRegistry.get_model_info(name).default_config
    assert set(told) == set(defaults) - {"seed", "classes"}
    assert all(told[knob].default == ("absent" if defaults[knob] is None else str(defaults[knob])) for knob in told)
    assert {knob for knob in told if told[knob].search} == set(_search.space(ModelRegistry.create(name)))


def test_a_models_facts_are_its_own() -> None:
    told = _documented.documented("lstm")
    assert told.inputs == {"X": "30 rows of any set"} and told.scaled and not told.heads
    network = 4 * 128 * (50 + 128 + 2) + 4 * 128 * (128 + 128 + 2)  # two layers of four gates with two biases
    assert told.parameters["recurrent"] == network
    assert _documented.documented("logistic").parameters == {}


def called(*words: str):
    return CliRunner().invoke(cli.app, ["models", *words], env={"COLUMNS": "300", "TERM": "dumb", "NO_COLOR": "1"})


def test_one_model_is_shown_with_its_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelling, "ROWS", 60)
    monkeypatch.setattr(modelling, "PREDICTIONS", 3)
    found = modelling.measured("lightgbm")
    assert 0 < found.single < found.fit < 60
    result = called("lightgbm")
    assert result.exit_code == 0, result.output
    words = ("lightgbm (boosting)", "num_leaves", "2 to 100000", "Memory of a fit on 100,000 rows", "Here: a fit on 60")
    assert [word for word in words if word not in result.output] == []
    assert "catboost" not in result.output


def test_a_network_is_shown_with_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelling, "ROWS", 40)
    monkeypatch.setattr(modelling, "PREDICTIONS", 1)
    result = called("lstm")
    assert result.exit_code == 0, result.output
    assert all(word in result.output for word in ("recurrent", "232,963", "Here: an epoch on 40 rows", "activations"))


def test_a_speed_that_cannot_be_measured_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from betti.errors import BadModelInput

    def refused(name: str) -> modelling.Speed:
        raise BadModelInput(name, "made-up rows", "Give real ones")

    monkeypatch.setattr(modelling, "measured", refused)
    result = called("logistic")
    assert result.exit_code == 0 and "Speed is not measured: model 'logistic': made-up rows" in result.output


def test_an_unknown_model_is_named() -> None:
    error = called("lighgbm").exception
    assert isinstance(error, UnknownName) and "did you mean 'lightgbm'" in str(error)


def test_without_a_name_all_are_listed() -> None:
    result = called()
    assert all(name in result.output for name in FOLDER.names())


@pytest.mark.parametrize(
    ("choice", "value", "kept"),
    [
        (Real(1e-5, 1.0), 0.000123456, 0.000123),
        (Real(1e-5, 1.0), 98765e-9, 9.88e-05),
        (Real(0.0, 1.0), 0.0, 0.0),
        (Real(-5.0, 5.0), -1.23456, -1.23),
        (Real(0.1234, 0.5), 0.12340, 0.1234),
        (Whole(1, 9), 7, 7),
        (OneOf(("a", 2)), "a", "a"),
    ],
)
def test_values_are_rounded_within_their_range(choice, value, kept) -> None:
    assert _search.rounded(choice, value) == kept and _search.holds(choice, kept)


@pytest.mark.parametrize(
    ("choice", "value"),
    [(Whole(1, 9), 2.5), (Whole(1, 9), 0), (Whole(0, 1), True), (Real(0.0, 1.0), None), (OneOf((1,)), 2)],
)
def test_what_a_choice_could_not_have_drawn(choice, value) -> None:
    assert not _search.holds(choice, value)
