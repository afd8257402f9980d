"""Topology of the recent past: a window of closes as a delay embedding, its holes as 214 numbers.

Per window: standardise by its own mean and deviation, embed (Takens), take exact Vietoris-Rips H0 and H1, then Betti
curves on a fixed grid, persistent entropy (bits), total persistence, and L2 norms of landscape layers. All are
dimensionless: distances are in deviations of the window. With `stride` above 1 a window ends only at some bars, the
others carry its numbers forward, and `age` says how many bars ago it ended. `extras` names further descriptors of the
same diagrams (`betti.topology.descriptors`).

What does not belong here: the geometry itself, which is `betti.topology` and knows no bars.

A column of H0 speaks of components, one of H1 of loops. docs/topology.md says how to read them.

| column | what | unit | source |
|---|---|---|---|
| betti0_* | components, less the last one, at the grid's k-th value | count | Edelsbrunner and Harer 2010; giotto-tda |
| betti1_* | loops open at the grid's k-th value | count | Edelsbrunner and Harer 2010; giotto-tda |
| entropy_h* | entropy of the shares of lifetime | bits | Chintakunta et al. 2015; giotto-tda |
| total_h* | sum of lifetimes | deviations | Edelsbrunner and Harer 2010 |
| landscape_h* | L2 norm of a landscape layer | deviations to the power 3/2 | Bubenik 2015; Gidea and Katz 2018 |
| age | bars since the shown window ended; only where stride is above 1 | bars | - |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import AfterValidator, Field

from betti import counts
from betti.errors import BadParam, UnknownName
from betti.progress import tell
from betti.topology import descriptors, embedding, native, vectorisation
from betti.topology.persistence import persistence_batch
from betti.topology.pool import batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["COLUMNS", "columns", "compute", "lookback", "parts"]

_HOMOLOGY = (0, 1)

# Backends whose windows stay in compiled code from closes to numbers.
_COMPILED = ("auto", "native")

# Windows standardised and handed to a thread together: memory does not grow with their number.
_BATCH = 64


def columns(*, bins: int = 100, layers: int = 5, stride: int = 1, extras: Sequence[str] = ()) -> tuple[str, ...]:
    """The family's columns at these knobs; `age` is last, and only where windows are carried forward."""
    return (
        *(f"betti{h}_{step:03d}" for h in _HOMOLOGY for step in range(bins)),
        *(f"entropy_h{h}" for h in _HOMOLOGY),
        *(f"total_h{h}" for h in _HOMOLOGY),
        *(f"landscape_h{h}_{layer}" for h in _HOMOLOGY for layer in range(1, layers + 1)),
        *descriptors.columns(extras, bins),
        *(("age",) if stride > 1 else ()),
    )


COLUMNS = columns()


def lookback(
    *,
    window: int = 126,
    delay: int = 5,
    dimension: int = 2,
    stride: int = 1,
    extras: Sequence[str] = (),
    **_: object,
) -> int:
    """Earlier bars that a row depends on: a window, the bars since it ended at the latest, a stride to look back.

    Raises:
        BadParam: the window is too short for the embedding.
        UnknownName, NamedTwice: an extra does not exist, or is named twice.
    """
    _fits(window, delay, dimension)
    return window - 1 + _oldest(stride) + (stride if descriptors.looks_back(extras) else 0)


def parts(*, extras: Sequence[str] = (), **_: object) -> tuple[str, ...]:
    """The modules of the extras, which are loaded by name."""
    return tuple(f"{descriptors.FOLDER.package}.{name}" for name in extras)


def _registered(extras: tuple[str, ...]) -> tuple[str, ...]:
    """Extras as params.yaml names them: refused with their place there, before any stage runs."""
    known = descriptors.FOLDER.names()
    for name in extras:
        if name not in known:
            raise UnknownName("descriptor in params.yaml features.topology.extras:", name, known)
        if extras.count(name) > 1:
            raise BadParam("features.topology.extras", list(extras), f"'{name}' is named more than once")
    return extras


def compute(
    bars: pd.DataFrame,
    *,
    window: Annotated[int, Field(ge=8, le=4096)] = 126,
    delay: Annotated[int, Field(ge=1, le=256)] = 5,
    dimension: Annotated[int, Field(ge=2, le=8)] = 2,
    stride: Annotated[int, Field(ge=1, le=1000)] = 1,
    bins: Annotated[int, Field(ge=2, le=1000)] = 100,
    layers: Annotated[int, Field(ge=1, le=50)] = 5,
    grid_max: Annotated[float, Field(gt=0, le=100)] = 2.0,
    backend: str = "auto",
    extras: Annotated[tuple[str, ...], AfterValidator(_registered)] = (),
) -> pd.DataFrame:
    """The topological numbers of one symbol.

    Args:
        bars: columns as in `betti.schemas.BARS`, in time order; only `timestamp` and `close` are read.
        window: bars in a window.
        delay: bars between the coordinates of a point.
        dimension: coordinates of a point.
        stride: bars between the ends of windows, in time (see `_ends`).
        bins: filtration values of a Betti curve, 0 to `grid_max` inclusive.
        layers: landscape layers.
        grid_max: the largest filtration value, in deviations of the window.
        backend: a name in `betti.topology.persistence.BACKENDS`.
        extras: names in `betti.topology.descriptors`, whose columns come after the others. Those that compare a window
            with an earlier one take the window that ended `stride` bars before it.

    Returns:
        One row per bar, `columns(...)` in float64; NaN in the first `lookback(...)` rows. Carries how many of the
        windows that ended at the other rows each algorithm took (`betti.counts`), by the names in
        `betti.topology.native.Tally`; nothing where another engine than the native one computed them.

    Raises:
        BadParam: the window is too short for the embedding.
        UnknownName, NamedTwice: no such backend or extra, or an extra is named twice.
    """
    embed = _Embedding(window, delay, dimension, vectorisation.fixed_grid(grid_max, bins), layers, backend, extras)
    warm_up = lookback(window=window, delay=delay, dimension=dimension, stride=stride, extras=extras)
    names = columns(bins=bins, layers=layers, stride=stride, extras=extras)
    table, tally = np.full((len(bars), len(names)), np.nan), native.Tally()
    times = np.asarray(bars["timestamp"].astype("int64"), dtype=np.int64)
    ends = _ends(times, window, stride)[warm_up:]
    if len(ends):
        used, which = np.unique(ends, return_inverse=True)
        closes, carried = bars["close"].to_numpy(dtype="float64"), int(np.searchsorted(used, warm_up))
        # A window that ended in the warm-up counts where it ended: sums over slices are those of the whole.
        earlier = _described(closes, used[:carried], stride, embed, native.Tally())
        numbers = np.concatenate([earlier, _described(closes, used[carried:], stride, embed, tally)])
        table[warm_up:, : numbers.shape[1]] = numbers[which]
    if stride > 1:
        table[warm_up:, -1] = np.arange(warm_up, len(bars)) - ends
    counted = vars(tally) if backend in _COMPILED else {}  # another backend does not say what it took
    return counts.attach(pd.DataFrame(table, index=bars.index, columns=list(names)), counted)


