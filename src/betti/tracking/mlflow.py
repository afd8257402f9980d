"""MLflow: runs side by side in its own pages, in a SQLite file of this repository unless a server is named.

The default place is `mlflow.db` with artifacts in `mlruns`, both in the repository's root. That is where MLflow itself
looks, so that `mlflow ui` without any option shows them. An entry is found by its tags `betti.run` and `betti.models`,
whose hash is the one in dvc.lock. What the models were trained on are its datasets, whose digests are DVC's hashes.

Needs the extra `tracking`. MLflow takes a second or two to import: only a run that trained something pays for it.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any

# MLflow would report its use to its makers, from a thread that starts when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from betti.tracking._protocol import Reference, TrackingFault

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from betti.tracking._protocol import Record

__all__ = ["Mlflow", "open_tracker"]

NAME = "mlflow"
DATABASE, ARTIFACTS = "mlflow.db", "mlruns"
RUN, MODELS, EVALUATION = "betti.run", "betti.models", "betti.evaluation"
TRAINED_ON = "dvc.in."
# What MLflow takes in one call, and how long a value may be.
MOST_METRICS, MOST_PARAMS, LONGEST = 1000, 100, 6000
FAULTS = (MlflowException, SQLAlchemyError, OSError)


def open_tracker(root: Path, uri: str | None) -> Mlflow:
    """A client of the server, file or folder that `uri` names; None is the repository's own SQLite file.

    Raises:
        TrackingFault: it cannot be reached or is no database of MLflow's.
    """
    for name in ("mlflow", "alembic"):  # each step of the database's making is a line otherwise
        logging.getLogger(name).setLevel(logging.WARNING)
    where = uri or f"sqlite:///{root / DATABASE}"
    local = where.startswith("sqlite:")
    try:
        client = MlflowClient(tracking_uri=where)
        return Mlflow(client, where, (root / ARTIFACTS).as_uri() if local else None, uri is None)
    except FAULTS as cause:
        raise TrackingFault(NAME, where, cause) from cause


class Mlflow:
    """One MLflow experiment per target, one MLflow run per trained run and version of its models."""

    def __init__(self, client: MlflowClient, where: str, artifacts: str | None, own_place: bool) -> None:
        self._client, self._where, self._artifacts = client, where, artifacts
        self._show = "mlflow ui" if own_place else f"mlflow ui --backend-store-uri {where}"

    def log(self, record: Record) -> Reference:
        """Make the entry of these models if there is none, then add their evaluation if it is not on it."""
        try:
            entry = self._entry(record)
            if record.evaluation is not None and entry.data.tags.get(EVALUATION) != record.evaluation:
                self._evaluated(entry.info.run_id, record)
            return Reference(NAME, entry.info.run_id, self._where, self._show)
        except FAULTS as cause:
            raise TrackingFault(NAME, self._where, cause) from cause

    def _entry(self, record: Record) -> Any:
        """The entry of these models, made and filled where there is none.

        The tag with the hash is written last: an entry that a killed process left half-filled has none, and is
        deleted, so that there is one entry per version of the models.
        """
        experiment = self._experiment(record.group)
        wanted = f"tags.`{RUN}` = '{record.run}'"
        same = self._client.search_runs([experiment], wanted, ViewType.ACTIVE_ONLY, max_results=1000)
        for entry in same:
            if entry.data.tags.get(MODELS) == record.models:
                return entry
        for entry in same:
            if MODELS not in entry.data.tags and entry.info.status == "RUNNING":
                self._client.delete_run(entry.info.run_id)
        return self._fresh(experiment, record)

    def _fresh(self, experiment: str, record: Record) -> Any:
        client = self._client
        entry = client.create_run(experiment, run_name=record.run, tags={RUN: record.run})
        ident, now = entry.info.run_id, int(time.time() * 1000)
        params = [Param(name, value[:LONGEST]) for name, value in record.params.items()]
        points = [Metric(one.name, one.value, now, one.step) for one in record.curves]
        for few in _pieces(params, MOST_PARAMS):
            client.log_batch(ident, params=few)
        for several in _pieces(points, MOST_METRICS):
            client.log_batch(ident, metrics=several)
        client.log_inputs(ident, _datasets(record))
        client.set_tag(ident, "mlflow.note.content", _note(record))
        client.log_artifacts(ident, str(record.model), "model")
        if record.evaluation is None:  # else they come with it
            self._described(ident, record)
        client.set_terminated(ident)
        client.set_tag(ident, MODELS, record.models)
        return client.get_run(ident)

    def _evaluated(self, ident: str, record: Record) -> None:
        now = int(time.time() * 1000)
        scores = [Metric(name, value, now, 0) for name, value in record.scores.items()]
        for several in _pieces(scores, MOST_METRICS):
            self._client.log_batch(ident, metrics=several)
        self._described(ident, record)
        self._client.set_tag(ident, EVALUATION, str(record.evaluation))

    def _described(self, ident: str, record: Record) -> None:
        """Files and tags; of the same name, the last ones stay."""
        for folder, file in record.files:
            self._client.log_artifact(ident, str(file), folder or None)
        self._client.log_batch(ident, tags=[RunTag(name, value) for name, value in record.tags.items()])

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = None if self._artifacts is None else f"{self._artifacts}/{name}"
        return str(self._client.create_experiment(name, artifact_location=place))


def _datasets(record: Record) -> list[DatasetInput]:
    """What DVC says the models were trained on, as MLflow lists and filters it."""
    return [
        DatasetInput(
            Dataset(name=name.removeprefix(TRAINED_ON), digest=md5, source_type="dvc", source=_source(name)),
            tags=[InputTag("mlflow.data.context", "training")],
        )
        for name, md5 in record.tags.items()
        if name.startswith(TRAINED_ON)
    ]


def _source(name: str) -> str:
    return json.dumps({"uri": name.removeprefix(TRAINED_ON)})


def _note(record: Record) -> str:
    """What MLflow shows above everything, as Markdown."""
    lineage = record.tags.get("betti.lineage")
    made = f"What it was made from: `{lineage}`. " if lineage else ""
    pages = [f"`{folder}/{file.name}`" for folder, file in record.files if file.suffix == ".html"]
    return made + (f"Pictures: {', '.join(pages)} under Artifacts." if pages else "")


def _pieces(values: list[Any], most: int) -> Iterable[list[Any]]:
    return (values[first : first + most] for first in range(0, len(values), most))
