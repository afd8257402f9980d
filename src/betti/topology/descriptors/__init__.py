"""Descriptors: further numbers of persistence diagrams, off until named. One file = one descriptor, by being here.

A descriptor module offers

* `LOOKS_BACK`: whether it reads the diagrams of the window one stride earlier;
* `columns(bins) -> tuple[str, ...]`: the names of its numbers on a grid of that many values, without its own name;
* `numbers(diagrams, before, grid) -> (count, len(columns(len(grid))))` in float64, called by position:
  `diagrams[k]` holds H0 and H1 of window k, each (pairs, 2) of [birth, death], as
  `betti.topology.persistence.persistence_batch` gives them: H0 is born at 0, no pair is infinite or of length 0.
  `before[k]` holds the same of the window one stride earlier. `grid` holds filtration values (bins,), evenly spaced
  from 0, at least two.

The grid is the same for every window, forever: one that is fitted to diagrams lets later windows change earlier rows.
A row depends on its own window alone (and the one before it), to the last bit, and is finite; empty diagrams give
zeros. A new file is held to this by the contract tests. This module joins several descriptors.

What does not belong here: homology, windows of a series, and knobs. What a descriptor fixes stands in its own file.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from betti.discovery import Folder
from betti.errors import BadInput, BettiError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from betti.topology.descriptors._diagrams import Diagrams, Floats

__all__ = ["FOLDER", "NamedTwice", "NoWindowsBefore", "columns", "describe", "looks_back"]

FOLDER = Folder("betti.topology.descriptors", kind="descriptor")


class NamedTwice(BadInput):
    """A descriptor that is asked for more than once: its columns would have the same names."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"descriptor '{name}' is named more than once. Name each descriptor once")


class NoWindowsBefore(BettiError):
    """A descriptor that looks back, and not as many earlier windows as windows: a fault of the caller."""

    def __init__(self, name: str, windows: int, before: int) -> None:
        self.name, self.windows, self.before = name, windows, before
        super().__init__(
            f"descriptor '{name}' compares {windows} windows with {before} earlier ones. Give the diagrams of the "
            "window one stride earlier for each window"
        )


def columns(names: Sequence[str], bins: int) -> tuple[str, ...]:
    """The columns of these descriptors in order: a descriptor's name, an underscore, its own name of the number.

    Args:
        names: names in `FOLDER`, each at most once; none is allowed.
        bins: values of the filtration grid.

    Raises:
        UnknownName: no such descriptor.
        NamedTwice: a name is repeated.
        PartUnavailable: its file does not import.

    >>> columns(["wasserstein"], 100)
    ('wasserstein_h0', 'wasserstein_h1')
    """
    return tuple(f"{name}_{column}" for name, module in _chosen(names) for column in module.columns(bins))


def looks_back(names: Sequence[str]) -> bool:
    """Whether any of these descriptors reads the window one stride earlier.

    Raises:
        UnknownName, NamedTwice, PartUnavailable: as `columns`.
    """
    return any(module.LOOKS_BACK for _, module in _chosen(names))


def describe(names: Sequence[str], diagrams: Diagrams, before: Diagrams, grid: Floats) -> Floats:
    """The numbers of these descriptors, side by side.

    Args:
        names: as in `columns`.
        diagrams: per window, H0 and H1, each (pairs, 2) of [birth, death] in units of distance.
        before: the same of the window one stride earlier; not read, and may be empty, unless `looks_back(names)`.
        grid: filtration values (bins,), evenly spaced from 0, the same for every window, forever
            (`betti.topology.vectorisation.fixed_grid`).

    Returns:
        (count, len(columns(names, bins))) float64, all finite.

    Raises:
        UnknownName, NamedTwice, PartUnavailable: as `columns`.
        NoWindowsBefore: a descriptor looks back and `before` has another length than `diagrams`.
    """
    blocks = [np.empty((len(diagrams), 0))]
    for name, module in _chosen(names):
        if module.LOOKS_BACK and len(before) != len(diagrams):
            raise NoWindowsBefore(name, len(diagrams), len(before))
        blocks.append(module.numbers(diagrams, before, grid))
    return np.concatenate(blocks, axis=1)


def _chosen(names: Sequence[str]) -> list[tuple[str, ModuleType]]:
    for name, times in Counter(names).items():
        if times > 1:
            raise NamedTwice(name)
    return [(name, FOLDER.load(name)) for name in names]
