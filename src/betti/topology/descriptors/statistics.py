"""Persistence statistics: how many pairs, and the usual summaries of where they are born, die, and how long they live.

The plain baseline of the field, and often hard to beat (Pun, Lee, Xia 2022; Ali et al. 2023). H0 is born at 0, which
leaves its lengths alone to be summarised. What does not belong here: entropy and curves
(`betti.topology.vectorisation`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.topology.descriptors._diagrams import of_dimension, rows

if TYPE_CHECKING:
    from betti.topology.descriptors._diagrams import Diagrams, Floats

__all__ = ["LOOKS_BACK", "columns", "numbers"]

LOOKS_BACK = False

# A midlife is the middle between birth and death.
_MEASURES = ("birth", "death", "lifetime", "midlife")
_SUMMARIES = ("mean", "deviation", "lower_quartile", "median", "upper_quartile", "max", "sum")
_QUARTILES = (0.25, 0.5, 0.75)


def columns(_bins: int) -> tuple[str, ...]:
    """8 numbers of H0, such as `h0_lifetime_mean`, and 29 of H1; the same on every grid."""
    return (
        "h0_count",
        *(f"h0_lifetime_{summary}" for summary in _SUMMARIES),
        "h1_count",
        *(f"h1_{measure}_{summary}" for measure in _MEASURES for summary in _SUMMARIES),
    )


def numbers(diagrams: Diagrams, _before: Diagrams, _grid: Floats) -> Floats:
    """Statistics (count, 37), in units of distance but for the counts; all 0 for an empty diagram.

    The deviation is that of the pairs themselves (divided by their number); quartiles interpolate between pairs.
    """
    components = [_summaries(found[:, 1:] - found[:, :1]) for found in of_dimension(diagrams, 0)]
    holes = [_summaries(_measures(found)) for found in of_dimension(diagrams, 1)]
    return np.concatenate(
        [rows(components, 1 + len(_SUMMARIES)), rows(holes, 1 + len(_MEASURES) * len(_SUMMARIES))], axis=1
    )


def _measures(diagram: Floats) -> Floats:
    """(pairs, 4) in the order of `_MEASURES`."""
    births, deaths = diagram.T
    return np.column_stack([births, deaths, deaths - births, births / 2 + deaths / 2])


def _summaries(measures: Floats) -> Floats:
    """The count of pairs, then the summaries of each of (pairs, measures): (1 + measures x 7,)."""
    count, width = measures.shape
    if count == 0:
        return np.zeros(1 + width * len(_SUMMARIES))
    values = np.ascontiguousarray(measures.T)
    table = np.column_stack(
        [
            values.mean(axis=1),
            values.std(axis=1),
            *np.quantile(values, _QUARTILES, axis=1),
            values.max(axis=1),
            values.sum(axis=1),
        ]
    )
    return np.concatenate([[count], table.ravel()])
