"""Holding the workspace: one holder at a time, a note of who, and what a killed holder leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from tasks import holding
from tasks.errors import WorkspaceLockedError
from tests.conftest import REPOSITORY

PROGRAM = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from tasks import holding
    with holding.hold(Path(sys.argv[1]), "11111111-1111-1111-1111-111111111111", 0, lambda *_: None):
        print("held", flush=True)
        time.sleep(60)
    """
)


@pytest.fixture
def other(tmp_path):
    """Another process that holds the workspace."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_held_workspace_is_refused_with_the_holders_name(tmp_path, other):
    told: list[str] = []
    with (
        pytest.raises(WorkspaceLockedError, match=f"process {other.pid}"),
        holding.hold(tmp_path, None, 1.2, lambda who, _: told.append(who)),
    ):
        pytest.fail("two holders")
    assert told
    assert str(other.pid) in told[0]


def test_a_killed_holder_frees_the_workspace_and_its_run_is_known(tmp_path, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    with holding.hold(tmp_path, None, 5, lambda *_: None) as dead:
        assert dead is not None
        assert dead.pid == other.pid
        assert dead.flow_run == "11111111-1111-1111-1111-111111111111"
    with holding.hold(tmp_path, None, 5, lambda *_: None) as dead:
        assert dead is None


def test_an_error_inside_frees_the_workspace(tmp_path):
    with pytest.raises(ValueError, match="x"), holding.hold(tmp_path, None, 0, lambda *_: None):
        raise ValueError("x")
    assert holding.holder(tmp_path) is None
    with holding.hold(tmp_path, None, 0, lambda *_: None) as dead:
        assert dead is None
