"""The life of a cache, in a real workspace from outside: pushed, spoilt, mended, cleaned, pulled elsewhere."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.sandbox import Sandbox

pytestmark = [pytest.mark.flow, pytest.mark.timeout(300)]


def stored(sandbox: Sandbox) -> dict[str, bytes]:
    store = sandbox.root / ".dvc" / "cache" / "files" / "md5"
    return {file.parent.name + file.name: file.read_bytes() for file in store.rglob("*") if file.is_file()}


def overwrite(sandbox: Sandbox, name: str, data: bytes) -> None:
    path = sandbox.root / ".dvc" / "cache" / "files" / "md5" / name[:2] / name[2:]
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def test_pushed_spoilt_mended_cleaned_and_pulled(fresh: Sandbox, tmp_path: Path):
    sandbox = fresh.copy(tmp_path / "ws")
    sandbox.dvc("repro", "-q", "ingest")
    first = set(stored(sandbox))
    (sandbox.root / "asof.yaml").write_text('until: "2003-06-27T00:00:00+00:00"\naccepted: null\n')

    # One run: the second version, pushed whole.
    sandbox.set_params(flow={**sandbox.params()["flow"], "remote": str(tmp_path / "remote")})
    out = sandbox.run_ok("--stages", "ingest", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert re.search(r"Pushed [1-9]\d* objects", out), out
    assert "Everything is up to date" in sandbox.dvc("push")
    good, bars = stored(sandbox), sandbox.outs()

    # Spoilt objects are put back from the remote, where the workspace has lost them too.
    listing = next(name for name in set(good) - first if name.endswith(".dir"))
    victim = next(name for name in sorted(set(good) - first) if not name.endswith(".dir"))
    shutil.rmtree(sandbox.root / "data" / "1_bars")
    overwrite(sandbox, victim, good[victim][:-1])
    overwrite(sandbox, listing, b"[]")
    code, said = sandbox.betti("doctor", "--cache")
    assert code == 0, said
    assert said.count("put back from") == 2
    assert stored(sandbox) == good

    # Only the version that dvc.lock names stays, and it comes back.
    code, said = sandbox.betti("gc", "--apply", "--keep", "workspace")
    assert code == 0, said
    assert set(stored(sandbox)) < set(good)
    sandbox.dvc("checkout", "-q", "ingest")
    assert sandbox.outs() == bars

    # Another machine: the same configuration, DVC's own pull.
    other = fresh.copy(tmp_path / "other")
    for name in ("dvc.lock", "params.yaml", "asof.yaml"):
        shutil.copy(sandbox.root / name, other.root / name)
    other.betti("doctor", "--cache")  # tells DVC of the remote
    other.dvc("pull", "-q", "ingest")
    assert other.outs() == bars
