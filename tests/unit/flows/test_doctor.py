"""`betti doctor --cache` and the push after a run: what they say, and the exit code."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner, Result

from betti import binding
from flows import cli, doctor, running
from tasks.record import Workspace
from tasks.remote import Remote
from tests.unit.tasks.tiny import cache_of, flip, lay_out, outs, restored, run, silent, wipe


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = lay_out(tmp_path_factory.mktemp("done") / "ws")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        run(root, 1)
    return root


@pytest.fixture
def root(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shutil.copytree(done, tmp_path / "ws"))
    return tmp_path / "ws"


def set_remote(root: Path, address: str | None) -> None:
    knobs = yaml.safe_load((root / "params.yaml").read_text())
    knobs["flow"]["remote"] = address
    (root / "params.yaml").write_text(yaml.safe_dump(knobs))


def called(*words: str) -> Result:
    return CliRunner().invoke(cli.app, list(words), env={"COLUMNS": "300", "TERM": "dumb", "NO_COLOR": "1"})


def said(result: Result) -> str:
    return re.sub(r"\s+", " ", result.output)


def object_of(root: Path, path: str) -> Path:
    return cache_of(root).path_of(outs(root)[path])


# doctor --cache -------------------------------------------------------------------------------------------------------


def test_a_whole_cache_is_exit_code_0(root: Path):
    result = called("doctor", "--cache")
    assert result.exit_code == 0
    assert re.search(r"[1-9]\d* objects hashed: 0 corrupt or missing", said(result))


def test_what_is_put_back_is_exit_code_0_and_named(root: Path):
    victim = object_of(root, "out.txt")
    flip(victim)
    result = called("doctor", "--cache")
    assert result.exit_code == 0
    assert f"put back from the workspace: corrupt: cache object {victim} (out.txt of copy)" in said(result)
    assert "1 corrupt or missing, 0 not put back" in said(result)
    assert called("doctor", "--cache").exit_code == 0


def test_what_is_lost_is_exit_code_1_until_its_stage_ran(root: Path):
    flip(object_of(root, "many"))
    wipe(root)
    result = called("doctor", "--cache")
    assert result.exit_code == 1
    assert "lost here: corrupt" in said(result)
    assert "betti run --stages spread makes" in said(result)
    assert ".betti/corrupt" in said(result)
    again = called("doctor", "--cache")
    assert (again.exit_code, "lost here: missing" in said(again)) == (1, True)
    run(root, 1)
    assert called("doctor", "--cache").exit_code == 0


def test_the_remote_of_the_knob_is_asked(root: Path, tmp_path: Path):
    set_remote(root, str(tmp_path / "remote"))
    assert called("doctor", "--cache").exit_code == 0  # makes the remote known to DVC
    Remote(cache_of(root)).push(silent)
    flip(object_of(root, "many"))
    object_of(root, "out.txt").unlink()
    wipe(root)
    result = called("doctor", "--cache")
    assert result.exit_code == 0, result.output
    assert said(result).count(f"put back from {tmp_path / 'remote'}") == 2
    restored(root)


def test_a_remote_out_of_reach_is_told_and_the_rest_is_done(root: Path, tmp_path: Path):
    set_remote(root, str(tmp_path / "unmounted" / "remote"))
    flip(object_of(root, "out.txt"))
    wipe(root)
    result = called("doctor", "--cache")
    assert result.exit_code == 1
    assert "does not exist" in said(result)
    assert "betti run --stages copy" in said(result)


@pytest.mark.parametrize("spoil", ["flip", "folder"])
def test_a_corrupt_part_is_removed(root: Path, spoil: str):
    part = root / binding.PARTS_CACHE / "0123-4567.parquet"
    part.parent.mkdir(parents=True)
    if spoil == "flip":
        part.write_text("not what its name says")
    else:
        part.mkdir()
    result = called("doctor", "--cache")
    assert (result.exit_code, part.exists()) == (0, False)
    assert "1 corrupt parts removed" in said(result)


def test_runs_that_cannot_be_restored_are_told(root: Path):
    earlier = object_of(root, "out.txt")
    run(root, 2)
    earlier.unlink()
    result = called("doctor", "--cache")
    assert result.exit_code == 0
    assert "1 earlier runs" in said(result)
    assert called("gc", "--apply", "--keep", "workspace").exit_code == 0
    assert "earlier runs" not in said(called("doctor", "--cache"))


# Plain doctor ---------------------------------------------------------------------------------------------------------


def test_plain_doctor_names_and_changes_nothing(root: Path):
    victim = object_of(root, "out.txt")
    flip(victim)
    spoilt = victim.read_bytes()
    findings = list(doctor._cache(root))
    (bad,) = [finding for finding in findings if not finding.fit and str(victim) in finding.what]
    assert "betti doctor --cache" in bad.remedy
    assert victim.read_bytes() == spoilt


@pytest.mark.parametrize(("address", "fit"), [(None, True), ("remote", True), ("unmounted/remote", False)])
def test_plain_doctor_looks_at_the_remote(root: Path, tmp_path: Path, address: str | None, fit: bool):
    set_remote(root, address and str(tmp_path / address))
    (finding,) = doctor._remote(root)
    assert finding.fit is fit
    assert (address or "no remote") in finding.what


# The push after a run -------------------------------------------------------------------------------------------------


def pushed(root: Path, address: str | None, capsys: pytest.CaptureFixture[str]) -> str:
    remote = Remote(cache_of(root))
    remote.configure(address)
    capsys.readouterr()
    running._push(remote, address, Console(soft_wrap=True))
    return " ".join(capsys.readouterr().out.split())


def test_a_run_is_pushed_once(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    address = str(tmp_path / "remote")
    assert re.search(rf"Pushed \d+ objects \(.* B\) to {re.escape(address)}", pushed(root, address, capsys))
    assert pushed(root, address, capsys) == ""
    run(root, 2)
    assert "Pushed" in pushed(root, address, capsys)
    assert pushed(root, None, capsys) == ""


def test_a_remote_out_of_reach_does_not_fail_the_run_and_the_next_one_tries_again(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    address = str(tmp_path / "unmounted" / "remote")
    assert "Not pushed: the remote" in pushed(root, address, capsys)
    assert Workspace(root).look().stale == {}
    (tmp_path / "unmounted").mkdir()
    assert "Pushed" in pushed(root, address, capsys)


def test_what_was_held_back_is_named(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    flip(object_of(root, "out.txt"))
    words = pushed(root, str(tmp_path / "remote"), capsys)
    assert "Not pushed: out.txt" in words
    assert "betti doctor --cache" in words


# The command line -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("doctor", ["--cache", "hash all, put back what can be had"]),
        ("gc", ["--apply", "--keep", "nothing is removed"]),
    ],
)
def test_the_commands_print_their_help(command: str, words: list[str]):
    assert [word for word in words if word not in said(called(command, "--help"))] == []


def test_outside_a_workspace_gc_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert "dvc.yaml" in str(called("gc", "--apply").exception)
