"""What a model takes, out of one feature table: its one matrix, or one for each input that it names.

A model of one input is the case of one part under the name `ONLY`. A row has an input where every part has a complete
and finite one. What does not belong here: one matrix (`prepare.py`), and which columns an input has (`demands.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from betti.training.prepare import ordered
from betti.training.scaling import ONLY, fit_kind, kinds
from betti.windows import NamedInputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from betti.models._protocol import BaseModel, Inputs
    from betti.training.manifest import InputFacts
    from betti.training.prepare import FeatureRows
    from betti.training.scaling import Scaler
    from betti.windows import Steps

    Positions = NDArray[np.int64]

__all__ = ["ModelInputs", "model_inputs"]


@dataclass(frozen=True)
class ModelInputs:
    """The matrices of a model's inputs, row i of each at the same decision.

    Attributes:
        parts: input name -> its matrix; `complete` of each says where all of them are.
    """

    parts: Mapping[str, FeatureRows]

    @property
    def anchor(self) -> FeatureRows:
        """One of the parts: which rows there are, and which have an input, all of them say alike."""
        return next(iter(self.parts.values()))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column once, in the order of the parts."""
        return tuple(dict.fromkeys(name for part in self.parts.values() for name in part.columns))

    def only(self, columns: tuple[str, ...]) -> ModelInputs:
        """The same rows with these columns alone; each part keeps those of its own."""
        keep = set(columns)
        return ModelInputs(
            {name: part.only(tuple(c for c in part.columns if c in keep)) for name, part in self.parts.items()}
        )

    def scalers(self, model: BaseModel, train: Positions) -> dict[str, Scaler]:
        """A scaler for every input that the model wants scaled, fitted on these positions alone."""
        return {name: fit_kind(kind, self.parts[name].values[train]) for name, kind in kinds(model).items()}

    def several(self, scalers: Mapping[str, Scaler], *positions: Positions) -> tuple[Inputs, ...]:
        """Scaled inputs that end at each of these positions, their views over matrices that are scaled once."""
        if set(self.parts) == {ONLY}:
            return self.parts[ONLY].several(scalers.get(ONLY), *positions)
        views = {name: part.views(scalers.get(name), *positions) for name, part in self.parts.items()}
        return tuple(NamedInputs({name: each[at] for name, each in views.items()}) for at in range(len(positions)))


def model_inputs(
    feature_set: pd.DataFrame, asked: Mapping[str, InputFacts], steps: Mapping[str, Steps] | None
) -> ModelInputs:
    """The table as the matrices that are asked for.

    Args:
        feature_set: columns as in `schemas.FEATURES`, in any order of rows.
        asked: input name -> its columns and its length; `ONLY` -> those of a model of one.
        steps: what is no gap, by symbol; None: only the end of a symbol stops a window.

    Raises:
        MissingColumns: the table lacks some.
        BrokenArtifact: a (timestamp, symbol) occurs twice.
    """
    table = ordered(feature_set)
    parts = {name: table.rows(one.columns, one.length, steps) for name, one in asked.items()}
    everywhere = cast("NDArray[np.bool_]", np.logical_and.reduce([part.complete for part in parts.values()]))
    return ModelInputs({name: replace(part, complete=everywhere) for name, part in parts.items()})
