"""A real workspace in a temporary folder: git, DVC, a small pipeline on real bars, and a real Prefect server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.sandbox import Sandbox, environment, prefect_server, states
from tests.sandbox import workspace as lay_out

UNTIL = "2003-06-30T00:00:00+00:00"

# The default pipeline with everything that costs time made small; every stage and every kind of model is in it.
SMALL = {
    "ingest": {"source": "sample", "symbols": ["NASDAQ", "SP500"], "interval": "1d", "options": {}},
    "features": {
        "technical": {},
        "complexity": {"window": 20},
        "topology": {"window": 40, "delay": 2, "stride": 5, "bins": 10, "layers": 2, "backend": "auto"},
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


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def server(prefect_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Prefect server's API."""
    with prefect_server(environment(prefect_home), tmp_path_factory.mktemp("server") / "log") as url:
        yield url


@pytest.fixture(scope="session")
def fresh(prefect_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A workspace in which nothing ever ran. Tests copy it."""
    sandbox = lay_out(tmp_path_factory.mktemp("fresh") / "ws", REPOSITORY, environment(prefect_home), UNTIL)
    evaluate = {**sandbox.params()["evaluate"], "repetitions": 200}
    flow = {**sandbox.params()["flow"], "lock_wait_seconds": 60}
    sandbox.set_params(**SMALL, evaluate=evaluate, flow=flow)
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
    sandbox = fresh.copy(tmp_path / "untouched")
    sandbox.environment["PREFECT_API_URL"] = server
    return sandbox
