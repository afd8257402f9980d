"""Feature sets: named choices of columns, as patterns over full column names.

A set in params.yaml without `columns` of its own takes the declaration here.
"""

from __future__ import annotations

from dataclasses import dataclass

from betti.errors import UnknownName

__all__ = ["SETS", "FeatureSet", "declared"]


@dataclass(frozen=True)
class FeatureSet:
    """Column patterns (shell style, in order) and the kind of model they are meant for."""

    name: str
    columns: tuple[str, ...]
    description: str


SETS = {
    one.name: one
    for one in (
        FeatureSet(
            "boosting_optimal",
            ("technical__*", "complexity__*", "topology__entropy_*", "topology__total_*", "topology__landscape_*"),
            "scale-free columns for tree ensembles and linear models; topology by its summaries",
        ),
        FeatureSet(
            "neural_optimal",
            ("technical__*", "complexity__*"),
            "bounded or normalised columns for recurrent and convolutional networks",
        ),
        FeatureSet("topology_only", ("topology__*",), "the 214 topological numbers alone, to see what they carry"),
    )
}


def declared(name: str) -> FeatureSet:
    """One declared feature set, or `UnknownName`."""
    if name not in SETS:
        raise UnknownName("feature set", name, SETS)
    return SETS[name]
