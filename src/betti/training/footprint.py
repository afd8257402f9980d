"""How much memory a fit will take, before it starts; and how much it took.

A network is asked with a few rows: what autograd keeps for them is counted by its own hooks, at two sizes, and drawn
out to the batch in a straight line. Trees and lines are estimated from the size of their matrix, by factors measured
for each library, a kernel by the rows it is held over. What does not belong here: what is done when memory runs out
(`memory.py`).

    bytes = weights + gradients + optimiser moments + activations of a batch + workspace + resident inputs

Workspace is the largest of what a step holds for a moment: the optimiser's scratch copy of the weights, or the gradient
of the largest activation. Not counted: the libraries themselves (about 0.3 GB of a process, 0.5 GB of a CUDA context)
and the allocator's unused blocks. On the CPU a step took 0.5 times (an LSTM, whose layers share their scratch), 1.1
times (a perceptron) and 1.4 times (a transformer, a TCN) of what was foreseen for it.
"""

from __future__ import annotations

import logging
import os
import resource
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from betti.errors import BadModelInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

__all__ = [
    "FACTORS",
    "Footprint",
    "LikelyOutOfMemory",
    "Used",
    "capacity",
    "in_words",
    "of_kernel",
    "of_linear",
    "of_network",
    "of_trees",
    "parameters",
    "told",
    "too_large",
    "watched",
]

log = logging.getLogger(__name__)
FEW = 4  # rows that a network is asked with, and twice as many; a batch norm needs two
ADAM_MOMENTS = 2

# Peak bytes of a fit over the bytes of its float32 matrix, the matrix itself included, histograms and scores left out;
# of a fresh process on 100,000 rows of 100 columns. LightGBM took 4.0 times there and 3.2 times at 300,000 rows,
# XGBoost 2.9 by its QuantileDMatrix and 5.0 by a DMatrix, CatBoost 2.8, a forest of depth 10 1.3.
FACTORS = {"lightgbm": 4.0, "xgboost": 5.0, "catboost": 3.2, "random_forest": 1.5}
USUAL_FACTOR = 5.0
HISTOGRAM_BYTES = 16  # gradient and Hessian of one bin, in double precision
ROW_BYTES = 3 * 8  # of each row and class: score, gradient, Hessian; or score, probability, residual
# A logistic regression took 2.9 times its matrix at 50,000 and at 100,000 rows of 100 columns, 3.1 times at 50 columns:
# the matrix again in double precision, and scores.
LINEAR_FACTOR = 2.8
# A support vector machine took 21 MB at 1,500 rows, 36 MB at 2,000 and 70 MB at 4,000: for each block of rows that it
# answers for, so many matrices of their distances to the support vectors, up to as many as there are training rows.
KERNEL_COPIES = 2.5


class LikelyOutOfMemory(ResourceWarning):
    """A fit that is expected to need more than its device has."""

    def __init__(self, what: str, needed: int, device: str, there: int) -> None:
        self.what, self.needed, self.device, self.there = what, needed, device, there
        super().__init__(
            f"{what} is expected to take {in_words(needed)}, {device} has {in_words(there)}: lower batch_size, length "
            "or the model's width, or choose a smaller set"
        )


@dataclass(frozen=True)
class Footprint:
    """Bytes that a fit is expected to hold at its peak.

    Attributes:
        weights: parameters and buffers.
        gradients: one per trained parameter.
        moments: what the optimiser remembers: two per trained parameter for Adam.
        activations: what a batch leaves for the way back.
        workspace: what a step holds for a moment; for trees, histograms.
        inputs: the matrix and what is made of it.
    """

    weights: int = 0
    gradients: int = 0
    moments: int = 0
    activations: int = 0
    workspace: int = 0
    inputs: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return sum((self.weights, self.gradients, self.moments, self.activations, self.workspace, self.inputs))

    def __str__(self) -> str:
        parts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        told = ", ".join(f"{name} {in_words(size)}" for name, size in parts.items() if size)
        return f"{in_words(self.total)} ({told})"


