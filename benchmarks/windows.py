"""Windows gathered from one resident table: the memory they hold, and how fast batches come.

`python benchmarks/windows.py`. References: a torch Dataset that cuts a window per item, put together by torch's own
collate, and the same behind a DataLoader with two workers. Loading alone, in a random order, everything on one core;
no network learns.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from betti import threads

threads.pin()

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from benchmarks._figure import Figure, in_turn, speedup, timed
from betti.training.batches import Resident, in_order, shuffled
from betti.windows import Windows, breaks, complete

BATCH = 256
ROWS, LENGTH, FEATURES = 1_000_000, 96, 14
SHARE = 1.2
LOADED_ROWS, LOADED_LENGTH, LOADED_FEATURES, BATCHES = 200_000, 120, 40, 50
PER_ITEM, WORKERS = 1.8, 10
PAIRS = 21


class PerItem(Dataset):
    """A window per item, as a view of the same tensor."""

    def __init__(self, windows: Windows) -> None:
        self.values, self.ends, self.length = torch.from_numpy(windows.values), windows.ends.tolist(), windows.length

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> torch.Tensor:
        end = self.ends[row]
        return self.values[end - self.length + 1 : end + 1]


def windows(rows: int, length: int, features: int) -> Windows:
    """Every window of ten symbols' rows, a quarter of an hour apart."""
    values = np.random.default_rng(0).standard_normal((rows, features), dtype="float32")
    symbols = np.repeat([f"S{number}" for number in range(10)], rows // 10).astype(object)
    times = np.tile(np.arange(rows // 10) * 900_000_000, 10)
    whole = complete(symbols, np.ones(rows, dtype=bool), length, breaks(symbols, times, 1_800_000_000))
    return Windows(values, np.flatnonzero(whole), length)


def resident_bytes() -> int:
    """Bytes of this process that lie in memory now, without what the allocator keeps of freed ones."""
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def held() -> tuple[float, float]:
    """Megabytes that the windows of a million rows add to a process, after every batch was seen once; and the table's.

    Only a process that has done nothing else can tell: what others freed would be taken again.
    """
    small = Resident(windows(10_000, LENGTH, FEATURES), "cpu")
    small.gather(torch.arange(BATCH))
    before = resident_bytes()
    whole = windows(ROWS, LENGTH, FEATURES)
    resident = Resident(whole, "cpu")
    for rows in in_order(len(resident), BATCH, "cpu"):
        resident.gather(rows)
    return (resident_bytes() - before) / 1e6, whole.values.nbytes / 1e6


def memory() -> None:
    program = "from benchmarks import windows; print(*windows.held())"
    done = subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    ours, table = (float(word) for word in done.stdout.split())
    ratio, case = round(ours / table, 3), f"windows ({ROWS}, {LENGTH}, {FEATURES}) beside the flat table"
    met = ratio <= SHARE
    Figure("windows", case, round(ours, 1), round(table, 1), "MB", (ratio,) * 3, f"ratio <= {SHARE}", met).show()


def loader(dataset: PerItem) -> Callable[[], float]:
    """Seconds for as many batches from two workers that are running already."""
    batches = DataLoader(dataset, BATCH, shuffle=True, num_workers=2, persistent_workers=True)

    def spent() -> float:
        stream = iter(batches)
        next(stream)
        seconds = timed(lambda: [next(stream) for _ in range(BATCHES)])
        time.sleep(0.2)  # the workers fill their queues, which is not to slow the next one that is timed
        return seconds

    return spent


def loading() -> None:
    whole = windows(LOADED_ROWS, LOADED_LENGTH, LOADED_FEATURES)
    resident, dataset = Resident(whole, "cpu"), PerItem(whole)
    order = shuffled(len(whole), BATCH, torch.Generator().manual_seed(0), "cpu")[:BATCHES]
    assert torch.equal(resident.gather(order[0]), default_collate([dataset[row] for row in order[0].tolist()]))

    def ours() -> float:
        return timed(lambda: [len(resident.gather(rows)) for rows in order])

    def per_item() -> float:
        return timed(lambda: [len(default_collate([dataset[row] for row in rows.tolist()])) for rows in order])

    case = f"a batch of {BATCH} x ({LOADED_LENGTH}, {LOADED_FEATURES}) beside"
    speedup("windows", f"{case} a per-item Dataset", in_turn(ours, per_item, PAIRS), PER_ITEM, "ms", BATCHES).show()
    pairs = in_turn(ours, loader(dataset), PAIRS)
    speedup("windows", f"{case} a DataLoader with 2 workers", pairs, WORKERS, "ms", BATCHES).show()


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    warnings.filterwarnings("ignore", message="This DataLoader will create 2 worker")  # they share the one core
    memory()
    loading()


if __name__ == "__main__":
    main()
