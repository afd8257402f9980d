"""Windows gathered from one resident table: the memory they hold, and how fast batches come.

`python benchmarks/windows.py`. References: a torch Dataset that cuts a window per item, put together by torch's own
collate, and the same behind a DataLoader with two workers. Loading alone, in a random order, everything on one core;
no network learns. What is compared is time on the processor, of all processes that take part: on one core that is the
time it takes when nothing else runs, whatever else does run. The waits of processes for each other, which would count
against the DataLoader, are left out. A side of a pair is the least of several short bursts: gathering moves memory as
fast as it goes, and is slowed by whoever else moves memory, more than a reference that is busy with Python.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from betti import threads

threads.pin()

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from benchmarks._figure import Figure, in_turn, speedup
from betti.training.batches import Resident, in_order, shuffled
from betti.windows import Windows, breaks, complete

BATCH = 256
ROWS, LENGTH, FEATURES = 1_000_000, 96, 14
SHARE = 1.2
LOADED_ROWS, LOADED_LENGTH, LOADED_FEATURES, BATCHES = 200_000, 120, 40, 20
PER_ITEM, WORKERS = 1.8, 10
PAIRS, BURSTS = 11, 12
QUEUES_FULL = 0.1  # seconds until workers that nobody waits for have stopped


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


def least(spent: Callable[[], float], bursts: int = BURSTS) -> Callable[[], float]:
    """The burst of several that was disturbed least."""
    return lambda: min(spent() for _ in range(bursts))


def busy(work: Callable[[], object], *workers: int) -> float:
    """Seconds on the processor of one call, in this process and in those of the workers."""
    before = time.process_time() + sum(on_processor(worker) for worker in workers)
    work()
    return time.process_time() + sum(on_processor(worker) for worker in workers) - before


def on_processor(process: int) -> float:
    """Seconds that a process has run for so far; Linux counts nanoseconds."""
    return int(Path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9


def loader(dataset: PerItem) -> Callable[[], float]:
    """Seconds for as many batches from two workers that are running already.

    They work ahead by four batches, at the end as at the beginning.
    """
    batches = DataLoader(dataset, BATCH, shuffle=True, num_workers=2, persistent_workers=True)

    def spent() -> float:
        stream = iter(batches)
        next(stream)
        time.sleep(QUEUES_FULL)
        workers = [child.pid for child in active_children()]
        return busy(lambda: ([next(stream) for _ in range(BATCHES)], time.sleep(QUEUES_FULL)), *workers)

    return spent


def loading() -> None:
    whole = windows(LOADED_ROWS, LOADED_LENGTH, LOADED_FEATURES)
    resident, dataset = Resident(whole, "cpu"), PerItem(whole)
    order = shuffled(len(whole), BATCH, torch.Generator().manual_seed(0), "cpu")[:BATCHES]
    assert torch.equal(resident.gather(order[0]), default_collate([dataset[row] for row in order[0].tolist()]))

    def ours() -> float:
        return busy(lambda: [len(resident.gather(rows)) for rows in order])

    def per_item() -> float:
        return busy(lambda: [len(default_collate([dataset[row] for row in rows.tolist()])) for rows in order])

    case = f"a batch of {BATCH} x ({LOADED_LENGTH}, {LOADED_FEATURES}) beside"
    speedup(
        "windows", f"{case} a per-item Dataset", in_turn(least(ours), least(per_item), PAIRS), PER_ITEM, "ms", BATCHES
    ).show()
    pairs = in_turn(least(ours, 40), least(loader(dataset), 4), PAIRS)
    speedup("windows", f"{case} a DataLoader with 2 workers", pairs, WORKERS, "ms", BATCHES).show()


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    warnings.filterwarnings("ignore", message="This DataLoader will create 2 worker")  # they share the one core
    memory()
    loading()


if __name__ == "__main__":
    main()
