"""Every tracking backend: what is written is found again, twice written is once, and a fault is a typed one."""

from __future__ import annotations

import importlib.util
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from betti import tracking
from betti.errors import PartUnavailable, UnknownName
from betti.tracking import Point, Record, Reference, TrackingFault

BACKENDS = tracking.FOLDER.names()


@pytest.fixture
def record(tmp_path: Path) -> Record:
    made = tmp_path / "made"
    (made / "final").mkdir(parents=True)
    (made / "final" / "weights.txt").write_text("1 2 3")
    (made / "scores.json").write_text("{}")
    return Record(
        run="up-logistic",
        group="up",
        models="a" * 32 + ".dir",
        evaluation=None,
        params={"model": "logistic", "config.C": "1.0", "config.long": "x" * 9000},
        curves=tuple(Point(f"fold_{fold}/valid_loss", epoch, 1 / epoch) for fold in (0, 1) for epoch in range(1, 701)),
        scores={},
        tags={"dvc.in.data/set": "b" * 32, "betti.lineage": "betti lineage data"},
        files=(("evaluation", made / "scores.json"),),
        model=made / "final",
    )


def judged(record: Record, accuracy: float = 0.75, md5: str = "e" * 32) -> Record:
    return replace(record, evaluation=md5, scores={"pooled/accuracy": accuracy, "trading/sharpe": -0.5})


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which MLflow has made its tables: that takes seconds, and every test starts from a copy."""
    root = tmp_path_factory.mktemp("empty")
    if importlib.util.find_spec("mlflow") is not None:
        tracking.open_tracker("mlflow", root)
    return root


@pytest.fixture
def root(tmp_path: Path, empty: Path) -> Path:
    return Path(shutil.copytree(empty, tmp_path / "root"))


def opened(backend: str, root: Path, uri: str | None = None) -> tracking.Tracker:
    return tracking.open_tracker(backend, root, uri)


class MlflowReader:
    def __init__(self, root: Path) -> None:
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")

    def entries(self) -> int:
        return len(self._all())

    def _all(self) -> list:
        return [run for one in self.client.search_experiments() for run in self.client.search_runs([one.experiment_id])]

    def numbers(self, reference: Reference) -> dict[str, float]:
        return dict(self.client.get_run(reference.id).data.metrics)

    def curve(self, reference: Reference, name: str) -> list[tuple[int, float]]:
        return [(one.step, one.value) for one in self.client.get_metric_history(reference.id, name)]

    def text(self, reference: Reference) -> str:
        return str(self.client.get_run(reference.id).data)


class TensorboardReader:
    def __init__(self, root: Path) -> None:
        self.root = root / "tensorboard"

    def entries(self) -> int:
        return len(list(self.root.iterdir()))

    def _events(self, reference: Reference):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(self.root / reference.id), size_guidance={"scalars": 0, "tensors": 0})
        return events.Reload()

    def numbers(self, reference: Reference) -> dict[str, float]:
        events = self._events(reference)
        return {tag: events.Scalars(tag)[-1].value for tag in events.Tags()["scalars"]}

    def curve(self, reference: Reference, name: str) -> list[tuple[int, float]]:
        return [(one.step, one.value) for one in self._events(reference).Scalars(name)]

    def text(self, reference: Reference) -> str:
        events = self._events(reference)
        return " ".join(str(events.Tensors(tag)[0].tensor_proto.string_val) for tag in events.Tags()["tensors"])


READERS = {"mlflow": MlflowReader, "tensorboard": TensorboardReader}


def test_every_backend_is_read_back_here():
    assert set(READERS) == set(BACKENDS)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param, reason=f"{request.param} is not installed: the extra `tracking`")
    return str(request.param)


def test_a_run_is_found_again_with_all_it_says(backend: str, record: Record, root: Path):
    reference = opened(backend, root).log(judged(record))
    read = READERS[backend](root)
    assert read.entries() == 1 and reference.backend == backend and backend in reference.show
    curve = read.curve(reference, "fold_1/valid_loss")
    assert [step for step, _ in curve] == list(range(1, 701))
    assert all(math.isclose(value, 1 / step, rel_tol=1e-6) for step, value in curve)
    assert math.isclose(read.numbers(reference)["pooled/accuracy"], 0.75, rel_tol=1e-6)
    assert all(word in read.text(reference) for word in ("config.C", "b" * 32, "betti lineage data"))


def test_the_same_again_adds_nothing(backend: str, record: Record, root: Path):
    first = opened(backend, root).log(judged(record))
    again = opened(backend, root).log(judged(record))
    read = READERS[backend](root)
    assert again == first and read.entries() == 1
    assert len(read.curve(first, "fold_0/valid_loss")) == 700
    assert len(read.curve(first, "pooled/accuracy")) == 1


def test_an_evaluation_joins_the_models_it_is_of(backend: str, record: Record, root: Path):
    trained = opened(backend, root).log(record)
    read = READERS[backend](root)
    assert "pooled/accuracy" not in read.numbers(trained)
    assert opened(backend, root).log(judged(record)) == trained
    assert opened(backend, root).log(judged(record, 0.5, "f" * 32)) == trained
    assert read.entries() == 1
    assert read.numbers(trained)["pooled/accuracy"] == 0.5  # the last evaluation's


def test_other_models_and_other_runs_are_entries_of_their_own(backend: str, record: Record, root: Path):
    tracker = opened(backend, root)
    others = [
        replace(record, models="c" * 32),
        replace(record, run="down-logistic"),
        replace(record, group="down", run="x"),
    ]
    assert len({tracker.log(one).id for one in (record, *others)}) == 4
    assert READERS[backend](root).entries() == 4


def test_a_place_that_cannot_be_written_is_a_typed_fault(backend: str, record: Record, tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    below = tmp_path / "file" / "below"
    bad = f"sqlite:///{below}" if backend == "mlflow" else str(below)
    with pytest.raises(TrackingFault, match=r"not tracked: .*tracking\.uri in params\.yaml"):
        opened(backend, tmp_path, bad).log(record)


def test_mlflow_keeps_files_model_and_hashes(record: Record, root: Path):
    pytest.importorskip("mlflow", reason="mlflow is not installed: the extra `tracking`")
    reference = opened("mlflow", root).log(judged(record))
    client = MlflowReader(root).client
    run = client.get_run(reference.id)
    assert run.info.status == "FINISHED" and reference.show == "mlflow ui"
    assert run.data.tags["betti.models"] == record.models and run.data.tags["dvc.in.data/set"] == "b" * 32
    paths = {one.path for folder in ("model", "evaluation") for one in client.list_artifacts(reference.id, folder)}
    assert paths == {"model/weights.txt", "evaluation/scores.json"}
    assert (root / "mlruns" / "up" / reference.id / "artifacts" / "model" / "weights.txt").read_text() == "1 2 3"


def test_an_entry_that_a_kill_left_half_written_is_replaced(record: Record, root: Path):
    pytest.importorskip("mlflow", reason="mlflow is not installed: the extra `tracking`")
    whole = opened("mlflow", root).log(record)
    read = MlflowReader(root)
    half = read.client.create_run(
        read.client.get_run(whole.id).info.experiment_id, run_name=record.run, tags={"betti.run": record.run}
    )
    later = opened("mlflow", root).log(replace(record, models="d" * 32))
    assert {run.info.run_id for run in read._all()} == {whole.id, later.id} != {half.info.run_id}


def test_an_unknown_backend_is_named():
    with pytest.raises(UnknownName, match="unknown tracking backend 'mlfow'; did you mean 'mlflow'"):
        tracking.open_tracker("mlfow", Path())


def test_a_library_that_is_not_installed_is_a_part_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delitem(sys.modules, "betti.tracking.mlflow", raising=False)
    monkeypatch.setitem(sys.modules, "mlflow.entities", None)
    with pytest.raises(PartUnavailable, match="mlflow"):
        tracking.open_tracker("mlflow", tmp_path)
    monkeypatch.delitem(sys.modules, "betti.tracking.mlflow", raising=False)
