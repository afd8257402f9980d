"""The command line: which commands there are, what their help says, and what a wrong call costs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from betti.errors import BadInput
from flows import cli, embedding, picturing

COMMANDS = ("run", "status", "lineage", "models", "features", "sources", "targets", "doctor", "gc", "topology", "check")


def called(*words: str) -> Result:
    """A call in a terminal wide enough that no word is broken."""
    return CliRunner().invoke(cli.app, list(words), env={"COLUMNS": "300", "TERM": "dumb", "NO_COLOR": "1"})


def said(result: Result) -> str:
    return re.sub(r"\s+", " ", result.output)


@pytest.mark.parametrize("words", [(), ("topology",)], ids=str)
def test_a_group_says_which_commands_it_has(words: tuple[str, ...]) -> None:
    names = ("plot", "choose") if words else COMMANDS
    for extra in ((), ("--help",)):
        output = called(*words, *extra).output
        assert all(re.search(rf"^\W*{name}\s", output, flags=re.M) for name in names)
    assert called(*words, "--help").exit_code == 0


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("plot", ["SYMBOL", "TIMESTAMP", "--out", "2008-10-10T14:30, UTC unless it has a zone", "persistence diagram"]),
        ("choose", ["--write", "set delay and dimension in params.yaml", "false nearest neighbours"]),
    ],
)
def test_the_commands_of_topology_print_their_help(command: str, words: list[str]) -> None:
    result = called("topology", command, "--help")
    assert result.exit_code == 0
    assert [word for word in words if word not in said(result)] == []


@pytest.mark.parametrize(
    "words",
    [("topology", "plot"), ("topology", "plot", "AAA"), ("topology", "choose", "--wriet"), ("topology", "polt")],
    ids=" ".join,
)
def test_a_wrong_call_is_bad_input(words: tuple[str, ...]) -> None:
    assert called(*words).exit_code == 2


@pytest.mark.parametrize("words", [("plot", "AAA", "2008-10-10"), ("choose",)], ids=" ".join)
def test_outside_a_workspace_the_commands_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    error = called("topology", *words).exception
    assert isinstance(error, BadInput)
    assert "dvc.yaml" in str(error)
    assert list(tmp_path.iterdir()) == []


def test_the_arguments_reach_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_text("")
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(picturing, "plot", lambda *given: calls.append(given))
    monkeypatch.setattr(embedding, "choose", lambda *given: calls.append(given))
    for words in (("plot", "AAA", "2008-10-10", "--out", "a.html"), ("choose", "--write"), ("choose",)):
        monkeypatch.chdir(tmp_path / "inner")
        result = called("topology", *words)
        assert result.exit_code == 0, result.output
    here = tmp_path / "inner"
    assert calls == [(tmp_path, "AAA", "2008-10-10", here, Path("a.html")), (tmp_path, True), (tmp_path, False)]
