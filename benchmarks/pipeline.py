"""The default run, as a whole: from nothing, again, and beside plain `dvc repro` with a Prefect server running."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._figure import against, in_turn, single, timed
from tests.sandbox import Sandbox, environment, prefect_server, workspace

PAIRS = 5
WINDOWS = (21, 22, 23, 24, 25, 26)


class PeakMemory:
    """The largest sum of proportional set sizes of a process and all below it, sampled five times a second."""

    def __init__(self, pid: int) -> None:
        self.gigabytes, self._pid, self._stop = 0.0, pid, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self.gigabytes = max(self.gigabytes, sum(map(_pss, _family(self._pid))) / 1e6)


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _pss(pid: int) -> int:
    """Kilobytes; 0 for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def from_nothing(sandbox: Sandbox) -> tuple[float, float]:
    """Seconds and peak gigabytes of the first run."""
    started = time.perf_counter()
    process = sandbox.start(sys.executable, "-m", "flows.cli", "run")
    with PeakMemory(process.pid) as memory:
        out, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(out)
    return time.perf_counter() - started, memory.gigabytes


def with_window(sandbox: Sandbox, window: int) -> None:
    features = sandbox.params()["features"]
    sandbox.set_params(features={**features, "complexity": {"window": window}})


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = environment(Path(folder) / "prefect")
        first = workspace(Path(folder) / "first", ROOT, base)
        seconds, gigabytes = from_nothing(first)
        single("pipeline", "default run from nothing, no server", [seconds], "s", 300).show()
        single("pipeline", "peak memory of the default run", [gigabytes], "GB", 3).show()
        again = [timed(first.run_ok) for _ in range(3)]
        single("pipeline", "again, nothing changed", again, "s", 10).show()
        with prefect_server(base, Path(folder) / "log") as url:
            compare_with_dvc(first, url)


def compare_with_dvc(sandbox: Sandbox, url: str) -> None:
    sandbox.environment["PREFECT_API_URL"] = url
    pairs = in_turn(
        lambda: timed(lambda: sandbox.run_ok("--record")), lambda: timed(lambda: sandbox.dvc("repro")), PAIRS
    )
    against("pipeline", "all cached, recorded with a server, beside `dvc repro`", pairs, 3.5).show()
    pairs = in_turn(lambda: timed(sandbox.run_ok), lambda: timed(lambda: sandbox.dvc("repro")), PAIRS)
    against("pipeline", "all cached, `betti run` as typed, beside `dvc repro`", pairs, 3.5).show()
    one_stage = ("--stages", "features@complexity"), ("features@complexity",)
    for case, (ours, theirs), windows in (
        ("one feature stage invalidated, all that follows with it, beside `dvc repro`", ((), ()), WINDOWS[:2]),
        ("one feature stage invalidated, that stage alone, beside `dvc repro STAGE`", one_stage, WINDOWS[2:]),
    ):
        pairs = [invalidated(sandbox, window, ours, theirs) for window in windows]
        against("pipeline", case, pairs, 1.3).show()


def invalidated(sandbox: Sandbox, window: int, ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[float, float]:
    """Seconds of `betti run` and of `dvc repro`, each after a knob of one family took a value it never had."""
    with_window(sandbox, window)
    mine = timed(lambda: sandbox.run_ok(*ours))
    with_window(sandbox, window + 100)
    return mine, timed(lambda: sandbox.dvc("repro", *theirs))


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
