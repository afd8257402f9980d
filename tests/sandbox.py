"""A workspace in a folder of its own, used from outside as a person at a shell would: for flow tests and benchmarks."""

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
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

__all__ = ["CommandError", "Sandbox", "environment", "free_port", "prefect_server", "states", "workspace"]


class CommandError(AssertionError):
    """A command ended otherwise than it should have; its output is in the message."""


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
            raise CommandError(f"{' '.join(command)} took longer than {timeout} s:\n{out[-4000:]}") from None
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
        """Every tracked byte of data/: path -> hash; not index.html, which has seconds in it, nor the data docs."""
        untracked = {".tmp", "docs"}
        files = sorted(f for f in (self.root / "data").rglob("*") if f.is_file() and not untracked & {*f.parts})
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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(prefect_home: Path) -> dict[str, str]:
    """A clean environment: a Prefect home of its own, nothing sent anywhere, this interpreter first on PATH."""
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


@contextmanager
def prefect_server(base: dict[str, str], log: Path) -> Iterator[str]:
    """A real Prefect server on a free port; yields its API address."""
    port = free_port()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
            env=base,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise CommandError(log.read_text())
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def workspace(root: Path, repository: Path, base: dict[str, str], until: str | None = None) -> Sandbox:
    """Lay out a workspace in which nothing ever ran: the repository's code and configuration, git and DVC set up."""
    root.mkdir(parents=True)
    for name in ("src", "tasks", "flows"):
        shutil.copytree(repository / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("dvc.yaml", "params.yaml", "asof.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(repository / name, root / name)
    if until is not None:
        (root / "asof.yaml").write_text(f'until: "{until}"\naccepted: null\n')
    sandbox = Sandbox(root, {**base, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"})
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        code, out = sandbox.run(*command)
        if code != 0:
            raise CommandError(out)
    shutil.copy(repository / ".dvc" / "config", root / ".dvc" / "config")
    # A database of experiments in every workspace would cost seconds; the tests of tracking switch it on.
    flow = {**sandbox.params()["flow"], "report_port": free_port()}
    sandbox.set_params(flow=flow, tracking={"backend": "none"})
    return sandbox
