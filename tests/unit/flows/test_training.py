"""`betti train` and `betti tune` as commands: what they refuse, what they start, and what they say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from betti.errors import BadParam, UnknownName
from flows import running, searching, training
from flows.tune import Best
from tests.unit.flows import trained

RUN = "up-logistic"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = trained.lay_out(tmp_path_factory.mktemp("commands"))
    trained.train(root, RUN)
    trained.evaluate(root, RUN)
    return root


@pytest.fixture
def root(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    root = Path(shutil.copytree(workspace, tmp_path / "root"))
    (root / "params.yaml").write_text(trained.PARAMS.replace("tensorboard", "none"))
    return root


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What was asked of the pipeline, which is not run here."""
    calls: list[tuple] = []
    monkeypatch.setattr(running, "run", lambda root, stages, runs, **knobs: calls.append((stages, runs, knobs)))
    return calls


def test_train_brings_one_run_up_to_date_and_says_what_came_of_it(root: Path, started: list, capsys):
    training.train(root, RUN, force=True)
    assert started == [([f"train@{RUN}", f"evaluate@{RUN}"], [], {"downstream": False, "force": True, "record": False})]
    said = capsys.readouterr().out
    words = (f"{RUN}, out of sample", "majority_class", "after costs: Sharpe", "buy and hold", f"data/7_models/{RUN}")
    assert [word for word in words if word not in said] == []
    assert "Tried on up so far: 1 configuration in 1 trial." in said


def test_an_unknown_run_starts_nothing(root: Path, started: list):
    with pytest.raises(UnknownName, match=r"unknown run 'up-logistik'; did you mean 'up-logistic'"):
        training.train(root, "up-logistik", force=False)
    with pytest.raises(UnknownName, match="unknown run"):
        searching.search(root, "up-logistik", 3, 0, [], False)
    with pytest.raises(BadParam, match="'two' is no number of a fold"):
        searching.search(root, RUN, 3, 0, ["1", "two"], False)
    assert started == []


@pytest.mark.parametrize("write", [True, False])
def test_a_search_says_the_lines_for_params_and_writes_them_when_asked(root: Path, write: bool, capsys):
    before = (root / "params.yaml").read_text()
    searching._say(root, RUN, Best({"C": 0.01}, 0.5, 0.6, 4, 2), Console(width=200), write)
    said = capsys.readouterr().out
    assert "Best of 4 whole trials (2 stopped early): validation loss 0.5000, the run's own knobs 0.6000." in said
    assert "runs:\n  up-logistic:\n    config:\n      C: 0.01\n" in said
    after = before.replace("config: {}}", "config: {C: 0.01}}") if write else before
    assert (root / "params.yaml").read_text() == after
    assert ("--write" in said) != write


def test_a_search_without_a_whole_trial_recommends_nothing(root: Path, capsys):
    before = (root / "params.yaml").read_text()
    searching._say(root, RUN, Best({}, float("nan"), None, 0, 3), Console(width=200), write=True)
    assert "No trial saw all folds (3 were stopped early)" in capsys.readouterr().out
    assert (root / "params.yaml").read_text() == before
