"""A real workspace in a temporary folder: git, DVC, a small pipeline on real bars, and a real Prefect server."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY

UNTIL = "2003-06-30T00:00:00+00:00"

# The default pipeline with everything that costs time made small; every stage and every kind of model is in it.
SMALL = {
    "ingest": {"source": "sample", "symbols": ["NASDAQ", "SP500"], "interval": "1d", "options": {}},
    "features": {
        "technical": {},
        "complexity": {"window": 20},
        "topology": {"window": 40, "delay": 2, "stride": 5, "bins": 10, "layers": 2, "backend": "giotto"},
    },
    "sets": {
        "technical_only": {"columns": ["technical__r*"]},
        "mixed": {"columns": ["technical__r*", "complexity__*", "topology__entropy_*"]},
    },
    "targets": {
        "direction_5": {"kind": "direction", "horizon": 5, "width": 1.5, "measure": "atr"},
        "trigger": {"kind": "trigger", "horizon": 8, "threshold": 0.04, "side": "up"},
    },
    "split": {"scheme": "walk_forward", "folds": 2, "valid_share": 0.2, "embargo": "5D"},
    "runs": {
        "direction_5-logistic": {
            "model": "logistic", "set": "technical_only", "target": "direction_5", "seed": 7, "config": {},
        },
        "direction_5-lstm": {
            "model": "lstm", "set": "technical_only", "target": "direction_5", "seed": 7,
            "config": {"hidden": 8, "layers": 1, "epochs": 2, "length": 10},
        },
        "trigger-lightgbm": {"model": "lightgbm", "set": "mixed", "target": "trigger", "seed": 7, "config": {}},
    },
}  # fmt: skip


@dataclass
class Sandbox:
    """A workspace and how to use it from outside, as a person at a shell would."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *command: str, **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.root,
            env={**self.environment, **extra},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, timeout: float = 400, **extra: str) -> tuple[int, str]:
        process = self.start(*command, **extra)
        try:
            out, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
            pytest.fail(f"{' '.join(command)} took longer than {timeout} s:\n{out[-4000:]}")
        return process.returncode, out

    def betti(self, *arguments: str, **extra: str) -> tuple[int, str]:
        return self.run(sys.executable, "-m", "flows.cli", *arguments, **extra)

    def run_ok(self, *arguments: str, **extra: str) -> str:
        code, out = self.betti("run", *arguments, **extra)
        assert code == 0, out[-6000:]
        return out

    def dvc(self, *arguments: str) -> str:
        code, out = self.run(sys.executable, "-m", "dvc", *arguments)
        assert code == 0, out[-4000:]
        return out

    def params(self) -> dict:
        return yaml.safe_load((self.root / "params.yaml").read_text())

    def set_params(self, **blocks: object) -> None:
        """Replace whole blocks of params.yaml."""
        (self.root / "params.yaml").write_text(yaml.safe_dump({**self.params(), **blocks}, sort_keys=False))

    def copy(self, target: Path) -> Sandbox:
        shutil.copytree(self.root, target, symlinks=True)
        old, new = str(self.root), str(target)
        return Sandbox(target, {key: value.replace(old, new) for key, value in self.environment.items()})

    def outs(self) -> dict[str, str]:
        """Every tracked byte of data/: path -> hash. index.html carries seconds, and DVC does not track it."""
        files = sorted(f for f in (self.root / "data").rglob("*") if f.is_file() and ".tmp" not in f.parts)
        return {
            str(f.relative_to(self.root)): hashlib.sha256(f.read_bytes()).hexdigest()
            for f in files
            if f.name not in {"index.html", ".gitignore"}
        }

    def lock(self) -> bytes:
        return (self.root / "dvc.lock").read_bytes()


def states(out: str) -> dict[str, str]:
    """What `betti run` printed: stage -> its last state."""
    words = [line.split() for line in out.splitlines() if line.startswith("  ")]
    known = {"ran", "cached", "restored"}
    return {w[1]: w[0] for w in words if len(w) >= 2 and w[0] in known}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def base_environment(prefect_home: Path) -> dict[str, str]:
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
        "PREFECT_HOME": str(prefect_home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DVC_NO_ANALYTICS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "200",
        "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org",
    }  # fmt: skip


@pytest.fixture(scope="session")
def server(base_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prefect server; yields its API address."""
    port = _free_port()
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
            env=base_environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}/api"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert process.poll() is None, log.read_text()
        time.sleep(0.3)
    else:
        pytest.fail(log.read_text())
    yield url
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=30)


@pytest.fixture(scope="session")
def fresh(base_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A workspace in which nothing ever ran. Tests copy it."""
    root = tmp_path_factory.mktemp("fresh") / "ws"
    root.mkdir()
    for name in ("src", "tasks", "flows"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("dvc.yaml", "params.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(REPOSITORY / name, root / name)
    (root / "asof.yaml").write_text(f'until: "{UNTIL}"\n')
    environment = {**base_environment, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    sandbox = Sandbox(root, environment)
    evaluate = {**sandbox.params()["evaluate"], "repetitions": 200}
    flow = {**sandbox.params()["flow"], "lock_wait_seconds": 60, "report_port": _free_port()}
    sandbox.set_params(**SMALL, evaluate=evaluate, flow=flow)
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        code, out = sandbox.run(*command)
        assert code == 0, out
    shutil.copy(REPOSITORY / ".dvc" / "config", root / ".dvc" / "config")
    return sandbox


@pytest.fixture(scope="session")
def done(fresh: Sandbox, server: str, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A workspace after one undisturbed run, with a server. Tests copy it."""
    sandbox = fresh.copy(tmp_path_factory.mktemp("done") / "ws")
    sandbox.environment["PREFECT_API_URL"] = server
    out = sandbox.run_ok()
    assert set(states(out).values()) == {"ran"}, out
    return sandbox


@pytest.fixture
def workspace(done: Sandbox, tmp_path: Path) -> Sandbox:
    """A copy of the finished workspace, to do with as a test likes."""
    return done.copy(tmp_path / "ws")


@pytest.fixture
def untouched(fresh: Sandbox, server: str, tmp_path: Path) -> Sandbox:
    """A copy of the fresh workspace, with a server."""
    sandbox = fresh.copy(tmp_path / "ws")
    sandbox.environment["PREFECT_API_URL"] = server
    return sandbox
