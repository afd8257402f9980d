"""Every tracking backend: what is written is found again, twice written is once, and a fault is a typed one."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
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
    (made / "pictures.html").write_text("<p>pictures</p>")
    return Record(
        run="up-logistic",
        group="up",
        models="a" * 32 + ".dir",
        evaluation=None,
        params={"model": "logistic", "config.C": "1.0", "config.long": "x" * 9000},
        curves=tuple(Point(f"fold_{fold}/valid_loss", epoch, 1 / epoch) for fold in (0, 1) for epoch in range(1, 701)),
        scores={},
        tags={"dvc.in.data/set": "b" * 32, "betti.lineage": "betti lineage data"},
        files=(("metrics", made / "scores.json"), ("plots", made / "pictures.html")),
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


class WandbReader:
    """Reads an offline run with wandb's own reader of its log."""

    def __init__(self, root: Path) -> None:
        self.root = root / "wandb"

    def entries(self) -> int:
        return len(list(self.root.glob("offline-run-*")))

    def folder(self, reference: Reference) -> Path:
        return next(self.root.glob(f"offline-run-*-{reference.id}"))

    def records(self, reference: Reference) -> list[dict]:
        log = self.folder(reference) / f"run-{reference.id}.wandb"
        return inspected(log, log.stat().st_mtime_ns)

    def numbers(self, reference: Reference) -> dict[str, float]:
        return {name: value for update in self.updates(reference) for name, value in update.items()}

    def updates(self, reference: Reference) -> list[dict]:
        return [one["summary"].get("update", {}) for one in self.records(reference) if one["type"] == "summary"]

    def curve(self, reference: Reference, name: str) -> list[tuple[int, float]]:
        records = self.records(reference)
        epochs = [one["history"]["item"] for one in records if one["type"] == "history"]
        found = [(one["_step"], one[name]) for one in epochs if name in one]
        return found or [(0, one[name]) for one in self.updates(reference) if name in one]

    def text(self, reference: Reference) -> str:
        config = next(one["run"]["config"]["update"] for one in self.records(reference) if one["type"] == "run")
        return " ".join(f"{name}={value}" for name, value in dotted(config, ""))