@dataclass
class Used:
    """What a watched block took at its peak beyond what was held before it, in bytes; 0 until it ends."""

    peak: int = 0


# The process's highest peak in each block that is being watched on the CPU, the outermost first: a block within a block
# lets the kernel's count begin anew.
_highest: list[int] = []


# Networks -----------------------------------------------------------------------------------------------------------


def parameters(network: nn.Module) -> dict[str, int]:
    """How many numbers each part of a network learns, in the order they are built; "" is the network's own.

    Parts that learn nothing are left out; shared parameters count once, where they come first. A network that is no
    more than a shell around another is told as the other.

    >>> from torch import nn
    >>> parameters(nn.Sequential(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))))
    {'0': 8, '2': 3}
    """
    every = list(network.named_parameters())
    tops = {name.partition(".")[0] for name, _ in every}
    if len(tops) == 1 and len(every) > 1 and all("." in name for name, _ in every):
        inner = getattr(network, tops.pop())
        return parameters(inner)
    found: dict[str, int] = {}
    for name, values in every:
        part = name.partition(".")[0] if "." in name else ""
        found[part] = found.get(part, 0) + values.numel()
    return found


def of_network(
    network: nn.Module,
    forward: Callable[[int], object],
    rows: int,
    *,
    moments: int = ADAM_MOMENTS,
    inputs: int = 0,
) -> Footprint:
    """What training this network takes, on the device it lies on.

    Args:
        network: the network; its mode stays as it is, its weights are not changed.
        forward: calls it with so many rows, as training would; the loss may be in it. Called with a few rows alone.
        rows: in a batch.
        moments: what the optimiser keeps per trained parameter: 2 for Adam, 0 for plain descent.
        inputs: bytes of the matrices that lie on the device.

    Raises:
        BadModelInput: a batch without rows.
    """
    if rows < 1:
        raise BadModelInput("network", f"a batch of {rows} rows", "Give one row at least")
    everything = [*network.parameters(), *network.buffers()]
    weights = sum(_bytes(value) for value in everything)
    learnt = sum(_bytes(value) for value in network.parameters() if value.requires_grad)
    few, more = (_kept(network, forward, FEW * times) for times in (1, 2))
    slope = max(more.total - few.total, 0) / FEW
    activations = int(few.total + slope * max(rows - FEW, 0)) if rows >= FEW else int(few.total * rows / FEW)
    largest = int(max(few.largest, (more.largest - few.largest) / FEW * rows))
    return Footprint(weights, learnt, learnt * moments, activations, max(learnt if moments else 0, largest), inputs)


@dataclass(frozen=True)
class _Kept:
    total: int
    largest: int


def _kept(network: nn.Module, forward: Callable[[int], object], rows: int) -> _Kept:
    """Bytes that autograd keeps for the way back, each storage once, weights not counted."""
    import torch

    own = {value.untyped_storage().data_ptr() for value in (*network.parameters(), *network.buffers())}
    sizes: dict[int, int] = {}
    held = []  # an address is told apart from others only as long as its storage lives

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
            held.append(value)
        return value

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        answer = forward(rows)
    del answer
    return _Kept(sum(sizes.values()), max(sizes.values(), default=0))


def _bytes(value: Tensor) -> int:
    return int(value.numel() * value.element_size())


# Trees --------------------------------------------------------------------------------------------------------------


def of_trees(
    library: str, rows: int, columns: int, *, leaves: int = 31, classes: int = 2, bins: int = 256
) -> Footprint:
    """What fitting boosted trees or a forest on a (rows, columns) float32 matrix takes.

    Args:
        library: a key of `FACTORS`; others count with the largest factor.
        rows: training and validation rows together.
        columns: features.
        leaves: in one tree.
        classes: trees of one round, two classes needing one.
        bins: of a histogram.
    """
    matrix = rows * columns * 4
    histograms = leaves * columns * bins * HISTOGRAM_BYTES
    scores = rows * (1 if classes == 2 else classes) * ROW_BYTES
    return Footprint(inputs=int(matrix * FACTORS.get(library, USUAL_FACTOR)), workspace=histograms + scores)


