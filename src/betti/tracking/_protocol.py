"""What a tracking backend is given, what it answers, and how it fails.

What does not belong here: where the facts of a run come from (`flows.tracked`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from betti.errors import BettiError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Point", "Record", "Reference", "Tracker", "TrackingFault"]


class TrackingFault(BettiError):
    """A backend that could not write. The run that was to be tracked is done and recorded all the same."""

    def __init__(self, backend: str, where: str, cause: BaseException) -> None:
        self.backend, self.where = backend, where
        words = " ".join(str(cause).split())[:300]
        super().__init__(
            f"not tracked: {backend} at {where}: {type(cause).__name__}: {words}. Nothing of the run is lost; mend "
            "tracking.uri in params.yaml or set tracking.backend to none, and the next `betti run` tracks it"
        )


@dataclass(frozen=True)
class Point:
    """A number of one epoch: `name` is "fold_0/valid_loss", `step` the epoch from 1."""

    name: str
    step: int
    value: float


@dataclass(frozen=True)
class Record:
    """What is known of a run's recorded models, and of their evaluation where there is one.

    Attributes:
        run: its name in params.yaml.
        group: what it is listed among: its target.
        models: the hash of the trained models. A backend holds one entry per run and hash.
        evaluation: the hash of the evaluation; None while there is none.
        params: knobs as text.
        curves: numbers per epoch.
        scores: numbers of the evaluation.
        tags: everything else that one looks for, DVC's hashes among it: "dvc.in.PATH", "dvc.out.PATH".
        files: single files that are kept with the entry, by the folder they are shown in ("" for none).
        model: the folder that holds the final model.
    """

    run: str
    group: str
    models: str
    evaluation: str | None
    params: Mapping[str, str]
    curves: tuple[Point, ...]
    scores: Mapping[str, float]
    tags: Mapping[str, str]
    files: tuple[tuple[str, Path], ...]
    model: Path


@dataclass(frozen=True)
class Reference:
    """Where an entry is found again.

    Attributes:
        backend: the file in this folder that made it.
        id: the backend's own name for it.
        where: the database, folder or server that holds it.
        show: the command that shows it.
    """

    backend: str
    id: str
    where: str
    show: str


class Tracker(Protocol):
    """A backend, opened."""

    def log(self, record: Record) -> Reference:
        """Write what the backend does not hold yet of this run; a second call with the same hashes writes nothing.

        Raises:
            TrackingFault: it could not.
        """
        ...