@cache
def inspected(log: Path, written: int) -> list[dict]:
    program = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)]
    lines = subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def dotted(value: dict, above: str) -> Iterator[tuple[str, str]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from dotted(inner, f"{above}{name}.")
        else:
            yield f"{above}{name}", inner


READERS = {"mlflow": MlflowReader, "tensorboard": TensorboardReader, "wandb": WandbReader}


def test_every_backend_is_read_back_here():
    assert set(READERS) == set(BACKENDS)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return str(request.param)


@pytest.fixture(autouse=True)
def _no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


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
    paths = {
        one.path for folder in ("model", "metrics", "plots") for one in client.list_artifacts(reference.id, folder)
    }
    assert paths == {"model/weights.txt", "metrics/scores.json", "plots/pictures.html"}
    trained_on = [(one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs]
    assert trained_on == [("data/set", "b" * 32)]
    note = run.data.tags["mlflow.note.content"]
    assert "`betti lineage data`" in note and "`plots/pictures.html`" in note
    assert (root / "mlruns" / "up" / reference.id / "artifacts" / "model" / "weights.txt").read_text() == "1 2 3"


def test_mlflow_keeps_the_files_of_models_that_are_not_evaluated(record: Record, root: Path):
    pytest.importorskip("mlflow", reason="mlflow is not installed: the extra `tracking`")
    reference = opened("mlflow", root).log(record)
    shown = MlflowReader(root).client.list_artifacts(reference.id, "plots")
    assert [one.path for one in shown] == ["plots/pictures.html"]


def test_an_entry_that_a_kill_left_half_written_is_replaced(record: Record, root: Path):
    pytest.importorskip("mlflow", reason="mlflow is not installed: the extra `tracking`")
    whole = opened("mlflow", root).log(record)
    read = MlflowReader(root)
    half = read.client.create_run(
        read.client.get_run(whole.id).info.experiment_id, run_name=record.run, tags={"betti.run": record.run}
    )
    later = opened("mlflow", root).log(replace(record, models="d" * 32))
    assert {run.info.run_id for run in read._all()} == {whole.id, later.id} != {half.info.run_id}


@pytest.fixture
def wandb() -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: the extra `wandb`")


def test_wandb_keeps_files_model_pictures_and_hashes(wandb: None, record: Record, root: Path):
    reference = opened("wandb", root).log(judged(record))
    read = WandbReader(root)
    kept = read.folder(reference) / "files"
    assert (kept / "model" / "weights.txt").read_text() == "1 2 3" and not (kept / "model" / "weights.txt").is_symlink()
    assert (kept / "metrics" / "scores.json").is_file()
    records = read.records(reference)
    config = next(one["run"]["config"]["update"] for one in records if one["type"] == "run")
    assert (config["model"], config["config"]["C"]) == ("logistic", "1.0")
    assert config["dvc"]["in"] == {"data/set": "b" * 32} and config["betti"]["models"] == record.models
    shown = read.numbers(reference)
    assert shown["pictures._type"] == "html-file" and (kept / shown["pictures.path"]).read_text() == "<p>pictures</p>"
    saved = {file["path"] for one in records if one["type"] == "files" for file in one["files"]["files"]}
    assert {"model/weights.txt", "metrics/scores.json"} <= saved, "what `wandb sync` sends"


def test_wandb_sends_one_whole_run_of_models_that_were_evaluated_later(wandb: None, record: Record, root: Path):
    """What is sent twice under one id takes the place of the first, so the later one has to hold everything."""
    trained = opened("wandb", root).log(record)
    opened("wandb", root).log(judged(record))
    program = [sys.executable, "-m", "wandb", "sync", "--dry-run"]
    said = subprocess.run(program, cwd=root, capture_output=True, text=True, check=True)
    assert "Would sync 1 run(s)" in said.stdout + said.stderr
    read = WandbReader(root)
    assert len(read.curve(trained, "fold_0/valid_loss")) == 700
    assert read.numbers(trained)["pooled/accuracy"] == 0.75
    assert read.folder(trained).is_dir() and trained.show == "wandb leet wandb"


def test_what_a_kill_left_of_wandbs_is_replaced(wandb: None, record: Record, root: Path):
    whole = opened("wandb", root).log(record)
    read = WandbReader(root)
    (read.folder(whole) / "betti.json").unlink()
    (read.folder(whole) / "files" / "model" / "weights.txt").unlink()
    assert opened("wandb", root).log(record) == whole and read.entries() == 1
    assert (read.folder(whole) / "files" / "model" / "weights.txt").is_file()


def test_wandb_writes_below_the_folder_that_is_named(wandb: None, record: Record, root: Path):
    reference = opened("wandb", root, "elsewhere").log(record)
    assert reference.show == "wandb leet elsewhere/wandb"
    assert len(list((root / "elsewhere" / "wandb").glob(f"offline-run-*-{reference.id}"))) == 1


KEY = "0123456789abcdef" * 2 + "01234567"


def test_a_key_stays_in_the_environment(
    wandb: None, record: Record, root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    opened("wandb", root).log(record)
    assert not [file for file in root.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]
    assert KEY not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("mode", "uri", "told"),
    [
        ("disabled", None, "WANDB_MODE is 'disabled'"),
        ("online", None, "WANDB_API_KEY is not set"),
        ("", "https://wandb.example", "WANDB_API_KEY is not set"),
    ],
)
def test_wandb_neither_asks_at_the_terminal_nor_writes_nothing_in_silence(
    wandb: None, root: Path, monkeypatch: pytest.MonkeyPatch, mode: str, uri: str | None, told: str
):
    monkeypatch.setenv("WANDB_MODE", mode)
    with pytest.raises(TrackingFault, match=told):
        opened("wandb", root, uri)


def test_the_environment_keeps_wandb_off_a_server(
    wandb: None, record: Record, root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert opened("wandb", root, "http://127.0.0.1:9").log(record)
    assert WandbReader(root).entries() == 1


def test_a_server_that_does_not_answer_is_a_typed_fault(
    wandb: None, record: Record, root: Path, monkeypatch: pytest.MonkeyPatch
):
    from betti.tracking import wandb as backend

    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(backend, "START_SECONDS", 2.0)
    with pytest.raises(TrackingFault, match=r"wandb at http://127\.0\.0\.1:9") as fault:
        opened("wandb", root, "http://127.0.0.1:9").log(record)
    assert KEY not in str(fault.value)


def test_an_unknown_backend_is_named():
    with pytest.raises(UnknownName, match="unknown tracking backend 'mlfow'; did you mean 'mlflow'"):
        tracking.open_tracker("mlfow", Path())


def test_a_library_that_is_not_installed_is_a_part_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delitem(sys.modules, "betti.tracking.mlflow", raising=False)
    monkeypatch.setitem(sys.modules, "mlflow.entities", None)
    with pytest.raises(PartUnavailable, match="mlflow"):
        tracking.open_tracker("mlflow", tmp_path)
    monkeypatch.delitem(sys.modules, "betti.tracking.mlflow", raising=False)
