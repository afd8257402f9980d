"""Kill -9 anywhere: nothing half-written, dvc.lock never lies, the next run ends with an undisturbed run's bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
import yaml

from tests.flow.test_pipeline import ask
from tests.sandbox import Sandbox

pytestmark = [pytest.mark.flow, pytest.mark.timeout(900)]


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Read what a process prints until a line holds these words."""
    seen = []
    for line in process.stdout or ():
        seen.append(line)
        if words in line:
            return "".join(seen)
    pytest.fail(f"never said {words!r}:\n{''.join(seen)}")


def children(pid: int) -> list[int]:
    """Processes below one, at any depth."""
    found: list[int] = []
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(line.split()[0]): int(line.split()[1]) for line in listing.splitlines()}
    todo = [pid]
    while todo:
        parent = todo.pop()
        below = [child for child, its in parents.items() if its == parent]
        found += below
        todo += below
    return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return not state.strip().startswith("Z")


def test_a_killed_run_is_taken_up_and_the_server_is_told(untouched: Sandbox, done: Sandbox, server: str):
    process = untouched.start("python", "-m", "flows.cli", "run")
    read_until(process, "at work   train@")
    time.sleep(1.0)
    below = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in below) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not [pid for pid in below if alive(pid)], "a stage outlived its run"

    locked = yaml.safe_load(untouched.lock())["stages"]
    assert "report" not in locked
    for stage in locked.values():
        for out in stage["outs"]:
            assert (untouched.root / out["path"]).exists()

    def unfinished() -> list[dict]:
        running = {"state": {"type": {"any_": ["RUNNING"]}}}
        return ask(server, "flow_runs", {"flow_runs": running, "flows": {"name": {"any_": ["retrain"]}}})

    assert len(unfinished()) == 1
    untouched.run_ok()
    assert unfinished() == []
    crashed = ask(server, "flow_runs", {"flow_runs": {"state": {"type": {"any_": ["CRASHED"]}}}})
    assert any("found by the next run" in run["state"]["message"] for run in crashed)
    assert untouched.lock() == done.lock()
    assert untouched.outs() == done.outs()


def test_a_killed_stage_fails_its_run_alone_and_the_next_run_mends_it(workspace: Sandbox, done: Sandbox):
    process = workspace.start("python", "-m", "flows.cli", "run", "--stages", "train@direction_5-lstm", "--force")
    read_until(process, "at work   train@direction_5-lstm")
    victim = None
    deadline = time.monotonic() + 60
    while victim is None and time.monotonic() < deadline:
        for pid in children(process.pid):
            command = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
            if "tasks.child train" in command.stdout:
                victim = pid
        time.sleep(0.05)
    assert victim is not None
    time.sleep(1.0)
    os.kill(victim, signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert "signal 9" in out
    workspace.run_ok()
    assert workspace.outs() == done.outs()
    assert workspace.lock() == done.lock()


def test_what_a_killed_writer_left_is_swept(workspace: Sandbox, done: Sandbox):
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = workspace.root / "data" / ".tmp" / f"{gone.pid}-0123456789ab"
    left.mkdir(parents=True)
    (left / "half.parquet").write_bytes(b"PAR1")
    workspace.run_ok("--stages", "compare", "--force")
    assert not left.exists()
    assert workspace.outs() == done.outs()


def test_a_lock_cut_off_in_the_middle_is_named_and_a_lost_one_costs_nothing_but_a_restore(
    workspace: Sandbox, done: Sandbox
):
    lock = workspace.root / "dvc.lock"
    lock.write_bytes(lock.read_bytes()[: len(lock.read_bytes()) // 2 - 3])
    code, out = workspace.betti("run")
    assert "Traceback" not in out
    if code == 0:  # what is left reads as a shorter lock: the rest is restored
        assert workspace.lock() == done.lock()
    else:
        assert code == 2
        assert "dvc.lock" in out
    lock.unlink()
    workspace.run_ok()
    assert workspace.lock() == done.lock()
    assert workspace.outs() == done.outs()
