"""A trained run: its manifest, a model per fold for honest evaluation, and the final model for prediction.

On disk: manifest.json, then fold_0/ ... and final/, each with the model's own files and its scalers. Reading the
manifest reads no model. What does not belong here: how a run is trained (`betti.stages.train`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from betti.errors import BrokenArtifact, UnknownName
from betti.training.names import FINAL, member_name
from betti.training.scaling import ONLY, Scaler, kinds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from betti.models._protocol import BaseModel, PredictionOutput
    from betti.training.manifest import RunManifest

__all__ = ["Member", "Predicted", "TrainedRun"]

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Member:
    """One fitted model, and by input the scalers of its own training rows.

    Attributes:
        model: as it was fitted.
        scalers: input name (`ONLY` of a model of one) -> its scaler; inputs that stay as they are have none.
    """

    model: BaseModel
    scalers: Mapping[str, Scaler]

    @property
    def scaler(self) -> Scaler | None:
        """The scaler of a model of one input; None where it takes inputs as they are."""
        return self.scalers.get(ONLY)


@dataclass(frozen=True)
class Predicted:
    """Answers for the rows that have a complete input.

    Attributes:
        rows: those of the rows asked for, in the order they were asked, index 0 .. k - 1.
        output: (k, classes) probabilities and what follows from them.
        dropped: rows without an answer, by reason: "incomplete_input", "no_features".
    """

    rows: pd.DataFrame
    output: PredictionOutput
    dropped: dict[str, int]


class TrainedRun:
    """Follows `betti.io.Saved`. Models of a loaded run are read when they are asked for."""

    def __init__(self, manifest: RunManifest, members: Mapping[str, Member], folder: Path | None = None) -> None:
        self.manifest = manifest
        self._members = dict(members)
        self._folder = folder

    def names(self) -> tuple[str, ...]:
        """Names of its models: every fold's, then the final one's."""
        return (*(member_name(fold) for fold in self.manifest.folds), FINAL)

    def member(self, fold: int | None) -> Member:
        """The model of a fold (None: the final one) with its scaler.

        Raises:
            UnknownName: the run has no such fold.
            MissingFile, BrokenArtifact: its files are not there or not what they should be.
        """
        name = member_name(fold)
        if name not in self.names():
            raise UnknownName("fold", name, self.names())
        if name not in self._members:
            self._members[name] = self._read(name)
        return self._members[name]

    def predict(self, fold: int | None, feature_set: pd.DataFrame, rows: pd.DataFrame) -> Predicted:
        """Answer for rows with one fold's model, or with the final one.

        Args:
            fold: its number; None for the final model, which is never evaluated.
            feature_set: features of these rows and of the rows before them that a window reaches.
            rows: `timestamp`, `symbol` and anything else, which is handed back.

        Raises:
            MissingColumns: `feature_set` lacks columns that the model was trained on.
            UnknownName: no such fold.
        """
        import numpy as np

        from betti.models._protocol import PredictionOutput
        from betti.training.inputs import model_inputs

        told = self.manifest
        features = model_inputs(feature_set, told.parts, told.steps)
        found = features.anchor.find(rows)
        member = self.member(fold)
        kept = rows[found.kept].reset_index(drop=True)
        if not len(kept):
            nothing = PredictionOutput.from_probabilities(np.empty((0, told.classes)))
            return Predicted(kept, nothing, found.dropped)
        (inputs,) = features.only(told.kept(member_name(fold))).several(member.scalers, found.positions)
        return Predicted(kept, member.model.predict(inputs), found.dropped)

    def save(self, folder: Path) -> None:
        """Write the manifest, the configuration in parts and every model into `folder`."""
        from betti.training.layout import write_configs

        folder.mkdir(parents=True, exist_ok=True)
        for fold in (*self.manifest.folds, None):
            member = self.member(fold)
            own = folder / member_name(fold)
            own.mkdir()
            member.model.save(own)
            for name, scaler in member.scalers.items():
                scaler.save(own, name)
        write_configs(self.manifest, folder)
        (folder / MANIFEST).write_text(self.manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the manifest; the models follow when they are asked for.

        Raises:
            BrokenArtifact: manifest.json is not there or is no manifest.
        """
        from pydantic import ValidationError

        from betti.training.manifest import RunManifest

        path = folder / MANIFEST
        try:
            return cls(RunManifest.model_validate_json(path.read_bytes()), {}, folder)
        except FileNotFoundError as cause:
            raise BrokenArtifact(path, "is not there") from cause
        except ValidationError as cause:
            raise BrokenArtifact(path, f"is no manifest: {cause.error_count()} fields do not fit") from cause

    def _read(self, name: str) -> Member:
        from betti.models import ModelRegistry

        if self._folder is None:
            raise BrokenArtifact(name, "is neither in memory nor on disk")
        model = ModelRegistry.create(self.manifest.model, self.manifest.config)
        model.load(self._folder / name)
        scalers: dict[str, Scaler] = {}
        for part in kinds(model):
            scaler = Scaler.load(self._folder / name, part)
            if scaler is None:
                of = f" of its input '{part}'" if part else ""
                raise BrokenArtifact(self._folder / name, f"has no scaler{of}, and its model needs one")
            scalers[part] = scaler
        return Member(model, scalers)
