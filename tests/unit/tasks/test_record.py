"""The DVC adapter on a tiny real repository: when a stage counts as cached, and when nothing may be recorded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.errors import BrokenPipelineError, DependencyMovedError
from tasks.record import Workspace

PIPELINE = """
stages:
  copy:
    cmd: cp in.txt out.txt
    deps: [in.txt]
    outs: [out.txt]
  again:
    cmd: cp out.txt last.txt
    deps: [out.txt]
    outs: [last.txt]
  grow:
    cmd: touch history.txt
    deps: [in.txt]
    outs:
      - history.txt:
          persist: true
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "params.yaml").write_text("{}\n")
    (tmp_path / "in.txt").write_text("1\n")
    command = [sys.executable, "-m", "dvc", "init", "--no-scm", "-q"]
    subprocess.run(command, cwd=tmp_path, check=True, env={"DVC_NO_ANALYTICS": "1", "PATH": "/usr/bin:/bin"})
    return tmp_path


def copier(root: Path, source: str = "in.txt", target: str = "out.txt"):
    return lambda: (root / target).write_text((root / source).read_text())


def never() -> None:
    pytest.fail("the body ran")


def test_ran_then_cached_then_restored(root: Path):
    workspace = Workspace(root)
    assert workspace.bring_up_to_date("copy", copier(root)).state == "ran"
    assert workspace.bring_up_to_date("copy", never).state == "cached"
    (root / "in.txt").write_text("2\n")
    assert workspace.bring_up_to_date("copy", copier(root)).state == "ran"
    (root / "in.txt").write_text("1\n")
    assert workspace.bring_up_to_date("copy", never).state == "restored"
    assert (root / "out.txt").read_text() == "1\n"
    (root / "out.txt").unlink()
    assert workspace.bring_up_to_date("copy", never).state == "restored"


def test_a_failed_body_leaves_the_stage_stale_for_the_same_workspace(root: Path):
    workspace = Workspace(root)
    workspace.bring_up_to_date("copy", copier(root))
    (root / "in.txt").write_text("2\n")

    def fail() -> None:
        raise RuntimeError("network")

    with pytest.raises(RuntimeError, match="network"):
        workspace.bring_up_to_date("copy", fail)
    assert "copy" in workspace.look().stale
    assert workspace.bring_up_to_date("copy", copier(root)).state == "ran"
    assert (root / "out.txt").read_text() == "2\n"


def test_a_dep_that_moves_while_the_body_runs_is_not_recorded(root: Path):
    workspace = Workspace(root)

    def body() -> None:
        copier(root)()
        (root / "in.txt").write_text("moved\n")

    with pytest.raises(DependencyMovedError, match=r"in\.txt"):
        workspace.bring_up_to_date("copy", body)
    assert not (root / "dvc.lock").exists()
    assert workspace.bring_up_to_date("copy", copier(root)).state == "ran"
    assert (root / "out.txt").read_text() == "moved\n"


def test_a_dep_that_moves_at_the_last_moment_is_not_recorded(root: Path, monkeypatch: pytest.MonkeyPatch):
    """Between the hashing that ends a run and the one that DVC notes."""
    from dvc.stage import PipelineStage

    workspace = Workspace(root)
    save = PipelineStage.save

    def edited_first(self: PipelineStage, *arguments: object, **named: object) -> None:
        (root / "in.txt").write_text("moved\n")
        save(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(PipelineStage, "save", edited_first)
        with pytest.raises(DependencyMovedError):
            workspace.bring_up_to_date("copy", copier(root))
    assert not (root / "dvc.lock").exists()
    assert workspace.bring_up_to_date("copy", copier(root)).state == "ran"


def test_an_edit_from_outside_is_seen_by_an_open_workspace(root: Path):
    workspace = Workspace(root)
    workspace.bring_up_to_date("copy", copier(root))
    workspace.bring_up_to_date("again", copier(root, "out.txt", "last.txt"))
    assert workspace.look().stale == {"grow": ("it never ran",)}
    (root / "out.txt").write_text("tampered\n")
    assert set(workspace.look().stale) == {"copy", "again", "grow"}
    (root / "dvc.lock").unlink()
    assert workspace.look().stale["copy"] == ("it never ran",)


def test_history_that_is_recorded_comes_back_before_it_grows(root: Path):
    workspace = Workspace(root)
    history = root / "history.txt"

    def grow() -> None:
        history.write_text((history.read_text() if history.exists() else "") + (root / "in.txt").read_text())

    workspace.bring_up_to_date("grow", grow)
    history.unlink()
    (root / "in.txt").write_text("2\n")
    workspace.bring_up_to_date("grow", grow)
    assert history.read_text() == "1\n2\n"


def test_a_pipeline_that_cannot_be_read_is_one_sentence(root: Path):
    (root / "dvc.yaml").write_text("stages: [")
    with pytest.raises(BrokenPipelineError, match=r"dvc\.yaml"):
        Workspace(root).look()


def test_two_workspaces_on_one_folder_see_each_others_work(root: Path):
    one, other = Workspace(root), Workspace(root)
    one.look()
    other.look()
    one.bring_up_to_date("copy", copier(root))
    assert other.bring_up_to_date("copy", never).state == "cached"
    other.bring_up_to_date("again", copier(root, "out.txt", "last.txt"))
    assert one.bring_up_to_date("again", never).state == "cached"
