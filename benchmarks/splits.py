"""Folds over a million labelled rows of ten symbols, one thread: seconds, and the most memory that a process holds.

`python benchmarks/splits.py`. The peak is a fresh process's, its imports and its labels included. Roles of labelled
rows are found as evaluation finds them; the reference joins every fold with the labels by key.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from betti import threads

threads.pin()

import pandas as pd

from benchmarks._figure import in_turn, single, speedup, timed

SYMBOLS, INSTANTS = 10, 100_000
SECONDS, MEGABYTES = 5, 1000
KEY = ["timestamp", "symbol"]
RUNS = 3
FASTER = 2
KNOBS = {"groups": 10, "test_groups": 2, "embargo": "5D"}


def labels(symbols: int, instants: int) -> pd.DataFrame:
    """Labels every quarter of an hour, of two hours each."""
    stamps = pd.date_range("2020-01-01", periods=instants, freq="15min", tz="UTC").as_unit("us")
    one = pd.DataFrame({"timestamp": stamps, "span_start": stamps, "span_end": stamps + pd.Timedelta("2h")})
    return pd.concat([one.assign(symbol=f"S{number}") for number in range(symbols)], ignore_index=True)


def folds(table: pd.DataFrame) -> pd.DataFrame:
    from betti import splits

    return splits.split("combinatorial", table, **KNOBS)


def peak() -> float:
    """Megabytes that a process which does nothing else holds at most."""
    program = (
        "import resource; from benchmarks import splits; "
        "splits.folds(splits.labels(splits.SYMBOLS, splits.INSTANTS)); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def paths(table: pd.DataFrame) -> None:
    from betti.splits.combinatorial import path_rows

    made = folds(table)
    single("splits", f"backtest paths of {len(made)} roles", [timed(lambda: path_rows(made))], "s", float("inf")).show()


def roles(table: pd.DataFrame) -> None:
    from betti.training.fold_roles import FoldRoles

    made = folds(table)
    written = made.astype({"symbol": "str", "role": "str", "fold": "int64"})  # as they are read from disk

    def joins() -> None:
        for fold in range(made["fold"].nunique()):
            mine = written[written["fold"] == fold]
            table[["timestamp", "symbol"]].merge(mine, on=["timestamp", "symbol"], how="left")["role"].to_numpy(
                "object"
            )

    pairs = in_turn(lambda: timed(lambda: FoldRoles.of(table, written)), lambda: timed(joins), RUNS)
    speedup("splits", f"who is what in {len(made)} roles, beside joins by key", pairs, FASTER).show()
    held = FoldRoles.of(table, written).codes.nbytes / 1e6
    single("splits", f"roles of {len(made)} as bytes", [held], "MB", float("inf")).show()


def main() -> None:
    case = f"combinatorial (10, 2), {SYMBOLS * INSTANTS} rows"
    table = labels(SYMBOLS, INSTANTS)
    single("splits", case, [timed(lambda: folds(table)) for _ in range(RUNS)], "s", SECONDS).show()
    single("splits", f"{case}, peak memory", [peak()], "MB", MEGABYTES).show()
    table = labels(1, SYMBOLS * INSTANTS)
    single("splits", f"{case} of one symbol", [timed(lambda: folds(table))], "s", SECONDS).show()
    paths(labels(SYMBOLS, INSTANTS // 10))
    roles(labels(SYMBOLS, INSTANTS // 10))


if __name__ == "__main__":
    main()