# Others -------------------------------------------------------------------------------------------------------------


def of_linear(rows: int, columns: int, *, classes: int = 2) -> Footprint:
    """What a logistic regression on a (rows, columns) float32 matrix takes."""
    scores = rows * classes * ROW_BYTES
    return Footprint(inputs=int(rows * columns * 4 * LINEAR_FACTOR), workspace=scores)


def of_kernel(rows: int, columns: int, *, drawn: int, block: int, cache: int) -> Footprint:
    """What a support vector machine on a (rows, columns) float32 matrix takes.

    Args:
        rows: training and validation rows together.
        columns: features.
        drawn: rows that it learns from at most.
        block: rows that it answers for at once.
        cache: bytes of its kernel that are kept at most.
    """
    vectors = min(rows, drawn)
    kernel = min(vectors * vectors * 4, cache)
    answers = int(KERNEL_COPIES * min(rows, block) * vectors * 8)
    return Footprint(inputs=rows * columns * 4 + 3 * vectors * columns * 8, workspace=max(kernel, answers))


# The machine --------------------------------------------------------------------------------------------------------


def capacity(device: str) -> int:
    """Bytes of memory that a device has: a GPU's own, or what this process may take of the machine's."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(physical, *_cgroup_limits(), physical)


def _cgroup_limits() -> Iterator[int]:
    """A container's limits, where it has some."""
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(file).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            yield int(text)


def too_large(what: str, expected: Footprint, device: str) -> LikelyOutOfMemory | None:
    """The warning that a fit needs more than its device has; None where it should fit."""
    there = capacity(device)
    return LikelyOutOfMemory(what, expected.total, device, there) if expected.total > there else None


@contextmanager
def watched(device: str) -> Iterator[Used]:
    """Measure what the block takes at its peak.

    On the CPU it is the process's resident memory, whose peak Linux lets a process begin anew. Elsewhere it is how far
    the peak of the whole process rose: a block that stays below an earlier peak seems to take nothing.
    """
    used = Used()
    if not device.startswith("cuda"):
        _highest[:] = [max(one, _peak_of_process()) for one in _highest]
        before = _resident() if _peak_begun_anew() else _peak_of_process()
        _highest.append(0)
        try:
            yield used
        finally:
            used.peak = max(_highest.pop(), _peak_of_process()) - before
        return
    import torch

    torch.cuda.reset_peak_memory_stats(device)
    held = torch.cuda.memory_allocated(device)
    yield used
    used.peak = torch.cuda.max_memory_allocated(device) - held


@contextmanager
def told(what: str, expected: Footprint | None, device: str) -> Iterator[None]:
    """Tell, around a fit, what it is expected to take and what it took; libraries that are loaded in it count too.

    A fit that is expected to take more than its device has is warned of, and begun all the same.
    """
    warning = None if expected is None else too_large(what, expected, device)
    if warning is not None:
        log.warning("%s", warning)
    with watched(device) as used:
        yield
    log.info("memory of %s on %s: %s expected, %s used", what, device, expected or "nothing", in_words(used.peak))


def _peak_begun_anew() -> bool:
    """Whether the process's peak counts from now on; 5 asks for just that, `man 5 proc`."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _resident() -> int:
    return _status("VmRSS")


def _peak_of_process() -> int:
    """The kernel's count for this program; `getrusage` also has that of the one which started it."""
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _status(name: str) -> int:
    """Bytes that Linux counts of this process; 0 where it is no Linux."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    found = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name}:")]
    return int(found[0]) * 1024 if found else 0


def in_words(size: int) -> str:
    """A number of bytes for people.

    >>> in_words(1536), in_words(3_000_000), in_words(0)
    ('1.5 KB', '3.0 MB', '0 B')
    """
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size >= bytes_:
            return f"{size / bytes_:.1f} {unit}"
    return f"{size} B"