@dataclass(frozen=True)
class _Embedding:
    """The knobs that say what is computed of a window; see `compute`."""

    window: int
    delay: int
    dimension: int
    grid: Floats
    layers: int
    backend: str
    extras: tuple[str, ...]


def _described(closes: Floats, ends: Integers, stride: int, embed: _Embedding, tally: native.Tally) -> Floats:
    """(ends, columns without age): the numbers of the windows that end at these places, on every core."""
    windows = sliding_window_view(closes, embed.window)
    width = len(columns(bins=len(embed.grid), layers=embed.layers, extras=embed.extras))

    def work(rows: slice) -> tuple[Floats, native.Tally]:
        last, own = ends[rows] - (embed.window - 1), native.Tally()
        numbers = _numbers(embedding.standardised(windows[last]), embed, own)
        return np.column_stack([numbers, _extra_numbers(windows, last, stride, embed)]), own

    numbers, done = np.empty((len(ends), width)), 0
    for found, own in batches(work, len(ends), _BATCH):
        numbers[done : done + len(found)] = found
        done += len(found)
        tally.add(own)
        tell(done, len(ends), "windows")
    return numbers


def _fits(window: int, delay: int, dimension: int) -> None:
    if embedding.points_per_window(window, dimension=dimension, delay=delay) < 1:
        raise BadParam(
            "features.topology.delay",
            delay,
            f"a window of {window} bars holds no point of {dimension} coordinates: "
            f"(dimension - 1) x delay must be below window",
        )


def _oldest(stride: int) -> int:
    """Bars since the carried window ended, at most."""
    return 0 if stride == 1 else 2 * stride - 1


def _ends(times: Integers, window: int, stride: int) -> Integers:
    """For each bar, the bar at which the window it shows ended.

    Windows end at the first bar of each bucket floor(time / (stride x interval)), the interval being the median
    distance between the bars of the window that ends there: a rule of time, not of row numbers, that reads nothing
    beyond the window, so that a slice has the windows of the whole. Where bars are so irregular that no window ended
    within the last 2 x stride bars, a bar's own window is taken, which bounds what a row depends on.
    """
    rows = np.arange(len(times))
    if stride == 1:
        return rows
    gaps = pd.Series(np.diff(times, prepend=times[:1])).astype("float64")
    interval = gaps.rolling(window - 1).quantile(0.5, interpolation="lower").to_numpy()
    known = rows >= window - 1
    bucket = np.maximum(np.where(known, interval, 1.0), 1.0).astype(np.int64) * stride
    before = np.concatenate([times[:1], times[:-1]])
    first = known & (times // bucket != before // bucket)
    latest = np.maximum.accumulate(np.where(first, rows, -2 * stride))
    return np.where(rows - latest < 2 * stride, latest, rows)


def _numbers(windows: Floats, embed: _Embedding, tally: native.Tally) -> Floats:
    """(count, columns without extras and age) for standardised windows (count, window)."""
    if embed.backend in _COMPILED:
        return native.window_numbers(
            windows, dimension=embed.dimension, delay=embed.delay, grid=embed.grid, layers=embed.layers, tally=tally
        )
    return vectorisation.numbers(_diagrams(windows, embed), embed.grid, embed.layers)


def _extra_numbers(windows: Floats, starts: Integers, stride: int, embed: _Embedding) -> Floats:
    """(count, columns of the extras) for the windows that begin at these places."""
    if not embed.extras:
        return np.empty((len(starts), 0))
    before = starts - stride if descriptors.looks_back(embed.extras) else starts[:0]
    needed, which = np.unique(np.concatenate([starts, before]), return_inverse=True)
    diagrams = _diagrams(embedding.standardised(windows[needed]), embed)
    now, then = which[: len(starts)], which[len(starts) :]
    return descriptors.describe(embed.extras, [diagrams[k] for k in now], [diagrams[k] for k in then], embed.grid)


def _diagrams(windows: Floats, embed: _Embedding) -> list[list[Floats]]:
    clouds = embedding.takens(windows, dimension=embed.dimension, delay=embed.delay)
    return persistence_batch(clouds, max_dimension=_HOMOLOGY[-1], backend=embed.backend)
